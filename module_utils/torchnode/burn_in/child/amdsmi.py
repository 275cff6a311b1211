"""AMD telemetry through the amdsmi package, where the environment has it. Not yet seen on hardware.

Names and units: https://rocm.docs.amd.com/projects/amdsmi/en/latest/reference/amdsmi-py-api.html,
2026-11-23. The library says 'N/A' for what a part does not tell.
"""

from __future__ import annotations

import importlib
from typing import Any, Callable

from .device import bare_uuid, short_bus

Fields = dict[str, Callable[[Any], Any]]
_ODD = (AttributeError, KeyError, TypeError, ValueError)  # answers of another shape, 'N/A'


class Source:
    """Every GPU that the library shows, keyed by bare UUID."""

    def __init__(self) -> None:
        self._smi: Any = importlib.import_module("amdsmi")
        self._smi.amdsmi_init()
        handles = self._smi.amdsmi_get_processor_handles()
        self._devices = {
            bare_uuid(str(self._smi.amdsmi_get_gpu_device_uuid(h))): h for h in handles
        }

    def inventory(self) -> dict[str, Any]:
        """Driver version, and per device its bus, absent fields, counters."""
        devices, driver = {}, None
        for key, handle in self._devices.items():
            counters, counters_absent = self._read(handle, self._counter_fields())
            devices[key] = {
                "bus": short_bus(str(self._smi.amdsmi_get_gpu_device_bdf(handle))),
                "absent": self._read(handle, self._fields())[1],
                "counters": counters,
                "counters_absent": counters_absent,
            }
            driver = str(self._smi.amdsmi_get_gpu_driver_info(handle)["driver_version"])
        return {"driver": driver, "devices": devices}

    def sample(self) -> dict[str, dict[str, float]]:
        """Degrees C of the hottest spot, watts, MHz."""
        return {key: self._read(h, self._fields())[0] for key, h in self._devices.items()}

    def counters(self) -> dict[str, dict[str, int]]:
        """ECC errors and PCIe replays, as they stand."""
        return {key: self._read(h, self._counter_fields())[0] for key, h in self._devices.items()}

    def processes(self) -> dict[str, list[list[Any]]]:
        """Per device [pid, bytes of its memory] of each process that computes on it."""
        seen: dict[str, list[list[Any]]] = {}
        for key, handle in self._devices.items():
            try:
                listed = self._smi.amdsmi_get_gpu_process_list(handle)
                seen[key] = [[int(one["pid"]), int(one["mem"])] for one in listed]
            except (self._smi.AmdSmiException, *_ODD):
                continue
        return seen

    def _read(self, handle: Any, fields: Fields) -> tuple[dict[str, Any], dict[str, str]]:
        values, absent = {}, {}
        for name, read in fields.items():
            try:
                values[name] = read(handle)
            # AttributeError: another release of the library has other names.
            except (self._smi.AmdSmiException, *_ODD) as error:
                absent[name] = str(error)
        return values, absent

    def _fields(self) -> Fields:
        s = self._smi
        spot, now = s.AmdSmiTemperatureType.HOTSPOT, s.AmdSmiTemperatureMetric.CURRENT
        return {
            "temperature": lambda h: float(s.amdsmi_get_temp_metric(h, spot, now)),
            "power": lambda h: float(s.amdsmi_get_power_info(h)["current_socket_power"]),
            "clock": lambda h: float(s.amdsmi_get_clock_info(h, s.AmdSmiClkType.GFX)["clk"]),
        }

    def _counter_fields(self) -> Fields:
        s = self._smi
        ecc, pcie = s.amdsmi_get_gpu_total_ecc_count, s.amdsmi_get_pcie_info
        return {
            "ecc_uncorrected": lambda h: int(ecc(h)["uncorrectable_count"]),
            "ecc_corrected": lambda h: int(ecc(h)["correctable_count"]),
            "pcie_replays": lambda h: int(pcie(h)["pcie_metric"]["pcie_replay_count"]),
        }
