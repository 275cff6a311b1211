"""Being told to stop, by a signal or because nobody waits for the result any more."""

from __future__ import annotations

import contextlib
import select
import signal
from typing import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HUNG_UP = select.POLLERR | select.POLLHUP | select.POLLNVAL
LOST = "the connection to the controller was lost"


class StopSignals(contextlib.AbstractContextManager["StopSignals"]):
    """While inside, a signal that would end us calls ``stop`` instead; ignored ones stay so."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop

    def __enter__(self) -> StopSignals:
        self._before = {
            number: signal.signal(number, self._handle)
            for number in STOP_SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        for later in self._before:
            signal.signal(later, signal.SIG_IGN)  # a second one must not cut the cleaning up short
        self._stop("signal %s" % signal.Signals(number).name)


def nobody_listens() -> bool:
    """Whether whoever reads our output is gone: over SSH that is all that Ctrl-C sends."""
    poll = select.poll()
    poll.register(1, 0)  # only errors and hang-ups
    return any(mask & HUNG_UP for _, mask in poll.poll(0))
