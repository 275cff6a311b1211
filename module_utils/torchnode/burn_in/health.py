"""Telemetry and error counters judged. Pure. What could not be read is never a pass."""

from __future__ import annotations

import statistics
from dataclasses import replace

from ..outcome import Outcome, Result
from . import judge_counters, judge_kernel_log, judge_settings
from .judging import STAGE
from .records import Burn, DeviceRun
from .telemetry import (
    DEFECT_REASONS,
    HARDWARE_THERMAL,
    POWER_BRAKE,
    SOFTWARE_THERMAL,
    UNITS,
    key_of,
    masks,
    reason_names,
    samples_of,
    unread,
)

#: Time counters of what held the clocks down (nvml_counters.py), and the reason's bit.
HELD = {
    "held_software_thermal": SOFTWARE_THERMAL,
    "held_hardware_thermal": HARDWARE_THERMAL,
    "held_power_brake": POWER_BRAKE,
}
_COOLING = (
    "Check fans, air flow or coolant and the heat sink's seat; for a power brake or hardware "
    "slowdown also the power supplies and cables. Then burn in again."
)


def telemetry(burn: Burn, run: DeviceRun) -> Outcome:
    """Whether the clocks were held down by heat or by the power supply."""
    identity = "burn_in.telemetry." + run.name
    expected = "no slowdown by heat or by the power supply"
    if burn.telemetry.no_library:
        return _without_library(identity, expected, burn)
    samples = samples_of(burn, run)
    absent = burn.telemetry.devices.get(key_of(burn, run), {}).get("absent") or {}
    if not any(len(sample) > 1 for sample in samples):
        answers = list(absent.values()) if samples else []
        what = "Temperature, power and clocks"
        return unread(burn, run, identity, expected, what, answers)
    observed = _ranges(samples) + _power_of_heat(run, samples) + _not_measured(absent)
    judged = _judged(identity, expected, observed, samples, _held(burn, run))
    if judged is not None and judged.result is Result.FAIL:
        return judged  # what was seen before the sampling stopped was seen
    if burn.telemetry.failure:
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed=observed,
            expected=expected,
            cause="The sampling stopped early: %s." % burn.telemetry.failure,
            remedy="Read `dmesg` for driver errors and burn in again.",
        )
    if judged is not None:
        return judged
    answers = [absent.get("reasons", "not supported on %s" % burn.backend)]
    silent = unread(burn, run, identity, expected, "Why the clock is lowered", answers)
    return replace(silent, observed=observed)


def _judged(
    identity: str, expected: str, observed: str, samples: list[dict[str, float]], held: int
) -> Outcome | None:
    """By temperature and clocks; None where the device does not say why its clock is lowered."""
    margins = [sample["margin"] for sample in samples if "margin" in sample]
    if margins and min(margins) <= 0:
        return Outcome(
            identity,
            STAGE,
            Result.FAIL,
            observed=observed,
            expected=expected,
            cause="The device reached its temperature limit.",
            remedy=_COOLING,
        )
    if not any("reasons" in sample for sample in samples):
        return None
    return _by_reasons(identity, expected, observed, masks(samples) | held)


def _held(burn: Burn, run: DeviceRun) -> int:
    """The reasons whose time rose during the burn-in: a sample a second misses short ones."""
    key = key_of(burn, run)
    before = burn.telemetry.devices.get(key, {}).get("counters") or {}
    after = (burn.telemetry.final or {}).get(key) or {}
    rose = [bit for name, bit in HELD.items() if after.get(name, 0) > before.get(name, 0)]
    return sum(rose)


def outcomes(burn: Burn, run: DeviceRun) -> list[Outcome]:
    """All outcomes about one device's health."""
    return [
        telemetry(burn, run),
        judge_counters.violations(burn, run),
        judge_settings.settings(burn, run),
        judge_counters.errors(burn, run),
        judge_counters.links(burn, run),
        judge_counters.recovery(burn, run),
        judge_kernel_log.of_device(burn, run),
    ]


def _without_library(identity: str, expected: str, burn: Burn) -> Outcome:
    """The work is judged without it, but nobody saw heat, power and the device's own errors."""
    return Outcome(
        identity,
        STAGE,
        Result.WARN,
        observed="not measured",
        expected=expected,
        cause="The environment lacks the library that asks the devices for their temperature, "
        "power, clocks and error counts: %s." % burn.telemetry.failure,
        remedy="Apply the stack again, or install it into an environment of your own "
        "(`nvidia-ml-py` for NVIDIA, ROCm's `amdsmi` for AMD); then burn in again.",
    )


def _by_reasons(identity: str, expected: str, observed: str, mask: int) -> Outcome:
    if not mask & (DEFECT_REASONS | SOFTWARE_THERMAL):
        return Outcome(identity, STAGE, Result.PASS, observed, expected)
    broken = mask & DEFECT_REASONS
    return Outcome(
        identity,
        STAGE,
        Result.FAIL if broken else Result.WARN,
        observed=observed,
        expected=expected,
        cause="The device lowered its clock: %s." % reason_names(mask),
        remedy=_COOLING,
    )


def _ranges(samples: list[dict[str, float]]) -> str:
    parts = []
    for field in UNITS:
        if field == "reasons":
            continue
        values = [sample[field] for sample in samples if field in sample]
        if values:
            parts.append("%s %g to %g %s" % (field, min(values), max(values), UNITS[field]))
    if any("reasons" in sample for sample in samples):
        parts.append("clock lowered by: %s" % reason_names(masks(samples)))
    return "%d sample(s): %s" % (len(samples), ", ".join(parts) or "nothing")


def _power_of_heat(run: DeviceRun, samples: list[dict[str, float]]) -> str:
    """What was drawn of what is allowed while the heat's rate was sampled; shown, not judged."""
    times = [sample["t"] for sample in run.samples]
    drawn = [
        (sample["power"], sample["power_limit"])
        for sample in samples
        if times
        and times[0] <= sample["t"] <= times[-1]
        and {"power", "power_limit"} <= set(sample)
    ]
    if not drawn:
        return ""
    power, limit = (statistics.median(column) for column in zip(*drawn))
    return "; in the heat %g W of %g W at the median" % (power, limit)


def _not_measured(absent: dict[str, str]) -> str:
    listed = ["%s (%s)" % item for item in sorted(absent.items())]
    return "; not measured: %s" % ", ".join(listed) if listed else ""
