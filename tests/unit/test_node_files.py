"""The node's lock: exactly one run holds it, dead ones are taken over; the files beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

from ansible.module_utils.torchnode import manifest, node_files
from ansible.module_utils.torchnode.model import User
from ansible.module_utils.torchnode.node import Node

NODE = Node("/", environ={})
CONTROLLER = {"host": "controller", "boot_id": "b", "pid": 1, "start": "1"}


def run(name: str, seconds: float = 60) -> dict[str, Any]:
    return node_files.lease({"id": name, "controller": CONTROLLER}, seconds)


def take(prefix: Path, mine: dict[str, Any], *dead: str) -> tuple[bool, Any]:
    return node_files.take_lock(NODE, str(prefix), mine, list(dead), time.time())


def holder(prefix: Path) -> Any:
    return node_files.read_lock(NODE, str(prefix))


def test_the_first_takes_it_and_the_second_is_told_who(tmp_path: Path) -> None:
    first = run("first")
    assert take(tmp_path, first) == (True, None)
    assert take(tmp_path, run("second")) == (False, first)
    assert holder(tmp_path) == first


def test_ones_own_lock_is_renewed(tmp_path: Path) -> None:
    take(tmp_path, run("first", 1))
    later = run("first", 100)
    assert take(tmp_path, later) == (True, None)
    assert holder(tmp_path) == later


def test_an_ended_lease_is_taken_over(tmp_path: Path) -> None:
    old = run("old", -1)
    take(tmp_path, old)
    assert take(tmp_path, run("new")) == (True, old)


def test_a_dead_holder_is_taken_over(tmp_path: Path) -> None:
    old = run("old")
    take(tmp_path, old)
    assert take(tmp_path, run("new"), "another") == (False, old)
    assert take(tmp_path, run("new"), "another", "old") == (True, old)
    assert holder(tmp_path)["run"] == "new"


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", '{"run": "x", "expires": "soon"}'])
def test_a_holder_that_nobody_can_be_is_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / node_files.LOCK).write_text(text)
    taken, _ = take(tmp_path, run("new"))
    assert taken
    assert holder(tmp_path)["run"] == "new"


def test_only_the_holder_releases(tmp_path: Path) -> None:
    assert not node_files.release_lock(NODE, str(tmp_path), "first")
    take(tmp_path, run("first"))
    assert not node_files.release_lock(NODE, str(tmp_path), "second")
    assert node_files.release_lock(NODE, str(tmp_path), "first")
    assert holder(tmp_path) is None
    assert take(tmp_path, run("second")) == (True, None)


RACER = """
import sys, time
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.torchnode import node_files
from ansible.module_utils.torchnode.node import Node
prefix, name, rounds = sys.argv[2], sys.argv[3], int(sys.argv[4])
print("here", flush=True)
sys.stdin.readline()
for number in range(rounds):
    # Every round has a dead holder of its own to take over, and both racers try at once.
    dead, mine = "dead-%d" % number, {"run": name, "expires": time.time() + 60}
    folder = prefix + "/%d" % number
    taken, other = node_files.take_lock(Node(), folder, mine, [dead], time.time())
    print(int(taken))
"""


def test_of_two_racing_runs_exactly_one_gets_it(tmp_path: Path) -> None:
    rounds = 300
    for number in range(rounds):
        (tmp_path / str(number)).mkdir()
        if number % 2:
            text = json.dumps({"run": "dead-%d" % number, "expires": time.time() + 60})
            (tmp_path / str(number) / node_files.LOCK).write_text(text)
    command = [sys.executable, "-c", RACER, str(ROOT / "module_utils"), str(tmp_path)]
    racers = [
        subprocess.Popen(
            [*command, name, str(rounds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "here\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [int(a) + int(b) for a, b in zip(*results)] == [1] * rounds
    for number, (first, _second) in enumerate(zip(*results)):
        assert holder(tmp_path / str(number))["run"] == ("one" if first == "1" else "two")


def test_a_stopped_process_inside_the_decision_is_not_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_files, "GUARD_SECONDS", 0.1)
    take(tmp_path, run("old", -1))
    with node_files._alone(str(tmp_path / node_files.LOCK)) as alone:
        assert alone
        taken, other = take(tmp_path, run("new"))
        assert not taken
        assert other["run"] == "old"
    assert take(tmp_path, run("new"))[0]


# ---- record and fact ---------------------------------------------------------------------------


def test_every_file_is_in_the_manifest_before_it_is_there(tmp_path: Path) -> None:
    user = User("w", 1000, str(tmp_path), str(tmp_path / "share"))
    prefix, facts = str(tmp_path / "share/torchnode"), node_files.facts_folder(user, "")
    node_files.prepare(NODE, prefix, facts)
    take(Path(prefix), run("first"))
    node_files.write_record(prefix, {"run": "first"})
    Path(prefix, node_files.BURN_IN).write_text("{}")
    node_files.write_fact(facts, {"verdict": "UNKNOWN"})
    assert node_files.read_fact(NODE, facts) == {"verdict": "UNKNOWN"}
    fact = Path(facts, "torchnode.fact")
    assert json.loads(fact.read_text()) == {"verdict": "UNKNOWN"}
    assert fact.stat().st_mode & 0o777 == 0o644  # Ansible runs a fact file that is executable
    _removed, kept = manifest.remove(NODE, prefix, pretend=False)
    assert kept == []
    assert os.listdir(tmp_path) == []


def test_roots_facts_lie_where_ansible_looks() -> None:
    root = User("root", 0, "/root", "/x")
    assert node_files.facts_folder(root, "") == "/etc/ansible/facts.d"
    assert node_files.facts_folder(root, "/stated") == "/stated"


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_a_fact_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "torchnode.fact").write_text(text)
    assert node_files.read_fact(NODE, str(tmp_path)) is None


def test_one_fact_never_speaks_of_two_prefixes(tmp_path: Path) -> None:
    facts, one, two = (str(tmp_path / name) for name in ("facts", "one", "two"))
    node_files.prepare(NODE, one, facts)
    node_files.write_fact(facts, {"verdict": "READY", "prefix": one})
    node_files.prepare(NODE, two, facts)  # the first one's record is not there: a stale fact
    node_files.write_record(one, {"run": "first"})
    node_files.prepare(NODE, one, facts)
    with pytest.raises(node_files.OtherPrefix, match=r"torchnode_facts_folder: found in .*one"):
        node_files.prepare(NODE, str(tmp_path / "three"), facts)
    assert not (tmp_path / "three").exists()


BEGUN = {"result": "incomplete", "at": "now"}


@pytest.mark.parametrize("text", [None, "{", "[1]", '{"verdict": "READY"}', '{"burn_in": null}'])
def test_a_burn_in_begins_without_a_record_of_an_earlier_one(
    tmp_path: Path, text: str | None
) -> None:
    record = tmp_path / "record.json"
    if text is not None:
        record.write_text(text)
    node_files.open_burn_in(NODE, str(tmp_path), BEGUN)
    assert (record.read_text() if record.exists() else None) == text


def test_a_burn_in_that_begins_takes_the_earlier_one_s_result(tmp_path: Path) -> None:
    """All else of the record stays."""
    record = {"verdict": "READY", "burn_in": {"result": "pass", "at": "then", "level": "quick"}}
    node_files.write_record(str(tmp_path), record)
    node_files.open_burn_in(NODE, str(tmp_path), BEGUN)
    now = json.loads((tmp_path / "record.json").read_text())
    assert now == {"verdict": "READY", "burn_in": {**BEGUN, "level": "quick"}}
