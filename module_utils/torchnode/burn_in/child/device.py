"""The devices that torch drives, by backend name. torch is handed in, never imported here."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Optional

from .precisions import PRECISIONS

#: Compute capabilities with fp64 units at half the fp32 rate; others have 1/32 or 1/64:
#: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#arithmetic-instructions, 2026-11-23.
STRONG_FP64 = ((6, 0), (7, 0), (8, 0), (9, 0), (10, 0))

#: The least compute capability with a unit for each precision: the same page, "Tensor Cores".
SINCE = {
    "fp64": (0, 0),
    "fp32": (0, 0),
    "fp16": (7, 0),
    "bf16": (8, 0),
    "tf32": (8, 0),
    "fp8": (8, 9),
    "fp4": (10, 0),
}


class DeviceMissing(Exception):
    """torch does not see the device that it should burn. ``visible`` is how many it does see."""

    def __init__(self, message: str, visible: int) -> None:
        super().__init__(message)
        self.visible = visible


class Cpu:
    """All cores as one device."""

    name = "cpu"
    settling = 0.0

    def __init__(self, torch: Any, wanted: dict[str, Any]) -> None:
        self._torch = torch
        self.handle = torch.device("cpu")
        self.visible = 1

    def describe(self) -> dict[str, Any]:
        """Name, uuid and units as torch and the kernel see them."""
        return {
            "name": _cpu_model(),
            "uuid": None,
            "units": self._torch.get_num_threads(),
            "driver_api": None,
        }

    def has(self, precision: str) -> bool:
        """fp32, fp64; bf16 only with a unit for it: emulation proves nothing about hardware."""
        flags = _cpuinfo_words("flags") | _cpuinfo_words("Features")
        return precision in ("fp32", "fp64") or (
            precision == "bf16" and bool(flags & {"amx_bf16", "avx512_bf16"})
        )

    def scaled(self, precision: str, length: int) -> int:
        """A length of matrices, less where a precision's units are weak."""
        return length

    def free_bytes(self) -> int:
        """What the kernel calls available, or less where a control group allows less."""
        free = _meminfo_available(_read("/proc/meminfo"))
        limits = [free] if free is not None else []
        limits += [room for room in _cgroup_rooms() if room is not None]
        return min(limits) if limits else 0

    def synchronize(self) -> None:
        """Nothing runs behind our back on a CPU."""

    def make_current(self) -> None:
        """A CPU is always current."""

    def release(self) -> None:
        """Freed memory is the system's at once."""

    def fetch(self, tensor: Any) -> Fetch:
        """A tensor's values on their way to the host."""
        return Fetch(tensor)

    def stopwatch(self) -> Stopwatch:
        return Stopwatch()


class Cuda:
    """One CUDA device, found by UUID or PCI address where torch tells them, else by number."""

    name = "cuda"
    #: Seconds after a load at the power cap until a rate is the device's own. An H200's memory
    #: copies ran at 0.9 of their rate for 0.26 s after it (docs/benchmarks.md).
    settling = 0.5

    def __init__(self, torch: Any, wanted: dict[str, Any]) -> None:
        self._torch = torch
        self.visible = torch.cuda.device_count()
        index = self._find(wanted)
        torch.cuda.set_device(index)
        self.handle = torch.device("cuda", index)
        self._properties = torch.cuda.get_device_properties(index)
        _exact_accumulation(torch)
        torch.cuda.init()

    def _find(self, wanted: dict[str, Any]) -> int:
        seen = [self._torch.cuda.get_device_properties(i) for i in range(self.visible)]
        for index, properties in enumerate(seen):
            if same_device(wanted, _uuid(properties), _bus(properties)):
                return index
        known = wanted.get("uuid") or wanted.get("bus")
        identified = any(_uuid(p) or _bus(p) for p in seen)
        if not (known and identified) and wanted["index"] < self.visible:
            return int(wanted["index"])
        raise DeviceMissing(
            "torch sees %d CUDA device(s) and not %s (uuid %s, bus %s); CUDA_VISIBLE_DEVICES=%s"
            % (
                self.visible,
                wanted["device"],
                wanted.get("uuid"),
                wanted.get("bus"),
                os.environ.get("CUDA_VISIBLE_DEVICES", "(not set)"),
            ),
            self.visible,
        )

    def describe(self) -> dict[str, Any]:
        """Name, uuid, bus and number of multiprocessors as torch sees them."""
        return {
            "name": self._properties.name,
            "uuid": _uuid(self._properties) or None,
            "bus": _bus(self._properties) or None,
            "units": self._properties.multi_processor_count,
            "driver_api": self._torch.version.cuda,
        }

    def has(self, precision: str) -> bool:
        """Whether the part has units for it, and torch a way to use them."""
        if not all(hasattr(self._torch, name) for name in PRECISIONS[precision].needs):
            return False
        return self._capability() >= SINCE[precision]

    def scaled(self, precision: str, length: int) -> int:
        """A length of matrices, less where a precision's units are weak."""
        weak = precision == "fp64" and self._capability() not in STRONG_FP64
        return length // 4 if weak else length

    def _capability(self) -> tuple[int, int]:
        return self._properties.major, self._properties.minor

    def free_bytes(self) -> int:
        """What the driver says is free, torch's own cache given back first."""
        self._torch.cuda.empty_cache()
        return int(self._torch.cuda.mem_get_info(self.handle)[0])

    def synchronize(self) -> None:
        self._torch.cuda.synchronize(self.handle)

    def make_current(self) -> None:
        """Have what names no device, such as an event, use this one."""
        self._torch.cuda.set_device(self.handle)

    def release(self) -> None:
        """Give freed memory back, so that pieces of another size fit."""
        self._torch.cuda.empty_cache()

    def fetch(self, tensor: Any) -> Fetch:
        """A tensor's values on their way to the host; what is queued later does not delay them."""
        return CudaFetch(self._torch, tensor)

    def stopwatch(self) -> Stopwatch:
        return CudaStopwatch(self._torch)


class Stopwatch:
    """Time spent on the device between start and stop; read after a synchronisation."""

    def start(self) -> None:
        self._started = time.perf_counter()

    def stop(self) -> None:
        self._stopped = time.perf_counter()

    def seconds(self) -> float:
        return self._stopped - self._started


class Fetch:
    """Values of a small tensor on their way to the host."""

    def __init__(self, tensor: Any) -> None:
        self._host = tensor

    def get(self) -> list[int]:
        """The values, waited for."""
        return list(self._host.tolist())


class CudaFetch(Fetch):
    """The same from a device, into pinned memory: a plain copy would wait for all queued work."""

    def __init__(self, torch: Any, tensor: Any) -> None:
        super().__init__(torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True))
        self._host.copy_(tensor, non_blocking=True)
        self._device = tensor  # not to be reused before it is read
        self._arrived = torch.cuda.Event()
        self._arrived.record()

    def get(self) -> list[int]:
        self._arrived.synchronize()
        return super().get()


class CudaStopwatch(Stopwatch):
    """The same by CUDA events, because calls return before the work is done."""

    def __init__(self, torch: Any) -> None:
        self._marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def start(self) -> None:
        self._marks[0].record()

    def stop(self) -> None:
        self._marks[1].record()

    def seconds(self) -> float:
        return float(self._marks[0].elapsed_time(self._marks[1])) / 1000.0


class Rocm(Cuda):
    """One ROCm device: torch drives it by the same names. Not yet seen on hardware."""

    name = "rocm"

    def has(self, precision: str) -> bool:
        """Matrix units of CDNA 2 and later (gfx90a, gfx942, gfx950) and of RDNA 3 (gfx11).

        https://rocm.docs.amd.com/en/latest/reference/precision-support.html, 2026-11-23
        """
        part = str(getattr(self._properties, "gcnArchName", "")).partition(":")[0]
        if precision in ("fp32", "fp64"):
            return True
        return precision in ("fp16", "bf16") and part.startswith(
            ("gfx90a", "gfx94", "gfx95", "gfx11")
        )

    def scaled(self, precision: str, length: int) -> int:
        return length


#: The registry: one line per backend.
BACKENDS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {"cpu": Cpu, "cuda": Cuda, "rocm": Rocm}


def same_device(wanted: dict[str, Any], uuid: str, bus: str) -> bool:
    """Whether a UUID or a PCI address that torch tells is the wanted one's.

    By UUID where both are written alike: of an AMD GPU the kernel tells 16 digits, torch 32.
    """
    known = bare_uuid(wanted.get("uuid") or "")
    if uuid and len(known) == len(uuid):
        return known == uuid
    return bool(wanted.get("bus") and bus) and short_bus(wanted["bus"]) == bus


def bare_uuid(text: str) -> str:
    """'GPU-A1B2…' and 'a1b2…' are one device: NVML writes the prefix, torch does not."""
    text = text.lower()
    return text[4:] if text.startswith("gpu-") else text


def short_bus(text: str) -> str:
    """'0000:19:00.0' and NVML's '00000000:19:00.0' as '0000:19:00'; '' for anything else."""
    parts = text.lower().partition(".")[0].split(":")
    if len(parts) == 2:
        parts = ["0", *parts]
    return "%04x:%s:%s" % (int(parts[0], 16), parts[1], parts[2]) if len(parts) == 3 else ""


def _uuid(properties: Any) -> str:
    return bare_uuid(str(getattr(properties, "uuid", "") or ""))


def _bus(properties: Any) -> str:
    if not hasattr(properties, "pci_bus_id"):
        return ""
    return "%04x:%02x:%02x" % (
        properties.pci_domain_id,
        properties.pci_bus_id,
        properties.pci_device_id,
    )


def _exact_accumulation(torch: Any) -> None:
    # Split-K sums in a narrow type would round; then exact integers would not stay exact.
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = False
    matmul.allow_bf16_reduced_precision_reduction = False
    matmul.allow_fp16_reduced_precision_reduction = False


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _cpuinfo_words(key: str) -> set[str]:
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return set(value.split())
    return set()


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return os.uname().machine


def _meminfo_available(text: str) -> Optional[int]:
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def cgroup_room(limit: str, used: str, stat: str, cache_key: str) -> Optional[int]:
    """Bytes left under one control group, its reclaimable cache counted as free; None: no limit."""
    if not limit.strip().isdigit() or not used.strip().isdigit() or int(limit) >= 1 << 60:
        return None
    cache = [line.split()[1] for line in stat.splitlines() if line.startswith(cache_key + " ")]
    return max(0, int(limit) - int(used) + (int(cache[0]) if cache else 0))


def _cgroup_rooms() -> list[Optional[int]]:
    """The room under every ancestor of this process's memory control group, v2 and v1."""
    rooms = []
    for line in _read("/proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, names = "/sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = "/sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            folder = "/".join([root, *parts[:depth]]) + "/"
            limit, used, key = folder + names[0], folder + names[1], names[2]
            stat = _read(folder + "memory.stat")
            rooms.append(cgroup_room(_read(limit), _read(used), stat, key))
    return rooms
