"""A fresh record stands for a burn-in; what is stale, less, failed or cut short does not.

What nodes did is pretended here.
"""

from __future__ import annotations

import os
import signal

import pytest
from harness import ROOT, Ended, Fleet
from pretended import Pretended, outcome


@pytest.fixture
def node(fleet: Fleet) -> Pretended:
    """One node, burned in once."""
    pretended = Pretended(fleet)
    pretended.add("a", 650.0)
    assert pretended.play().verdicts == {"a": "READY"}
    assert pretended.burns("a") == 1
    return pretended


def why(ended: Ended) -> str:
    """What the run said of the record."""
    (found,) = [o for o in ended.nodes["a"]["outcomes"] if o["id"] == "burn_in.record"]
    return f"{found['result']}: {found['observed']}"


def test_it_is_reused_until_something_is_another(node: Pretended):
    """The verdict names the day, the record stays as it was, and nothing is locked."""
    before = node.record("a")
    ended = node.play()
    assert (ended.status, node.burns("a")) == (0, 1)
    assert ended.verdicts == {"a": "READY"}
    day = before["at"].partition("T")[0]
    assert ended.nodes["a"]["scope"] == f"not verified, burned in on {day}, record reused"
    assert why(ended).startswith(f"pass: burned in on {before['at']}, record reused: level quick")
    assert node.record("a") == before
    assert node.fleet.fact("a")["scope"] == ended.nodes["a"]["scope"]
    assert "record reused" in ended.out

    forced = node.play("-e", "torchnode_burn_in_force=true")
    assert node.burns("a") == 2
    assert why(forced) == "skipped: asked for anew by torchnode_burn_in_force"
    assert forced.nodes["a"]["scope"] == "not verified, burned in"

    more = node.play("-e", "torchnode_burn_in_level=standard")
    assert node.burns("a") == 3
    assert why(more) == "skipped: burned in at level quick, not standard"


def test_the_playbook_that_burns_in_always_does(node: Pretended):
    """Whoever runs playbooks/burn_in.yml asks for a burn-in."""
    node.playbook.write_text(f"- import_playbook: {ROOT / 'playbooks' / 'burn_in.yml'}\n")
    assert node.play().verdicts == {"a": "READY"}
    assert node.burns("a") == 2


def test_a_failed_one_is_not_reused(node: Pretended):
    """Repaired or not: only a new burn-in can tell."""
    node.say("a", 650.0, outcomes=(outcome("fail"),))
    assert node.play("-e", "torchnode_burn_in_force=true").verdicts == {"a": "FAILED"}
    assert node.record("a")["result"] == "fail"
    node.say("a", 650.0)
    ended = node.play()
    assert (ended.verdicts, node.burns("a")) == ({"a": "READY"}, 3)
    assert "failed: burn_in.worker.cuda0" in why(ended)


def test_a_warning_is_reused_as_a_warning(node: Pretended):
    """DEGRADED stays DEGRADED, with its reason."""
    node.say("a", 650.0, outcomes=(outcome("warn"), outcome()))
    node.play("-e", "torchnode_burn_in_force=true")
    ended = node.play()
    assert (ended.verdicts, node.burns("a")) == ({"a": "DEGRADED"}, 2)
    assert "burn_in.worker.cuda0" in ended.worst("a", "warn")["cause"]


def test_one_that_was_cut_short_hides_the_one_before(node: Pretended):
    """The controller is killed, as when the node dies: the earlier pass must not come back."""
    said = node.fleet.prefix("a").with_suffix(".burned.json")
    said.unlink()
    force = ("--tags", "burn_in", "-e", "torchnode_burn_in_force=true")
    run = node.fleet.start(str(node.playbook), *force)
    node.fleet.until(lambda: node.burns("a") == 2, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert node.record("a")["result"] == "incomplete"
    node.say("a", 650.0)
    ended = node.play("-e", "torchnode_lock_wait_seconds=0")
    assert (ended.verdicts, node.burns("a")) == ({"a": "READY"}, 3)
    assert "began to burn in, and did not come to an end" in why(ended)
