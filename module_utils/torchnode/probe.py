"""What torch itself sees, told section by section. Run by the interpreter that has torch.

Standard library only, for Python >= 3.9, and one file: its source is handed to the interpreter on
standard input, so nothing is written and nothing of torchnode needs to be installed there.

    python -B - <file descriptor> <options as JSON>  < probe.py

Each section writes two JSON lines to the descriptor, one when it starts and one when it is known.
A torch that aborts, exits or hangs therefore loses only what comes after it, and the last
``started`` line names the culprit. Standard output and error belong to whatever torch prints.

Options: ``packages`` (distributions whose version is wanted), ``imports`` (modules to import
besides torch), ``backend`` (torch's word for what the node has to show; '' for what torch itself
is made for), ``deadline_seconds`` (the probe ends itself then, should nobody be left to do it).
"""

from __future__ import annotations

import ast
import glob
import importlib
import importlib.util
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
from typing import Any, Callable, Dict, List, NamedTuple, Optional

#: Variables that decide which devices and libraries torch finds; no other is reported.
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_DISABLE_PTX_JIT",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "ONEAPI_DEVICE_SELECTOR",
    "ZE_AFFINITY_MASK",
    "ASCEND_RT_VISIBLE_DEVICES",
    "ASCEND_HOME_PATH",
    "MLU_VISIBLE_DEVICES",
    "NEUWARE_HOME",
    "PJRT_DEVICE",
    "TPU_VISIBLE_CHIPS",
    "TORCH_DEVICE_BACKEND_AUTOLOAD",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
    "USE_TORCH",
    "USE_TORCH_XLA",
    "VIRTUAL_ENV",
)
#: Device files that one of the backends needs. Their names say whose they are.
DEVICE_NODES = (
    "/dev/nvidia*",
    "/dev/dxg",
    "/dev/kfd",
    "/dev/dri/renderD*",
    "/dev/davinci*",
    "/dev/hisi_hdc",
    "/dev/devmm_svm",
    "/dev/cambricon_*",
    "/dev/accel[0-9]*",
    "/dev/vfio/*",
)
KERNEL_MODULES = ("nvidia", "nouveau", "amdgpu", "i915", "xe", "drv_davinci_intf", "cambricon_drv")
#: The driver's libraries that torch's wheels do not bring, by the backend that needs them.
DRIVER_LIBRARIES = {
    "xpu": ("libze_loader.so*", "libze_intel_gpu.so*"),
    "npu": ("libascend_hal.so*",),
    "mlu": ("libcndrv.so*",),
}
#: What PJRT opens of a TPU; /dev/vfio/vfio is there without any.
TPU_NODES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")
LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/lib/*-linux-gnu", "/usr/local/lib")
TEXT_LIMIT = 1500  # characters of one exception or warning
NVIDIA_SMI_SECONDS = 20
MATRIX_SIZE = 48

Data = Dict[str, Any]


class Adapter(NamedTuple):
    """How torch reaches one backend.

    ``module`` is imported besides torch, ``namespace`` is where torch keeps the backend, ``device``
    the device string for an index, ``noun`` the devices' name in outcomes ('gpu0').
    """

    module: str
    namespace: str
    device: str
    noun: str


#: hip goes by the name of cuda in torch; torch.version tells them apart.
ADAPTERS = {
    "cuda": Adapter("", "cuda", "cuda:%d", "gpu"),
    "rocm": Adapter("", "cuda", "cuda:%d", "gpu"),
    "xpu": Adapter("", "xpu", "xpu:%d", "gpu"),
    "npu": Adapter("torch_npu", "npu", "npu:%d", "npu"),
    "mlu": Adapter("torch_mlu", "mlu", "mlu:%d", "mlu"),
    "mps": Adapter("", "mps", "mps:%d", "gpu"),
    "tpu": Adapter("torch_xla", "", "xla:%d", "tpu"),
}


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
        "system": platform.system(),
        "machine": platform.machine(),
        # Under Rosetta the machine reads x86_64; Darwin's build still names the real one.
        "kernel_build": platform.version(),
        "macos": platform.mac_ver()[0],
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
    """Versions as package metadata spells them, and every distribution that is called torch.

    ``wheel_tags`` are the platforms that an installed torch was built for, as its wheel says.
    """
    from importlib import metadata

    versions: Dict[str, Optional[str]] = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    torches = [
        {
            "version": found.version,
            "location": str(found.locate_file("")),
            "wheel_tags": re.findall(r"^Tag: (\S+)", found.read_text("WHEEL") or "", re.MULTILINE),
        }
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
    """Device files of the accelerators with this user's rights, and the kernel modules loaded."""
    nodes = []
    for path in sorted(path for pattern in DEVICE_NODES for path in glob.glob(pattern)):
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
    return {
        "nodes": nodes,
        "nvidia_module": loaded_nvidia_module(),
        "modules": [name for name in KERNEL_MODULES if os.path.isdir("/sys/module/" + name)],
        "uid": os.getuid(),
    }


def read_driver_libraries(backend: str) -> Data:
    """The driver's libraries that the backend needs: which were found and which were not."""
    listed = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    folders = [*(glob.escape(path) for path in listed if path), *LIBRARY_FOLDERS]
    found, missing = [], []
    for name in DRIVER_LIBRARIES.get(backend, ()):
        paths = [path for folder in folders for path in glob.glob(os.path.join(folder, name))]
        found.extend(paths[:1])
        missing.extend([] if paths else [name.rstrip("*")])
    return {"found": found, "missing": missing}


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
        devices = [read_nvml_device(pynvml, i) for i in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
    return {
        "importable": True,
        "driver": text_of(driver),
        "device_count": len(devices),
        "devices": devices,
        "error": None,
    }


def text_of(value: Any) -> str:
    """What NVML's Python module returns as text in one release and as bytes in another."""
    return value.decode() if isinstance(value, bytes) else str(value)


def read_nvml_device(pynvml: Any, index: int) -> Data:
    """Who holds memory of one GPU, in bytes, and whether MIG is on. What cannot be read is None."""

    def asked(name: str) -> Any:
        try:
            return getattr(pynvml, name)(handle)
        except (pynvml.NVMLError, AttributeError):
            return None

    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError:
        # A GPU that fell off the bus: the count stays, the rest cannot be known.
        return {"uuid": None, "mig": None, "processes": []}
    uuid, mig = asked("nvmlDeviceGetUUID"), asked("nvmlDeviceGetMigMode")
    holding = asked("nvmlDeviceGetComputeRunningProcesses") or []
    return {
        "uuid": None if uuid is None else text_of(uuid),
        "mig": None if mig is None else bool(mig[0]),
        "processes": [{"pid": p.pid, "bytes": getattr(p, "usedGpuMemory", None)} for p in holding],
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
    cuda, hip = torch.version.cuda, torch.version.hip
    xpu = getattr(torch.version, "xpu", None)
    # get_arch_list() answers [] where no device is available; the build's own flags do not.
    flags = None
    if cuda or hip:
        flags = torch._C._cuda_getArchFlags()
    elif xpu:
        flags = torch._C._xpu_getArchFlags()
    mps = getattr(torch.backends, "mps", None)
    return {
        "cuda": cuda,
        "hip": hip,
        "xpu": xpu,
        "mps": bool(mps is not None and mps.is_built()),
        "architectures": (flags or "").split(),
    }


def read_cudnn(torch: Any) -> Data:
    """torch's own cuDNN as its number: 91002 is 9.10.2. Raises where another one is in its way."""
    return {"version": torch.backends.cudnn.version()}


def own_backend(torch: Any) -> str:
    """The backend that this torch and the packages beside it are made for.

    'cuda' for a torch of no backend: each has torch.cuda, which then says no.
    """
    for module, backend in (("torch_npu", "npu"), ("torch_mlu", "mlu")):
        if importlib.util.find_spec(module):
            return backend
    if os.environ.get("PJRT_DEVICE") and importlib.util.find_spec("torch_xla"):
        return "tpu"
    build = torch.version
    for backend, made in (("rocm", build.hip), ("cuda", build.cuda)):
        if made:
            return backend
    if getattr(build, "xpu", None):
        return "xpu"
    mps = getattr(torch.backends, "mps", None)
    return "mps" if mps is not None and mps.is_built() else "cuda"


def read_plugin(name: str) -> Data:
    """Import the package that brings the backend into torch."""
    module = importlib.import_module(name)
    return {"version": str(getattr(module, "__version__", "")), "file": module.__file__}


def read_backend(torch: Any, backend: str) -> Data:
    """Whether torch can use its devices, with every word that it says about why not."""
    adapter = ADAPTERS[backend]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = read_xla if backend == "tpu" else read_namespace
        data = read(torch, backend)
    count = data["device_count"]
    return {
        "backend": backend,
        **data,
        "devices": [adapter.noun + str(index) for index in range(count)] if count else [],
        "warnings": [str(warning.message)[:TEXT_LIMIT] for warning in caught][:8],
    }


def read_namespace(torch: Any, backend: str) -> Data:
    """A backend that has a namespace of its own in torch."""
    namespace = getattr(torch, ADAPTERS[backend].namespace, None)
    if namespace is None:
        text = "this torch has no torch." + ADAPTERS[backend].namespace
        return {"available": False, "device_count": 0, "init_error": text}
    # torch.mps has no is_available of its own in older releases.
    asked = torch.backends.mps if backend == "mps" else namespace
    available = bool(asked.is_available())
    counted = namespace.device_count() if hasattr(namespace, "device_count") else available
    error = None
    if not available and hasattr(namespace, "init"):
        try:
            namespace.init()
        except Exception as problem:
            error = describe(problem)
    return {"available": available, "device_count": int(counted), "init_error": error}


def read_xla(_torch: Any, _backend: str) -> Data:
    """XLA's devices. ``kind`` is what PJRT drives: 'TPU', or 'CPU' where it was told so."""
    told = os.environ.get("PJRT_DEVICE", "TPU")
    if told == "TPU" and not any(glob.glob(pattern) for pattern in TPU_NODES):
        # libtpu would look for the TPU, and for a metadata server, until the deadline.
        error = "no TPU: none of %s exists" % ", ".join(TPU_NODES)
        return {"available": False, "device_count": 0, "kind": None, "init_error": error}
    runtime = importlib.import_module("torch_xla.runtime")
    try:
        kind = str(runtime.device_type())
        count = int(runtime.addressable_device_count())
    except Exception as problem:
        error = describe(problem)
        return {"available": False, "device_count": 0, "kind": None, "init_error": error}
    # Devices that are no TPUs are no backend to pass with, and their kernels are told all the same.
    return {"available": kind == "TPU", "device_count": count, "kind": kind, "init_error": None}


def read_device(torch: Any, backend: str, index: int) -> Data:
    """One device as torch describes it. Memory in bytes; None for what torch does not tell."""
    if backend == "tpu":
        return read_xla_device(index)
    if backend == "mps":
        total = torch.mps.recommended_max_memory()
        return {"index": index, "name": platform.processor(), "total_memory": int(total)}
    namespace = getattr(torch, ADAPTERS[backend].namespace)
    properties = namespace.get_device_properties(index)
    free = namespace.mem_get_info(index)[0] if hasattr(namespace, "mem_get_info") else None
    uuid = getattr(properties, "uuid", None)
    data = {
        "index": index,
        "name": properties.name,
        "gcn_architecture": getattr(properties, "gcnArchName", None),
        "total_memory": properties.total_memory,
        "free_memory": free,
        "uuid": None if uuid is None else str(uuid),
    }
    if backend in ("cuda", "rocm"):
        data["capability"] = [properties.major, properties.minor]
    return data


def read_xla_device(index: int) -> Data:
    """One XLA device; PJRT tells the memory of TPUs only."""
    model = importlib.import_module("torch_xla.core.xla_model")
    try:
        total = model.get_memory_info("xla:%d" % index).get("bytes_limit")
    except Exception:
        total = None
    return {"index": index, "name": "xla:%d" % index, "total_memory": total}


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
    got = product.cpu().tolist()  # waits for the device, and raises what it ran into
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


def probe_torch(channel: Channel, wanted: str) -> None:
    """The sections that need an imported torch."""
    if channel.section("torch_import", read_torch_import) is None:
        return
    torch = sys.modules["torch"]
    channel.section("torch_build", lambda: read_torch_build(torch))
    channel.section("cudnn", lambda: read_cudnn(torch))
    channel.section("kernel.cpu", lambda: run_kernel(torch, "cpu"))
    backend = wanted or own_backend(torch)
    if backend in ADAPTERS:
        probe_backend(channel, torch, backend)


def probe_backend(channel: Channel, torch: Any, backend: str) -> None:
    """The sections of the backend and of each of its devices."""
    adapter = ADAPTERS[backend]
    if adapter.module and channel.section("plugin", lambda: read_plugin(adapter.module)) is None:
        return
    told = channel.section("backend", lambda: read_backend(torch, backend)) or {}
    if not (told.get("available") or told.get("kind")):
        return
    for index, name in enumerate(told["devices"]):
        # Called at once, so that a loop's variable in a lambda is the one of this turn.
        channel.section(
            "device." + name,
            lambda: read_device(torch, backend, index),  # noqa: B023
        )
        channel.section(
            "kernel." + name,
            lambda: run_kernel(torch, adapter.device % index),  # noqa: B023
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
    backend = options.get("backend", "")
    channel.section("driver_libraries", lambda: read_driver_libraries(backend))
    if backend in ("", "cuda", "cpu"):
        channel.section("nvml", read_nvml)
        channel.section("nvidia_smi", read_nvidia_smi)
    probe_torch(channel, backend)
    for name in options["imports"]:
        channel.section("import." + name, lambda: read_import(name))  # noqa: B023 - called at once
    channel.write({"end": True})


if __name__ == "__main__":
    main(sys.argv)
