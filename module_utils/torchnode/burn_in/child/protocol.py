"""The child's side of the conversation: configuration in, JSON lines out, death with the parent."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)

#: Exit status of a child whose parent went away: EX_TEMPFAIL of sysexits.h.
EXIT_ORPHANED = 75


class Channel:
    """JSON lines to the parent over an own descriptor, so that prints cannot garble them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, event: str, **fields: Any) -> None:
        """One event. Raises OSError when the parent no longer reads."""
        self.write(json.dumps({"event": event, **fields}).encode("ascii") + b"\n")

    def write(self, data: bytes) -> None:
        """Raw bytes, all of them."""
        while data:
            data = data[os.write(self._descriptor, data) :]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit now if it already has."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_ORPHANED)


def read_config() -> dict[str, Any]:
    """The configuration line. Ends the process when the parent is gone."""
    config: dict[str, Any] = json.loads(_line_or_exit())
    die_with_parent(config["parent"])
    return config


def wait_for_go() -> None:
    """Block until the parent says go, then watch for the parent's end in the background."""
    _line_or_exit()
    threading.Thread(target=_exit_on_eof, daemon=True).start()


def _line_or_exit() -> bytes:
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(EXIT_ORPHANED)
    return line


def _exit_on_eof() -> None:
    while os.read(0, 4096):
        pass
    os._exit(EXIT_ORPHANED)
