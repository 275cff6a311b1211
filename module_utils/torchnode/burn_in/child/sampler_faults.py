"""Test-only faults of what the sampler sees, and of the sampler itself; faults.py lists them."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from .device import bare_uuid, short_bus

LINE = "NVRM: Xid (PCI:%s): 79, GPU has fallen off the bus. (made on purpose)"
HARDWARE_THERMAL = 0x40  # NVML's bit among the reasons for a lower clock


def of(devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The struck one of the devices, each with its fault or '' in 'inject'; {} where none is."""
    return next((device for device in devices if device["inject"]), {})


class Log:
    """The kernel's log, readable or not, in which an Xid of the struck device is written once."""

    absent = ""

    def __init__(self, log: Any, struck: dict[str, Any]) -> None:
        self._log = log
        bus = struck["bus"] or "0000:00:00"  # a CPU's
        self._unread = [LINE % bus] if struck["inject"] == "xid" else []

    def lines(self) -> list[str]:
        """What the real one says, and once the line."""
        line, self._unread = self._unread, []
        return [*self._log.lines(), *line]


class Source:
    """A source of telemetry where the struck device, or the process that reads it, has a fault."""

    def __init__(self, source: Any, struck: dict[str, Any]) -> None:
        self._source, self._struck, self._fault = source, struck, struck["inject"]
        self._key, self._samples = "", 0

    def inventory(self) -> dict[str, Any]:
        """As it is, if the library answers."""
        while self._fault == "library-hang":
            time.sleep(1)
        told: dict[str, Any] = self._source.inventory()
        uuid, bus = bare_uuid(self._struck["uuid"] or ""), short_bus(self._struck["bus"] or "")
        same = [key for key, seen in told["devices"].items() if bus and seen.get("bus") == bus]
        self._key = uuid if uuid in told["devices"] else "".join(same[:1])
        return told

    def sample(self) -> dict[str, Any]:
        """As it is, with the slowdown where the device tells of any; or the end of the sampler."""
        self._samples += 1
        if self._samples > 1 and self._fault in ("sampler-kill", "sampler-hang"):
            how = signal.SIGKILL if self._fault == "sampler-kill" else signal.SIGSTOP
            os.kill(os.getpid(), how)
        found: dict[str, Any] = self._source.sample()
        seen = found.get(self._key, {})
        if self._fault == "thermal" and "reasons" in seen:
            seen["reasons"] = int(seen["reasons"]) | HARDWARE_THERMAL
        return found

    def counters(self) -> dict[str, Any]:
        """As they are, which is at the end, with an error more where the device counts them."""
        found: dict[str, Any] = self._source.counters()
        seen = found.get(self._key, {})
        if self._fault == "ecc" and "ecc_uncorrected" in seen:
            seen["ecc_uncorrected"] += 1
        return found

    def processes(self) -> dict[str, Any]:
        """As they are."""
        found: dict[str, Any] = self._source.processes()
        return found
