"""A node's progress file: what a long module has done so far, for whoever looks while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any, Mapping, Optional

#: Its name under the prefix. The node's lock is held meanwhile, so that one run at a time writes.
NAME = "progress.json"
EVERY = 1.0  # seconds


class ProgressFile:
    """Rewritten atomically, so that a reader never sees half of it; removed at the end.

    A full disk ends the file, never the work. Without a path nothing is written.
    """

    def __init__(self, path: Optional[str]) -> None:
        self._path = path or None
        self._temporary = "%s.%d" % (path, os.getpid())
        self._written: Optional[float] = None

    def due(self) -> bool:
        """Whether the next write would reach the file: at most one does in a second."""
        now = time.monotonic()
        return bool(self._path) and (self._written is None or now - self._written >= EVERY)

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace what the file says."""
        if not self._path:
            return
        self._written = time.monotonic()
        try:
            with open(self._temporary, "w", encoding="ascii") as file:
                json.dump(state, file)
            os.chmod(self._temporary, 0o644)  # the login user looks, root may have written
            os.replace(self._temporary, self._path)
        except OSError:
            self.remove()
            self._path = None

    def remove(self) -> None:
        """Remove the file; no error where it is gone."""
        for path in (self._path, self._temporary) if self._path else ():
            with contextlib.suppress(OSError):
                os.remove(path)
