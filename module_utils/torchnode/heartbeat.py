"""Progress on long work: one line now and then for what is still running, on which nodes.

Runs on the controller, beside Ansible's own output.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Callable, Dict, List, Optional, Tuple

#: After this long a person wonders; and a line that often is no noise in a CI log.
INTERVAL_SECONDS = 20.0
_LOOKS = 8  # in an interval, so that a task is named soon after it has lasted one
_NODES_NAMED = 4


def lines(
    running: Dict[Tuple[str, str], Tuple[str, float]], now: float, before: float, interval: float
) -> List[str]:
    """A line for each task that has lasted another whole interval since the look ``before``.

    ``running`` maps (node, task id) to (task name, when it began); times are in seconds.
    """
    nodes: Dict[str, List[Tuple[str, float]]] = {}
    for (node, _), (task, began) in running.items():
        if (now - began) // interval > max(before - began, 0.0) // interval:
            nodes.setdefault(task, []).append((node, now - began))
    return [_line(task, waiting) for task, waiting in sorted(nodes.items())]


def _line(task: str, waiting: List[Tuple[str, float]]) -> str:
    names = [node for node, _ in sorted(waiting)]
    more = len(names) - _NODES_NAMED
    where = ", ".join(names[:_NODES_NAMED]) + (" and %d more" % more if more > 0 else "")
    longest = max(seconds for _, seconds in waiting)
    return "... %s: %.0f s so far on %s" % (task, longest, where)


class Heartbeat:
    """Writes the lines from a thread of its own until it is stopped."""

    def __init__(
        self, interval: float = INTERVAL_SECONDS, write: Optional[Callable[[str], None]] = None
    ) -> None:
        self._interval = interval
        self._write = write or _to_terminal
        self._running: Dict[Tuple[str, str], Tuple[str, float]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more."""
        self._stopped.set()

    def began(self, node: str, task_id: str, task: str) -> None:
        """A task began on a node."""
        self._running[(node, task_id)] = (task, time.monotonic())

    def ended(self, node: str, task_id: str) -> None:
        """A task ended on a node."""
        self._running.pop((node, task_id), None)

    def _beat(self) -> None:
        before = time.monotonic()
        while not self._stopped.wait(self._interval / _LOOKS):
            now = time.monotonic()
            for line in lines(dict(self._running), now, before, self._interval):
                self._write(line)
            before = now


def _to_terminal(line: str) -> None:
    # Not through Ansible's display: it takes a lock, and a worker that is forked while this thread
    # holds it would wait for it for ever.
    with contextlib.suppress(OSError):  # nobody listens any more: the run itself must go on
        os.write(1, (line + "\n").encode())
