"""The progress file: rewritten atomically, so that a reader never sees half of it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .plan import Plan
from .records import Burn, DeviceRun
from .telemetry import samples_of

EVERY = 1.0  # seconds


def check(path: str | None) -> None:
    """Raises ValueError where a progress file cannot be made at ``path``."""
    folder = os.path.dirname(path) if path else None
    if folder and not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise ValueError("progress: found %r, expected a file in a writable folder" % path)


class Progress:
    """Writes the plan's progress file, if it has one. A full disk ends the file, not the burn."""

    def __init__(self, plan: Plan) -> None:
        self._path, self._limits = plan.progress, plan.limits
        self._written = 0.0

    def write(self, burn: Burn, go: float | None, final: bool = False) -> None:
        now = time.monotonic()
        if not self._path or (not final and now - self._written < EVERY):
            return
        self._written = now
        elapsed = 0.0 if go is None else now - go
        state = snapshot(burn, elapsed, self._limits.burn, go is not None, final)
        temporary = "%s.%d" % (self._path, os.getpid())
        try:
            with open(temporary, "w", encoding="ascii") as file:
                json.dump(state, file)
            os.replace(temporary, self._path)
        except OSError:
            self._path = None


def snapshot(
    burn: Burn, elapsed: float, seconds: float, burning: bool, final: bool
) -> dict[str, Any]:
    """What the file says: stage, percent, per device rate, work and errors, worst temperature."""
    devices = [_device(burn, run) for run in burn.devices]
    temperatures = [d["temperature"] for d in devices if d["temperature"] is not None]
    return {
        "stage": _stage(burn, burning, final),
        "percent": 100 if final else min(99, int(100 * elapsed / seconds)),
        "elapsed": round(elapsed, 1),
        "seconds": seconds,
        "errors": sum(d["errors"] for d in devices),
        "worst_temperature": max(temperatures) if temperatures else None,
        "devices": devices,
    }


def _stage(burn: Burn, burning: bool, final: bool) -> str:
    if burn.interrupted:
        return "interrupted"
    if final:
        return "done"
    if not burning:
        return "start"
    stages = {run.progress.get("stage", "compute") for run in burn.devices if not run.ending}
    return "compute" if "compute" in stages or not stages else min(stages)


def _device(burn: Burn, run: DeviceRun) -> dict[str, Any]:
    samples = samples_of(burn, run)
    return {
        "name": run.name,
        "stage": run.ending.kind if run.ending else run.progress.get("stage", "start"),
        "tflops": round(run.samples[-1]["tflops"], 4) if run.samples else None,
        "products": run.progress.get("products"),
        "bytes": run.progress.get("bytes"),
        "errors": run.told,
        "temperature": samples[-1].get("temperature") if samples else None,
    }
