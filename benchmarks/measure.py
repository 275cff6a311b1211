"""Running a command and knowing what it cost this machine: wall time, CPU and memory."""

from __future__ import annotations

import ctypes
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Cost:
    """``wall`` and ``cpu`` in seconds; ``cpu`` counts the command and all that it started here."""

    wall: float
    cpu: float
    out: str = ""


class Failed(Exception):
    """A command of the benchmark failed: its figures would mean nothing."""


def adopt_orphans() -> None:
    """Become the parent of what outlives its own: OpenSSH's masters, whose CPU counts as well."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cost(argv: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Cost:
    """Run ``argv`` to its end. Raises Failed with its last lines when it exits other than 0."""
    began, before = time.monotonic(), _children_cpu()
    done = subprocess.run(
        list(argv), env=dict(environment), cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    _end_orphans()
    return Cost(wall, _children_cpu() - before, done.stdout)


def median(ways: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Each way once in every round, so that the machine's other work meets all of them alike."""
    seen: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seen[name].append(way())
    return {
        name: Cost(
            statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs)
        )
        for name, costs in seen.items()
    }


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _end_orphans() -> None:
    """End the ssh masters that were adopted, so that their CPU counts with the run that left them.

    Nothing else: the process that watches over a container is adopted, too.
    """
    masters = [int(entry.name) for entry in Path("/proc").iterdir() if _is_own_ssh(entry)]
    for pid in masters:
        os.kill(pid, signal.SIGTERM)
    for pid in masters:
        os.waitpid(pid, 0)


def _is_own_ssh(entry: Path) -> bool:
    try:
        name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return False
    return name == "ssh" and int(rest.split()[1]) == os.getpid()
