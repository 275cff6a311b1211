"""Runs that must change nothing, and the one that takes everything out again."""

from __future__ import annotations

from typing import Any

import pytest
from harness import ROOT, Fleet


def test_plan_touches_nothing(fleet):
    """PLANNED, exit 0, and not one file more on the node."""
    fleet.add("a", "b")
    before = fleet.tree()
    ended = fleet.play("playbooks/plan.yml")
    assert ended.status == 0, ended.out
    assert ended.verdicts == {"a": "PLANNED", "b": "PLANNED"}
    assert ended.nodes["a"]["scope"] == "planned"
    assert ended.nodes["a"]["plan"][0]["component"] == "python_stack"
    assert "install python_stack: none -> torch" in ended.out
    assert "(planned)" not in ended.out
    assert fleet.tree() == before


def test_check_mode_records_nothing(fleet):
    """--check of a node that verify would fail: the truth in the report, nothing on the node."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    before = fleet.tree()
    ended = fleet.play("site.yml", "--check", "--diff")
    assert ended.status == 2
    assert ended.report["run"]["check"] is True
    assert "provisioned" not in str(ended.nodes["a"]["scope"])
    assert fleet.tree() == before


# (what is wrong, the words that the message must have)
REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"torchnode_workloat": "vision"}, ["torchnode_workloat", "did you mean 'torchnode_workload'"]),
    ({"torchnode_expect": {"gpus": 8}}, ["torchnode_expect", "gpus"]),
    ({"torchnode_expect": {"count": 8, "backend": "cuda"}}, ["cuda", "8"]),
    ({"torchnode_workload": "poetry"}, ["torchnode_workload", "poetry", "llm-7b"]),
    ({"torchnode_backend": "tpu"}, ["torchnode_backend", "tpu"]),
    ({"torchnode_torch_version": "1.0"}, ["torchnode_torch_version", "1.0"]),
    ({"torchnode_lock_wait_seconds": "soon"}, ["torchnode_lock_wait_seconds", "soon"]),
]


def test_wrong_input_is_refused_before_anything_is_touched(fleet):
    """One node for each mistake; each names its variable, and no node is touched."""
    for number, (variables, _) in enumerate(REFUSED):
        fleet.add(f"n{number}", **variables)
    before = fleet.tree()
    ended = fleet.play("site.yml")
    assert ended.status == 2
    assert set(ended.verdicts.values()) == {"FAILED"}
    assert fleet.tree() == before
    for number, (_, words) in enumerate(REFUSED):
        message = str(ended.worst(f"n{number}", "fail"))
        missing = [word for word in words if word not in message.replace("\\'", "'")]
        assert not missing, message


def test_a_report_folder_that_cannot_be_written_stops_the_run(fleet):
    """No report, no change."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    (fleet.folder / "file").write_text("")
    before = fleet.tree()
    ended = fleet.play("site.yml", TORCHNODE_REPORTS=str(fleet.folder / "file" / "reports"))
    assert ended.status == 1
    assert "TORCHNODE_REPORTS" in ended.out
    assert fleet.tree() == before


def test_a_prefix_that_cannot_be_written_is_named(fleet):
    """The node's verdict is lost otherwise."""
    (fleet.folder / "nodes" / "file").write_text("")
    wrong = str(fleet.folder / "nodes" / "file" / "prefix")
    fleet.add("a", torchnode_prefix=wrong)
    before = fleet.tree()
    ended = fleet.play("site.yml")
    assert ended.status == 2
    assert ended.verdicts == {"a": "FAILED"}
    assert "torchnode_prefix" in str(ended.worst("a", "fail"))
    assert fleet.tree() == before


def test_remove_takes_out_what_was_put_in_and_nothing_else(fleet):
    """--check shows it; a second time is fine; what somebody else put there stays."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    before = fleet.tree()
    fleet.play("playbooks/verify.yml")
    mine = fleet.prefix("a") / "notes.txt"
    mine.write_text("keep me")
    put_in = fleet.tree()
    checked = fleet.play("playbooks/remove.yml", "--check", "--diff")
    assert checked.status == 0
    assert "record.json" in checked.out
    assert fleet.tree() == put_in
    assert "would remove" in checked.out
    removed = fleet.play("playbooks/remove.yml")
    assert removed.status == 0
    assert "packages: none" in removed.out
    assert f"kept: {mine.parent}" in removed.out
    assert "nothing of torchnode is there" not in removed.out
    assert set(fleet.tree()) == {*before, str(mine.parent), str(mine)}
    again = fleet.play("playbooks/remove.yml")
    assert again.status == 0
    assert "changed=0" in again.out
    assert f"nothing of torchnode is there: no manifest in {mine.parent}" in again.out
    assert "removed 0 paths" not in again.out


def elsewhere(fleet: Fleet) -> dict[str, str]:
    """A run from a folder that has no ansible.cfg."""
    config = fleet.folder / "empty.cfg"
    config.write_text("")
    return {"cwd": "/", "ANSIBLE_CONFIG": str(config)}


@pytest.mark.parametrize("name", ["plan", "provision", "verify", "burn_in", "remove"])
def test_playbooks_find_their_rooms_from_any_folder(fleet: Fleet, name):
    """Without the project's ansible.cfg: roles, modules and actions all resolve."""
    fleet.add("a")
    ended = fleet.play(f"playbooks/{name}.yml", "--list-tasks", **elsewhere(fleet))
    assert ended.status == 0, ended.out
    assert not ended.report


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/plan.yml"])
def test_a_run_from_another_folder_is_a_whole_run(fleet, playbook):
    """With its report, once."""
    fleet.add("a")
    options = ["--tags", "plan"]
    ended = fleet.play(playbook, *options, **elsewhere(fleet))
    assert ended.status == 0, ended.out
    assert ended.verdicts == {"a": "PLANNED"}
    assert ended.out.count("report: ") == 1


def test_without_any_node_the_run_says_how_to_name_one(fleet):
    """Ansible's exit status is 0 then; nothing may look like success."""
    ended = fleet.play("playbooks/plan.yml", **elsewhere(fleet))
    assert ended.status == 1
    assert "found no node" in ended.out
    assert "inventory/local" in ended.out
    assert str(ROOT) not in str(ended.report)
