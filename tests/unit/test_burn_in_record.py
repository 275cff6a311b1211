"""What a burn-in leaves in the record, when it stands for a later run's, and when it does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import H100, H200, LOCKS, machine, policy

from ansible.module_utils.torchnode import burn_in_record, records
from ansible.module_utils.torchnode.burn_in import fleet
from ansible.module_utils.torchnode.model import Facts, as_data
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.stack import resolve

NOW = records.seconds_of("2026-11-22T12:00:00Z")
DAY = 86400.0
ALL = ["compute", "pulse", "bandwidth", "memory", "links"]
TORCH = "2.13.0+cu130"


def with_uuids(*uuids: str) -> Facts:
    facts = machine(H200, H200, loaded="580.159.04")
    parts = [dataclasses.replace(a, uuid=uuid) for a, uuid in zip(facts.accelerators, uuids)]
    return dataclasses.replace(facts, accelerators=tuple(parts))


FACTS = with_uuids("GPU-a", "GPU-b")


def identity(facts: Facts = FACTS, **wishes: Any) -> dict[str, Any]:
    return records.identity(facts, resolve(facts, policy(**wishes), LOCKS))


def outcome(result: str, check: str = "worker.cuda0", stage: str = "burn_in") -> Outcome:
    return Outcome("%s.%s" % (stage, check), stage, Result(result), "seen", remedy="Do something.")


def summary(**change: Any) -> dict[str, Any]:
    devices = [{"name": "cuda0", "model": "NVIDIA H200", "uuid": "GPU-a", "samples": [[1.0]]}]
    return {
        "level": "standard",
        "stages": ALL,
        "memory_fraction": 0.96,
        "torch": TORCH,
        "driver": "580.159.04",
        "injected": "",
        "devices": devices,
        **change,
    }


def asked(
    level: str = "standard", seconds: float = 0, stages: Any = (), memory: float = 0.96
) -> Any:
    return burn_in_record.wanted(level, seconds, stages, 2, memory)


def part(*outcomes: Outcome, previous: Any = None, **change: Any) -> Any:
    told = list(outcomes) or [outcome("pass")]
    burned = summary(**change)
    return burn_in_record.part(told, burned, as_data(asked()), previous, identity(), NOW, 7)


def why_not(given: Any, want: Any = None, of: Any = None, torch: str = "", days: float = 1) -> str:
    want = asked() if want is None else want
    return burn_in_record.insufficient(given, of or identity(), want, torch, NOW + days * DAY)


def test_what_was_burned_stands_in_it() -> None:
    made = part()
    assert made == {
        "at": "2026-11-22T12:00:00Z",
        "expires": "2026-11-29T12:00:00Z",
        "result": "pass",
        "reason": "",
        "of": identity(),
        "level": "standard",
        "seconds": 480.0,
        "stages": ALL,
        "memory_fraction": 0.96,
        "torch": TORCH,
        "driver": "580.159.04",
        "figures": fleet.essence(summary()),
    }
    assert made["of"]["parts"] == ["GPU-a", "GPU-b"]


def test_a_fresh_one_stands_for_this_run_s() -> None:
    assert why_not(part(), torch=TORCH) == ""
    told = burn_in_record.reused(part())
    assert (told.id, told.result, told.required) == ("burn_in.record", Result.PASS, True)
    assert told.observed == (
        "burned in on 2026-11-22T12:00:00Z, record reused: level standard, 480 s of "
        "compute, pulse, bandwidth, memory (at most 96 % of what was free), links"
    )


def test_a_warning_stays_one() -> None:
    made = part(outcome("warn", "fleet.cuda0"), outcome("pass"))
    assert why_not(made) == ""
    for told in (
        burn_in_record.reused(made),
        burn_in_record.of_verify(made, identity(), NOW),
    ):
        assert told.result is Result.WARN
        assert "burn_in.fleet.cuda0: seen" in told.cause
        assert "torchnode_burn_in_force" in told.remedy


@pytest.mark.parametrize(
    ("want", "said"),
    [
        (("quick", 0, ()), ""),
        (("quick", 481, ()), "for 480 s, not 481 s"),
        (("standard", 0, ["compute"]), ""),
        (("soak", 0, ()), "level standard, not soak"),
        (("soak", 60, ()), "level standard, not soak"),
        (("no such", 0, ()), "level is not known"),
    ],
)
def test_it_must_be_as_much_as_what_is_asked_for(want: Any, said: str) -> None:
    told = burn_in_record.insufficient(part(), identity(), asked(*want), "", NOW)
    assert (told == "") if said == "" else (said in told)


def test_a_missing_stage_is_missing() -> None:
    made = part(stages=["compute", "memory"])
    assert why_not(made) == "burned in without pulse, bandwidth, links"
    assert why_not(made, asked(stages=["memory"])) == ""


@pytest.mark.parametrize(
    ("tested", "wanted", "stages", "said"),
    [
        (0.96, 0.96, (), ""),
        (0.96, 0.5, (), ""),
        (0.1, 0.96, (), "burned in with 10 % of the free memory, not 96 %"),
        (None, 0.96, (), "burned in with 0 % of the free memory, not 96 %"),  # by an older version
        (0.1, 0.96, ["compute"], ""),  # nobody asks for memory
    ],
)
def test_it_must_be_as_much_memory_as_is_asked_for(
    tested: Any, wanted: float, stages: Any, said: str
) -> None:
    made = part(memory_fraction=tested)
    assert why_not(made, asked(stages=stages, memory=wanted)) == said


def test_memory_that_was_not_burned_is_not_named() -> None:
    told = burn_in_record.reused(part(stages=["compute"])).observed
    assert told.endswith("480 s of compute")
    older = burn_in_record.reused(part(stages=["memory"], memory_fraction=None)).observed
    assert older.endswith("480 s of memory")


def test_a_failed_one_never_counts() -> None:
    assert "failed: burn_in.worker.cuda0: seen" in why_not(part(outcome("fail")))


@pytest.mark.parametrize("kind", ["incomplete", "skipped"])
def test_an_interrupted_one_never_counts_and_hides_the_one_before(kind: str) -> None:
    """Not measured to its end: the node may be getting worse."""
    made = part(outcome(kind), previous={"burn_in": part()})
    assert made["result"] == "incomplete"
    assert "did not measure all" in why_not(made)
    told = burn_in_record.of_verify(made, identity(), NOW)
    assert (told.result, told.required) == (Result.SKIPPED, False)


def test_a_failure_beside_something_incomplete_is_a_failure() -> None:
    made = part(outcome("incomplete", "memory.cuda0"), outcome("fail"))
    assert (made["result"], made["reason"]) == ("fail", "burn_in.worker.cuda0: seen")


def test_a_node_that_dies_in_a_burn_in_keeps_no_earlier_pass() -> None:
    left = {**part(), **records.burn_in_begun("20261123-1", NOW + DAY)}
    assert "run 20261123-1 began to burn in, and did not come to an end" in why_not(left)
    assert burn_in_record.of_verify(left, identity(), NOW + DAY).result is Result.SKIPPED


def test_a_run_that_burned_nothing_keeps_the_earlier_one() -> None:
    """Verified only, reused, or failed before the burn-in began."""
    reused = burn_in_record.reused(part())
    for told in ([outcome("pass", stage="verify")], [reused], [outcome("fail", "task")], []):
        for left, kept in ((part(), part()), ("broken", None), (None, None)):
            made = burn_in_record.part(told, None, None, {"burn_in": left}, {}, NOW + DAY, 7)
            assert made == kept
        assert burn_in_record.part(told, None, None, None, {}, NOW, 7) is None


def test_a_fault_made_on_purpose_proves_nothing() -> None:
    assert part(injected="0:nan", previous={"burn_in": part()}) == part()
    assert part(injected="0:nan") is None


def test_what_failed_around_the_burn_in_says_nothing_of_the_hardware() -> None:
    assert part(outcome("pass"), outcome("fail", "task"))["result"] == "pass"


OTHERS = {
    "driver": identity(machine(H200, H200, loaded="580.65.06")),
    "stack": identity(torch_version="2.11.0"),
    "adopted": identity(python="/env/bin/python"),
    "model": identity(machine(H200, H100, loaded="580.159.04")),
    "fewer": identity(machine(H200, loaded="580.159.04")),
    "exchanged": identity(with_uuids("GPU-a", "GPU-c")),
}


@pytest.mark.parametrize("other", OTHERS)
def test_one_of_something_else_says_nothing(other: str) -> None:
    told = burn_in_record.of_verify(part(), OTHERS[other], NOW)
    assert (told.result, told.required) == (Result.SKIPPED, False)
    assert "another driver, stack or hardware" in told.observed
    assert why_not(part(), of=OTHERS[other]) == told.observed


@pytest.mark.parametrize("unknown", ["GPU-????????-????", ""])
def test_a_number_that_was_not_told_is_no_other_part(unknown: str) -> None:
    """A GPU that nobody has used since the start of its driver has question marks for a number."""
    assert why_not(part(), of=identity(with_uuids("GPU-a", unknown))) == ""


def test_another_cpu_is_another_part() -> None:
    system = dataclasses.replace(machine().system, cpu_model="AMD EPYC 9454")
    facts = dataclasses.replace(machine(), system=system)
    assert records.identity(facts, None)["parts"] == ["AMD EPYC 9454"]
    assert records.differing(records.identity(facts, None), records.identity(machine(), None)) == (
        ["parts"] if machine().system.cpu_model else []
    )


def test_an_adopted_environment_with_another_torch() -> None:
    assert why_not(part(), torch="2.14.0+cu130") == (
        "burned in with torch 2.13.0+cu130, not 2.14.0+cu130"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "never"),
        ({}, "never"),
        ([1], "never"),
        ({"of": identity(), "expires": "2027-01-01T00:00:00Z"}, "never"),
        ({**part(), "of": None}, "another"),
        ({**part(), "expires": "soon"}, "unreadable"),
        ({**part(), "expires": "2026-11-22T11:59:59Z"}, "expired on"),
        ({**part(), "level": None}, "level None"),
        ({**part(), "stages": None}, "without"),
        ({**part(), "seconds": None}, "0 s"),
    ],
)
def test_a_record_that_does_not_count_says_why(given: Any, said: str) -> None:
    assert said in why_not(given, days=0)
    told = burn_in_record.not_reused(said)
    assert (told.result, told.required, told.observed) == (Result.SKIPPED, False, said)


def test_it_expires_to_the_second() -> None:
    assert why_not(part(), days=7) == ""
    assert "expired" in why_not(part(), days=7 + 1 / DAY)


def test_a_failed_one_keeps_failing_where_nothing_is_burned() -> None:
    told = burn_in_record.of_verify(part(outcome("fail")), identity(), NOW + DAY)
    assert told.result is Result.FAIL
    assert "burn_in.yml" in told.remedy
