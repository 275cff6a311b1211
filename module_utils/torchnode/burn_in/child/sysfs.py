"""CPU telemetry from sysfs: temperature and clock where the kernel shows them."""

from __future__ import annotations

import glob
import os
from typing import Any, Optional

KEY = "cpu"

#: Thermal zone types that mean the CPU package or its cores.
CPU_ZONES = ("x86_pkg_temp", "cpu", "coretemp", "k10temp", "soc")


class Source:
    """One device, 'cpu'."""

    def __init__(self, root: str = "/sys") -> None:
        self._root = root

    def inventory(self) -> dict[str, Any]:
        """What can be read here, and why the rest cannot."""
        absent = {
            "power": "the kernel's energy counters are not read",
            "reasons": "CPUs do not report why a clock was lowered",
        }
        values = self.sample()[KEY]
        for field, where in (
            ("temperature", "no CPU zone under /sys/class/thermal"),
            ("clock", "no cpufreq under /sys/devices/system/cpu"),
        ):
            if field not in values:
                absent[field] = where
        reason = {"all": "a CPU has no such counters here"}
        return {
            "driver": None,
            "devices": {KEY: {"absent": absent, "counters": {}, "counters_absent": reason}},
        }

    def sample(self) -> dict[str, dict[str, float]]:
        """{'cpu': {'temperature': degrees C, 'clock': MHz}}, the fields that there are."""
        values = {}
        temperatures = [t for t in map(self._zone, self._glob("class/thermal/thermal_zone*")) if t]
        if temperatures:
            values["temperature"] = max(temperatures)
        pattern = "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
        clocks = [c for c in (_number(path) for path in self._glob(pattern)) if c]
        if clocks:
            values["clock"] = sum(clocks) / len(clocks) / 1000.0
        return {KEY: values}

    def counters(self) -> dict[str, dict[str, int]]:
        return {KEY: {}}

    def processes(self) -> dict[str, list[list[Any]]]:
        """Nobody is told: a CPU is everybody's."""
        return {}

    def _glob(self, pattern: str) -> list[str]:
        return sorted(glob.glob(os.path.join(self._root, pattern)))

    def _zone(self, folder: str) -> Optional[float]:
        try:
            with open(os.path.join(folder, "type"), encoding="ascii") as file:
                kind = file.read().strip().lower()
        except OSError:
            return None
        value = _number(os.path.join(folder, "temp"))
        known = any(kind.startswith(name) for name in CPU_ZONES)
        return value / 1000.0 if known and value is not None else None


def _number(path: str) -> Optional[float]:
    try:
        with open(path, encoding="ascii") as file:
            return float(file.read())
    except (OSError, ValueError):
        return None
