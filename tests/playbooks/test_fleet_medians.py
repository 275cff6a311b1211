"""A slow node among many is found though it passes alone; what nodes did is pretended here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import Ended, Fleet
from pretended import Pretended, outcome


@pytest.fixture
def pretended(fleet: Fleet) -> Pretended:
    return Pretended(fleet)


def about(ended: Ended, name: str, check: str) -> dict[str, Any]:
    """The node's one outcome of a check."""
    (found,) = [o for o in ended.nodes[name]["outcomes"] if o["id"] == "burn_in." + check]
    return found


def test_one_of_twelve_is_slow(pretended: Pretended):
    """8 % under the others degrades its node, 15 % fails it: its task, verdict, fact, status."""
    for name in "abcd":
        pretended.add(name, 650.0, 652.0)
    pretended.add("late", 651.0, 598.0)
    pretended.add("slow", 553.0, 650.0)
    ended = pretended.play()
    assert ended.status == 2
    verdicts = dict.fromkeys("abcd", "READY")
    assert ended.verdicts == {**verdicts, "late": "DEGRADED", "slow": "FAILED"}
    slow = about(ended, "slow", "fleet.cuda0")
    assert slow["result"] == "fail"
    assert (
        "slow/cuda0: throughput 553 TFLOP/s, -14.9% against the median 650 of 12" in slow["cause"]
    )
    assert about(ended, "slow", "fleet.cuda1")["result"] == "pass"
    assert about(ended, "late", "fleet.cuda1")["result"] == "warn"
    assert "Hold the node's devices against the fleet" in ended.out
    for name, verdict in ended.verdicts.items():
        assert pretended.fleet.fact(name)["verdict"] == verdict
        assert not (pretended.fleet.prefix(name) / "lock.json").exists()
        record = json.loads((pretended.fleet.prefix(name) / "record.json").read_text("utf-8"))
        assert record["verdict"] == verdict
    assert record["burn_in"]["result"] == "fail"


def test_a_node_that_failed_alone_still_counts(pretended: Pretended):
    """Four good ones and the failed one make five; its bits accuse the other node's."""
    pretended.add("good", 650.0, 650.0)
    pretended.add("other", 650.0, digest="b")
    pretended.add("bad", 650.0, 400.0, outcomes=(outcome("fail"),))
    ended = pretended.play()
    assert about(ended, "good", "fleet.cuda0")["result"] == "pass"
    assert about(ended, "other", "fleet_agreement.cuda0")["result"] == "fail"
    assert ended.verdicts == {"good": "READY", "other": "FAILED", "bad": "FAILED"}
    assert not [o for o in ended.nodes["bad"]["outcomes"] if o["id"].startswith("burn_in.fleet")]


def test_one_node_is_no_fleet(pretended: Pretended):
    """Nothing to compare with, so no task says that there was nothing."""
    pretended.add("a", 650.0, 300.0)
    ended = pretended.play()
    assert ended.status == 0
    assert not [o for o in ended.nodes["a"]["outcomes"] if o["id"].startswith("burn_in.fleet")]


def test_too_few_are_recorded_and_not_judged(pretended: Pretended):
    """Two nodes with two devices: the figures stand there, with the number needed."""
    pretended.add("a", 650.0, 650.0)
    pretended.add("b", 650.0, 300.0)
    ended = pretended.play()
    told = about(ended, "b", "fleet.cuda1")
    assert (ended.status, told["result"]) == (0, "skipped")
    assert "throughput 300 TFLOP/s, not judged (4 of its kind)" in told["observed"]
    assert Path(pretended.fleet.facts("b")).exists()


def test_a_new_node_is_held_against_the_others_records(pretended: Pretended):
    """A fleet grows by a node that is slow: the others are not burned again to find it."""
    for name in "abc":
        pretended.add(name, 650.0, 651.0)
    assert set(pretended.play().verdicts.values()) == {"READY"}
    pretended.add("new", 550.0)
    ended = pretended.play()
    assert ended.verdicts == {**dict.fromkeys("abc", "READY"), "new": "FAILED"}
    assert "against the median 650 of 7" in about(ended, "new", "fleet.cuda0")["cause"]
    assert [pretended.burns(name) for name in (*"abc", "new")] == [1] * 4
    assert not [o for o in ended.nodes["a"]["outcomes"] if o["id"].startswith("burn_in.fleet")]
