"""What each vendor's devices need below torch, that the operator installs. Pure data.

NVIDIA's driver has tables of its own (compatibility, driver_choice): its branch and flavour are
chosen. For the others a node either has a driver that serves its devices, or says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Tuple

from .sources import ASCEND_CANN_TABLE, Source

_READ = "2026-11-22"


@dataclass(frozen=True)
class VendorDriver:
    """``component`` names the plan's step, ``what`` the driver and how it shows that it serves.

    ``toolkit`` is a name in Facts.toolkits that torch's plugin needs beside the driver, '' for
    none; ``toolkit_remedy`` says where it comes from.
    """

    backend: str
    vendor: str
    component: str
    what: str
    remedy: str
    cited: Tuple[Source, ...]
    toolkit: str = ""
    toolkit_remedy: str = ""


VENDOR_DRIVERS: Mapping[str, VendorDriver] = {
    row.backend: row
    for row in (
        VendorDriver(
            "rocm",
            "amd",
            "amd_driver",
            "the amdgpu kernel driver, serving the GPUs through /dev/kfd",
            "Install amdgpu-dkms from repo.radeon.com for this kernel, or boot a kernel whose own "
            "amdgpu knows these GPUs; the torch wheel brings its own ROCm libraries.",
            (
                Source(
                    "https://github.com/ROCm/ROCT-Thunk-Interface",
                    _READ,
                    "ROCm's user space needs AMD's kernel driver or a compatible upstream kernel, "
                    "and reaches it through /dev/kfd, which belongs to the group render.",
                ),
            ),
        ),
        VendorDriver(
            "xpu",
            "intel",
            "intel_driver",
            "the i915 or xe kernel driver, serving the GPUs through /dev/dri",
            "Install Intel's GPU driver packages (dgpu-docs.intel.com), or boot a kernel whose own "
            "driver knows these GPUs; the torch wheel brings its own SYCL libraries.",
            (
                Source(
                    "https://docs.pytorch.org/docs/2.12/notes/get_start_xpu.html",
                    _READ,
                    "The driver is installed first; the rest comes with the wheel.",
                ),
            ),
        ),
        VendorDriver(
            "npu",
            "huawei",
            "ascend_driver",
            "Huawei's NPU driver, serving the NPUs through /dev/davinci*",
            "Install the Ascend driver and firmware packages for this NPU from hiascend.com.",
            (
                Source(
                    "https://pypi.org/project/torch-npu/2.13.0/",
                    _READ,
                    "CANN is installed before torch-npu; beside it stands the CPU build of torch.",
                ),
            ),
            "cann",
            "Install the CANN toolkit and kernels that this torch-npu names on its project page.",
        ),
        VendorDriver(
            "mlu",
            "cambricon",
            "cambricon_driver",
            "Cambricon's driver, serving the MLUs through /dev/cambricon_dev*",
            "Install the driver and CNToolkit that come with your torch_mlu from Cambricon.",
            (
                Source(
                    "https://docs.sglang.io/docs/hardware-platforms/cambricon_mlu",
                    _READ,
                    "Driver and firmware on the host, CNToolkit, and torch_mlu beside the CPU "
                    "build of torch.",
                ),
            ),
        ),
        VendorDriver(
            "tpu",
            "google",
            "tpu_driver",
            "the TPU's device nodes, /dev/accel* or /dev/vfio/*",
            "Use a TPU VM image of Google Cloud, or pass the device nodes into this container.",
            (
                Source(
                    "https://github.com/yixiaoer/tpux/blob/"
                    "1c158a568c6164dff93047f8f13b0bf1e8838725/src/tpux/cli.py",
                    _READ,
                    "check_tpu_chip_exists looks for /dev/accel*; that newer images have "
                    "/dev/vfio/<number> instead was read in public launch scripts.",
                ),
            ),
        ),
    )
}


@dataclass(frozen=True)
class ToolkitFloor:
    """Which toolkits the maker names for a release of torch's plugin: ``minimum`` is the oldest
    compatible one, ``made_for`` the one that it was released with. ``plugin`` is pinned."""

    plugin: str
    toolkit: str
    minimum: str
    made_for: str
    cited: Tuple[Source, ...] = (ASCEND_CANN_TABLE,)


# No rows for the others, as no source was found that names what a node shows of itself:
# - AMD's matrix of ROCm against drivers counts driver releases (30.20.1). The loaded module tells
#   another number (6.16.6), which AMD sets in relation nowhere: asked for in
#   https://github.com/ROCm/rocm-install-on-linux/issues/684 (read 2026-11-23, open). The kernel's
#   own amdgpu has no number at all.
# - Intel's and PyTorch's pages name systems and kernels that were tested, and no driver version.
# - Cambricon's tables are for customers only.
TOOLKIT_FLOORS: Tuple[ToolkitFloor, ...] = tuple(
    ToolkitFloor("torch-npu==" + version, "cann", "8.5", "9.2.0")
    for version in (
        "2.7.1.post11",
        "2.9.0.post9",
        "2.10.0.post7",
        "2.11.0.post3",
        "2.12.0.post3",
        "2.13.0",
        "2.14.0",
    )
)
