"""Throughput judged: against the device's own start, its neighbours and the part's peak. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Sequence

from ..data.parts_ceilings import ceiling
from ..outcome import Outcome, Result
from .judging import not_chosen
from .records import Burn, DeviceRun
from .telemetry import DEFECT_REASONS, POWER_CAP, SOFTWARE_THERMAL, masks, samples_of

STAGE = "burn_in"


@dataclass(frozen=True)
class Limits:
    """When a rate is too low. Shares of the rate that it is compared with.

    ``drop``: the last third of the samples against the first, after ``warm_up`` seconds;
    ``drop_capped``: the same while only the power cap holds the clock. ``samples``: fewer are not
    judged for a drop. ``straggler`` and ``slow``: behind the neighbours' median, warn and fail.
    """

    warm_up: float
    samples: int
    drop: float
    drop_capped: float
    straggler: float = 0.05
    slow: float = 0.10


#: A CPU is shared with its operating system, so only a collapse of its rate means something.
LIMITS = {"cpu": Limits(1.0, 9, 0.5, 0.5)}
ACCELERATOR = Limits(2.0, 6, 0.15, 0.30)


def limits_of(backend: str) -> Limits:
    """The limits for a backend's devices."""
    return LIMITS.get(backend, ACCELERATOR)


@dataclass(frozen=True)
class _Remark:
    result: Result
    words: str


def throughput(burn: Burn, run: DeviceRun) -> Outcome:
    """One device's rate. No samples is incomplete; nothing to compare with is said."""
    identity = "burn_in.throughput." + run.name
    limits = limits_of(burn.backend)
    rate = seen_rate(run.samples, limits)
    if "compute" not in run.chosen:
        return not_chosen("throughput", run)
    if rate is None or not run.heat():
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="no rate" if rate is None else "%.4g TFLOP/s until the worker ended" % rate,
            expected="a steady rate over the whole burn-in",
            cause="The worker ended, or the time was too short, before a rate was known.",
            remedy="See burn_in.worker.%s; burn in again, longer if needed." % run.name,
        )
    capped = _only_power_cap(burn, run)
    remarks = [
        _drop(run, limits, capped),
        _neighbours(burn, run, limits),
        _peak(run, rate, capped),
    ]
    bad = [r for r in remarks if r.result in (Result.FAIL, Result.WARN)]
    observed = "%s; %s" % (_rate(run, rate), "; ".join(r.words for r in remarks))
    expected = "a steady rate, like its neighbours', in its part's range"
    if all(r.result is Result.SKIPPED for r in remarks):
        cause = "There is nothing to compare the rate with: it is recorded and not judged."
        return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause)
    if not bad:
        return Outcome(identity, STAGE, Result.PASS, observed, expected)
    return Outcome(
        identity,
        STAGE,
        Result.FAIL if any(r.result is Result.FAIL for r in bad) else Result.WARN,
        observed=observed,
        expected=expected,
        cause="%s is slow: %s." % (run.name, "; ".join(r.words for r in bad)),
        remedy="Compare temperature, power and clock in the samples: heat or a power limit shows "
        "there. Look for other processes on the device. A device that stays slow alone is to be "
        "replaced.",
    )


def sustained_rate(samples: Sequence[dict[str, float]], limits: Limits) -> float | None:
    """Median TFLOP/s after the warm-up; None in a run that is too short for one."""
    return _median(_finite(_settled(samples, limits)))


def seen_rate(samples: Sequence[dict[str, float]], limits: Limits) -> float | None:
    """The sustained rate, or in a run that is too short for one the median of all samples."""
    sustained = sustained_rate(samples, limits)
    return _median(_finite(samples)) if sustained is None else sustained


def _median(rates: Sequence[float]) -> float | None:
    return statistics.median(rates) if rates else None


def _settled(samples: Sequence[dict[str, float]], limits: Limits) -> list[dict[str, float]]:
    # A sample's t is its end: one that began before the warm-up was over is not settled.
    return [sample for sample in samples if sample["t"] > limits.warm_up + 1.0]


def _finite(samples: Sequence[dict[str, float]]) -> list[float]:
    rates = [sample["tflops"] for sample in samples]
    return [rate for rate in rates if math.isfinite(rate) and rate >= 0]


def _drop(run: DeviceRun, limits: Limits, capped: bool) -> _Remark:
    rates = _finite(_settled(run.samples, limits))
    if len(rates) < limits.samples:
        words = "drop not judged (%d samples after warm-up, %d needed)"
        return _Remark(Result.SKIPPED, words % (len(rates), limits.samples))
    third = len(rates) // 3
    early, late = statistics.median(rates[:third]), statistics.median(rates[-third:])
    if early <= 0:
        return _Remark(Result.WARN, "the device stood still at the start")
    lost, allowed = 1 - late / early, limits.drop_capped if capped else limits.drop
    words = "end %+.1f%% against start (at most -%d%%)" % (-100 * lost, round(100 * allowed))
    return _Remark(Result.WARN if lost > allowed else Result.PASS, words)


def _neighbours(burn: Burn, run: DeviceRun, limits: Limits) -> _Remark:
    rate = sustained_rate(run.samples, limits)
    if rate is None:
        # Two healthy H200s differed by 5.3 % in their first second of heat, by 1 % later.
        words = "not held against its neighbours (no sample after a warm-up of %g s)"
        return _Remark(Result.SKIPPED, words % limits.warm_up)
    others = [
        other_rate
        for other in burn.devices
        if other is not run and other.model == run.model and other.heat()
        for other_rate in [sustained_rate(other.samples, limits)]
        if other_rate is not None
    ]
    median = statistics.median(others) if others else 0.0
    if median <= 0:
        return _Remark(Result.SKIPPED, "no neighbour of the same model to compare with")
    behind = 1 - rate / median
    words = "%+.1f%% against its neighbours' median %.4g" % (-100 * behind, median)
    if behind > limits.slow:
        return _Remark(Result.FAIL, words)
    return _Remark(Result.WARN if behind > limits.straggler else Result.PASS, words)


def _peak(run: DeviceRun, rate: float, capped: bool) -> _Remark:
    row = ceiling(run.model, run.heat().get("precision", ""))
    if row is None:
        return _Remark(Result.SKIPPED, "no known peak for %s, so no absolute gate" % run.model)
    share = rate / row.tflops
    warn_below = row.warn_capped if capped else row.warn_below
    words = "%.1f%% of the part's %g TFLOP/s (warns below %.0f%%, fails below %.0f%%)"
    words = words % (100 * share, row.tflops, 100 * warn_below, 100 * row.fail_below)
    if share < row.fail_below:
        return _Remark(Result.FAIL, words)
    return _Remark(Result.WARN if share < warn_below else Result.PASS, words)


def _only_power_cap(burn: Burn, run: DeviceRun) -> bool:
    mask = masks(samples_of(burn, run))
    return bool(mask & POWER_CAP) and not mask & (DEFECT_REASONS | SOFTWARE_THERMAL)


def _rate(run: DeviceRun, rate: float) -> str:
    job = run.heat()
    shape = "x".join(str(side) for side in job.get("shape", []))
    cost = job.get("check_cost")
    return "%.4g TFLOP/s %s %s on %s, every bit checked%s" % (
        rate,
        job.get("precision"),
        shape,
        job.get("pattern"),
        "" if cost is None else " (which costs %.1f %% of the time)" % (100 * cost),
    )
