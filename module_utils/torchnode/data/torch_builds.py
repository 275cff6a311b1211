"""Which torch builds there are: by release, tag, machine and backend. Sourced rows.

A build is one wheel of a release as PyPI or an index of torch's serves it, alone or with the
plugin that brings a backend which torch itself does not have. What has no row has no evidence:
the resolver refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

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
class Plugin:
    """The package beside torch that brings ``backend``: ``requirement`` pins it.

    ``also`` are requirements that it needs and does not pull in itself; ``pythons`` are those for
    which all of them have wheels.
    """

    requirement: str
    backend: str
    pythons: Tuple[str, ...]
    cited: Tuple[Source, ...]
    also: Tuple[str, ...] = ()


@dataclass(frozen=True)
class TorchWheel:
    """One build of a release, as PyPI or the torch index (``source``) serves it for ``machine``.

    ``tag`` is the local version in torch/version.py: '' in the builds for macOS, which have none.
    ``cuda`` is the CUDA runtime ('13.0.96', or '13.2' where only the minor is known), ``cudnn``
    and ``nccl`` are '' where they are unknown or have no meaning. ``architectures`` are what the
    wheel has code for: 'sm_90', 'compute_120' for embedded PTX, 'gfx942', 'pvc'; () where the
    backend has no such list. ``system_version`` is the oldest macOS that the wheel is for.
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
    plugin: Optional[Plugin] = None
    system: str = "Linux"
    system_version: str = ""

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def label(self) -> str:
        """The version as torch/version.py spells it."""
        return "%s+%s" % (self.version, self.tag) if self.tag else self.version

    @property
    def backend(self) -> str:
        """torch's word for what this build runs on."""
        if self.plugin is not None:
            return self.plugin.backend
        if self.system == "Darwin":
            return "mps"
        families = (("cu", "cuda"), ("rocm", "rocm"), ("xpu", "xpu"))
        return next((b for prefix, b in families if self.tag.startswith(prefix)), "cpu")

    @property
    def backends(self) -> Tuple[str, ...]:
        """Every backend that this build can serve: the one for macOS is its CPU build too."""
        return ("mps", "cpu") if self.backend == "mps" else (self.backend,)

    @property
    def cuda_major(self) -> Optional[int]:
        return int(self.cuda.split(".")[0]) if self.cuda else None

    @property
    def pythons(self) -> Tuple[str, ...]:
        if self.plugin is None:
            return self.release.pythons
        return tuple(p for p in self.release.pythons if p in self.plugin.pythons)

    @property
    def torchvision(self) -> str:
        return self.release.torchvision

    @property
    def torchaudio(self) -> str:
        return self.release.torchaudio


_VISION_AND_AUDIO = (sources.PYPI_TORCH, sources.PYPI_TORCHVISION, sources.PYPI_TORCHAUDIO)
_VISION = (sources.PYPI_TORCH, sources.PYPI_TORCHVISION)
_PY39_313 = ("3.9", "3.10", "3.11", "3.12", "3.13")
_PY310_314 = ("3.10", "3.11", "3.12", "3.13", "3.14")
_PY310_313 = _PY310_314[:-1]

_R26 = TorchRelease("2.6.0", _PY39_313, "0.21.0", "2.6.0", _VISION_AND_AUDIO)
_R27 = TorchRelease("2.7.1", _PY39_313, "0.22.1", "2.7.1", _VISION_AND_AUDIO)
_R28 = TorchRelease("2.8.0", _PY39_313, "0.23.0", "2.8.0", _VISION_AND_AUDIO)
_R290 = TorchRelease("2.9.0", _PY310_314, "0.24.0", "2.9.0", _VISION_AND_AUDIO)
_R29 = TorchRelease("2.9.1", _PY310_314, "0.24.1", "2.9.1", _VISION_AND_AUDIO)
_R210 = TorchRelease("2.10.0", _PY310_314, "0.25.0", "2.10.0", _VISION_AND_AUDIO)
_R211 = TorchRelease("2.11.0", _PY310_314, "0.26.0", "2.11.0", _VISION_AND_AUDIO)
_R212 = TorchRelease("2.12.1", _PY310_314, "0.27.1", "", _VISION)
_R213 = TorchRelease("2.13.0", _PY310_314, "0.28.0", "", _VISION)
_R2140 = TorchRelease("2.14.0", _PY310_314, "0.29.0", "", _VISION)
_R214 = TorchRelease("2.14.1", _PY310_314, "0.29.2", "", _VISION)
_R215 = TorchRelease("2.15.0", ("3.11", "3.12", "3.13", "3.14"), "", "", _VISION)

TORCH_RELEASES = (
    _R26, _R27, _R28, _R290, _R29, _R210, _R211, _R212, _R213, _R2140, _R214, _R215,
)  # fmt: skip

_NPU = (sources.PYPI_TORCH_NPU,)
# torch-npu asks for exactly its own torch; a .postN release is the same for a newer CANN.
_NPU_27 = Plugin("torch-npu==2.7.1.post11", "npu", _PY39_313, _NPU)
_NPU_210 = Plugin("torch-npu==2.10.0.post7", "npu", _PY310_314, _NPU)
_NPU_211 = Plugin("torch-npu==2.11.0.post3", "npu", _PY310_314, _NPU)
_NPU_213 = Plugin("torch-npu==2.13.0", "npu", _PY310_314, _NPU)
_NPU_214 = Plugin("torch-npu==2.14.0", "npu", _PY310_314, _NPU)
# torch-xla names no torch: 2.9.0 is the one that it was built for. libtpu is its extra 'tpu'.
_XLA_29 = Plugin(
    "torch-xla==2.9.0",
    "tpu",
    ("3.10", "3.11", "3.12"),
    (sources.PYPI_TORCH_XLA,),
    ("libtpu==0.0.21",),
)

_SM50_90 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_SM70_120 = ("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
_SM75_120 = _SM70_120[1:]
_ARM = ("sm_80", "sm_90", "sm_100", "sm_110", "sm_120")

_GFX_63 = (
    "gfx900", "gfx906", "gfx908", "gfx90a", "gfx942",
    "gfx1030", "gfx1100", "gfx1101", "gfx1102", "gfx1200", "gfx1201",
)  # fmt: skip
_GFX_70 = (*_GFX_63, "gfx950")
_GFX_72 = (*_GFX_70, "gfx1150", "gfx1151")
# Intel's family names; which device names belong to a family stands in compatibility.XPU_FAMILIES.
_XPU = ("pvc", "bmg", "dg2", "arl-h", "mtl-h", "lnl-m")

_X86, _ARM64, _APPLE = "x86_64", "aarch64", "arm64"
_INDEX = (sources.TORCH_INDEX,)
_SAME = (sources.PYPI_TORCH, sources.TORCH_INDEX)  # the index's copy of the build on PyPI
_SCRIPT = (sources.TORCH_BUILD_SCRIPT, sources.TORCH_RELEASE_MATRIX)
_MATRIX_211 = (sources.TORCH_211_MATRIX, sources.TORCH_RELEASE_MATRIX)
_MATRIX = (sources.TORCH_RELEASE_MATRIX,)
_ROCM = (sources.UV_ROCM_TARGETS, sources.TORCH_INDEX)
_AOT = (sources.TORCH_XPU_TARGETS, sources.TORCH_INDEX)
_CUDNN_910 = "9.10.2.21"


def _rocm(release: TorchRelease, tag: str, targets: Tuple[str, ...]) -> TorchWheel:
    return TorchWheel(release, tag, "index", _X86, architectures=targets, cited=_ROCM)


def _xpu(release: TorchRelease) -> TorchWheel:
    return TorchWheel(release, "xpu", "index", _X86, architectures=_XPU, cited=_AOT)


def _cpu(release: TorchRelease, machine: str, plugin: Optional[Plugin] = None) -> TorchWheel:
    cited = (*_INDEX, *plugin.cited) if plugin else _INDEX
    return TorchWheel(release, "cpu", "index", machine, cited=cited, plugin=plugin)


def _pypi_cpu(release: TorchRelease, plugin: Optional[Plugin] = None) -> TorchWheel:
    """PyPI's wheel for aarch64, which carries no CUDA before 2.11."""
    cited = (sources.PYPI_TORCH, *(plugin.cited if plugin else ()))
    return TorchWheel(release, "cpu", "pypi", _ARM64, cited=cited, plugin=plugin)


def _macos(release: TorchRelease, oldest: str = "11.0") -> TorchWheel:
    return TorchWheel(
        release, "", "pypi", _APPLE,
        cited=(sources.PYPI_TORCH_MACOS,), system="Darwin", system_version=oldest,
    )  # fmt: skip


#: Oldest release first; within a release PyPI's own builds before the index's.
TORCH_BUILDS = (
    TorchWheel(_R26, "cu124", "pypi", _X86, "12.4.127", "9.1.0.70", "2.21.5", _SM50_90),
    _pypi_cpu(_R26),
    _macos(_R26),
    _cpu(_R26, _X86),
    TorchWheel(_R27, "cu126", "pypi", _X86, "12.6.77", "9.5.1.17", "2.26.2", _SM50_90),
    _pypi_cpu(_R27),
    _pypi_cpu(_R27, _NPU_27),
    _macos(_R27),
    _cpu(_R27, _X86),
    _cpu(_R27, _X86, _NPU_27),
    _rocm(_R27, "rocm6.3", _GFX_63),
    _xpu(_R27),
    TorchWheel(_R28, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.3", _SM70_120),
    _pypi_cpu(_R28),
    _macos(_R28),
    _cpu(_R28, _X86),
    TorchWheel(_R28, "cu126", "index", _X86, "12.6", _CUDNN_910, "", _SM50_90, _SCRIPT),
    TorchWheel(_R28, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.3", _SM70_120, _SAME),
    _rocm(_R28, "rocm6.3", _GFX_63),
    _rocm(_R28, "rocm6.4", _GFX_63),
    _xpu(_R28),
    # PyPI's x86-64 torch has CUDA inside. A TPU does not use it, and the plugin does not mind.
    TorchWheel(
        _R290, "cu128", "pypi", _X86, plugin=_XLA_29,
        cited=(sources.PYPI_TORCH, sources.PYPI_TORCH_XLA),
    ),
    _cpu(_R290, _X86, _XLA_29),
    TorchWheel(_R29, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120),
    _pypi_cpu(_R29),
    _macos(_R29),
    _cpu(_R29, _X86),
    TorchWheel(_R29, "cu126", "index", _X86, "12.6", _CUDNN_910, "", _SM50_90, _SCRIPT),
    TorchWheel(_R29, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120, _SAME),
    _rocm(_R29, "rocm6.3", _GFX_63),
    _rocm(_R29, "rocm6.4", _GFX_63),
    _xpu(_R29),
    TorchWheel(_R210, "cu128", "pypi", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120),
    _pypi_cpu(_R210),
    _pypi_cpu(_R210, _NPU_210),
    _macos(_R210),
    _cpu(_R210, _X86),
    _cpu(_R210, _X86, _NPU_210),
    TorchWheel(_R210, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.27.5", _SM50_90, _SCRIPT),
    TorchWheel(_R210, "cu128", "index", _X86, "12.8.90", _CUDNN_910, "2.27.5", _SM70_120, _SAME),
    _rocm(_R210, "rocm7.0", _GFX_70),
    _rocm(_R210, "rocm7.1", _GFX_70),
    _xpu(_R210),
    TorchWheel(_R211, "cu130", "pypi", _X86, "13.0.96", "9.19.0.56", "2.28.9", _SM75_120),
    TorchWheel(_R211, "cu130", "pypi", _ARM64, "13.0.96", "9.19.0.56", "2.28.9", _ARM),
    _macos(_R211),
    _cpu(_R211, _X86),
    _cpu(_R211, _X86, _NPU_211),
    TorchWheel(_R211, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.28.9", _SM50_90, _MATRIX_211),
    TorchWheel(_R211, "cu128", "index", _X86, "12.8", "9.17.1.4", "2.28.9", _SM75_120, _MATRIX_211),
    TorchWheel(_R211, "cu130", "index", _X86, "13.0.96", "9.19.0.56", "2.28.9", _SM75_120, _SAME),
    _rocm(_R211, "rocm7.2", _GFX_72),
    _xpu(_R211),
    TorchWheel(_R212, "cu130", "pypi", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120),
    TorchWheel(_R212, "cu130", "pypi", _ARM64, "13.0.96", "9.20.0.48", "2.29.7", _ARM),
    _macos(_R212, "14.0"),
    _cpu(_R212, _X86),
    TorchWheel(_R212, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.29.3", _SM50_90, _MATRIX),
    TorchWheel(_R212, "cu130", "index", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120, _SAME),
    TorchWheel(_R212, "cu132", "index", _X86, "13.2", "9.20.0.48", "2.29.7", _SM75_120, _MATRIX),
    _rocm(_R212, "rocm7.1", _GFX_70),
    _rocm(_R212, "rocm7.2", _GFX_72),
    _xpu(_R212),
    TorchWheel(_R213, "cu130", "pypi", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120),
    TorchWheel(_R213, "cu130", "pypi", _ARM64, "13.0.96", "9.20.0.48", "2.29.7", _ARM),
    _macos(_R213, "14.0"),
    _cpu(_R213, _X86),
    _cpu(_R213, _X86, _NPU_213),
    _cpu(_R213, _ARM64),
    _cpu(_R213, _ARM64, _NPU_213),
    TorchWheel(_R213, "cu126", "index", _X86, "12.6", _CUDNN_910, "2.29.3", _SM50_90, _MATRIX),
    TorchWheel(_R213, "cu130", "index", _X86, "13.0.96", "9.20.0.48", "2.29.7", _SM75_120, _SAME),
    TorchWheel(_R213, "cu132", "index", _X86, "13.2", "9.20.0.48", "2.29.7", _SM75_120, _MATRIX),
    _rocm(_R213, "rocm7.2", _GFX_72),
    _xpu(_R213),
    _cpu(_R2140, _X86, _NPU_214),
    _cpu(_R2140, _ARM64, _NPU_214),
    TorchWheel(_R214, "cu130", "pypi", _X86, "13.0.96", "9.24.0.43", "2.30.7", _SM75_120),
    TorchWheel(_R214, "cu130", "pypi", _ARM64, "13.0.96", "9.24.0.43", "2.30.7", _ARM),
    _macos(_R214, "14.0"),
    TorchWheel(_R215, "cu132", "pypi", _X86, "13.2.86", "9.26.0.51", "2.30.7", _SM75_120),
    TorchWheel(_R215, "cu132", "pypi", _ARM64, "13.2.86", "9.26.0.51", "2.30.7", _ARM),
    _macos(_R215, "14.0"),
)  # fmt: skip

#: The releases that the resolver tries, in this order, when the operator names none.
PREFERRED_TORCH = (
    "2.13.0",  # the default: torchvision 0.28.0 pins it, and its +cpu build can be locked
    "2.11.0",  # the last that torchaudio matches: audio workloads take it
    "2.10.0",  # the newest on PyPI with code for Volta (cu128), for V100
    "2.7.1",  # the newest on PyPI with code for Pascal and Maxwell (cu126)
    # 2.12.1 and 2.14.1 bring nothing that their neighbours lack, and no torchvision names 2.15:
    # they are installed when asked for.
)
