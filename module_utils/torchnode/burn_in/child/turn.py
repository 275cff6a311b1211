"""What a stage gets to work with: its time, and the parent's ear."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator

MAX_DEFECTS = 16  # of one kind told one by one; the rest is counted
BEAT = 0.5  # seconds between two signs of life
PATIENCE = 1.8  # graces after the planned end, at which the last one has to stop


class Teller:
    """One worker's findings and signs of life, over all its stages."""

    def __init__(self, send: Callable[..., None]) -> None:
        self.send = send
        self.told = 0
        self.began = time.monotonic()
        self._told_of: dict[str, int] = {}
        self._beat = float("-inf")

    def elapsed(self) -> float:
        """Seconds since the start signal."""
        return time.monotonic() - self.began

    def tell(self, defects: list[dict[str, Any]]) -> None:
        """Findings, at once: the worker may die of the same fault a moment later."""
        for found in defects:
            self.told += 1
            # Each kind has room of its own: a flood of one must not hide what explains it, nor one
            # device's another's.
            kind = "%s %s %s" % (found.get("stage"), found.get("check"), found.get("device"))
            self._told_of[kind] = self._told_of.get(kind, 0) + 1
            if self._told_of[kind] <= MAX_DEFECTS:
                self.send("defect", **found)

    def beat(self, stage: str, **extra: Any) -> None:
        """A sign of life, at most twice a second."""
        now = self.elapsed()
        if now - self._beat >= BEAT:
            self._beat = now
            self.send("progress", stage=stage, t=round(now, 2), errors=self.told, **extra)


class Turn:
    """One stage's time. ``grace``: seconds more to finish what would prove nothing half done, but
    not beyond ``last``, seconds after the start signal.

    Of a turn that is over before it begins ``seconds`` is 0, and it has its grace all the same.
    """

    def __init__(
        self,
        teller: Teller,
        stage: str,
        seconds: float,
        grace: float,
        last: float = float("inf"),
    ) -> None:
        self._teller, self.stage, self.seconds = teller, stage, max(0.0, seconds)
        now = teller.elapsed()
        self._end = now + seconds
        self._last = min(now + self.seconds + grace, last)

    def left(self) -> float:
        """Seconds of this stage's time that are left; negative when it is over."""
        return self._end - self._teller.elapsed()

    def over(self) -> bool:
        """Whether the time is up."""
        return self.left() <= 0

    def grace_over(self) -> bool:
        """Whether even the time for finishing is up."""
        return self._teller.elapsed() >= self._last

    def tell(self, defects: list[dict[str, Any]]) -> None:
        """Findings; see Teller.tell."""
        self._teller.tell(defects)

    def beat(self, **extra: Any) -> None:
        """A sign of life of this stage; see Teller.beat."""
        self._teller.beat(self.stage, **extra)

    def sample(self, tflops: float) -> None:
        """The sustained rate since the last sample, checks included."""
        self._teller.send("sample", t=round(self._teller.elapsed(), 2), tflops=tflops)


def turns(teller: Teller, planned: list[list[Any]], grace: float) -> Iterator[tuple[int, Turn]]:
    """The round and turn of each planned [stage, round, seconds], to be taken one by one.

    None ends later than planned from the start signal on, whatever the ones before it took. So what
    one turn takes too much the next has less, and nothing adds up over the rounds of a day. Grace
    is each one's own, but all of it together ends before the parent's patience, twice the grace.
    """
    end = 0.0
    last = sum(seconds for _, _, seconds in planned) + PATIENCE * grace
    for stage, number, seconds in planned:
        end += seconds
        yield number, Turn(teller, stage, min(seconds, end - teller.elapsed()), grace, last)
