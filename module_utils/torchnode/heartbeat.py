"""Progress on long work: lines now and then for what is still running, and how far it is.

Runs on the controller, beside Ansible's own output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import Counter
from typing import Callable, Dict, List, Optional, Tuple

from .progress_lines import News, Running, lines
from .progress_watch import Pipe

#: After this long a person wonders; and a line that often is no noise in a CI log.
INTERVAL_SECONDS = 20.0
_LOOKS = 8  # in an interval, so that a task is named soon after it has lasted one


class Heartbeat:
    """Writes the lines from a thread of its own until it is stopped."""

    def __init__(self, write: Optional[Callable[[str], None]] = None) -> None:
        self._interval = INTERVAL_SECONDS
        self._write = write or _to_terminal
        self._pipe: Optional[Pipe] = None
        self._running: Dict[Tuple[str, str], Running] = {}
        #: Only the thread writes this one, only Ansible's callbacks the other two: no lock, which a
        #: fork could copy while it is held.
        self._news: Dict[Tuple[str, str], Tuple[News, float]] = {}
        self._ended: Counter[str] = Counter()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self, interval: float = INTERVAL_SECONDS) -> None:
        """Begin to write, every ``interval`` seconds; never where it is 0.

        Before the first worker is forked: workers inherit the pipe.
        """
        if interval > 0:
            self._interval = interval
            self._pipe = Pipe(interval / 2)
            self._thread.start()

    def stop(self) -> None:
        """Write nothing more."""
        self._stopped.set()

    def began(self, node: str, task_id: str, task: str) -> None:
        """A task began on a node."""
        self._running[(node, task_id)] = Running(node, task_id, task, time.monotonic())

    def ended(self, node: str, task_id: str) -> None:
        """A task ended on a node."""
        if self._running.pop((node, task_id), None):
            self._ended[task_id] += 1

    def _beat(self) -> None:
        said: Dict[str, float] = {}
        while not self._stopped.wait(self._interval / _LOOKS):
            now = time.monotonic()
            self._hear(now)
            due = lines(self._now_running(), self._ended, said, now, self._interval)
            for task_id, told in sorted(due.items()):
                said[task_id] = now
                self._write("\n".join(told))

    def _hear(self, now: float) -> None:
        for node, task_id, news in self._pipe.news() if self._pipe else ():
            self._news[(node, task_id)] = (news, now)

    def _now_running(self) -> List[Running]:
        return [
            dataclasses.replace(one, news=news, heard=heard)
            for key, one in list(self._running.items())
            for news, heard in [self._news.get(key, (None, 0.0))]
        ]


def _to_terminal(line: str) -> None:
    # Not through Ansible's display: it takes a lock, and a worker that is forked while this thread
    # holds it would wait for it for ever.
    with contextlib.suppress(OSError):  # nobody listens any more: the run itself must go on
        os.write(1, (line + "\n").encode())
