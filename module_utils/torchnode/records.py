"""What a run leaves on a node: the record and the local fact. Pure: the clock is an argument."""

from __future__ import annotations

import datetime
import re
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from .model import Facts, Stack
from .outcome import Outcome, Result, Stage, Verdict, worst

#: The outcome of a failed task that is none of torchnode's own in the burn-in's stage.
TASK_FAILED = "burn_in.task"

#: An earlier burn-in that stands for this run's own, and one that a run without a burn-in names.
REUSED = "burn_in.record"
REUSED_BY_VERIFY = "report.burn_in_record"

#: What a report without a proof of its own has to say of a node.
LAST_PROVEN = "report.last_proven"

#: The scope in words, by which proving stages ran.
_VERIFIED, _BURNED = "verified", "burned in"


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as UTC in ISO 8601, to the second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def seconds_of(text: str) -> float:
    """The inverse of :func:`timestamp`. Raises ValueError for anything else."""
    parsed = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return parsed.replace(tzinfo=datetime.timezone.utc).timestamp()


def driver_version(facts: Facts) -> str:
    """The loaded drivers' versions, for telling whether a record still speaks of this machine."""
    return " ".join("%s %s" % (d.vendor, d.loaded) for d in facts.drivers if d.loaded)


def identity(facts: Facts, stack: Optional[Stack]) -> Dict[str, Any]:
    """What a burn-in was true of: driver, stack and parts. Another one makes its record stale.

    ``parts`` are the accelerators' own numbers, [] where one does not tell: NVIDIA's driver gives
    question marks for a GPU that nobody has used yet. Of a node without any it is the CPU's name.
    """
    parts = sorted(a.uuid or "" for a in facts.accelerators) or [facts.system.cpu_model]
    return {
        "driver": driver_version(facts),
        "stack": (stack.python if stack.adopted else stack.digest) if stack else "",
        "pci_ids": sorted(a.pci_id or "" for a in facts.accelerators),
        "parts": [] if any(not part or "?" in part for part in parts) else parts,
    }


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> List[str]:
    """What of :func:`identity` is another now; parts only where they were told both times."""
    names = dict.fromkeys((*then, *now))
    told = [name for name in names if name != "parts" or (then.get(name) and now.get(name))]
    return [name for name in told if then.get(name) != now.get(name)]


def standing(facts: Facts, python: str) -> Dict[str, Any]:
    """The node's :func:`identity` without resolving: ``python`` is adopted, '' for torchnode's own.

    A stack that is damaged is not the one that was proven.
    """
    own = facts.stack.digest if facts.stack and not facts.stack.damage else ""
    return dict(identity(facts, None), stack=python or own)


def had(facts: Facts) -> Dict[str, Any]:
    """What the node has, for the next run to hold against what it then has."""
    return {
        "backend": facts.accelerators[0].backend if facts.accelerators else "cpu",
        "count": len(facts.accelerators),
        "pci_ids": sorted(a.pci_id or "" for a in facts.accelerators),
        "models": sorted({a.model for a in facts.accelerators}),
    }


def had_after(
    facts: Facts, previous: Optional[Mapping[str, Any]], verdict: Verdict
) -> Dict[str, Any]:
    """What the record says the node has: only a good verdict replaces what an earlier one said.

    A node that lost an accelerator fails, and must fail again on the next run: if the failed run's
    own finding became the expectation, the run after it would call the rest READY.
    """
    earlier = (previous or {}).get("had")
    if verdict in (Verdict.READY, Verdict.DEGRADED) or not isinstance(earlier, Mapping):
        return had(facts)
    return dict(earlier)


def burn_in_begun(run: str, now: float) -> Dict[str, Any]:
    """What becomes of the record's burn-in part while another is at work: a node that dies in the
    middle must keep no earlier pass."""
    reason = "run %s began to burn in, and did not come to an end" % run
    return {"result": Result.INCOMPLETE.value, "reason": reason, "at": timestamp(now)}


def last_proven(
    record: Optional[Mapping[str, Any]],
    fact: Optional[Mapping[str, Any]],
    holder: str,
    of: Mapping[str, Any],
    now: float,
) -> Outcome:
    """What the last run proved, as an outcome that folds into its verdict; nothing is proven anew.

    ``holder`` is the run at work on the node, or ''; ``of`` is the node's :func:`identity` now.
    A record counts only while it is fresh and speaks of this driver, stack and hardware.
    """
    why = "run %s is at work on this node" % holder if holder else _unproven(record, fact, of, now)
    if why or record is None:
        return Outcome(
            LAST_PROVEN, "report", Result.INCOMPLETE, observed=why,
            expected="a fresh record of this driver, stack and hardware",
            cause="What earlier runs proved says nothing about the node as it is now.",
            remedy="Wait for that run to end." if holder
            else "Prove it again: playbooks/verify.yml, or playbooks/burn_in.yml.",
        )  # fmt: skip
    result = _RESULT_OF[record["verdict"]]
    cause, remedy = ("", "") if result is Result.PASS else _why(record)
    return Outcome(
        LAST_PROVEN, "report", result,
        observed="%s, last proven %s: %s" % (record["verdict"], record["at"], record["scope"]),
        expected="READY",
        cause=cause, remedy=remedy,
    )  # fmt: skip


#: What a recorded verdict folds from; the other verdicts prove nothing.
_RESULT_OF = {
    Verdict.READY.value: Result.PASS,
    Verdict.DEGRADED.value: Result.WARN,
    Verdict.FAILED.value: Result.FAIL,
}


def _why(record: Mapping[str, Any]) -> Tuple[str, str]:
    """Cause and remedy of a verdict that is no READY: those of the record's worst outcome."""
    try:
        first = worst(Outcome.from_dict(dict(o)) for o in record.get("outcomes") or [])
    except (TypeError, ValueError):
        first = None
    if first is None or not first.remedy:
        return str(record.get("reason")), "Prove the node again with playbooks/verify.yml."
    found = "%s: found %s; expected %s." % (first.id, first.observed, first.expected)
    return "%s %s" % (found, first.cause), first.remedy


def _unproven(
    record: Optional[Mapping[str, Any]],
    fact: Optional[Mapping[str, Any]],
    of: Mapping[str, Any],
    now: float,
) -> str:
    """Why the record proves nothing about the node as it is now, or ''."""
    if record is None:
        return "no record: no run has proven anything here"
    if not {"at", "run", "verdict", "scope", "expires", "of"} <= set(record) or not isinstance(
        record["of"], Mapping
    ):
        return "a record that cannot be read: %s" % record.get("error", "parts are missing")
    if fact is None or fact.get("run") != record["run"]:
        return "run %s, after which the local fact is %s" % (
            record["run"], "gone" if fact is None else "of run %s, which has not ended well"
            % fact.get("run"),
        )  # fmt: skip
    if record["verdict"] not in _RESULT_OF:
        return "%s, recorded on %s: %s" % (record["verdict"], record["at"], record.get("reason"))
    # A run that failed before it had resolved speaks of no stack.
    spoken = {name: value for name, value in record["of"].items() if value or name != "stack"}
    other = [name for name in differing(record["of"], of) if name in spoken]
    if other:
        return "%s on %s, with another %s" % (
            record["verdict"], record["at"],
            " and ".join(dict.fromkeys(_PART_NAMES.get(name, name) for name in other)),
        )  # fmt: skip
    try:
        expired = now > seconds_of(str(record["expires"]))
    except ValueError:
        expired = True
    return "%s, expired on %s" % (record["verdict"], record["expires"]) if expired else ""


_PART_NAMES = {"pci_ids": "set of accelerators", "parts": "set of accelerators"}


def scope(outcomes: Iterable[Outcome], requested: Iterable[str]) -> str:
    """What was proven, in words that go beside every verdict."""
    unmeasured = (Result.SKIPPED, Result.INCOMPLETE)
    results: List[Outcome] = [o for o in outcomes if o.result not in unmeasured]
    stages = {o.stage for o in results}
    wanted = set(requested)
    if wanted == {Stage.REPORT.value}:
        told = next((o for o in results if o.id == LAST_PROVEN), None)
        return told.observed.partition(", ")[2] if told else "not proven"
    if not wanted & {Stage.VERIFY.value, Stage.BURN_IN.value}:
        return "planned" if Stage.APPLY.value not in wanted else "provisioned, not verified"
    verified = _VERIFIED if Stage.VERIFY.value in stages else "not verified"
    record = next((o for o in results if o.id in (REUSED, REUSED_BY_VERIFY)), None)
    if any(o.stage == Stage.BURN_IN.value and o is not record for o in results):
        return "%s, %s" % (verified, _BURNED)
    if record is not None:
        day = re.findall(r"\d{4}-\d{2}-\d{2}", record.observed)[:1]
        return "%s, %s on %s, record reused" % (verified, _BURNED, "".join(day))
    return "%s, not %s" % (verified, _BURNED)


def unproven_outcome(requested: Iterable[str]) -> Optional[Outcome]:
    """What a run says that changes nodes and proves nothing; None for any other run."""
    wanted = set(requested)
    if Stage.APPLY.value not in wanted or wanted & {Stage.VERIFY.value, Stage.BURN_IN.value}:
        return None
    return Outcome(
        "verify.completed", "verify", Result.INCOMPLETE, observed="not asked for",
        expected="the requirements are verified after a change",
        cause="The run was limited to provisioning, so nothing is proven.",
        remedy="Run playbooks/verify.yml, or site.yml without --tags.",
    )  # fmt: skip


def fact(
    verdict: Verdict, scope_text: str, run: str, now: float, days: float, reason: str
) -> Dict[str, Any]:
    """The local fact, ``ansible_local.torchnode``."""
    return {
        "verdict": verdict.value,
        "scope": scope_text,
        "reason": reason,
        "run": run,
        "at": timestamp(now),
        "expires": timestamp(now + days * 86400),
    }
