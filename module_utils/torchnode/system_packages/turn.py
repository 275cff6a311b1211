"""One module at a time at work on the system: packages, their sources, kernel modules.

The node's lock is the controller's. A controller that was killed leaves its module at work on the
node, and the lock is then taken over at once; the next run's module has to wait here until the
first one has ended. apt's and dpkg's own locks are free between two steps of one module, and
update-initramfs and DKMS have none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Callable, Iterator, Optional, TextIO

from ..node import Node
from . import lock_wait

#: Gone after a boot, and root's own: only root changes packages.
PATH = "/run/torchnode/at-work"


@contextlib.contextmanager
def turn(
    node: Node, seconds: float, tell: Callable[[str], None], check: bool = False
) -> Iterator[None]:
    """Work alone while inside; ``check`` waits for nobody. The lock ends with its process, however
    that ends.

    Raises PackageError where another module is still at work after ``seconds``, and OSError.
    """
    if check:
        yield
        return
    path = node.path(PATH)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path, "a+", encoding="ascii") as stream:
        lock_wait.wait(lambda: _holder(stream), seconds, tell)
        stream.truncate(0)
        stream.write("%d\n" % os.getpid())
        stream.flush()
        yield


def _holder(stream: TextIO) -> Optional[lock_wait.Holder]:
    """Who is at work; None once the lock is ours."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        pid = stream.read().strip()
        return lock_wait.named(PATH, int(pid) if pid.isdigit() else None)
    return None
