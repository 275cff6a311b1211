"""The work itself judged: products, the pulsed load, and memory. Pure."""

from __future__ import annotations

from typing import Any

from ..outcome import Outcome, Result
from .judging import STAGE, missing, unfinished
from .records import DeviceRun

_CHECK_WORDS = {
    "repeat": "The same product of the same operands came out with other bits: silent data "
    "corruption in a compute unit or in memory.",
    "oracle": "A product of whole numbers is not the true product: a unit computes wrongly, "
    "perhaps the same way every time.",
    "reference": "The kept reference product changed or is not finite: memory lost its content "
    "or a unit is broken.",
    "operands": "The operands changed while they lay in memory: memory lost its content.",
}

REPLACE = (
    "Take the node out of service. Burn in again after a reset of the device: if the same device "
    "fails again, have it replaced, with this outcome as evidence."
)


def compute(run: DeviceRun) -> Outcome:
    """Every bit of every product of the compute stage."""
    identity, expected = "burn_in.compute." + run.name, "every bit of every product as it must be"
    found = [d for d in run.defects if d.get("stage") == "compute"]
    if found:
        return _wrong(identity, run, expected, found)
    none = missing("compute", "compute", run, expected)
    if none is not None:
        return none if none.result is Result.SKIPPED else unfinished("compute", run, _so_far(run))
    jobs = run.jobs()
    observed = "; ".join(_job(job) for job in jobs)
    if not jobs or any(not job["products"] for job in jobs):
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed=observed or "no product",
            expected=expected,
            cause="The time was too short for a product of each kind.",
            remedy="Raise torchnode_burn_in_seconds and burn in again.",
        )
    observed += "; all bits checked" + _without(run, "left_out", "; not by this torch: %s (%s)")
    failed = _without(run, "failed", "; not multiplied: %s (%s)")
    if failed:
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed=observed + failed,
            expected=expected,
            cause="The part has units for a precision in which nothing could be multiplied.",
            remedy="Read the message, and `dmesg` for 'Xid' lines; try a newer torch, then burn in "
            "again. torchnode itself may be at fault for a part that it has not seen yet.",
        )
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _without(run: DeviceRun, kind: str, words: str) -> str:
    """The precisions that the part has units for and that were not burned, with their reasons."""
    reasons = {k: v for result in run.of("compute") for k, v in result.get(kind, {}).items()}
    return "".join(words % item for item in sorted(reasons.items()))


def pulse(run: DeviceRun) -> Outcome:
    """The load that swings between idle and full power: its products, and that it did swing."""
    identity, expected = "burn_in.pulse." + run.name, "every bit as it must be while power swings"
    found = [d for d in run.defects if d.get("stage") == "pulse"]
    if found:
        return _wrong(identity, run, expected, found)
    none = missing("pulse", "pulse", run, expected)
    if none is not None:
        return none
    swings = sum(result["swings"] for result in run.of("pulse"))
    jobs = [result["job"] for result in run.of("pulse")]
    observed = "%d swings; %s; all bits checked" % (swings, "; ".join(_job(job) for job in jobs))
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def memory(run: DeviceRun) -> Outcome:
    """Every cell under every pattern."""
    identity, expected = "burn_in.memory." + run.name, "every cell holds each pattern"
    found = [d for d in run.defects if d.get("stage") == "memory"]
    if found:
        return Outcome(
            identity,
            STAGE,
            Result.FAIL,
            observed="%s: %s" % (run.name, "; ".join(one_of_each(found))),
            expected=expected,
            cause="Memory cells read back other bits than were written.",
            remedy=REPLACE,
        )
    none = missing("memory", "memory", run, expected)
    if none is not None:
        return none
    results = run.of("memory")
    observed = "; ".join(_memory(result) for result in results)
    missed = sorted({name for result in results for name in result["missed"]})
    if missed or not all(result["tested"] for result in results):
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="%s; not covered: %s" % (observed, ", ".join(missed) or "anything"),
            expected=expected,
            cause="The time or the free memory was too little for every pattern over every cell.",
            remedy="Raise seconds, lower memory_bytes, or free memory; then burn in again.",
        )
    observed += "; patterns %s" % ", ".join(results[0]["patterns"])
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _wrong(identity: str, run: DeviceRun, expected: str, found: list[dict[str, Any]]) -> Outcome:
    checks = list(dict.fromkeys(str(d.get("check")) for d in found))
    return Outcome(
        identity,
        STAGE,
        Result.FAIL,
        observed="%s: %s" % (run.name, "; ".join(one_of_each(found))),
        expected=expected,
        cause=" ".join(_CHECK_WORDS.get(check, check) for check in checks),
        remedy=REPLACE,
    )


def _so_far(run: DeviceRun) -> str:
    products = run.progress.get("products")
    return "%s products checked until then" % products if products else "nothing measured"


def one_of_each(found: list[dict[str, Any]]) -> list[str]:
    """The first finding of each kind in words, with the number of those like it."""
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for defect in found:
        key = (defect.get("check"), defect.get("precision"), defect.get("pattern"))
        kinds.setdefault(key, []).append(defect)
    return [_finding(same[0], len(same)) for same in kinds.values()]


def _finding(defect: dict[str, Any], times: int) -> str:
    if defect.get("stage") == "memory":
        words = "pattern %s: %d wrong cell(s), first at byte offset %s" % (
            defect.get("pattern"),
            defect.get("wrong", 0),
            defect.get("offset"),
        )
    else:
        words = "%s check of %s on %s" % tuple(
            defect.get(key) for key in ("check", "precision", "pattern")
        )
        if defect.get("offset"):
            place = "; %s wrong element(s), first in product %s at row %d, column %d"
            at = (defect.get("wrong"), defect.get("product"), *defect["offset"])
            words += place % at
    words += ": expected %s, read %s" % (defect.get("expected") or "-", defect.get("read") or "-")
    return words + (" (and %d more like it)" % (times - 1) if times > 1 else "")


def _memory(result: dict[str, Any]) -> str:
    return "%d of %d free MiB, %d cycle(s), %d MiB read back, written at %g and read at %g GB/s" % (
        result["tested"] >> 20,
        result["free"] >> 20,
        result["cycles"],
        result["checked"] >> 20,
        result["write_gb_s"],
        result["read_gb_s"],
    )


def _job(job: dict[str, Any]) -> str:
    shape = "x".join(str(side) for side in job["shape"])
    return "%d products %s %s of %s" % (job["products"], job["precision"], shape, job["pattern"])
