"""The sampler: telemetry of all devices, once an interval, until the parent says stop.

A process of its own: a management library that hangs must not hang the burn or its parent. The
library has a thread of its own in it, so that a hang leaves the kernel's log to be read.
"""

from __future__ import annotations

import os
import select
import threading
import traceback
from typing import Any, Callable

from . import amdsmi, nvml, protocol, sampler_faults, sysfs
from .kernel_log import KernelLog

SOURCES: dict[str, Callable[[], Any]] = {
    "cpu": sysfs.Source,
    "cuda": nvml.Source,
    "rocm": amdsmi.Source,
}


class Shared(protocol.Channel):
    """A channel for several threads: an event is written whole before the next one."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock:
            super().write(data)


def main() -> None:
    """Entry point of the child process."""
    config = protocol.read_config()
    channel = Shared(config["descriptor"])
    stop, log = threading.Event(), _log(config)
    channel.send("kernel_log", lines=[], absent=log.absent, whole=False)
    devices = threading.Thread(target=_devices, args=(config, channel, stop), daemon=True)
    devices.start()
    while not _told_to_stop(config["interval"]):
        _tell(channel, log)
    # Before the last counters, after which the parent does not listen any more.
    channel.send("kernel_log", lines=log.lines(), absent="", whole=True)
    stop.set()
    devices.join()  # if the library hangs, the parent ends this process


def _log(config: dict[str, Any]) -> Any:
    struck = sampler_faults.of(config["devices"])
    return sampler_faults.Log(KernelLog(), struck) if struck else KernelLog()


def _source(config: dict[str, Any]) -> Any:
    source, struck = SOURCES[config["backend"]](), sampler_faults.of(config["devices"])
    return sampler_faults.Source(source, struck) if struck else source


def _devices(config: dict[str, Any], channel: Shared, stop: threading.Event) -> None:
    """Everything that asks the devices; what ends it is told to the parent."""
    try:
        _sample(_source(config), config["interval"], channel, stop)
    except Exception as error:
        traceback.print_exc()
        kind = "library" if isinstance(error, ImportError) else "telemetry"
        channel.send("fatal", kind=kind, detail="%s: %s" % (type(error).__name__, error))


def _sample(source: Any, interval: float, channel: Shared, stop: threading.Event) -> None:
    channel.send("inventory", **source.inventory())
    running: dict[str, Any] = {}
    while not stop.is_set():
        running = _processes(channel, source, running)
        channel.send("telemetry", devices=source.sample())
        stop.wait(interval)
    _processes(channel, source, running)
    channel.send("final", counters=source.counters())


def _tell(channel: Shared, log: Any) -> None:
    lines = log.lines()
    if lines:
        channel.send("kernel_log", lines=lines, absent="", whole=False)


def _processes(channel: Shared, source: Any, before: dict[str, Any]) -> dict[str, Any]:
    """Tell who computes on the devices whenever that has changed."""
    running: dict[str, Any] = source.processes()
    who = {key: sorted(pid for pid, _ in listed) for key, listed in running.items()}
    if who != before:
        named = {
            key: [[pid, nvml.name_of(pid), used] for pid, used in listed]
            for key, listed in running.items()
        }
        channel.send("processes", devices=named)
    return who


def _told_to_stop(interval: float) -> bool:
    ready, _, _ = select.select([0], [], [], interval)
    if not ready:
        return False
    if not os.read(0, 4096):
        os._exit(protocol.EXIT_ORPHANED)
    return True
