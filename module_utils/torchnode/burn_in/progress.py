"""What a burn-in says of itself while it runs."""

from __future__ import annotations

import os
import time
from typing import Any

from ..progress_file import ProgressFile
from .levels import STAGES, TOGETHER
from .plan import Plan
from .records import Burn, DeviceRun
from .telemetry import samples_of


def check(path: str | None) -> None:
    """Raises ValueError where a progress file cannot be made at ``path``."""
    folder = os.path.dirname(path) if path else None
    if folder and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise ValueError("progress: found %r, expected a file in a writable folder" % path)


class Progress:
    """Keeps the plan's progress file, if it has one, until the end."""

    def __init__(self, plan: Plan) -> None:
        self._file = ProgressFile(plan.progress)
        self._seconds = plan.limits.burn + plan.links_seconds
        self._file.remove()  # of a killed run

    def write(self, burn: Burn, go: float | None) -> None:
        """Say how far the burn is that began at ``go``, None before; once a second at most."""
        if self._file.due():
            elapsed = 0.0 if go is None else time.monotonic() - go
            self._file.write(snapshot(burn, elapsed, self._seconds, go is not None))

    def end(self) -> None:
        """Nothing burns any more: no file says otherwise."""
        self._file.remove()


def snapshot(burn: Burn, elapsed: float, seconds: float, burning: bool) -> dict[str, Any]:
    """What the file says: stage, percent, per device rate, work and errors, worst temperature.

    ``text`` says it in words; a node of lower ``rank`` is further behind.
    """
    devices = [_device(burn, run) for run in burn.devices]
    temperatures = [d["temperature"] for d in devices if d["temperature"] is not None]
    state: dict[str, Any] = {
        "stage": _stage(burn, burning),
        "percent": min(99, int(100 * elapsed / seconds)),
        "elapsed": round(elapsed, 1),
        "seconds": seconds,
        "errors": sum(run.told for run in [*burn.devices, burn.links]),
        "worst_temperature": max(temperatures) if temperatures else None,
        "devices": devices,
    }
    return {**state, "text": text(state), "rank": state["percent"] / 100}


def text(state: dict[str, Any]) -> str:
    """'burning in, compute, 43 % of 60 s, 612 TFLOP/s at least, at most 71 C, no errors'."""
    if state["stage"] == "start":
        return "burning in, waiting for every device to be ready"
    parts = ["burning in, %s" % state["stage"]]
    parts.append("%d %% of %g s" % (state["percent"], state["seconds"]))
    rates = [d["tflops"] for d in state["devices"] if d["tflops"] is not None]
    if rates:
        parts.append(_rate(min(rates)) + (" at least" if len(state["devices"]) > 1 else ""))
    if state["worst_temperature"] is not None:
        parts.append("at most %.0f C" % state["worst_temperature"])
    ended = sum(d["ended"] for d in state["devices"]) if state["stage"] != TOGETHER else 0
    parts += ["%d of %d devices have ended" % (ended, len(state["devices"]))] if ended else []
    return ", ".join([*parts, _errors(state["errors"])])


def _errors(count: int) -> str:
    return "%d ERRORS" % count if count > 1 else "1 ERROR" if count else "no errors"


def _rate(tflops: float) -> str:
    return "%.0f TFLOP/s" % tflops if tflops >= 1 else "%.0f GFLOP/s" % (1000 * tflops)


def _stage(burn: Burn, burning: bool) -> str:
    """The stage of the device that is furthest behind."""
    if not burning:
        return "start"
    running = [run for run in burn.devices if not run.ending]
    if not running:
        return TOGETHER
    named = {str(run.spans[-1][0]) for run in running if run.spans}
    return next((stage for stage in STAGES if stage in named), "start")


def _device(burn: Burn, run: DeviceRun) -> dict[str, Any]:
    samples = samples_of(burn, run)
    return {
        "name": run.name,
        "stage": run.ending.kind if run.ending else _own_stage(run),
        "ended": run.ending is not None,
        "tflops": round(run.samples[-1]["tflops"], 4) if run.samples else None,
        "products": run.progress.get("products"),
        "bytes": run.progress.get("bytes"),
        "errors": run.told + burn.links.found_on(run.name),
        "temperature": samples[-1].get("temperature") if samples else None,
    }


def _own_stage(run: DeviceRun) -> str:
    return str(run.spans[-1][0]) if run.spans else "start"
