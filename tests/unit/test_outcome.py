"""Outcomes fold so that nothing unmeasured ever reads as healthy."""

from __future__ import annotations

import itertools

import pytest

from ansible.module_utils.torchnode.outcome import (
    Outcome,
    Result,
    Stage,
    Verdict,
    fold,
    verdict,
    worst,
)

PROVING = ("verify", "burn_in")


def outcome(result: str, stage: str = "verify", required: bool = True) -> Outcome:
    remedy = "Do something." if result in ("fail", "warn", "incomplete") else ""
    return Outcome(stage + ".check", stage, Result(result), remedy=remedy, required=required)


def several(text: str, stage: str = "verify") -> list[Outcome]:
    """'pass fail? warn': words of results, a question mark for one that is not required."""
    words = text.split()
    return [outcome(word.rstrip("?"), stage, not word.endswith("?")) for word in words]


@pytest.mark.parametrize(
    ("results", "folded"),
    [
        ("pass", "pass"),
        ("pass skipped", "pass"),
        ("pass warn", "warn"),
        ("warn", "warn"),
        ("pass warn incomplete", "incomplete"),
        ("pass warn incomplete fail", "fail"),
        ("", "incomplete"),
        ("skipped skipped", "incomplete"),
        ("pass?", "incomplete"),
        ("pass incomplete?", "pass"),
        ("pass fail?", "fail"),
        ("pass warn?", "warn"),
        ("skipped pass?", "incomplete"),
    ],
)
def test_fold(results: str, folded: str) -> None:
    assert fold(several(results)) is Result(folded)


def test_fold_ignores_order() -> None:
    for chosen in itertools.permutations(several("pass warn incomplete? skipped")):
        assert fold(chosen) is Result.WARN


@pytest.mark.parametrize(
    ("verified", "burned", "requested", "expected"),
    [
        ("pass", "pass", PROVING, Verdict.READY),
        ("pass", "warn", PROVING, Verdict.DEGRADED),
        ("pass", "fail", PROVING, Verdict.FAILED),
        ("pass", "", PROVING, Verdict.UNKNOWN),
        ("pass", "skipped", PROVING, Verdict.UNKNOWN),
        ("pass", "incomplete", PROVING, Verdict.UNKNOWN),
        ("pass", "", ("verify",), Verdict.READY),
        ("", "", ("verify",), Verdict.UNKNOWN),
        ("", "", ("survey", "resolve"), Verdict.UNKNOWN),
        ("fail", "pass", ("survey",), Verdict.FAILED),
    ],
)
def test_verdict(verified: str, burned: str, requested: tuple[str, ...], expected: Verdict) -> None:
    outcomes = several(verified) + several(burned, "burn_in")
    assert verdict(outcomes, requested) is expected


def test_a_run_that_proves_nothing_is_planned() -> None:
    resolved = several("pass?", "resolve")
    assert verdict(resolved, ["survey", "resolve"]) is Verdict.PLANNED
    assert verdict([*resolved, *several("incomplete", "resolve")], ["resolve"]) is Verdict.UNKNOWN
    assert verdict([*resolved, *several("incomplete?", "resolve")], ["resolve"]) is Verdict.PLANNED


def test_a_failure_before_the_proof_fails_the_node() -> None:
    outcomes = several("fail", "resolve") + several("pass") + several("pass", "burn_in")
    assert verdict(outcomes, PROVING) is Verdict.FAILED


def test_an_incomplete_earlier_stage_leaves_the_node_unknown() -> None:
    outcomes = several("incomplete", "resolve") + several("pass")
    assert verdict(outcomes, ["verify"]) is Verdict.UNKNOWN


@pytest.mark.parametrize("result", ["fail", "warn", "incomplete"])
def test_bad_news_needs_a_remedy(result: str) -> None:
    with pytest.raises(ValueError, match="needs a remedy"):
        Outcome("verify.x", "verify", Result(result))


@pytest.mark.parametrize(("stage", "result"), [("verified", "pass"), ("verify", "ok")])
def test_unknown_words_are_refused(stage: str, result: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        Outcome("verify.x", stage, result)  # type: ignore[arg-type]  # as JSON has it


def test_words_become_the_one_enum() -> None:
    made = Outcome("verify.x", Stage.VERIFY, "pass")  # type: ignore[arg-type]  # as JSON has it
    assert made.result is Result.PASS
    assert Outcome.from_dict(made.as_dict()) == made


def test_worst_is_the_earliest_of_the_most_severe() -> None:
    first, second = outcome("fail"), outcome("fail", "burn_in")
    assert worst([outcome("pass"), outcome("warn"), first, second]) is first
    assert worst([]) is None
