"""Where the figures in these tables come from. Pure data.

A row cites a :class:`Source`; rows read at one place share one. ``note`` says how a figure was
read where the address alone does not show it, and what is uncertain about it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A public page or file: its address, the ISO date it was read on, and a note."""

    url: str
    retrieved: str
    note: str = ""


PYPI_TORCH = Source(
    "https://pypi.org/project/torch/#files",
    "2026-11-22",
    "The wheel for CPython 3.12 was downloaded: the tag is __version__ and the CUDA minor is cuda "
    "in torch/version.py, the architectures are the flags recorded in torch/lib/libtorch_python.so "
    "(what torch.cuda.get_arch_list() returns), the CUDA runtime, cuDNN and NCCL are the pins in "
    "its metadata, and the Pythons are those for which a wheel resolves.",
)
PYPI_TORCHVISION = Source(
    "https://pypi.org/project/torchvision/",
    "2026-11-22",
    "Requires-Dist of each wheel pins one torch, up to 0.29.1. 0.29.2 asks only for torch>=2.14.0, "
    "so it resolves beside 2.15.0 without naming it; no release names 2.15.",
)
PYPI_TORCHAUDIO = Source(
    "https://pypi.org/project/torchaudio/",
    "2026-11-22",
    "Each release up to 2.10.0 pins its torch; 2.11.0, the last, names none and matches 2.11.0.",
)
TORCH_INDEX = Source(
    "https://pytorch.org/get-started/previous-versions/",
    "2026-11-22",
    "One install command per release and tag. Commands read: 2.6.0, 2.9.0 and 2.9.1 there; for "
    "2.13.0 cpu, cu126 and cu130 in public projects. That the releases between and the aarch64 "
    "cpu build are served likewise was not read; without such a build no lock can be made.",
)
TORCH_RELEASE_MATRIX = Source(
    "https://github.com/pytorch/pytorch/blob/main/RELEASE.md#release-compatibility-matrix",
    "2026-11-22",
    "'PyTorch CUDA Support Matrix' for 2.12 to 2.14 and the cuDNN and NCCL of each release, read "
    "in a public copy of the file whose tables are unchanged. It lists 12.0+PTX for CUDA 13; the "
    "wheels record no PTX, so none is entered.",
)
TORCH_BUILD_SCRIPT = Source(
    "https://github.com/pytorch/pytorch/blob/00c7a380b8369d08e02dd400aa76dc6c0738b589"
    "/.ci/manywheel/build_cuda.sh",
    "2026-11-22",
    "TORCH_CUDA_ARCH_LIST per CUDA version on the main branch around these releases, not at their "
    "tags; the CUDA 12.8 list agrees with the wheels on PyPI.",
)
TORCH_211_MATRIX = Source(
    "https://github.com/pytorch/pytorch/blob/release/2.11/RELEASE.md#pytorch-cuda-support-matrix",
    "2026-11-22",
    "Read in the Korean user group's edition of the release matrix, dated 2026-03-24.",
)
CUDA_COMPATIBILITY = Source(
    "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html",
    "2026-11-22",
    "'Minimum required driver version for CUDA minor version compatibility'. 12.x and 13.x also "
    "stand in the cuDNN support matrix, read on the same day.",
)
CUDA_TOOLKIT_DRIVERS = Source(
    "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html",
    "2026-11-22",
    "'CUDA Toolkit and corresponding driver versions': Linux, first release of each minor, except "
    "13.2, where the figure is 13.2 Update 1's.",
)
DRIVER_LIFECYCLE = Source(
    "https://docs.nvidia.com/datacenter/tesla/drivers/615/"
    "supported-drivers-and-cuda-toolkit-versions.html",
    "2026-11-22",
    "Designation and end of life of R535, R580, R595 and R610.",
)
ARCHITECTURE_MATRIX = Source(
    "https://docs.nvidia.com/datacenter/tesla/drivers/"
    "cuda-toolkit-driver-and-architecture-matrix.html",
    "2026-11-22",
    "Last driver branch per architecture: R580 for Maxwell, Pascal and Volta, whose last CUDA is "
    "12.x; ongoing from Turing on.",
)
KERNEL_MODULES = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html",
    "2026-11-22",
    "Open modules: Turing and newer, default since 560. Proprietary: Maxwell, Pascal and Volta.",
)
OPEN_ONLY = Source(
    "https://developer.nvidia.com/blog/"
    "nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/",
    "2026-11-22",
    "Grace Hopper and Blackwell must use the open modules; read in a public wiki that cites it.",
)
CUDNN_SUPPORT = Source(
    "https://docs.nvidia.com/deeplearning/cudnn/latest/reference/support-matrix.html",
    "2026-11-22",
    "Editions for 9.0.0 (taken for 9.1.0 too), 9.5.1, 9.10.2 and 9.17.0. Releases in between are "
    "judged by the row below them.",
)
CUDA_BINARY_COMPATIBILITY = Source(
    "https://docs.nvidia.com/cuda/archive/11.0_GA/pascal-compatibility-guide/index.html",
    "2026-11-22",
    "Machine code: same major version only; PTX: later devices. That the minor may be the same or "
    "higher was read in LLVM's offload plugin, https://reviews.llvm.org/D138600.",
)
CUDA_GPUS = Source(
    "https://developer.nvidia.com/cuda-gpus",
    "2026-11-22",
    "Compute capability by product; older products at https://developer.nvidia.com/cuda-legacy-gpus",
)
PCI_IDS = Source(
    "https://pci-ids.ucw.cz/v2.2/pci.ids",
    "2026-11-22",
    "Version 2023.04.10, vendor 10de, as Debian packages it.",
)
OPEN_KERNEL_MODULES = Source(
    "https://github.com/NVIDIA/open-gpu-kernel-modules/blob/"
    "df1c9a3de2be4b130f4fc7680f7198193d8ac6ad/src/nvidia/generated/g_nv_name_released.h",
    "2026-11-22",
    "Release 595.45.04: names by device id (also README.md, 'Compatible GPUs') and vGPU profiles.",
)
NVSWITCH_DRIVER = Source(
    "https://github.com/NVIDIA/open-gpu-kernel-modules/blob/"
    "df1c9a3de2be4b130f4fc7680f7198193d8ac6ad/src/common/nvswitch/kernel/nvswitch.c",
    "2026-11-22",
    "nvswitch_lr10_device_ids, and the endpoints among nvswitch_ls10_device_ids; its bridge "
    "functions are left out. That B200 and B300 have none was read in public launch scripts.",
)
