"""Which torch build, driver, cuDNN and GPU fit together: sourced rows and two pure rules.

Every row cites where it was read. What has no row has no evidence: the resolver refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Optional, Tuple

from . import sources
from .sources import Source


@dataclass(frozen=True)
class TorchRelease:
    """A torch release: the Python minors it has wheels for and its companions ('' for none)."""

    version: str
    pythons: Tuple[str, ...]
    torchvision: str
    torchaudio: str
    cited: Tuple[Source, ...]


@dataclass(frozen=True)
class TorchWheel:
    """One build of a release, as PyPI or the torch index (``source``) serves it for ``machine``.

    ``cuda`` is the CUDA runtime ('13.0.96', or '13.2' where only the minor is known), ``cudnn``
    and ``nccl`` are '' where they are unknown. ``architectures`` are what the wheel has code for:
    'sm_90', and 'compute_120' for embedded PTX; () in CPU builds.
    """

    release: TorchRelease
    tag: str
    source: str
    machine: str
    cuda: str = ""
    cudnn: str = ""
    nccl: str = ""
    architectures: Tuple[str, ...] = ()
    cited: Tuple[Source, ...] = (sources.PYPI_TORCH,)

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def backend(self) -> str:
        return "cuda" if self.tag.startswith("cu") else "cpu"

    @property
    def cuda_major(self) -> Optional[int]:
        return int(self.cuda.split(".")[0]) if self.cuda else None

    @property
    def pythons(self) -> Tuple[str, ...]:
        return self.release.pythons

    @property
    def torchvision(self) -> str:
        return self.release.torchvision

    @property
    def torchaudio(self) -> str:
        return self.release.torchaudio


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
    kind: str  # 'long-term support', 'production', 'new feature'
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


_VISION_AND_AUDIO = (sources.PYPI_TORCH, sources.PYPI_TORCHVISION, sources.PYPI_TORCHAUDIO)
_VISION = (sources.PYPI_TORCH, sources.PYPI_TORCHVISION)
_PY39_313 = ("3.9", "3.10", "3.11", "3.12", "3.13")
_PY310_314 = ("3.10", "3.11", "3.12", "3.13", "3.14")

_R26 = TorchRelease("2.6.0", _PY39_313, "0.21.0", "2.6.0", _VISION_AND_AUDIO)
_R27 = TorchRelease("2.7.1", _PY39_313, "0.22.1", "2.7.1", _VISION_AND_AUDIO)
_R28 = TorchRelease("2.8.0", _PY39_313, "0.23.0", "2.8.0", _VISION_AND_AUDIO)
_R29 = TorchRelease("2.9.1", _PY310_314, "0.24.1", "2.9.1", _VISION_AND_AUDIO)
_R210 = TorchRelease("2.10.0", _PY310_314, "0.25.0", "2.10.0", _VISION_AND_AUDIO)
_R211 = TorchRelease("2.11.0", _PY310_314, "0.26.0", "2.11.0", _VISION_AND_AUDIO)
_R212 = TorchRelease("2.12.1", _PY310_314, "0.27.1", "", _VISION)
_R213 = TorchRelease("2.13.0", _PY310_314, "0.28.0", "", _VISION)
_R214 = TorchRelease("2.14.1", _PY310_314, "0.29.2", "", _VISION)
_R215 = TorchRelease("2.15.0", ("3.11", "3.12", "3.13", "3.14"), "", "", _VISION)

TORCH_RELEASES = (_R26, _R27, _R28, _R29, _R210, _R211, _R212, _R213, _R214, _R215)

_SM50_90 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_SM70_120 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
_SM75_120 = _SM70_120[1:]
_ARM = ("sm_80", "sm_90", "sm_100", "sm_110", "sm_120")

_X86, _ARM64 = "x86_64", "aarch64"
_INDEX = (sources.TORCH_INDEX,)
_SAME = (sources.PYPI_TORCH, sources.TORCH_INDEX)  # the index's copy of the build on PyPI
_SCRIPT = (sources.TORCH_BUILD_SCRIPT, sources.TORCH_RELEASE_MATRIX)
_MATRIX_211 = (sources.TORCH_211_MATRIX, sources.TORCH_RELEASE_MATRIX)
_MATRIX = (sources.TORCH_RELEASE_MATRIX,)
_CUDNN_910 = "9.10.2.21"

#: Oldest release first; within a release PyPI's own builds before the index's.
TORCH_BUILDS = (
    TorchWheel(_R26, "cu124", "pypi", _X86, "12.4.127", "9.1.0.70", "2.21.5", _SM50_90),
    TorchWheel(_R26, "cpu", "pypi", _ARM64),
    TorchWheel(_R26, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R27, "cu126", "pypi", _X86, "12.6.77", "9.5.1.17", "2.26.2", _SM50_90),
    TorchWheel(_R27, "cpu", "pypi", _ARM64),
    TorchWheel(_R27, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R28, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.3", _SM70_120),
    TorchWheel(_R28, "cpu", "pypi", _ARM64),
    TorchWheel(_R28, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R28, "cu126", "index", _X86, "12.6", _CUDNN_910, "", _SM50_90, _SCRIPT),
    TorchWheel(_R28, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.3", _SM70_120, _SAME),
    TorchWheel(_R29, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120),
    TorchWheel(_R29, "cpu", "pypi", _ARM64),
    TorchWheel(_R29, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R29, "cu126", "index", _X86, "12.6", _CUDNN_910, "", _SM50_90, _SCRIPT),
    TorchWheel(_R29, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120, _SAME),
    TorchWheel(_R210, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120),
    TorchWheel(_R210, "cpu", "pypi", _ARM64),
    TorchWheel(_R210, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R210, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.27.5", _SM50_90, _SCRIPT),
    TorchWheel(_R210, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120, _SAME),
    TorchWheel(_R211, "cu130", "pypi", _X86, "13.0.96", "9.19.0.56", "2.28.9", _SM75_120),
    TorchWheel(_R211, "cu130", "pypi", _ARM64, "13.0.96", "9.19.0.56", "2.28.9", _ARM),
    TorchWheel(_R211, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R211, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.28.9", _SM50_90, _MATRIX_211),
    TorchWheel(_R211, "cu128", "index", _X86, "12.8", "9.17.1.4", "2.28.9", _SM75_120, _MATRIX_211),
    TorchWheel(_R211, "cu130", "index", _X86, "13.0.96", "9.19.0.56", "2.28.9", _SM75_120, _SAME),
    TorchWheel(_R212, "cu130", "pypi", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120),
    TorchWheel(_R212, "cu130", "pypi", _ARM64, "13.0.96", "9.20.0.48", "2.29.7", _ARM),
    TorchWheel(_R212, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R212, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.29.3", _SM50_90, _MATRIX),
    TorchWheel(_R212, "cu130", "index", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120, _SAME),
    TorchWheel(_R212, "cu132", "index", _X86, "13.2", "9.20.0.48", "2.29.7", _SM75_120, _MATRIX),
    TorchWheel(_R213, "cu130", "pypi", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120),
    TorchWheel(_R213, "cu130", "pypi", _ARM64, "13.0.96", "9.20.0.48", "2.29.7", _ARM),
    TorchWheel(_R213, "cpu", "index", _X86, cited=_INDEX),
    TorchWheel(_R213, "cpu", "index", _ARM64, cited=_INDEX),
    TorchWheel(_R213, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.29.3", _SM50_90, _MATRIX),
    TorchWheel(_R213, "cu130", "index", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120, _SAME),
    TorchWheel(_R213, "cu132", "index", _X86, "13.2", "9.20.0.48", "2.29.7", _SM75_120, _MATRIX),
    TorchWheel(_R214, "cu130", "pypi", _X86, "13.0.96", "9.24.0.43", "2.30.7", _SM75_120),
    TorchWheel(_R214, "cu130", "pypi", _ARM64, "13.0.96", "9.24.0.43", "2.30.7", _ARM),
    TorchWheel(_R215, "cu132", "pypi", _X86, "13.2.86", "9.26.0.51", "2.30.7", _SM75_120),
    TorchWheel(_R215, "cu132", "pypi", _ARM64, "13.2.86", "9.26.0.51", "2.30.7", _ARM),
)

#: The releases that the resolver tries, in this order, when the operator names none.
PREFERRED_TORCH = (
    "2.13.0",  # the default: torchvision 0.28.0 pins it, and its +cpu build can be locked
    "2.11.0",  # the last that torchaudio matches: audio workloads take it
    "2.10.0",  # the newest on PyPI with code for Volta (cu128), for V100
    "2.7.1",  # the newest on PyPI with code for Pascal and Maxwell (cu126)
    # 2.12.1 and 2.14.1 bring nothing that their neighbours lack, and no torchvision names 2.15:
    # they are installed when asked for.
)

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
    DriverBranch("580", "long-term support", "2028-06", _BOTH),
    DriverBranch("595", "production", "2027-03", _BOTH),
    DriverBranch("610", "new feature", "2026-08", _BOTH),
)

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
