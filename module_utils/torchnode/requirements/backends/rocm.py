"""AMD GPUs through ROCm, which torch drives under the name of cuda. Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ...outcome import Outcome
from ..evidence import (
    Evidence,
    Values,
    container_without,
    hidden_by,
    no_backend_in_wheel,
    no_device_on_bus,
    rights_on,
)
from ..subject import Subject, failed, passed, unmeasured, warned
from .base import Backend

#: The runtime knows both names; torch's HIP also obeys CUDA's.
HIDING = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
NODES = r"/dev/kfd|/dev/dri/renderD\d+"


def rocm_runtime(subject: Subject) -> Outcome:
    """torch was built for ROCm, and no override makes it believe in another GPU."""
    expected = "a ROCm build"
    build = subject.report.sections.get("torch_build")
    if build is None:
        return unmeasured("rocm_runtime", subject, "torch_build", expected)
    if not build["hip"]:
        return failed(
            "rocm_runtime", "other_backend_wheel", "no ROCm", expected,
            version=subject.torch_version, backend="rocm",
        )  # fmt: skip
    variables = subject.section("environment").get("variables", {})
    override = variables.get("HSA_OVERRIDE_GFX_VERSION")
    if override is not None:
        return warned(
            "rocm_runtime", "hsa_override", "ROCm " + build["hip"], expected, value=override
        )
    return passed("rocm_runtime", "ROCm " + build["hip"], expected)


def amdgpu_not_loaded(evidence: Evidence) -> Optional[Values]:
    """The kernel driver is not in the kernel."""
    if (
        evidence.container
        or evidence.wsl2
        or evidence.loaded("amdgpu")
        or evidence.paths("/dev/kfd")
    ):
        return None
    return {}


def kfd_missing(evidence: Evidence) -> Optional[Values]:
    """The kernel driver is loaded without its compute interface."""
    return None if evidence.wsl2 or evidence.paths("/dev/kfd") else {}


def architecture(_subject: Subject, told: Mapping[str, Any]) -> Optional[str]:
    """'gfx942:sramecc+:xnack-' as HIP tells it."""
    return told.get("gcn_architecture")


ROCM = Backend(
    name="rocm",
    expected="torch.version.hip is set and torch.cuda.is_available() is True",
    nodes=NODES,
    rules=(
        no_device_on_bus,
        no_backend_in_wheel(lambda build: bool(build["hip"])),
        container_without("/dev/kfd", "container_without_kfd"),
        amdgpu_not_loaded,
        kfd_missing,
        rights_on(NODES, "render_node_rights"),
        hidden_by(HIDING),
    ),
    hiding=HIDING,
    before=(rocm_runtime,),
    architecture=architecture,
)
