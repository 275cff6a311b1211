"""playbooks/report.yml: what the last run proved, and whether it still holds; nothing anew."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from harness import Ended, Fleet

#: A record of a READY run, constructed: what its node has is filled in by `proven`.
READY = {
    "run": "20260101-000000-1", "verdict": "READY", "scope": "verified, burned in", "reason": "",
    "at": "2026-01-01T00:00:00Z", "expires": "9999-01-01T00:00:00Z", "outcomes": [],
}  # fmt: skip


@pytest.fixture
def node(fleet: Fleet) -> Fleet:
    """A node that a run has found FAILED."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    assert fleet.play("playbooks/verify.yml").verdicts == {"a": "FAILED"}
    return fleet


def rewrite(fleet: Fleet, **changes: Any) -> None:
    """Give the record, and the fact where it has the same key, other content."""
    for path in (fleet.prefix("a") / "record.json", fleet.facts("a")):
        content = json.loads(path.read_text())
        is_record = path.name == "record.json"
        content.update({k: v for k, v in changes.items() if is_record or k in content})
        path.write_text(json.dumps(content))


def told(fleet: Fleet) -> Ended:
    """The playbook's end; it must have changed nothing."""
    before = fleet.tree()
    ended = fleet.play("playbooks/report.yml")
    assert fleet.tree() == before
    assert "Traceback" not in ended.out
    return ended


def test_a_failed_node_stays_failed_with_its_reason(node: Fleet):
    """The last run's own cause and remedy, and a status that a scheduler sees."""
    ended = told(node)
    assert (ended.status, ended.verdicts) == (2, {"a": "FAILED"})
    outcome = ended.worst("a", "fail")
    assert outcome["observed"].startswith("FAILED, last proven 20")
    assert "verify." in outcome["cause"]
    assert outcome["remedy"]


def test_a_fresh_ready_says_when_it_was_proven(node: Fleet):
    """READY, and the scope says that it is not of today."""
    rewrite(node, **READY)
    ended = told(node)
    assert (ended.status, ended.verdicts) == (0, {"a": "READY"})
    assert ended.nodes["a"]["scope"] == "last proven 2026-01-01T00:00:00Z: verified, burned in"
    assert "READY (last proven 2026-01-01T00:00:00Z: verified, burned in)" in ended.out


STALE: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"expires": "2026-01-02T00:00:00Z"}, "expired on 2026-01-02"),
    "other hardware": ({"of": {"driver": "", "stack": "", "pci_ids": ["10de:2335"]}}, "another"),
    "unknown": ({"verdict": "UNKNOWN", "reason": "verify.x"}, "UNKNOWN, recorded on"),
    "cut": ({"verdict": "READY", "of": None}, "cannot be read"),
}


@pytest.mark.parametrize("case", STALE)
def test_a_record_that_no_longer_holds_is_unknown(node: Fleet, case: str):
    """Yesterday's READY proves nothing of what the node has become."""
    changes, expected = STALE[case]
    rewrite(node, **{**READY, **changes})
    ended = told(node)
    assert (ended.status, ended.verdicts) == (2, {"a": "UNKNOWN"})
    assert expected in ended.worst("a", "incomplete")["observed"]


def test_a_later_run_that_was_cut_short_takes_the_record_s_word(node: Fleet):
    """The fact is UNKNOWN from before the first change; the record still says READY."""
    rewrite(node, **READY)
    fact = node.fact("a")
    node.facts("a").write_text(json.dumps({**fact, "verdict": "UNKNOWN", "run": "later"}))
    ended = told(node)
    assert ended.verdicts == {"a": "UNKNOWN"}
    assert "run later" in ended.worst("a", "incomplete")["observed"].replace("of run", "run")
    os.remove(node.facts("a"))
    assert told(node).verdicts == {"a": "UNKNOWN"}


def test_a_node_without_a_record_is_unknown(fleet: Fleet):
    """Never proven is not the same as failed."""
    fleet.add("a")
    ended = told(fleet)
    assert (ended.status, ended.verdicts) == (2, {"a": "UNKNOWN"})
    assert "no run has proven anything" in ended.out
