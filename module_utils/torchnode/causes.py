"""Why a verification fails: symptom, cause and remedy in plain words. Pure data.

The troubleshooting page is made from this table. Braces are filled in by the check that names
the cause; :func:`explain` does so.
"""

from __future__ import annotations

from typing import Mapping, Tuple

from .data.failures import BACKEND_ROWS, Cause

# Shown for CUDA; the other backends' own are in data/failures.py.
_UNAVAILABLE = "torch.cuda.is_available() is False"

_ROWS = (
    Cause(
        "no_device_on_bus",
        _UNAVAILABLE,
        "No accelerator of this backend is on the PCI bus of this machine.",
        "If it should have one, power the machine off and on, reseat or replace it, or attach it "
        "to the virtual machine; `lspci -nn` shows what is there. Otherwise ask for the cpu "
        "backend.",
    ),
    Cause(
        "cpu_only_wheel",
        _UNAVAILABLE,
        "The installed torch ({version}) is a CPU-only build: it holds no GPU code at all.",
        "Install a CUDA build of torch into this environment: run playbooks/provision.yml, or "
        "install with an exact tag and `--index-url https://download.pytorch.org/whl/<tag>`.",
    ),
    Cause(
        "nouveau_loaded",
        _UNAVAILABLE,
        "The kernel module {module} has claimed the GPU, so the NVIDIA driver cannot.",
        "Blacklist {module} in /etc/modprobe.d, rebuild the initramfs (`update-initramfs -u` or "
        "`dracut --force`) and reboot.",
    ),
    Cause(
        "no_driver",
        _UNAVAILABLE,
        "No NVIDIA driver is installed: there is no kernel module on disk and none is loaded.",
        "Install the NVIDIA driver from the distribution's or NVIDIA's packages, and reboot if its "
        "module cannot be loaded without.",
    ),
    Cause(
        "module_not_loaded",
        _UNAVAILABLE,
        "The NVIDIA kernel module {version} is installed and not loaded.",
        "Run `modprobe nvidia`; when that fails, `dmesg` says why (Secure Boot, a kernel without "
        "matching headers). Reboot after a driver or kernel update.",
    ),
    Cause(
        "driver_library_mismatch",
        _UNAVAILABLE,
        "The loaded NVIDIA kernel module ({loaded}) and the user-space driver library ({library}) "
        "are of different versions, as after an update without a reboot.",
        "Reboot the machine, or unload and reload the nvidia modules while nothing uses the GPUs.",
    ),
    Cause(
        "fabric_manager",
        _UNAVAILABLE,
        "CUDA reports error 802, system not yet initialized: on NVSwitch machines the fabric "
        "manager is not running or has not finished.",
        "Start nvidia-fabricmanager in exactly the driver's version "
        "(`systemctl status nvidia-fabricmanager`), then verify again.",
    ),
    Cause(
        "mig_without_instance",
        _UNAVAILABLE,
        "MIG is on and no GPU has an instance: a divided GPU offers CUDA nothing until one is "
        "made.",
        "Make an instance with `nvidia-smi mig -cgi <profile> -C` (`nvidia-smi mig -lgip` lists "
        "the profiles), or turn MIG off with `nvidia-smi -mig 0`.",
    ),
    Cause(
        "driver_too_old",
        _UNAVAILABLE,
        "The NVIDIA driver {driver} is older than CUDA {cuda} of this torch allows ({floor}).",
        "Upgrade the driver to at least {floor} and reboot, or install a torch that was built for "
        "an older CUDA.",
    ),
    Cause(
        "hidden_by_environment",
        _UNAVAILABLE,
        "{variable}={value!r} hides {what} from every program started in this environment. "
        "Set but empty counts: it hides all.",
        "Unset {variable} where it is set (the job's environment, /etc/environment, the shell's or "
        "the service's files), then verify again.",
    ),
    Cause(
        "container_without_devices",
        _UNAVAILABLE,
        "This runs in a container ({container}) that was given no device nodes.",
        "Start the container with its GPUs: `--gpus all`, or `--device nvidia.com/gpu=all`, with "
        "NVIDIA's container toolkit on the host.",
    ),
    Cause(
        "device_nodes_missing",
        _UNAVAILABLE,
        "The NVIDIA kernel module is loaded, and {missing} does not exist.",
        "Run `nvidia-modprobe -u -c=0` as root, or start nvidia-persistenced at boot.",
    ),
    Cause(
        "device_node_rights",
        _UNAVAILABLE,
        "This user (uid {uid}) may not open {nodes}.",
        "NVIDIA's device nodes are open to all unless somebody closed them: correct "
        "NVreg_DeviceFileMode in /etc/modprobe.d and reload the driver, or add the user to the "
        "group that owns them (`ls -l` names it). In a container, start it with its GPUs.",
    ),
    Cause(
        "unavailable_unknown",
        _UNAVAILABLE,
        "torch cannot use the device and none of the known reasons applies. It says: {text}",
        "Read the vendor's tool (nvidia-smi, rocm-smi, xpu-smi, npu-smi, cnmon) and `dmesg` on the "
        "node; between them they usually name it.",
    ),
    Cause(
        "no_kernel_image",
        "is_available() is True and the first kernel fails: no kernel image",
        "This torch holds no code for the device: built for {built}, the device is {device}.",
        "Install a torch build whose architecture list covers the device; older GPUs need an older "
        "CUDA or ROCm tag, newer GPUs a newer one.",
    ),
    Cause(
        "out_of_memory",
        "CUDA out of memory",
        "The device has no free memory left for even a small matrix. Held by: {holder}.",
        "Stop that process or wait until it ends, then verify again. When it is your own work that "
        "runs out: smaller batches, gradient checkpointing, quantization, or more memory.",
    ),
    Cause(
        "memory_too_small",
        "CUDA out of memory",
        "The workload {workload} needs {needed} GB and there are {found}.",
        "Use devices with more memory, quantize the model, or choose a smaller workload with "
        "torchnode_workload.",
    ),
    Cause(
        "kernel_failed",
        "a kernel launch fails",
        "The device did not run a small computation: {text}",
        "Read `dmesg` for the driver's errors (Xid on NVIDIA). Reset the device or reboot; if it "
        "comes back, replace the device.",
    ),
    Cause(
        "wrong_result",
        "wrong numbers without an error",
        "{wrong} of {values} values differ from exact integer arithmetic: the device computes "
        "wrongly.",
        "Take the device out of service. Check its ECC counters and replace it if a cold restart "
        "does not cure it.",
    ),
    Cause(
        "accelerate_missing",
        "ImportError: accelerate",
        "The package accelerate is not installed in this environment.",
        "Install accelerate >= {minimum} into it, or run playbooks/provision.yml.",
    ),
    Cause(
        "package_missing",
        "ModuleNotFoundError",
        "The package {package} is not installed in this environment.",
        "Install {package} into it, or run playbooks/provision.yml.",
    ),
    Cause(
        "package_too_old",
        "a package is older than required",
        "{package} {version} is older than {minimum}, which {who} asks for.",
        "Upgrade {package} to at least {minimum}, or run playbooks/provision.yml.",
    ),
    Cause(
        "package_broken",
        "a package cannot be imported",
        "{package} is installed and cannot be imported: {text}",
        "Reinstall {package} in the version that fits this torch, or run playbooks/provision.yml.",
    ),
    Cause(
        "torch_too_old",
        "Disabling PyTorch because PyTorch >= 2.4 is required",
        "torch {version} is older than {minimum}, which {who} asks for.",
        "Install torch >= {minimum}: run playbooks/provision.yml, or name another environment with "
        "torchnode_python. In an adopted environment torchnode changes nothing.",
    ),
    Cause(
        "torch_disabled",
        "Disabling PyTorch because PyTorch >= 2.4 is required",
        "transformers {version} refuses to use this torch ({torch}): it is too old for it, or "
        "USE_TORCH turns it off. It says: {text}",
        "Upgrade torch, or install an older transformers, and unset USE_TORCH.",
    ),
    Cause(
        "torch_missing",
        "No module named 'torch'",
        "torch is not installed for this interpreter.",
        "Run playbooks/provision.yml, or point torchnode_python at the interpreter that has torch.",
    ),
    Cause(
        "torch_broken",
        "import torch fails",
        "torch cannot be imported: {text}",
        "Reinstall torch in a fresh environment (run playbooks/provision.yml). A missing shared "
        "library often comes from LD_LIBRARY_PATH: unset it and try `python -c 'import torch'`.",
    ),
    Cause(
        "torch_kills_interpreter",
        "import torch ends the process",
        "The interpreter died while it imported torch: {text}",
        "Reinstall torch in a fresh environment. An illegal instruction means a build for a newer "
        "CPU; an abort often means mixed libraries on LD_LIBRARY_PATH or LD_PRELOAD.",
    ),
    Cause(
        "no_stack",
        "no stack is installed",
        "No stack is installed under {prefix}: there is nothing to verify yet.",
        "Run playbooks/provision.yml or site.yml, which install it, or name an environment to "
        "adopt with torchnode_python.",
    ),
    Cause(
        "interpreter_unusable",
        "the interpreter does not run",
        "The probe got no answer from {python}: {text}",
        "Check that the path is a working Python >= {minimum} (`{python} --version`), and that "
        "this user may execute it; otherwise run playbooks/provision.yml.",
    ),
    Cause(
        "interpreter_too_old",
        "the interpreter is too old",
        "Python {version} is older than {minimum}.",
        "Make the environment with Python >= {minimum}, or run playbooks/provision.yml.",
    ),
    Cause(
        "wrong_build",
        "another torch build than the one resolved",
        "This torch is {found}, and the stack asks for {resolved}: something reinstalled it, or an "
        "extra package index won.",
        "Run playbooks/provision.yml to mend the environment. Install torch with an exact tag and "
        "one index only.",
    ),
    Cause(
        "metadata_disagrees",
        "pip and torch name different versions",
        "Package metadata says torch {metadata}, and the imported module says {module}: two "
        "installations have been mixed.",
        "Remove torch until `pip list` no longer shows it, delete the directory that is left over, "
        "and install it once; or make a fresh environment.",
    ),
    Cause(
        "two_torches",
        "more than one torch on sys.path",
        "More than one torch can be imported by this interpreter: {paths}. Which one runs depends "
        "on the working directory and on PYTHONPATH.",
        "Remove all but one, or unset PYTHONPATH.",
    ),
    Cause(
        "companion_mismatch",
        "torchvision or torchaudio was built for another torch",
        "{package} {version} does not match torch {torch}: {text}",
        "Install the {package} that belongs to this torch, from the same index.",
    ),
    Cause(
        "capability_too_low",
        "the GPU is older than the profile supports",
        "The device's compute capability is {found}; the profile asks for {minimum} or newer.",
        "Use a newer GPU: no choice of software cures this.",
    ),
    Cause(
        "architecture_not_built",
        "no kernel image",
        "The device is {device} and this torch was built for {built}: it holds no code for it.",
        "Install a torch build whose architecture list covers the device; older GPUs need an older "
        "CUDA or ROCm tag, newer GPUs a newer one.",
    ),
    Cause(
        "fewer_devices",
        "torch sees fewer GPUs than the machine has",
        "The machine has {surveyed} and torch sees {found}: a device fell out of the driver, or "
        "is hidden from this user.",
        "Compare the vendor's tool (`nvidia-smi -L`) with `lspci`, and read `dmesg` for the "
        "driver's "
        "errors.",
    ),
    Cause(
        "more_devices",
        "torch sees more GPUs than the machine has",
        "Survey found {surveyed} and torch sees {found}: the survey is out of date, or a device is "
        "partitioned (MIG).",
        "Run the survey again, then verify.",
    ),
    Cause(
        "gpus_not_counted",
        "torch sees fewer GPUs than the machine has",
        "The GPUs could not be counted: {text}. A process sees one MIG instance in place of all "
        "divided GPUs.",
        "Install nvidia-ml-py into this environment, by which NVML is asked, then verify again; "
        "`nvidia-smi -L` lists GPUs and instances.",
    ),
    Cause(
        "nvidia_smi_missing",
        "nvidia-smi: command not found",
        "nvidia-smi is not on the PATH, so nothing on this node can monitor its GPUs.",
        "Install the driver's user-space tools; in a container add 'utility' to "
        "NVIDIA_DRIVER_CAPABILITIES.",
    ),
    Cause(
        "nvidia_smi_failed",
        "nvidia-smi fails",
        "nvidia-smi ended with status {status}: {text}",
        "Its message names the fault; after a driver update reboot, otherwise read `dmesg`.",
    ),
    Cause(
        "no_accelerator",
        "the workload needs an accelerator",
        "The workload {workload} needs an accelerator and torch can use none here.",
        "Use a node with a GPU, cure verify.backend_available if this node has one, or choose "
        "torchnode_workload: inference, for which a CPU will do.",
    ),
    Cause(
        "cudnn_missing",
        "torch has no cuDNN",
        "This torch was built without cuDNN, or cannot use its own: {text}",
        "Reinstall torch: its wheels bundle cuDNN. Keep any other cuDNN off LD_LIBRARY_PATH.",
    ),
    Cause(
        "cudnn_on_library_path",
        "a second cuDNN on LD_LIBRARY_PATH",
        "LD_LIBRARY_PATH leads to a cuDNN in {paths}, which takes the place of torch's own.",
        "Remove that directory from LD_LIBRARY_PATH; a system cuDNN is for building native code.",
    ),
    Cause(
        "not_measured",
        "a check has no data",
        "This could not be measured: {text}",
        "Cure what stopped the probe (see the first failed check), or raise the timeout if the "
        "file system is slow; then verify again.",
    ),
)

CAUSES: Mapping[str, Cause] = {row.id: row for row in (*_ROWS, *BACKEND_ROWS)}


def explain(cause_id: str, **values: object) -> Tuple[str, str]:
    """(cause, remedy) of a row, filled in. KeyError for an unknown cause or a missing value."""
    row = CAUSES[cause_id]
    return row.cause.format(**values), row.remedy.format(**values)
