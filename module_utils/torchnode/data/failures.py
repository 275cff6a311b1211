"""Why a verification fails on a backend other than CUDA. Rows of ``causes.CAUSES``. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from . import sources
from .sources import Source


@dataclass(frozen=True)
class Cause:
    """One thing that can be wrong: how it shows, why, and what to do about it.

    ``cited`` is where a vendor's own words, paths and commands in the remedy were read.
    """

    id: str
    symptom: str
    cause: str
    remedy: str
    cited: Tuple[Source, ...] = ()


_PLUGIN = "the package that brings the backend into torch"
_ROCM = "ROCm: torch.cuda.is_available() is False"
_XPU = "Intel: torch.xpu.is_available() is False"
_NPU = "Ascend: import torch_npu fails, or torch.npu.is_available() is False"
_MLU = "Cambricon: import torch_mlu fails, or torch.mlu.is_available() is False"
_MPS = "Apple: torch.backends.mps.is_available() is False"
_TPU = "TPU: torch_xla finds no TPU"
_NO_RIGHTS = "torch finds no device, and root does"
_CLOSED = "This user (uid {uid}) may not open {nodes}."
_NO_NODES = "no device in a container"
_CONTAINER = "This runs in a container ({container}) that was given no device nodes."

BACKEND_ROWS: Tuple[Cause, ...] = (
    Cause(
        "other_backend_wheel",
        "torch was built for another backend",
        "The installed torch ({version}) was not built for {backend}, which this node needs.",
        "Run playbooks/provision.yml, or install the {backend} build of torch with an exact "
        "tag and "
        "one index only.",
    ),
    Cause(
        "plugin_missing",
        _PLUGIN,
        "The package {package} is not installed: without it torch knows nothing of {backend}.",
        "Install the {package} that belongs to this torch, or run playbooks/provision.yml. "
        "Cambricon "
        "gives its wheel to customers only: supply it yourself.",
    ),
    Cause(
        "plugin_mismatch",
        _PLUGIN,
        "{package} {version} does not belong to torch {torch}, or is not the one that was "
        "resolved.",
        "Install the {package} that was made for this torch, or run playbooks/provision.yml.",
    ),
    Cause(
        "plugin_broken",
        _PLUGIN,
        "The package that brings {backend} into torch cannot be imported: {text}",
        "Reinstall it in the version of this torch. A missing shared library belongs to the "
        "vendor's driver or toolkit: install that, or put its folder on LD_LIBRARY_PATH.",
    ),
    Cause(
        "backend_autoload",
        _PLUGIN,
        "torch imports the package of its backend by itself, and that one failed: {text}",
        "Cure that package's import (the vendor's toolkit may not be in the environment). "
        "TORCH_DEVICE_BACKEND_AUTOLOAD=0 lets torch start without it, on the CPU only.",
    ),
    Cause(
        "render_node_rights",
        "AMD, Intel: " + _NO_RIGHTS,
        _CLOSED,
        "Run `usermod -aG render <user>` (`ls -l` names the group, on older systems video) and "
        "log in anew. In a container, give the group's number: `--group-add`.",
        (sources.INTEL_RENDER_GROUP,),
    ),
    Cause(
        "npu_node_rights",
        "Ascend: " + _NO_RIGHTS,
        _CLOSED,
        "Run `usermod -aG HwHiAiUser <user>` (`ls -l` names the group) and log in anew.",
        (sources.ASCEND_GROUP,),
    ),
    Cause(
        "owner_node_rights",
        "Cambricon, TPU: " + _NO_RIGHTS,
        _CLOSED,
        "Add the user to the group that owns them (`ls -l` names it) and log in anew, run as root, "
        "or write a udev rule that opens them.",
    ),
    Cause(
        "container_without_kfd",
        "AMD: " + _NO_NODES,
        _CONTAINER,
        "Start the container with `--device /dev/kfd --device /dev/dri`.",
    ),
    Cause(
        "container_without_dri",
        "Intel: " + _NO_NODES,
        _CONTAINER,
        "Start the container with `--device /dev/dri`.",
    ),
    Cause(
        "container_without_npu",
        "Ascend: " + _NO_NODES,
        _CONTAINER,
        "Start the container with Ascend Docker Runtime, or with `--device` for each NPU "
        "(/dev/davinci0) and for /dev/davinci_manager, /dev/devmm_svm and /dev/hisi_hdc.",
        (sources.ASCEND_CONTAINER,),
    ),
    Cause(
        "container_without_nodes",
        "Cambricon, TPU: " + _NO_NODES,
        _CONTAINER,
        "Start the container with `--device` for each of its nodes as `ls /dev` shows them on the "
        "host, or with `--privileged`.",
        (sources.CAMBRICON_CONTAINER,),
    ),
    Cause(
        "amdgpu_not_loaded",
        _ROCM,
        "The kernel module amdgpu is not loaded.",
        "Run `modprobe amdgpu`; when that fails, `dmesg` says why. Install amdgpu-dkms if the "
        "distribution's kernel does not know the GPU.",
    ),
    Cause(
        "kfd_missing",
        _ROCM,
        "/dev/kfd does not exist: amdgpu does not offer this GPU for compute.",
        "Look for kfd in `dmesg`: it names what is missing (a kernel that is too old, PCIe "
        "atomics, "
        "firmware). Install AMD's amdgpu-dkms and reboot.",
    ),
    Cause(
        "hsa_override",
        "HSA_OVERRIDE_GFX_VERSION is set",
        "HSA_OVERRIDE_GFX_VERSION={value} makes ROCm take the GPU for another one. AMD does not "
        "support this, and wrong code may run.",
        "Unset it, and install a torch build that names the GPU's own gfx target.",
    ),
    Cause(
        "intel_module_not_loaded",
        _XPU,
        "Neither i915 nor xe, Intel's kernel drivers for GPUs, is loaded.",
        "Run `modprobe xe` or `modprobe i915`, whichever knows the GPU; `dmesg` says why it fails. "
        "Data-centre parts may need Intel's own kernel packages.",
    ),
    Cause(
        "level_zero_missing",
        _XPU,
        "The user-space driver is not installed: {libraries} was not found.",
        "Install Intel's Level Zero loader and GPU driver (on Debian and Ubuntu libze1 and "
        "libze-intel-gpu1, or Intel's packages of the same names).",
        (sources.UBUNTU_LEVEL_ZERO,),
    ),
    Cause(
        "selector_without_gpu",
        _XPU,
        "ONEAPI_DEVICE_SELECTOR={value!r} names no GPU, so SYCL offers none.",
        "Unset ONEAPI_DEVICE_SELECTOR, or set it to level_zero:gpu.",
    ),
    Cause(
        "npu_driver_missing",
        _NPU,
        "/dev/davinci_manager does not exist: the NPU driver is not installed or not loaded.",
        "Install Huawei's driver and firmware packages as root and reboot; `npu-smi info` then "
        "lists the NPUs.",
    ),
    Cause(
        "npu_driver_library",
        _NPU,
        "A library of the NPU driver was not found: it lies outside the system's library folders.",
        "Source the toolkit's set_env.sh, or put /usr/local/Ascend/driver/lib64 and its folders "
        "driver and common on LD_LIBRARY_PATH.",
        (sources.ASCEND_CONTAINER,),
    ),
    Cause(
        "cann_not_sourced",
        _NPU,
        "{library} was not found: the CANN toolkit is not installed, or its environment is "
        "not set.",
        "Install CANN and run `source /usr/local/Ascend/cann/set_env.sh` where the work is started "
        "(the shell, the service's file). Before CANN 8.5 its folder is ascend-toolkit.",
        (sources.CANN_ENVIRONMENT,),
    ),
    Cause(
        "cann_too_old",
        _NPU,
        "The CANN toolkit is {found}, and Huawei names {plugin} compatible from CANN {minimum} on.",
        "Install CANN {matching}, for which {plugin} was released, with a driver that fits it, and "
        "source its set_env.sh.",
        (sources.ASCEND_CANN_TABLE,),
    ),
    Cause(
        "mlu_driver_missing",
        _MLU,
        "There is no /dev/cambricon_dev0: the MLU driver is not installed or not loaded.",
        "Install Cambricon's driver and load it; `cnmon` then lists the MLUs.",
        (sources.CAMBRICON_CNMON,),
    ),
    Cause(
        "neuware_missing",
        _MLU,
        "{library} was not found: Cambricon's CNToolkit is not installed, or not on the library "
        "path.",
        "Install CNToolkit, set NEUWARE_HOME, and put its lib64 folder on LD_LIBRARY_PATH.",
    ),
    Cause(
        "rosetta",
        _MPS,
        "{python} is a Python for Intel that runs under Rosetta: it cannot use Apple's GPU.",
        "Install an arm64 Python (`file` on the interpreter says which it is) and make the "
        "environment anew with it.",
    ),
    Cause(
        "macos_too_old",
        _MPS,
        "macOS {found} is older than {minimum}, which this torch was built for.",
        "Update macOS to at least {minimum}, or install an older torch.",
    ),
    Cause(
        "metal_without_gpu",
        _MPS,
        "torch was built with MPS, and macOS {macos} offers it no Metal device: most virtual "
        "machines have none.",
        "Run on the Mac itself. On a Mac, `system_profiler SPDisplaysDataType` shows whether Metal "
        "is supported.",
    ),
    Cause(
        "pjrt_device_wrong",
        _TPU,
        "PJRT_DEVICE is {value} and XLA drives {kind}, which is no TPU.",
        "Set PJRT_DEVICE=TPU where the work is started, then verify again.",
    ),
    Cause(
        "tpu_nodes_missing",
        _TPU,
        "There is neither /dev/accel0 nor a numbered node in /dev/vfio: nothing on this machine "
        "serves a TPU to programs.",
        "Use a TPU VM image of Google Cloud and reboot; in a virtual machine of your own, pass the "
        "TPU in and bind it to vfio-pci. `lspci -d 1ae0:` shows whether there is one.",
    ),
    Cause(
        "libtpu_missing",
        _TPU,
        "libtpu, the TPU's runtime library, is not installed.",
        "Install the libtpu that belongs to this torch_xla (`pip install torch_xla[tpu]` in "
        "the same "
        "version), or run playbooks/provision.yml.",
    ),
    Cause(
        "tpu_busy",
        _TPU,
        "The TPU is in use, and one process at a time can own it. Held by: {holder}.",
        "Stop that process or wait until it ends, then verify again. A killed job may leave "
        "its libtpu_lockfile behind in the temporary folder.",
    ),
    Cause(
        "torch_xla_off",
        _TPU,
        "USE_TORCH_XLA={value} tells Transformers to leave XLA alone.",
        "Unset USE_TORCH_XLA, or set it to 1.",
    ),
)
