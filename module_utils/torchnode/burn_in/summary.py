"""What a burn-in leaves in the module's result and in the node's record."""

from __future__ import annotations

import bisect
import math
from datetime import datetime, timezone
from typing import Any, Sequence

from .records import Burn, DeviceRun
from .telemetry import samples_of

#: Samples in all devices' records together: about 40 bytes each, so below 64 KB.
MAX_SAMPLES = 1600
COLUMNS = ("t", "tflops", "temperature", "power", "clock")
NEAR = 2.0  # seconds between a rate and the telemetry that is shown beside it


def summary(burn: Burn) -> dict[str, Any]:
    """The ``burn_in`` key: when, how long, and per device samples and totals."""
    most = max(8, MAX_SAMPLES // max(1, len(burn.devices)))
    versions = sorted({run.torch for run in burn.devices if run.torch})
    at = datetime.fromtimestamp(burn.started, timezone.utc)
    return {
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": burn.seconds,
        "backend": burn.backend,
        "level": burn.level,
        "stages": list(burn.stages),
        "memory_fraction": burn.memory_fraction,
        "interrupted": burn.interrupted,
        "injected": burn.injected,
        "torch": versions[0] if versions else None,
        "driver": burn.telemetry.driver,
        "columns": list(COLUMNS),
        "links": _links(burn),
        "devices": [_device(burn, run, most) for run in burn.devices],
    }


def thin(rows: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of the rows, evenly spread, the last one always among them."""
    if len(rows) <= most:
        return list(rows)
    step = len(rows) / most
    return [rows[min(len(rows) - 1, int((i + 1) * step) - 1)] for i in range(most)]


def _device(burn: Burn, run: DeviceRun, most: int) -> dict[str, Any]:
    telemetry = samples_of(burn, run)
    return {
        "name": run.name,
        "model": run.model,
        "uuid": run.uuid,
        "ending": run.ending.kind if run.ending else None,
        "samples": _rows(run.samples, telemetry, most),
        "spans": run.spans,
        "totals": {**_totals(run), "errors": run.told + burn.links.found_on(run.name)},
        "units": run.ready.get("units"),
        "work": run.jobs(),
        "memory": _last(run, "memory"),
        "bandwidth": _last(run, "bandwidth"),
        "pulse": _last(run, "pulse"),
    }


def _last(run: DeviceRun, stage: str) -> dict[str, Any]:
    """The stage's result of the last round, {} where there is none."""
    result = run.of(stage)[-1:]
    return {k: v for k, v in result[0].items() if k not in ("name", "errors")} if result else {}


def _links(burn: Burn) -> dict[str, Any] | None:
    """What the devices did together, by check; None where nothing was."""
    kept = [{k: v for k, v in result.items() if k != "errors"} for result in burn.links.results]
    return {result.pop("name"): result for result in kept} or None


def _totals(run: DeviceRun) -> dict[str, Any]:
    jobs = [*run.jobs(), *(result["job"] for result in run.of("pulse"))]
    checked = sum(result["checked"] for result in run.of("memory"))
    return {
        "products_checked": sum(j["products"] for j in jobs) or run.progress.get("products") or 0,
        "bytes_checked": sum(j["bytes"] for j in jobs) + checked,
    }


def _rows(
    rates: list[dict[str, float]], telemetry: list[dict[str, float]], most: int
) -> list[list[float | None]]:
    """Rates, and telemetry beside them and between: other stages than the heat have no rate."""
    taken = {int(sample["t"]) for sample in rates}
    between = [{"t": seen["t"]} for seen in telemetry if int(seen["t"]) not in taken]
    rows = sorted([*rates, *between], key=lambda sample: sample["t"])
    times = [seen["t"] for seen in telemetry]
    return [_row(sample, telemetry, times) for sample in thin(rows, most)]


def _row(
    sample: dict[str, float], telemetry: list[dict[str, float]], times: list[float]
) -> list[float | None]:
    after = bisect.bisect(times, sample["t"])
    around = telemetry[max(0, after - 1) : after + 1]
    nearest = min(around, key=lambda other: abs(other["t"] - sample["t"]), default={})
    if not nearest or abs(nearest["t"] - sample["t"]) > NEAR:
        nearest = {}
    rate = sample.get("tflops", math.nan)
    values = [sample["t"], round(rate, 4) if math.isfinite(rate) else None]
    return values + [_rounded(nearest.get(name)) for name in COLUMNS[2:]]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 1)
