"""The sampler: telemetry of all devices, once an interval, until the parent says stop.

A process of its own: a management library that hangs must not hang the burn or its parent.
"""

from __future__ import annotations

import os
import select
import sys
import traceback
from typing import Any, Callable

from . import nvml, protocol, sysfs

SOURCES: dict[str, Callable[[], Any]] = {"cpu": sysfs.Source, "cuda": nvml.Source}


def main() -> None:
    """Entry point of the child process."""
    config = protocol.read_config()
    channel = protocol.Channel(config["descriptor"])
    try:
        source = SOURCES[config["backend"]]()
        channel.send("inventory", **source.inventory())
    except Exception as error:
        traceback.print_exc()
        channel.send("fatal", kind="telemetry", detail="%s: %s" % (type(error).__name__, error))
        sys.exit(0)
    while not _told_to_stop(config["interval"]):
        channel.send("telemetry", devices=source.sample())
    channel.send("final", counters=source.counters())


def _told_to_stop(interval: float) -> bool:
    ready, _, _ = select.select([0], [], [], interval)
    if not ready:
        return False
    if not os.read(0, 4096):
        os._exit(protocol.EXIT_ORPHANED)
    return True
