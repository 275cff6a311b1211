"""Telemetry and error counters judged. Pure. What could not be read is skipped, never a pass."""

from __future__ import annotations

from ..outcome import Outcome, Result
from .records import Burn, DeviceRun
from .telemetry import (
    DEFECT_REASONS,
    SOFTWARE_THERMAL,
    UNITS,
    key_of,
    masks,
    reason_names,
    samples_of,
)

STAGE = "burn_in"


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
    return _by_reasons(identity, expected, observed, masks(samples))


def counters(burn: Burn, run: DeviceRun) -> Outcome:
    """ECC errors and remapped rows, before against after."""
    identity = "burn_in.error_counters." + run.name
    expected = "no uncorrected error and no failed or pending row remap"
    key = key_of(burn, run)
    device = burn.telemetry.devices.get(key, {})
    before = device.get("counters") or {}
    if not before:
        why = device.get("counters_absent") or burn.telemetry.failure or "not in the telemetry"
        cause = "The counters cannot be read: %s." % why
        return Outcome(identity, STAGE, Result.SKIPPED, "not measured", expected, cause)
    after = (burn.telemetry.final or {}).get(key) or {}
    gone = sorted(set(before) - set(after))
    if gone:
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="not readable after the burn-in: %s" % ", ".join(gone),
            expected=expected,
            cause="The counters answered before the burn-in and not after it (%s)."
            % (burn.telemetry.failure or "no reason given"),
            remedy="Run `nvidia-smi -q -d ECC,ROW_REMAPPER`; if it does not answer, reset the "
            "device. Then burn in again.",
        )
    observed = ", ".join("%s %s -> %s" % (n, before[n], after[n]) for n in sorted(before))
    if device.get("counters_absent"):
        observed += "; not measured: %s" % device["counters_absent"]
    return _by_counters(identity, expected, observed, before, after)


def _by_counters(
    identity: str, expected: str, observed: str, before: dict[str, int], after: dict[str, int]
) -> Outcome:
    rising = [n for n in ("ecc_uncorrected", "remapped_uncorrectable") if _rose(n, before, after)]
    if rising or after.get("remap_failed"):
        return Outcome(
            identity,
            STAGE,
            Result.FAIL,
            observed=observed,
            expected=expected,
            cause="The device's memory had uncorrectable errors during the burn-in."
            if rising
            else "The device has no spare rows left to replace a bad one.",
            remedy="Take the node out of service and reset the device; have it replaced if a row "
            "remap failed or the errors come back.",
        )
    if after.get("remap_pending") or after.get("ecc_uncorrected"):
        return Outcome(
            identity,
            STAGE,
            Result.WARN,
            observed=observed,
            expected=expected,
            cause="The device had memory errors before this burn-in and waits for a reset.",
            remedy="Reset the device (`nvidia-smi -r` with nothing running) or restart the node.",
        )
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _rose(name: str, before: dict[str, int], after: dict[str, int]) -> bool:
    return name in before and after[name] > before[name]


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
        remedy="Check fans, air flow or coolant and the heat sink's seat; for a power brake or "
        "hardware slowdown also the power supplies and cables. Then burn in again.",
    )


def _ranges(samples: list[dict[str, float]]) -> str:
    parts = []
    for field in ("temperature", "power", "power_limit", "clock"):
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
