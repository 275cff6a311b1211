"""How runs end: whatever fails, every node is in the report and the exit status tells."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from harness import ROOT, Fleet, command_of


@pytest.fixture
def broken(fleet: Fleet) -> str:
    """A Python whose torch cannot be asked."""
    return fleet.python("broken", probe="exit 3", worker="exit 3")


@pytest.fixture
def hanging(fleet: Fleet) -> str:
    """A Python that hangs as a sick driver makes it hang."""
    return fleet.python("hanging", probe="exec sleep 597", worker="exec sleep 597")


def sleepers(fleet: Fleet) -> list[int]:
    """Hanging processes that this fleet's runs started."""
    return [pid for pid in fleet.seen if "sleep\x00597" in command_of(pid)]


def test_all_nodes_failed(fleet, broken):
    """Non-zero, every node FAILED with cause and remedy, on the node too."""
    fleet.add("a", "b", torchnode_python=broken)
    ended = fleet.play("site.yml")
    assert ended.status == 2
    assert ended.report["status"] == "complete"
    assert ended.verdicts == {"a": "FAILED", "b": "FAILED"}
    for name in ("a", "b"):
        assert ended.worst(name, "fail")["remedy"]
        assert ended.nodes[name]["stack"]["adopted"]
        assert not (fleet.prefix(name) / "lock.json").exists()
        assert fleet.fact(name)["verdict"] == "FAILED"
        assert fleet.fact(name)["run"] == ended.report["run"]["id"]
    assert "2 nodes: 2 FAILED" in ended.out
    assert "undefined" not in ended.out


def test_limit_reports_only_the_limited(fleet):
    """A node that was not asked for is not in the report."""
    fleet.add("a", "b", "c")
    ended = fleet.play("playbooks/plan.yml", "--limit", "b,c")
    assert ended.status == 0
    assert ended.verdicts == {"b": "PLANNED", "c": "PLANNED"}


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh client")
def test_an_unreachable_node_is_unknown_and_the_others_go_on(fleet):
    """It is in the report and in the table, with what to check."""
    fleet.add("a", "b")
    fleet.hosts["far"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    ended = fleet.play("playbooks/plan.yml", "-f", "1")
    assert ended.status == 4
    assert ended.verdicts == {"a": "PLANNED", "b": "PLANNED", "far": "UNKNOWN"}
    assert "ansible_port" in ended.worst("far", "incomplete")["remedy"]
    assert "survey.reachable incomplete" in ended.out


REBOOT_OF_ONE = """
- import_playbook: {root}/playbooks/stages/survey.yml
- hosts: all
  gather_facts: false
  vars: {{_torchnode_stage: apply}}
  tasks:
    - name: Reboot the node and wait for it
      ansible.builtin.reboot: {{reboot_timeout: 1}}
      when: inventory_hostname == 'a'
    - name: Go on
      ansible.builtin.command: touch {folder}/went-on-{{{{ inventory_hostname }}}}
"""


def test_a_node_that_does_not_come_back_is_unknown_and_the_others_go_on(fleet):
    """Ansible reboots no local node, and says so: a reboot that fails, without a reboot."""
    fleet.add("a", "b")
    playbook = fleet.folder / "reboot.yml"
    playbook.write_text(REBOOT_OF_ONE.format(root=ROOT, folder=fleet.folder))
    ended = fleet.play(str(playbook))
    assert ended.status == 2
    outcome = ended.worst("a", "incomplete")
    assert outcome["id"] == "apply.reachable"
    assert "local connection" in outcome["observed"]
    assert ended.verdicts["a"] == "UNKNOWN"
    assert not [o for o in ended.nodes["a"]["outcomes"] if o["result"] == "fail"]
    assert [path.name for path in fleet.folder.glob("went-on-*")] == ["went-on-b"]


@pytest.mark.parametrize("ended_by", ["ctrl_c", "terminated"])
def test_an_interruption_tells_what_was_not_proven_and_leaves_no_process(fleet, hanging, ended_by):
    """SIGINT as a terminal sends it, or SIGTERM as a CI system does, in the middle of verify."""
    fleet.add("a", torchnode_python=hanging)
    run = fleet.start("playbooks/verify.yml")
    fleet.until(lambda: sleepers(fleet), run)
    if ended_by == "ctrl_c":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.terminate()
    ended = fleet.wait(run)
    assert ended.status == 99, "Ansible's for an interrupted run"
    assert ended.report["status"] == "interrupted"
    assert ended.verdicts == {"a": "UNKNOWN"}
    assert "not reached: verify" in ended.worst("a", "incomplete")["observed"]
    assert "1 node: 1 UNKNOWN" in ended.out
    assert ended.out.count("report: ") == 1
    for _ in range(50):
        if not sleepers(fleet):
            break
        signal.sigtimedwait([], 0.1)
    assert not sleepers(fleet)


def test_a_killed_controller_leaves_a_true_report_and_the_next_run_takes_over(
    fleet, hanging, broken
):
    """SIGKILL with the node's lock held: no waiting, no operator."""
    fleet.add("a", torchnode_python=hanging)
    run = fleet.start("site.yml", "--tags", "burn_in")
    fleet.until(lambda: sleepers(fleet), run)
    lock = fleet.prefix("a") / "lock.json"
    assert lock.exists()
    run.kill()
    run.wait()
    left = fleet.report()
    assert left["status"] == "running"
    assert [node["verdict"] for node in left["nodes"]] == ["UNKNOWN"]
    fleet.add("a", torchnode_python=broken)
    ended = fleet.play("site.yml", "--tags", "burn_in")
    assert ended.status == 2
    assert ended.verdicts == {"a": "FAILED"}
    assert ended.nodes["a"]["timings"]["burn_in"] < 30
    assert not lock.exists()


def test_a_live_holder_is_named_and_waited_for(fleet, hanging, broken):
    """The second run neither changes nor records anything while the first is at work."""
    fleet.add("a", torchnode_python=hanging)
    first = fleet.start("site.yml", "--tags", "burn_in")
    fleet.until(lambda: sleepers(fleet), first)
    holder = fleet.report()["run"]["id"]
    before = fleet.tree()
    fleet.add("a", torchnode_python=broken)
    wait = ("-e", "torchnode_lock_wait_seconds=1")
    ended = fleet.play("site.yml", "--tags", "burn_in", *wait)
    assert f"a: waits for run {holder} of pid {first.pid}" in ended.out
    assert ended.status == 2
    assert ended.verdicts["a"] == "UNKNOWN", "nothing was measured"
    assert "torchnode_take_lock" in str(ended.nodes["a"]["outcomes"])
    assert fleet.tree() == before
    verified = fleet.play("playbooks/verify.yml")
    assert verified.status == 2
    assert holder in str(verified.nodes["a"]["outcomes"])
    assert fleet.tree() == before
    assert first.poll() is None


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_every_strategy_reports_every_node(fleet, broken, strategy):
    """The file is the same whatever order tasks come in."""
    fleet.add("a", "b", "c", torchnode_python=broken)
    ended = fleet.play("playbooks/verify.yml", ANSIBLE_STRATEGY=strategy)
    assert ended.status == 2
    assert set(ended.verdicts.values()) == {"FAILED"}
    assert len(ended.verdicts) == 3


def test_a_failed_node_keeps_no_other_from_being_proven(fleet, broken):
    """Batches are for changes: proving goes on, however many of a batch fail."""
    fleet.add("a", "b", torchnode_python=broken)
    ended = fleet.play("playbooks/verify.yml", "-e", "torchnode_serial=1")
    assert ended.status == 2
    assert ended.verdicts == {"a": "FAILED", "b": "FAILED"}


def test_two_names_of_one_machine_are_told_apart_from_two_machines(fleet, broken):
    """One of them works; the other names it, and does not touch what it builds."""
    fleet.add("a", torchnode_python=broken)
    fleet.add("b", torchnode_python=broken, torchnode_prefix=str(fleet.prefix("a")))
    ended = fleet.play("site.yml", "--tags", "burn_in")
    assert ended.status == 2
    assert "found this very run at work here under the name" in ended.out
    assert ended.out.count("expected one name for each machine and prefix") >= 1


def test_a_slip_in_a_setting_says_nothing_about_the_hardware(fleet, broken):
    """It is refused before the burn-in, and leaves its record as it was."""
    fleet.add("a", torchnode_python=broken)
    ended = fleet.play("playbooks/burn_in.yml", "-e", "torchnode_burn_in_memory_fraction=7")
    assert ended.status == 2
    assert "torchnode_burn_in_memory_fraction" in ended.worst("a", "fail")["observed"]
    assert not fleet.prefix("a").exists()


@pytest.mark.parametrize(
    ("playbook", "tags", "requested"),
    [
        ("site.yml", "survey", ["survey", "resolve", "report"]),
        ("site.yml", "verify", ["survey", "resolve", "verify", "report"]),
        ("playbooks/burn_in.yml", "burn_in", ["survey", "resolve", "burn_in", "report"]),
    ],
)
def test_tags_choose_stages_and_the_report_names_them(fleet, broken, playbook, tags, requested):
    """A stage that was not asked for makes no node UNKNOWN."""
    fleet.add("a", torchnode_python=broken)
    ended = fleet.play(playbook, "--tags", tags)
    assert ended.report["run"]["requested"] == requested
    assert ended.verdicts == {"a": "PLANNED" if tags == "survey" else "FAILED"}
    assert ended.status == (0 if tags == "survey" else 2)
    if tags == "survey":
        assert not fleet.prefix("a").exists()


def test_this_machine_without_an_inventory_of_ones_own(fleet, broken):
    """The embedded default: localhost is the node."""
    folders = f"torchnode_prefix={fleet.prefix('l')} torchnode_facts_folder={fleet.prefix('l')}/f"
    given = f"torchnode_python={broken} torchnode_backend=cpu {folders}"
    ended = fleet.play("playbooks/verify.yml", "-e", given)
    assert ended.verdicts == {"localhost": "FAILED"}
    assert ended.status == 2
    assert str(ROOT) not in str(ended.report["nodes"])
