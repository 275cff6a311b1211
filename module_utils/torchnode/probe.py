"""What torch itself sees, told section by section. Run by the interpreter that has torch.

Standard library only, for Python >= 3.9, and one file: its source is handed to the interpreter on
standard input, so nothing is written and nothing of torchnode needs to be installed there.

    python -B - <file descriptor> <options as JSON>  < probe.py

Each section writes two JSON lines to the descriptor, one when it starts and one when it is known.
A torch that aborts, exits or hangs therefore loses only what comes after it, and the last
``started`` line names the culprit. Standard output and error belong to whatever torch prints.

Options: ``packages`` (distributions whose version is wanted), ``imports`` (modules to import
besides torch), ``deadline_seconds`` (the probe ends itself then, should nobody be left to do it).
"""

from __future__ import annotations

import ast
import glob
import importlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from typing import Any, Callable, Dict, List, Optional

#: Variables that decide which devices and libraries torch finds; no other is reported.
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_DISABLE_PTX_JIT",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
    "USE_TORCH",
    "USE_TORCH_XLA",
    "VIRTUAL_ENV",
)
TEXT_LIMIT = 1500  # characters of one exception or warning
NVIDIA_SMI_SECONDS = 20
MATRIX_SIZE = 48

Data = Dict[str, Any]


class Channel:
    """The descriptor that the answers go to."""

    def __init__(self, descriptor: int) -> None:
        # Children (nvidia-smi) must not keep it open after the probe has ended.
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def write(self, record: Data) -> None:
        line = (json.dumps(record, default=str) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]

    def section(self, name: str, read: Callable[[], Data]) -> Optional[Data]:
        """Run ``read`` and tell its data, or its exception; None in the latter case."""
        self.write({"section": name, "started": True})
        try:
            data = read()
        # BaseException: a package that calls sys.exit() while it is imported is an answer too.
        except BaseException as problem:
            self.write({"section": name, "error": describe(problem)})
            return None
        self.write({"section": name, "data": data})
        return data


def describe(problem: BaseException) -> str:
    """An exception as 'Type: text', bounded."""
    return ("%s: %s" % (type(problem).__name__, problem))[:TEXT_LIMIT]


def read_python() -> Data:
    """The interpreter itself."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "machine": platform.machine(),
    }


def read_environment() -> Data:
    """The few variables that matter, and directories that put a foreign cuDNN before torch's."""
    directories = [part for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    return {
        "variables": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "cudnn_on_library_path": [
            directory
            for directory in directories
            if glob.glob(os.path.join(glob.escape(directory), "libcudnn*.so*"))
        ],
    }


def read_metadata(packages: List[str]) -> Data:
    """Versions as package metadata spells them, and every distribution that is called torch."""
    from importlib import metadata

    versions: Dict[str, Optional[str]] = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    torches = [
        {"version": found.version, "location": str(found.locate_file(""))}
        for found in metadata.distributions(name="torch")
    ]
    return {"versions": versions, "torch_distributions": torches}


def read_torch_files() -> Data:
    """Every torch package on sys.path in import order, its version.py read as text."""
    found: Dict[str, Data] = {}
    for entry in sys.path:
        package = os.path.realpath(os.path.join(entry, "torch"))
        if os.path.isfile(os.path.join(package, "__init__.py")) and package not in found:
            path = os.path.join(package, "version.py")
            found[package] = {"package": package, "version_file": read_version_file(path)}
    return {"torches": list(found.values())}


def read_version_file(path: str) -> Optional[Data]:
    """The constants that torch/version.py assigns, without importing it; None without the file."""
    try:
        with open(path, encoding="utf-8") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return None
    constants: Data = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        if isinstance(node.value, ast.Constant):
            constants.update(dict.fromkeys(names, node.value.value))
    wanted = {"__version__": "version", "cuda": "cuda", "hip": "hip", "git_version": "git"}
    return {label: constants.get(name) for name, label in wanted.items()}


def read_device_nodes() -> Data:
    """Device files of the accelerators with this user's rights, and the loaded kernel module."""
    nodes = []
    for path in sorted(glob.glob("/dev/nvidia*") + glob.glob("/dev/dxg") + glob.glob("/dev/kfd")):
        if not os.path.isdir(path):
            state = os.stat(path)
            nodes.append(
                {
                    "path": path,
                    "mode": "%04o" % (state.st_mode & 0o7777),
                    "uid": state.st_uid,
                    "gid": state.st_gid,
                    "usable": os.access(path, os.R_OK | os.W_OK),
                }
            )
    return {"nodes": nodes, "nvidia_module": loaded_nvidia_module(), "uid": os.getuid()}


def loaded_nvidia_module() -> Optional[str]:
    """Version of the NVIDIA module in the kernel, None when it is not loaded."""
    for path in ("/sys/module/nvidia/version", "/proc/driver/nvidia/version"):
        try:
            with open(path, encoding="utf-8") as source:
                match = re.search(r"\d+\.\d+(\.\d+)?", source.read())
        except OSError:
            continue
        if match:
            return match.group(0)
    return None


def read_nvml() -> Data:
    """NVML's answer through nvidia-ml-py, asked before torch can crash."""
    try:
        pynvml = importlib.import_module("pynvml")
    except ImportError as problem:
        return {"importable": False, "error": describe(problem)}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as problem:
        return {"importable": True, "error": describe(problem)}
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        count = pynvml.nvmlDeviceGetCount()
    finally:
        pynvml.nvmlShutdown()
    return {
        "importable": True,
        "driver": driver.decode() if isinstance(driver, bytes) else driver,
        "device_count": count,
        "error": None,
    }


def read_nvidia_smi() -> Data:
    """nvidia-smi: where it is, its exit status, the driver version that it prints."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return {"path": None}
    argv = [path, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=NVIDIA_SMI_SECONDS,
        check=False,
    )
    text = done.stdout.decode(errors="replace").strip()
    match = re.match(r"\d+\.\d+(\.\d+)?", text)
    return {
        "path": path,
        "exit_status": done.returncode,
        "driver": match.group(0) if match else None,
        "output": text[:TEXT_LIMIT],
    }


def read_torch_import() -> Data:
    """Import torch."""
    begin = time.monotonic()
    torch = importlib.import_module("torch")
    return {
        "version": str(torch.__version__),
        "file": torch.__file__,
        "seconds": round(time.monotonic() - begin, 2),
    }


def read_torch_build(torch: Any) -> Data:
    """What this torch was built for."""
    # get_arch_list() answers [] where no device is available; the build's own flags do not.
    built_for_gpu = torch.version.cuda or torch.version.hip
    flags = torch._C._cuda_getArchFlags() if built_for_gpu else None
    return {
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "architectures": (flags or "").split(),
    }


def read_cudnn(torch: Any) -> Data:
    """torch's own cuDNN as its number: 91002 is 9.10.2. Raises where another one is in its way."""
    return {"version": torch.backends.cudnn.version()}


def read_cuda(torch: Any) -> Data:
    """Whether torch can use its GPUs, with every word that it says about why not."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = bool(torch.cuda.is_available())
        count = int(torch.cuda.device_count())
    error = None
    if not available:
        try:
            torch.cuda.init()
        except Exception as problem:
            error = describe(problem)
    return {
        "available": available,
        "device_count": count,
        "warnings": [str(warning.message)[:TEXT_LIMIT] for warning in caught][:8],
        "init_error": error,
    }


def read_device(torch: Any, index: int) -> Data:
    """One device as torch describes it. Memory in bytes."""
    properties = torch.cuda.get_device_properties(index)
    free, _total = torch.cuda.mem_get_info(index)
    uuid = getattr(properties, "uuid", None)
    return {
        "index": index,
        "name": properties.name,
        "capability": [properties.major, properties.minor],
        "gcn_architecture": getattr(properties, "gcnArchName", None),
        "total_memory": properties.total_memory,
        "free_memory": free,
        "uuid": None if uuid is None else str(uuid),
    }


def run_kernel(torch: Any, device: str) -> Data:
    """Launch real kernels on ``device`` and compare with integers computed by Python.

    The product goes through the BLAS library, the sum and the scaling through torch's own code:
    each of the two may lack code for a GPU. Every value is a small integer, so any deviation
    from exact equality is an error and not rounding.
    """
    size = range(MATRIX_SIZE)
    left = [[(7 * i + 3 * j) % 17 - 8 for j in size] for i in size]
    right = [[(5 * i + 11 * j) % 13 - 6 for j in size] for i in size]
    expected = [[2 * sum(left[i][k] * right[k][j] for k in size) + 2 for j in size] for i in size]
    begin = time.monotonic()
    a = torch.tensor(left, dtype=torch.float32, device=device)
    b = torch.tensor(right, dtype=torch.float32, device=device)
    product = (a @ b + 1) * 2
    if device != "cpu":
        torch.cuda.synchronize(device)
    got = product.cpu().tolist()
    wrong = sum(got[i][j] != expected[i][j] for i in size for j in size)
    return {
        "values": MATRIX_SIZE * MATRIX_SIZE,
        "wrong": wrong,
        "seconds": round(time.monotonic() - begin, 4),
    }


def read_import(name: str) -> Data:
    """Import one package that the workload needs."""
    module = importlib.import_module(name)
    data: Data = {"version": getattr(module, "__version__", None), "file": module.__file__}
    if name == "transformers":
        data["torch_available"] = bool(module.is_torch_available())
    return data


def probe_torch(channel: Channel) -> None:
    """The sections that need an imported torch."""
    if channel.section("torch_import", read_torch_import) is None:
        return
    torch = sys.modules["torch"]
    channel.section("torch_build", lambda: read_torch_build(torch))
    channel.section("cudnn", lambda: read_cudnn(torch))
    channel.section("kernel.cpu", lambda: run_kernel(torch, "cpu"))
    cuda = channel.section("cuda", lambda: read_cuda(torch)) or {}
    for index in range(cuda["device_count"] if cuda.get("available") else 0):
        channel.section("device.gpu%d" % index, lambda: read_device(torch, index))  # noqa: B023 - called at once
        channel.section(
            "kernel.gpu%d" % index,
            lambda: run_kernel(torch, "cuda:%d" % index),  # noqa: B023 - called at once
        )


def main(argv: List[str]) -> None:
    """Probe, then say that this was all."""
    channel = Channel(int(argv[1]))
    options = json.loads(argv[2])
    signal.alarm(int(options["deadline_seconds"]))
    # '-' puts the working directory first, which would hide the torch that programs import.
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    channel.section("python", read_python)
    channel.section("environment", read_environment)
    channel.section("metadata", lambda: read_metadata(options["packages"]))
    channel.section("torch_files", read_torch_files)
    channel.section("device_nodes", read_device_nodes)
    channel.section("nvml", read_nvml)
    channel.section("nvidia_smi", read_nvidia_smi)
    probe_torch(channel)
    for name in options["imports"]:
        channel.section("import." + name, lambda: read_import(name))  # noqa: B023 - called at once
    channel.write({"end": True})


if __name__ == "__main__":
    main(sys.argv)
