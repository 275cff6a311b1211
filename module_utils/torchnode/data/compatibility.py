"""Which torch build, driver, cuDNN and device fit together: sourced rows and two pure rules.

Every row cites where it was read. What has no row has no evidence: the resolver refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Tuple

from . import sources
from .sources import Source
from .torch_builds import PREFERRED_TORCH as PREFERRED_TORCH
from .torch_builds import TORCH_BUILDS as TORCH_BUILDS
from .torch_builds import TORCH_RELEASES as TORCH_RELEASES
from .torch_builds import Plugin as Plugin
from .torch_builds import TorchRelease as TorchRelease
from .torch_builds import TorchWheel as TorchWheel


@dataclass(frozen=True)
class DriverFloor:
    """The oldest driver that runs any minor of one CUDA major (minor-version compatibility)."""

    cuda_major: int
    minimum: str
    cited: Tuple[Source, ...] = (sources.CUDA_COMPATIBILITY,)


@dataclass(frozen=True)
class ToolkitDriver:
    """The driver that a CUDA toolkit ships with: needed for PTX JIT and new features."""

    cuda: str
    driver: str
    cited: Tuple[Source, ...] = (sources.CUDA_TOOLKIT_DRIVERS,)


@dataclass(frozen=True)
class DriverBranch:
    """A driver branch; ``end_of_support`` is 'YYYY-MM', or '' where the vendor page names none."""

    branch: str
    kind: str  # 'long-term support', 'production', 'new feature', '' where it was not read
    end_of_support: str
    flavours: Tuple[str, ...]
    cited: Tuple[Source, ...] = (sources.DRIVER_LIFECYCLE,)


@dataclass(frozen=True)
class Flavour:
    """Kernel-module flavours that serve a GPU generation; ``last_branch`` '' means none yet."""

    generation: str
    allowed: Tuple[str, ...]
    preferred: str
    last_branch: str
    cited: Tuple[Source, ...] = (sources.KERNEL_MODULES, sources.ARCHITECTURE_MATRIX)


@dataclass(frozen=True)
class CudnnSupport:
    """What a cuDNN version serves: CUDA majors, and the lowest architecture it has code for."""

    version: str
    cuda_majors: Tuple[int, ...]
    minimum_architecture: str
    cited: Tuple[Source, ...] = (sources.CUDNN_SUPPORT,)


DRIVER_FLOORS = (
    DriverFloor(11, "450.80.02"),
    DriverFloor(12, "525.60.13"),
    DriverFloor(13, "580.65.06"),
)

TOOLKIT_DRIVERS = (
    ToolkitDriver("11.8", "520.61.05"),
    ToolkitDriver("12.0", "525.60.13"),
    ToolkitDriver("12.1", "530.30.02"),
    ToolkitDriver("12.2", "535.54.03"),
    ToolkitDriver("12.3", "545.23.06"),
    ToolkitDriver("12.4", "550.54.14"),
    ToolkitDriver("12.5", "555.42.02"),
    ToolkitDriver("12.6", "560.28.03"),
    ToolkitDriver("12.8", "570.26"),
    ToolkitDriver("12.9", "575.51.03"),
    ToolkitDriver("13.0", "580.65.06"),
    ToolkitDriver("13.1", "590.44.01"),
    ToolkitDriver("13.2", "595.58.03"),
    ToolkitDriver("13.3", "610.43.02"),
)

_BOTH = ("open", "proprietary")

DRIVER_BRANCHES = (
    DriverBranch("535", "long-term support", "2026-06", _BOTH),
    DriverBranch("550", "production", "", _BOTH, (sources.DRIVER_NOTES,)),
    DriverBranch("570", "production", "", _BOTH, (sources.DRIVER_NOTES,)),
    DriverBranch("580", "long-term support", "2028-06", _BOTH),
    DriverBranch("590", "new feature", "", _BOTH, (sources.UNIX_DRIVERS,)),
    DriverBranch("595", "production", "2027-03", _BOTH),
    DriverBranch("610", "new feature", "2026-08", _BOTH),
    DriverBranch("615", "", "", _BOTH, (sources.DRIVER_REPOSITORIES,)),
    DriverBranch("620", "", "", ("open",), (sources.DRIVER_GUIDE_620,)),
)

#: DKMS reads the key that signs modules from its settings since this version:
#: https://github.com/dell/dkms/commit/3323033 and its tags, read 2026-11-23.
SIGNS_SINCE = (3, 0, 4)

#: Long-term support until 2028-06, serves CUDA 13, and the last branch for Volta and older.
DEFAULT_DRIVER_BRANCH = "580"

FLAVOURS = (
    Flavour("maxwell", ("proprietary",), "proprietary", "580"),
    Flavour("pascal", ("proprietary",), "proprietary", "580"),
    Flavour("volta", ("proprietary",), "proprietary", "580"),
    Flavour("turing", _BOTH, "open", ""),
    Flavour("ampere", _BOTH, "open", ""),
    Flavour("ada", _BOTH, "open", ""),
    Flavour("hopper", _BOTH, "open", ""),
    Flavour("grace-hopper", ("open",), "open", "", (sources.OPEN_ONLY,)),
    Flavour("blackwell", ("open",), "open", "", (sources.OPEN_ONLY,)),
)

CUDNN = (
    CudnnSupport("9.1.0", (11, 12), "sm_50"),
    CudnnSupport("9.5.1", (11, 12), "sm_50"),
    CudnnSupport("9.10.2", (11, 12), "sm_50"),
    CudnnSupport("9.17.0", (12, 13), "sm_75"),
)

_DG2 = ("acm-g10", "acm-g11", "dg2-g10", "dg2-g11", "ats-m75", "ats-m150")

#: The family that torch's xpu wheels are built for, by Intel's name of a device target that is
#: not a family itself. Source: sources.XPU_DEVICE_FAMILIES.
XPU_FAMILIES = dict.fromkeys(_DG2, "dg2")

_TARGET = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


def parse_architecture(target: str) -> Tuple[str, int, int, str]:
    """'sm_100a' as ('sm', 10, 0, 'a'). Raises ValueError for anything else."""
    match = _TARGET.fullmatch(target)
    if match is None:
        raise ValueError("%r is not a CUDA architecture such as sm_90 or compute_120" % target)
    return match.group(1), int(match.group(2)), int(match.group(3)), match.group(4)


def architecture_runs(architecture: str, built: Iterable[str]) -> bool:
    """Whether a device of ``architecture`` ('sm_103') can run code built for ``built``.

    Machine code runs on its own major with the same or a later minor; PTX on any device that is
    not older; a suffixed target ('sm_90a') only on exactly its own device. ValueError for a name
    that is no architecture. Rule: sources.CUDA_BINARY_COMPATIBILITY.
    """
    _, major, minor, _ = parse_architecture(architecture)
    return any(_target_runs((major, minor), target) for target in built)


def build_runs(backend: str, architecture: str, built: Tuple[str, ...]) -> bool:
    """Whether a build with code for ``built`` runs on a device of ``backend``'s ``architecture``.

    cuda has rules of its own. rocm and xpu wheels name their targets one by one: what is not named
    has no code. The other backends compile for the device that they find.
    """
    if backend == "cuda":
        return architecture_runs(architecture, built)
    if backend == "rocm":
        return architecture.partition(":")[0] in built  # 'gfx90a:sramecc+:xnack-' is a gfx90a
    if backend == "xpu":
        return XPU_FAMILIES.get(architecture, architecture) in built
    return True


def _target_runs(device: Tuple[int, int], target: str) -> bool:
    kind, major, minor, suffix = parse_architecture(target)
    if suffix:
        # 'f' targets reach a few siblings too; no torch wheel has one, so the strict rule stands.
        return device == (major, minor)
    if kind == "compute":
        return (major, minor) <= device
    return major == device[0] and minor <= device[1]


def version_key(version: str) -> Tuple[int, ...]:
    """A driver, CUDA, cuDNN or released torch version as numbers, so that 580.159 > 580.65.

    Trailing zeros are dropped, so that '13.0' equals '13.0.0'. A local part ('+cu130') is left
    out. Raises ValueError for anything that is not dotted numbers.
    """
    public = version.split("+", 1)[0]
    if not re.fullmatch(r"\d+(\.\d+)*", public):
        raise ValueError("%r is not a version of dotted numbers such as 580.65.06" % version)
    numbers = [int(part) for part in public.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
