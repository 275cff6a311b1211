"""Outcomes of single checks, and how they fold into a node's verdict. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Iterable, Sequence


class Result(str, enum.Enum):
    """What one check found. INCOMPLETE means 'could not measure', which is never a pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    INCOMPLETE = "incomplete"
    SKIPPED = "skipped"


class Verdict(str, enum.Enum):
    """What is known about a node at the end of a run."""

    READY = "READY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    PLANNED = "PLANNED"


class Stage(str, enum.Enum):
    """The stages of a run, in the order in which a node flows through them."""

    SURVEY = "survey"
    RESOLVE = "resolve"
    APPLY = "apply"
    VERIFY = "verify"
    BURN_IN = "burn_in"
    REPORT = "report"


#: Stages that prove something about the node; without one of them a run only plans.
PROVING_STAGES = (Stage.VERIFY, Stage.BURN_IN)

#: Worst first: the order in which outcomes are shown and the worst one is named.
SEVERITY = (Result.FAIL, Result.INCOMPLETE, Result.WARN, Result.PASS, Result.SKIPPED)


@dataclass(frozen=True)
class Outcome:
    """One check's result.

    ``id`` is ``<stage>.<check>`` with an optional third part naming the device
    (``burn_in.compute.gpu0``). ``remedy`` is one or more plain sentences that say what to do
    next; a fail, warn or incomplete outcome always carries one. ``required`` is False for a
    check whose absence does not make the node unknown.
    """

    id: str
    stage: str
    result: Result
    observed: str = ""
    expected: str = ""
    cause: str = ""
    remedy: str = ""
    required: bool = True

    def __post_init__(self) -> None:
        # Unequal spellings of one result would fold wrongly, so accept strings but store the enum.
        object.__setattr__(self, "result", Result(self.result))
        object.__setattr__(self, "stage", Stage(self.stage).value)
        if self.result in (Result.FAIL, Result.WARN, Result.INCOMPLETE) and not self.remedy:
            raise ValueError("outcome %s is %s and needs a remedy" % (self.id, self.result.value))

    def as_dict(self) -> dict[str, object]:
        """The outcome as it stands in reports: strings and one boolean."""
        return {
            "id": self.id,
            "stage": self.stage,
            "result": self.result.value,
            "observed": self.observed,
            "expected": self.expected,
            "cause": self.cause,
            "remedy": self.remedy,
            "required": self.required,
        }

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Outcome:
        """The inverse of :meth:`as_dict`. Raises TypeError or ValueError for anything else."""
        return cls(**data)  # type: ignore[arg-type]  # __post_init__ validates what matters


def worst(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The outcome to show first: the earliest of the most severe ones, or None."""
    ranked = sorted(outcomes, key=lambda outcome: SEVERITY.index(outcome.result))
    return ranked[0] if ranked else None


def fold(outcomes: Sequence[Outcome]) -> Result:
    """One result for several: fail, else incomplete, else warn, else pass.

    Only required outcomes can make the fold incomplete, and only required passes make it pass;
    no required pass at all is incomplete, so that nothing measured never reads as healthy.
    """
    if any(outcome.result is Result.FAIL for outcome in outcomes):
        return Result.FAIL
    required = [outcome for outcome in outcomes if outcome.required]
    if any(outcome.result is Result.INCOMPLETE for outcome in required):
        return Result.INCOMPLETE
    if not any(outcome.result in (Result.PASS, Result.WARN) for outcome in required):
        return Result.INCOMPLETE
    if any(outcome.result is Result.WARN for outcome in outcomes):
        return Result.WARN
    return Result.PASS


_VERDICT_OF = {
    Result.FAIL: Verdict.FAILED,
    Result.INCOMPLETE: Verdict.UNKNOWN,
    Result.WARN: Verdict.DEGRADED,
    Result.PASS: Verdict.READY,
}


def verdict(outcomes: Sequence[Outcome], requested: Iterable[str]) -> Verdict:
    """The node's verdict for the requested stages.

    Without a proving stage among ``requested`` the run only planned: PLANNED, unless something
    failed or could not be measured. Otherwise every requested proving stage must itself fold to
    a measured result; one without outcomes leaves the node UNKNOWN. A run that only reports has
    what the record proved as its one required outcome.
    """
    wanted = {Stage(stage) for stage in requested}
    proving = [stage for stage in PROVING_STAGES if stage in wanted]
    if any(outcome.result is Result.FAIL for outcome in outcomes):
        return Verdict.FAILED
    if wanted == {Stage.REPORT}:
        return _VERDICT_OF[fold(outcomes)]
    if not proving:
        blocked = any(o.required and o.result is Result.INCOMPLETE for o in outcomes)
        return Verdict.UNKNOWN if blocked or not outcomes else Verdict.PLANNED
    for stage in proving:
        if fold([o for o in outcomes if o.stage == stage.value]) is Result.INCOMPLETE:
            return Verdict.UNKNOWN
    return _VERDICT_OF[fold(outcomes)]
