"""NVIDIA telemetry through nvidia-ml-py, found in the venv. A field may refuse alone."""

from __future__ import annotations

import importlib
from typing import Any, Callable

from .device import bare_uuid, short_bus


class Source:
    """Every device that NVML shows, keyed by bare UUID."""

    def __init__(self) -> None:
        self._nvml: Any = importlib.import_module("pynvml")
        self._nvml.nvmlInit()
        count = self._nvml.nvmlDeviceGetCount()
        handles = [self._nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        self._devices = {bare_uuid(_text(self._nvml.nvmlDeviceGetUUID(h))): h for h in handles}

    def inventory(self) -> dict[str, Any]:
        """Driver version, and per device its bus, absent fields with NVML's reason, counters."""
        devices = {}
        for key, handle in self._devices.items():
            _, absent = self._read(handle, self._fields())
            counters, counters_absent = self._read(handle, self._counter_fields())
            bus = _text(self._nvml.nvmlDeviceGetPciInfo(handle).busId)
            devices[key] = {
                "bus": short_bus(bus),
                "absent": absent,
                "counters": counters,
                "counters_absent": "; ".join("%s: %s" % i for i in sorted(counters_absent.items())),
            }
        return {"driver": _text(self._nvml.nvmlSystemGetDriverVersion()), "devices": devices}

    def sample(self) -> dict[str, dict[str, float]]:
        """Degrees C, watts, MHz and the clocks-event reasons mask."""
        return {key: self._read(h, self._fields())[0] for key, h in self._devices.items()}

    def counters(self) -> dict[str, dict[str, int]]:
        """Uncorrected ECC errors and remapped rows, as they stand."""
        return {key: self._read(h, self._counter_fields())[0] for key, h in self._devices.items()}

    def _read(
        self, handle: Any, fields: dict[str, Callable[[Any], Any]]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values, absent = {}, {}
        for name, read in fields.items():
            try:
                values[name] = read(handle)
            except (self._nvml.NVMLError, AttributeError) as error:
                absent[name] = str(error)
        return values, absent

    def _fields(self) -> dict[str, Callable[[Any], Any]]:
        n = self._nvml
        return {
            "temperature": lambda h: n.nvmlDeviceGetTemperature(h, n.NVML_TEMPERATURE_GPU),
            "power": lambda h: n.nvmlDeviceGetPowerUsage(h) / 1000.0,
            "power_limit": lambda h: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1000.0,
            "clock": lambda h: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM),
            "reasons": self._reasons,
        }

    def _reasons(self, handle: Any) -> int:
        # Renamed from 'throttle reasons' in 2023; older bindings know only the old name.
        new = getattr(self._nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
        return int((new or self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons)(handle))

    def _counter_fields(self) -> dict[str, Callable[[Any], Any]]:
        n = self._nvml

        def remapped(place: int) -> Callable[[Any], int]:
            return lambda h: int(n.nvmlDeviceGetRemappedRows(h)[place])

        return {
            "ecc_uncorrected": lambda h: int(
                n.nvmlDeviceGetTotalEccErrors(
                    h, n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, n.NVML_VOLATILE_ECC
                )
            ),
            "remapped_uncorrectable": remapped(1),
            "remap_pending": remapped(2),
            "remap_failed": remapped(3),
        }


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
