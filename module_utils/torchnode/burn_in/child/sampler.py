"""The sampler: telemetry of all devices, once an interval, until the parent says stop.

A process of its own: a management library that hangs must not hang the burn or its parent.
"""

from __future__ import annotations

import os
import select
import sys
import traceback
from typing import Any, Callable

from . import amdsmi, nvml, protocol, sysfs
from .kernel_log import KernelLog

SOURCES: dict[str, Callable[[], Any]] = {
    "cpu": sysfs.Source,
    "cuda": nvml.Source,
    "rocm": amdsmi.Source,
}


def main() -> None:
    """Entry point of the child process."""
    config = protocol.read_config()
    channel = protocol.Channel(config["descriptor"])
    log = KernelLog()
    channel.send("kernel_log", lines=[], absent=log.absent)
    try:
        source = SOURCES[config["backend"]]()
        channel.send("inventory", **source.inventory())
    except Exception as error:
        traceback.print_exc()
        channel.send("fatal", kind="telemetry", detail="%s: %s" % (type(error).__name__, error))
        _log_alone(config, channel, log)
        sys.exit(0)
    running: dict[str, Any] = {}
    while True:
        stop = _told_to_stop(config["interval"])
        running = _processes(channel, source, running)
        _tell(channel, log)
        if stop:
            break
        channel.send("telemetry", devices=source.sample())
    channel.send("final", counters=source.counters())


def _log_alone(config: dict[str, Any], channel: protocol.Channel, log: KernelLog) -> None:
    """Where nothing can be sampled, the kernel's log still tells."""
    while not _told_to_stop(config["interval"]):
        _tell(channel, log)
    _tell(channel, log)


def _tell(channel: protocol.Channel, log: KernelLog) -> None:
    lines = log.lines()
    if lines:
        channel.send("kernel_log", lines=lines, absent="")


def _processes(channel: protocol.Channel, source: Any, before: dict[str, Any]) -> dict[str, Any]:
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
