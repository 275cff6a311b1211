"""A killed controller ends its workers' long tasks, so that no node burns on for nobody.

Ansible's forked workers have sessions of their own: a SIGKILL of the controller does not reach
them, and each would wait for its module to the end. Here the worker sees that its parent has gone
and ends its own group: the module of a local connection, or the ssh client, whose end the node's
module sees as a lost connection.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Optional, Type

SECONDS = 1.0  # between two looks


class EndWithParent:
    """While the context lasts, end this process and its group when its parent has gone."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], _: object
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        while not self._over.wait(SECONDS):
            if os.getppid() != self._parent:
                self._end()

    def _end(self) -> None:
        if os.getpgrp() == os.getpid():  # else the group is somebody else's too
            os.killpg(0, signal.SIGTERM)
        os._exit(1)
