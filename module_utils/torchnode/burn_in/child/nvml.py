"""NVIDIA telemetry through nvidia-ml-py, found in the venv. A field may refuse alone."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Optional

from . import nvml_counters
from .device import bare_uuid, short_bus

Fields = dict[str, Callable[[Any], Any]]


class Source:
    """Every device that NVML shows, keyed by bare UUID."""

    def __init__(self) -> None:
        self._nvml: Any = importlib.import_module("pynvml")
        self._nvml.nvmlInit()
        count = self._nvml.nvmlDeviceGetCount()
        handles = [self._nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        self._devices = {bare_uuid(_text(self._nvml.nvmlDeviceGetUUID(h))): h for h in handles}
        self._counters = nvml_counters.readers(self._nvml)

    def inventory(self) -> dict[str, Any]:
        """Driver version, and per device its bus, what does not change, absent fields, counters."""
        devices = {}
        for key, handle in self._devices.items():
            _, absent = self._read(handle, self._fields())
            fixed, fixed_absent = self._read(handle, self._fixed())
            counters, counters_absent = self._read(handle, self._counters)
            bus = _text(self._nvml.nvmlDeviceGetPciInfo(handle).busId)
            devices[key] = {
                "bus": short_bus(bus),
                "absent": absent,
                **fixed,
                "fixed_absent": fixed_absent,
                "counters": counters,
                "counters_absent": counters_absent,
            }
        return {"driver": _text(self._nvml.nvmlSystemGetDriverVersion()), "devices": devices}

    def sample(self) -> dict[str, dict[str, float]]:
        """Degrees C, watts, MHz, the clocks-event reasons mask, PCIe generation and lanes."""
        return {key: self._read(h, self._fields())[0] for key, h in self._devices.items()}

    def counters(self) -> dict[str, dict[str, int]]:
        """The counters and states of nvml_counters.py, as they stand."""
        return {key: self._read(h, self._counters)[0] for key, h in self._devices.items()}

    def processes(self) -> dict[str, list[list[Any]]]:
        """Per device [pid, bytes of its memory or None] of each process that computes on it."""
        seen: dict[str, list[list[Any]]] = {}
        for key, handle in self._devices.items():
            try:
                running = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            except (self._nvml.NVMLError, AttributeError):
                continue
            seen[key] = [[int(p.pid), p.usedGpuMemory and int(p.usedGpuMemory)] for p in running]
        return seen

    def _read(self, handle: Any, fields: Fields) -> tuple[dict[str, Any], dict[str, str]]:
        values, absent = {}, {}
        for name, read in fields.items():
            try:
                values[name] = read(handle)
            except (self._nvml.NVMLError, AttributeError) as error:
                absent[name] = str(error)
        return values, absent

    def _fields(self) -> Fields:
        n = self._nvml
        return {
            "temperature": lambda h: n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU),
            "margin": lambda h: n.nvmlDeviceGetMarginTemperature(h),
            "memory_temperature": lambda h: self._memory_temperature(h),
            "power": lambda h: n.nvmlDeviceGetPowerUsage(h) / 1000.0,
            "power_limit": lambda h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1000.0,
            "clock": lambda h: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM),
            "memory_clock": lambda h: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_MEM),
            "reasons": self._reasons,
            "pcie_gen": lambda h: n.nvmlDeviceGetCurrPcieLinkGeneration(h),
            "pcie_width": lambda h: n.nvmlDeviceGetCurrPcieLinkWidth(h),
        }

    def _fixed(self) -> Fields:
        n = self._nvml
        return {
            "pcie_gen_max": lambda h: n.nvmlDeviceGetMaxPcieLinkGeneration(h),
            "pcie_width_max": lambda h: n.nvmlDeviceGetMaxPcieLinkWidth(h),
            "persistence": lambda h: n.nvmlDeviceGetPersistenceMode(h),
            "ecc": lambda h: n.nvmlDeviceGetEccMode(h)[0],
            "mig": lambda h: n.nvmlDeviceGetMigMode(h)[0],
            "inforom": self._inforom,
            "power_default": lambda h: n.nvmlDeviceGetPowerManagementDefaultLimit(h) / 1000.0,
        }

    def _memory_temperature(self, handle: Any) -> int:
        # 0 is what parts without the sensor say.
        value = nvml_counters.field(self._nvml, handle, "NVML_FI_DEV_MEMORY_TEMP")
        if not value:
            raise self._nvml.NVMLError(self._nvml.NVML_ERROR_NOT_SUPPORTED)
        return value

    def _inforom(self, handle: Any) -> int:
        """1 where the InfoROM's checksum is right, 0 where it is not."""
        try:
            self._nvml.nvmlDeviceValidateInforom(handle)
        except self._nvml.NVMLError as error:
            if error.value == self._nvml.NVML_ERROR_CORRUPTED_INFOROM:
                return 0
            raise
        return 1

    def _reasons(self, handle: Any) -> int:
        # Renamed from 'throttle reasons' in 2023; older bindings know only the old name.
        new = getattr(self._nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
        return int((new or self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons)(handle))


def name_of(pid: int) -> Optional[str]:
    """A process's name as this machine's kernel tells it; None from inside another namespace."""
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
