"""What earlier runs still say, and when they no longer count."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import H100, H200, LOCKS, machine, policy

from ansible.module_utils.torchnode import records
from ansible.module_utils.torchnode.model import Facts
from ansible.module_utils.torchnode.outcome import Outcome, Result, Verdict, verdict
from ansible.module_utils.torchnode.stack import resolve

NOW = records.seconds_of("2026-11-22T12:00:00Z")
DAY = 86400.0
FACTS = machine(H200, H200, loaded="580.159.04")


def outcome(result: str, stage: str = "burn_in", check: str = "x") -> Outcome:
    return Outcome("%s.%s" % (stage, check), stage, Result(result), remedy="Do something.")


def identity(facts: Facts = FACTS, **wishes: Any) -> dict[str, Any]:
    return records.identity(facts, resolve(facts, policy(**wishes), LOCKS))


def test_times_come_back() -> None:
    assert records.timestamp(NOW) == "2026-11-22T12:00:00Z"
    with pytest.raises(ValueError, match="does not match"):
        records.seconds_of("yesterday")


def test_what_a_node_had() -> None:
    assert records.had(FACTS) == {
        "backend": "cuda",
        "count": 2,
        "pci_ids": ["10de:2335", "10de:2335"],
        "models": [FACTS.accelerators[0].model],
    }
    assert records.had(machine())["backend"] == "cpu"


def test_the_order_of_devices_does_not_matter() -> None:
    facts = machine(H100, H200, loaded="580.159.04")
    turned = dataclasses.replace(facts, accelerators=facts.accelerators[::-1])
    assert identity(facts) == identity(turned)
    assert records.had(facts) == records.had(turned)


def earlier(identity: str) -> Outcome:
    """A burn-in that an earlier run left."""
    stage = identity.partition(".")[0]
    return Outcome(identity, stage, Result.PASS, observed="pass on 2026-11-22T12:00:00Z")


@pytest.mark.parametrize(
    ("outcomes", "requested", "scope"),
    [
        ([], ["survey", "resolve"], "planned"),
        ([], ["apply"], "provisioned, not verified"),
        ([outcome("pass", "verify")], ["verify"], "verified, not burned in"),
        ([outcome("fail", "verify")], ["verify"], "verified, not burned in"),
        (
            [outcome("pass", "verify"), outcome("pass")],
            ["verify", "burn_in"],
            "verified, burned in",
        ),
        ([outcome("skipped", "verify"), outcome("pass")], ["burn_in"], "not verified, burned in"),
        (
            [outcome("pass", "verify"), earlier("report.burn_in_record")],
            ["verify"],
            "verified, burned in on 2026-11-22, record reused",
        ),
        (
            [outcome("pass", "verify"), earlier("burn_in.record")],
            ["verify", "burn_in"],
            "verified, burned in on 2026-11-22, record reused",
        ),
        (
            [outcome("pass", "verify"), outcome("skipped", check="record"), outcome("pass")],
            ["verify", "burn_in"],
            "verified, burned in",
        ),
        ([], ["verify"], "not verified, not burned in"),
    ],
)
def test_scope(outcomes: list[Outcome], requested: list[str], scope: str) -> None:
    assert records.scope(outcomes, requested) == scope


def test_the_local_fact_carries_its_expiry() -> None:
    fact = records.fact(Verdict.READY, "verified", "run-1", NOW, 7, "")
    assert (fact["verdict"], fact["at"]) == ("READY", "2026-11-22T12:00:00Z")
    assert fact["expires"] == "2026-11-29T12:00:00Z"


# ---- what the last run proved -------------------------------------------------------------------

OF = {"driver": "nvidia 580", "stack": "abcd", "pci_ids": ["10de:2335"]}
RECORD = {
    "run": "r", "verdict": "READY", "scope": "verified, burned in", "at": "2026-11-21T12:00:00Z",
    "expires": "2026-11-28T12:00:00Z", "reason": "verify.x: bad", "of": OF,
    "outcomes": [outcome("fail", "verify").as_dict()],
}  # fmt: skip


def proven(holder: str = "", fact: Any = None, now: float = NOW, **changes: Any) -> Outcome:
    record = {**RECORD, **changes}
    return records.last_proven(record, fact or {"run": "r"}, holder, OF, now)


@pytest.mark.parametrize(
    ("recorded", "result"),
    [("READY", Result.PASS), ("DEGRADED", Result.WARN), ("FAILED", Result.FAIL)],
)
def test_a_fresh_record_folds_into_its_own_verdict(recorded: str, result: Result) -> None:
    told = proven(verdict=recorded)
    assert (told.result, told.required) == (result, True)
    assert told.observed.startswith(recorded + ", last proven 2026-11-21")
    assert records.scope([told], ["report"]) == (
        "last proven 2026-11-21T12:00:00Z: verified, burned in"
    )
    assert verdict([told], ["report"]).value == recorded
    assert ("verify.x" in told.cause) is (recorded != "READY")


NOT_PROVEN: dict[str, dict[str, Any]] = {
    "a run at work": {"holder": "run-2"},
    "a run that was cut short": {"fact": {"run": "run-2"}},
    "expired": {"now": NOW + 7 * DAY},
    "an expiry that cannot be read": {"expires": "soon"},
    "another driver": {"of": {**OF, "driver": "nvidia 590"}},
    "another stack": {"of": {**OF, "stack": "dddd"}},
    "fewer devices": {"of": {**OF, "pci_ids": []}},
    "nothing of what": {"of": None},
    "an unknown verdict": {"verdict": "UNKNOWN"},
    "no verdict at all": {"verdict": "splendid"},
}


@pytest.mark.parametrize("case", NOT_PROVEN)
def test_what_no_longer_holds_is_never_a_pass(case: str) -> None:
    told = proven(**NOT_PROVEN[case])
    assert told.result is Result.INCOMPLETE
    assert told.observed
    assert verdict([told], ["report"]) is Verdict.UNKNOWN
    assert records.scope([told], ["report"]) == "not proven"


def test_without_a_record_or_a_fact_nothing_is_proven() -> None:
    assert "no record" in records.last_proven(None, None, "", OF, NOW).observed
    assert "is gone" in records.last_proven(RECORD, None, "", OF, NOW).observed
    assert "not JSON" in records.last_proven({"error": "not JSON"}, None, "", OF, NOW).observed


def test_a_run_that_failed_before_it_resolved_speaks_of_no_stack() -> None:
    told = proven(verdict="FAILED", of={**OF, "stack": ""}, outcomes=[{"not": "one"}])
    assert (told.result, told.cause) == (Result.FAIL, "verify.x: bad")


def test_what_stands_there_is_what_a_run_would_resolve_to() -> None:
    assert records.standing(FACTS, "/env/bin/python") == identity(python="/env/bin/python")
    assert records.standing(FACTS, "")["stack"] == ""
