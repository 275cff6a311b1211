"""What a component has on a node beside its packages, by the manifest's paths. Pure."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from . import cuda_default, cudnn_wheel, dkms, nvidia_services, toolkit_wheel

#: The system's components, each with those that are nothing without it.
COMPONENTS: Dict[str, Tuple[str, ...]] = {
    "nvidia_driver": ("nvidia_fabric",),
    "nvidia_fabric": (),
    "cuda_toolkit": ("cudnn",),
    "cudnn": (),
    "nvidia_container_toolkit": (),
    "dcgm": (),
}


def with_dependents(components: Sequence[str]) -> List[str]:
    """The components and what goes with them, each once."""
    return list(dict.fromkeys(c for name in components for c in (name, *COMPONENTS[name])))


def paths(component: str, prefix: str) -> List[str]:
    """Files and trees that the manifest lists for a component."""
    own = {
        "nvidia_driver": [dkms.SIGNING_FILE],
        "cuda_toolkit": [cuda_default.LINK, toolkit_wheel.base(prefix)],
        "cudnn": [cudnn_wheel.base(prefix)],
        "nvidia_container_toolkit": [nvidia_services.CDI_FILE],
    }
    return own.get(component, [])
