"""Telemetry and error counters judged. Pure. What could not be read is skipped, never a pass."""

from __future__ import annotations

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
    samples = samples_of(burn, run)
    if not samples or not any(len(sample) > 1 for sample in samples):
        return _without_samples(identity, expected, burn, run)
    observed = _ranges(samples) + _not_measured(burn, run)
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
    if not any("reasons" in sample for sample in samples):
        cause = "This device does not say why its clock is lowered, so there is nothing to judge."
        return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause)
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
    return _by_reasons(identity, expected, observed, masks(samples) | _held(burn, run))


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
        judge_settings.settings(burn, run),
        judge_counters.errors(burn, run),
        judge_counters.links(burn, run),
        judge_counters.recovery(burn, run),
        judge_kernel_log.of_device(burn, run),
    ]


def _without_samples(identity: str, expected: str, burn: Burn, run: DeviceRun) -> Outcome:
    known = burn.telemetry.devices.get(key_of(burn, run))
    if known is None:
        why = burn.telemetry.failure or "the device is not among those that telemetry shows"
    else:
        absent = sorted(known.get("absent", {}).items())
        why = "; ".join("%s: %s" % item for item in absent) or "the burn-in ended before a sample"
    cause = "Nothing can be sampled: %s." % why
    return Outcome(identity, STAGE, Result.SKIPPED, "not measured", expected, cause)


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


def _not_measured(burn: Burn, run: DeviceRun) -> str:
    absent = burn.telemetry.devices.get(key_of(burn, run), {}).get("absent") or {}
    listed = ["%s (%s)" % item for item in sorted(absent.items())]
    return "; not measured: %s" % ", ".join(listed) if listed else ""
