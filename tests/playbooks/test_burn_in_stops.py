"""A burn-in that is stopped: nothing burns on, and the node does not say READY."""

from __future__ import annotations

import os
import signal
import time

import pytest
from harness import Fleet

#: A burn-in's workers end within this many seconds of the stop.
SECONDS = 10.0


def burning(fleet: Fleet) -> list[int]:
    """Stand-ins for workers that this fleet's runs started and that still run."""
    found = []
    for pid in fleet.seen:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found += [pid] if b"sleep\x00597" in file.read() else []
        except OSError:
            continue
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_burn_in_stops_its_workers_and_is_told(fleet: Fleet, sent: signal.Signals):
    """Ctrl-C, a CI system's end, and a controller that is killed."""
    fleet.add("a", torchnode_python=fleet.python("worker", worker="exec sleep 597"))
    run = fleet.start("site.yml", "--tags", "burn_in")
    fleet.until(lambda: bool(burning(fleet)), run)
    began = time.monotonic()
    if sent is signal.SIGTERM:
        run.terminate()
    else:
        os.killpg(run.pid, sent)
    while burning(fleet):
        assert time.monotonic() - began < SECONDS, "workers burn on"
        time.sleep(0.1)
    ended = fleet.wait(run)
    assert ended.status != 0
    assert ended.verdicts == {"a": "UNKNOWN"}
    assert fleet.fact("a")["verdict"] == "UNKNOWN"
