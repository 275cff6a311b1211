"""What the judges share: words for what did not get that far. Pure."""

from __future__ import annotations

from ..outcome import Outcome, Result
from .records import ChildRun, DeviceRun

STAGE = "burn_in"


def ended(run: ChildRun) -> str:
    """One line on how a child ended."""
    ending = run.ending
    if ending is None:
        return "no ending recorded"
    return "%s: %s" % (ending.kind, ending.detail) if ending.detail else ending.kind


def unfinished(check: str, run: DeviceRun, observed: str = "nothing measured") -> Outcome:
    """The outcome of a check whose worker did not get there."""
    return Outcome(
        "%s.%s.%s" % (STAGE, check, run.name),
        STAGE,
        Result.INCOMPLETE,
        observed=observed,
        cause="The worker of %s did not finish (%s)." % (run.name, ended(run)),
        remedy="See burn_in.worker.%s; mend that and burn in again." % run.name,
    )


def not_chosen(check: str, run: DeviceRun, expected: str = "") -> Outcome:
    """The outcome of a stage that nobody asked for."""
    return Outcome(
        "%s.%s.%s" % (STAGE, check, run.name),
        STAGE,
        Result.SKIPPED,
        observed="not run",
        expected=expected,
        cause="The stage is not among those asked for: %s." % ", ".join(run.chosen),
    )


def missing(check: str, stage: str, run: DeviceRun, expected: str = "") -> Outcome | None:
    """The outcome of a stage without a result: not asked for, or not reached. Else None."""
    if stage not in run.chosen:
        return not_chosen(check, run, expected)
    return None if run.of(stage) else unfinished(check, run)
