"""Waits for the locks of apt, dpkg, dnf and rpm, and says who holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from typing import Callable, Optional, Sequence, Tuple

from .failures import PackageError, locked

EVERY_SECONDS = 2.0
#: struct flock on Linux, 64 bit: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"

Holder = Tuple[str, Optional[int], str]  # (path, pid, the program's name)


def holder(record_locks: Sequence[str], pid_files: Sequence[str] = ()) -> Optional[Holder]:
    """Who holds one of the locks, None where nobody does. The file system is only read."""
    for path in record_locks:
        pid = _locked_by(path)
        if pid is not None:
            return named(path, pid or None)
    for path in pid_files:
        pid = _pid_in(path)
        if pid is not None and os.path.exists("/proc/%d" % pid):
            return named(path, pid)
    return None


def named(path: str, pid: Optional[int]) -> Holder:
    """The holder with its program's name, '' where that cannot be seen."""
    return path, pid, _name(pid) if pid else ""


def _locked_by(path: str) -> Optional[int]:
    """The pid that holds a record lock; 0 for one in another pid namespace; None for nobody."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else max(int(pid), 0)
    except OSError:
        return None  # a file system without locks has none to wait for
    finally:
        os.close(descriptor)


def _pid_in(path: str) -> Optional[int]:
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as stream:
        return int(stream.read().strip())
    return None


def _name(pid: int) -> str:
    path = "/proc/%d/comm" % pid
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read().strip()
    return ""


def wait(look: Callable[[], Optional[Holder]], seconds: float, tell: Callable[[str], None]) -> None:
    """Wait until ``look`` finds nobody. Raises PackageError after ``seconds``."""
    began = time.monotonic()
    found = look()
    while found is not None:
        waited = time.monotonic() - began
        if waited >= seconds:
            raise PackageError(locked(found[1], found[2], found[0], waited))
        who = "pid %d (%s)" % (found[1], found[2]) if found[1] else "another program"
        tell("waiting for the package manager's lock, held by %s" % who)
        time.sleep(min(EVERY_SECONDS, max(seconds - waited, 0.05)))
        found = look()
