"""Intel GPUs through torch.xpu. Pure."""

from __future__ import annotations

from typing import Optional

from ..evidence import (
    Evidence,
    Values,
    container_without,
    hidden_by,
    no_backend_in_wheel,
    no_device_on_bus,
    rights_on,
)
from .base import Backend

HIDING = ("ZE_AFFINITY_MASK", "ONEAPI_DEVICE_SELECTOR")
NODES = r"/dev/dri/renderD\d+"


def intel_module_not_loaded(evidence: Evidence) -> Optional[Values]:
    """Neither of Intel's two kernel drivers is loaded."""
    if evidence.container or evidence.wsl2 or evidence.loaded("i915", "xe") or evidence.nodes:
        return None
    return {}


def level_zero_missing(evidence: Evidence) -> Optional[Values]:
    """The user-space driver that SYCL goes through is not there."""
    missing = evidence.subject.section("driver_libraries").get("missing")
    return {"libraries": ", ".join(missing)} if missing else None


def selector_without_gpu(evidence: Evidence) -> Optional[Values]:
    """ONEAPI_DEVICE_SELECTOR names only devices that are no GPUs."""
    value = evidence.variables.get("ONEAPI_DEVICE_SELECTOR")
    if value is None or "gpu" in value or "*" in value or "level_zero:" in value:
        return None
    return {"value": value}


XPU = Backend(
    name="xpu",
    expected="torch.xpu.is_available() is True",
    nodes=NODES,
    rules=(
        no_device_on_bus,
        no_backend_in_wheel(lambda build: bool(build.get("xpu"))),
        container_without(NODES, "container_without_dri"),
        intel_module_not_loaded,
        rights_on(NODES, "render_node_rights"),
        level_zero_missing,
        hidden_by(HIDING),
        selector_without_gpu,
    ),
    hiding=HIDING,
)
