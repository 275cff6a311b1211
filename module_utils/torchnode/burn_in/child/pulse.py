"""The pulsed load: full power and idle by turns, every bit of every product checked.

The swing is what breaks weak power supplies and regulators: the mean load does not show it.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable

from . import products
from .compute import Compute

Tell = Callable[[list[dict[str, Any]]], None]

#: Seconds of load and of rest, taken in turn: from the swing of a training step to shorter ones.
PERIODS = ((0.5, 0.5), (0.1, 0.1), (0.2, 0.05))


class Pulse:
    """The pulse stage; it borrows the heat from the compute stage."""

    def __init__(self, compute: Compute, device: Any, injector: Any) -> None:
        self._compute, self._device, self._injector = compute, device, injector

    def run(self, turn: Any) -> dict[str, Any]:
        """{'job': summary, 'swings': number, 'load_seconds': of load}."""
        mill, job, findings = self._compute.heat_job()
        tell = _as_pulse(turn.tell)
        tell(findings)
        self._injector.pulsed()
        swings, load = 0, 0.0
        for busy, rest in itertools.cycle(PERIODS):
            if swings >= len(PERIODS) and turn.over():
                break  # each of them once, however short the time
            began = time.monotonic()
            mill.burn(job, _until(began + busy), tell)
            self._device.synchronize()
            load += time.monotonic() - began
            time.sleep(rest)
            swings += 1
            turn.beat(products=job.products)
        # Under a clock that swings, batches with the check and without it cannot be compared.
        tally = {**products.summary(job), "check_cost": None}
        result = {"job": tally, "swings": swings, "load_seconds": round(load, 3)}
        del mill, job
        self._device.release()
        return result


def _as_pulse(tell: Tell) -> Tell:
    """Findings under this stage's name."""
    return lambda found: tell([{**one, "stage": "pulse"} for one in found])


def _until(end: float) -> Callable[[], bool]:
    return lambda: time.monotonic() < end
