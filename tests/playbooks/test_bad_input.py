"""Slips of the operator and of the machine: what was found, what was expected, what next.

Each ends non-zero, leaves nothing half-changed, prints no traceback, and the next run goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Ended, Fleet

#: What only Ansible's developers can read.
NOISE = ("Traceback", "MODULE FAILURE", "No start of json char", "censored", "undefined variable")


def readable(ended: Ended) -> Ended:
    """The run failed, and in words."""
    assert ended.status != 0, ended.out
    for noise in NOISE:
        assert noise not in ended.out, ended.out
    return ended


def told(ended: Ended, name: str = "a") -> dict[str, Any]:
    """The node's worst outcome, which says all that an operator needs."""
    readable(ended)
    bad = [o for o in ended.nodes[name]["outcomes"] if o["result"] in ("fail", "incomplete")]
    outcome: dict[str, Any] = sorted(bad, key=lambda o: ("fail", "incomplete").index(o["result"]))[
        0
    ]
    assert outcome["observed"]
    assert outcome["expected"]
    assert outcome["cause"]
    assert outcome["remedy"]
    return outcome


# ---- how the run was asked for: nothing begins ---------------------------------------------

REFUSED = {
    "a tag that no play has": ("site.yml", ["--tags", "plna"], "--tags: found plna"),
    "a tag of another playbook": ("playbooks/plan.yml", ["--tags", "verify"], "found verify"),
    "skipping what all need": ("site.yml", ["--skip-tags", "survey"], "--skip-tags: found survey"),
    "skipping the record": ("site.yml", ["--skip-tags", "report"], "--skip-tags: found report"),
    "a batch size": ("site.yml", ["-e", "torchnode_serial=abc"], "torchnode_serial: found 'abc'"),
    "a misspelt variable": ("site.yml", ["-e", "torchnode_prefx=/x"], "'torchnode_prefix'"),
    "an empty inventory": ("site.yml", ["-i", "/dev/null"], "inventory: found no node"),
    "nothing to remove from": ("playbooks/remove.yml", ["-i", "/dev/null"], "found no node"),
    "nothing to report on": ("playbooks/report.yml", ["-i", "/dev/null"], "found no node"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_run_that_cannot_be_meant_does_not_begin(fleet: Fleet, case: str):
    """Ansible runs on with most of these, and ends as a success."""
    playbook, arguments, expected = REFUSED[case]
    if "/dev/null" not in arguments:
        fleet.add("a")
    ended = readable(fleet.play(playbook, *arguments))
    assert ended.status == 1
    assert expected in ended.out
    assert "expected" in ended.out
    assert "Nothing was run, nothing was changed." in ended.out
    assert "PLAY [" not in ended.out
    assert fleet.report() == {}
    assert not fleet.tree()


def test_a_broken_file_of_variables_is_named(fleet: Fleet, tmp_path: Path):
    """Ansible alone prints a YAML error without the file, and torchnode's callback as a warning."""
    fleet.add("a")
    inventory = tmp_path / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts").write_text("a ansible_connection=local\n")
    (inventory / "group_vars" / "all.yml").write_text("torchnode_expect: {backend: cuda\n")
    ended = readable(fleet.play("playbooks/plan.yml", "-i", str(inventory)))
    assert ended.status == 1
    assert "group_vars/all.yml:2" in ended.out
    assert "WARNING" not in ended.out
    assert "Nothing was run" in ended.out


#: What ansible-core finds in the variables, by the words that the node's outcome has of it.
ILL_TYPED: dict[str, dict[str, Any]] = {
    "torchnode_keep_stacks": {"torchnode_keep_stacks": "many"},
    "torchnode_backend must be one of": {"torchnode_backend": "nvidia"},
    "torchnode_expect.modell": {"torchnode_expect": {"modell": "H100"}},
    "a variable holds keys, such as torchnode_expect": {"torchnode_expect": ["cuda", 8]},
    "'my_base' is undefined": {"torchnode_python": "{{ my_base }}/python"},
}


@pytest.mark.parametrize("case", ILL_TYPED)
def test_a_variable_of_another_type_is_a_slip_of_the_inventory(fleet: Fleet, case: str):
    """Not 'a task failed'."""
    fleet.add("a", **ILL_TYPED[case])
    outcome = told(fleet.play("playbooks/plan.yml"))
    assert outcome["id"] == "survey.variables"
    assert case in outcome["observed"]
    assert "docs/variables.md" in outcome["remedy"]


@pytest.mark.parametrize("name", ["torchnode_prefix", "torchnode_facts_folder"])
def test_a_file_in_a_folders_place_has_a_next_step(fleet: Fleet, name: str):
    """A plan names it already; a run without a step finds it when it takes the node's lock."""
    file = fleet.folder / "file"
    file.write_text("")
    before = fleet.tree()
    fleet.add("a", **{name: str(file)})
    for playbook in ("playbooks/plan.yml", "playbooks/provision.yml"):
        outcome = told(fleet.play(playbook))
        assert outcome["id"] == "preflight." + name[len("torchnode_") :]
        assert outcome["observed"] == f"{name}: {file} is not a folder"
        assert name in outcome["remedy"]
        assert fleet.tree() == before
    fleet.hosts["a"]["torchnode_python"] = fleet.python("broken", probe="exit 3")
    outcomes = str(fleet.play("playbooks/verify.yml").nodes["a"]["outcomes"])
    assert "cannot be made or written" in outcomes


MISSING: dict[str, dict[str, Any]] = {
    "find_links": {"torchnode_find_links": ["/no/such/wheels", "https://mirror/wheels"]},
    "ca_bundle": {"torchnode_ca_bundle": "/no/such/wheels"},
}


@pytest.mark.parametrize("check", MISSING)
def test_what_the_build_would_read_is_looked_at_in_the_plan(fleet: Fleet, check: str):
    """A folder of wheels or a CA bundle that is not on the node; an adopted one needs neither."""
    fleet.add("a", **MISSING[check])
    fleet.add("b", torchnode_python=fleet.python("sound"), **MISSING[check])
    ended = fleet.play("playbooks/plan.yml")
    assert ended.verdicts == {"a": "FAILED", "b": "PLANNED"}
    outcome = told(ended)
    assert outcome["id"] == "preflight." + check
    assert outcome["observed"] == f"torchnode_{check}: /no/such/wheels is not there"
    assert "torchnode_" + check in outcome["remedy"]
    assert "not on the controller" in outcome["cause"]


def test_verify_of_a_node_without_a_stack_says_so(fleet: Fleet):
    """Not what Python says of a file that is missing; and the table names no torch."""
    fleet.add("a")
    ended = fleet.play("playbooks/verify.yml")
    outcome = told(ended)
    assert outcome["id"] == "verify.interpreter"
    assert f"No stack is installed under {fleet.prefix('a')}" in outcome["cause"]
    assert "playbooks/provision.yml" in outcome["remedy"]
    assert ended.nodes["a"]["torch"] is None
    assert "Errno" not in ended.out
    assert "2.13.0" not in ended.out.partition("NODES **")[2]


def test_a_limit_without_a_node_does_not_begin(fleet: Fleet):
    """This one Ansible refuses itself."""
    fleet.add("a")
    ended = readable(fleet.play("site.yml", "--limit", "nobody"))
    assert "no hosts to target" in ended.out


def test_tools_may_skip_tags_of_their_own(fleet: Fleet):
    """Molecule passes these with every run."""
    fleet.add("a")
    ended = fleet.play("playbooks/plan.yml", "--skip-tags", "molecule-notest,notest")
    assert (ended.status, ended.verdicts) == (0, {"a": "PLANNED"})


def test_a_misspelt_variable_removes_nothing(fleet: Fleet):
    """With torchnode_prefx it would be the default prefix that goes."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    fleet.play("playbooks/verify.yml")
    before = fleet.tree()
    fleet.hosts["a"]["torchnode_prefx"] = "/x"
    ended = readable(fleet.play("playbooks/remove.yml"))
    assert "did you mean 'torchnode_prefix'?" in ended.out
    assert fleet.tree() == before


# ---- wishes that no machine can grant: resolve says so, and the node is as it was -----------

WISHES = {
    "profile": ({"torchnode_profile": "transformers-v9"}, "torchnode_profile: 'transformers-v9'"),
    "workload": ({"torchnode_workload": "trainning"}, "trainning"),
    "torch": ({"torchnode_torch_version": "9.9.9"}, "torchnode_torch_version: '9.9.9'"),
    "variable": ({"torchnode_profil": "x"}, "did you mean 'torchnode_profile'?"),
    "Python": ({"torchnode_python_version": "3.5"}, "3.5"),
    "prefix": ({"torchnode_prefix": "not/absolute"}, "torchnode_prefix: 'not/absolute'"),
}


@pytest.mark.parametrize("case", WISHES)
def test_a_wish_that_cannot_be_met_changes_nothing(fleet: Fleet, case: str):
    """FAILED before the first change, with the argument named; the corrected run goes on."""
    wish, expected = WISHES[case]
    fleet.add("a", **wish)
    outcome = told(fleet.play("site.yml"))
    assert expected in outcome["observed"] + outcome["remedy"]
    assert not fleet.tree()
    fleet.add("a")
    assert fleet.play("playbooks/plan.yml").verdicts == {"a": "PLANNED"}


# ---- the machine ----------------------------------------------------------------------------


@pytest.fixture
def mounted(fleet: Fleet) -> Iterator[Any]:
    """Mounts a tmpfs with these options for a prefix; taken away afterwards."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = fleet.folder / "nodes" / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip("needs the right to mount: " + done.stderr.strip())
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


CLOSED = {"torchnode_index_url": "http://127.0.0.1:9/simple"}
CLOSED["torchnode_torch_index_url"] = CLOSED["torchnode_index_url"]


@pytest.fixture
def caches(fleet: Fleet) -> dict[str, str]:
    """A home without caches, so that no run finds there what it should fetch."""
    return {"XDG_CACHE_HOME": str(fleet.folder / "cache"), "HOME": str(fleet.folder)}


def test_an_index_that_does_not_answer_is_named(fleet: Fleet, caches: dict[str, str]):
    """The address, and which settings choose another."""
    fleet.add("a", **CLOSED)
    outcome = told(fleet.play("site.yml", **caches))
    assert "127.0.0.1:9" in outcome["observed"]
    assert "torchnode_index_url" in outcome["observed"] + outcome["remedy"]
    assert fleet.fact("a")["verdict"] == "FAILED"
    assert not (fleet.prefix("a") / "lock.json").exists()
    assert not (fleet.prefix("a") / "current").exists()


def test_a_read_only_prefix_is_named(fleet: Fleet, mounted: Any):
    """The path, and that another can be chosen."""
    fleet.add("a", torchnode_prefix=str(mounted("ro") / "torchnode"))
    outcome = told(fleet.play("site.yml"))
    assert "read-only file system" in outcome["observed"]
    assert "torchnode_prefix" in outcome["observed"]
    assert not fleet.facts("a").exists()


def test_a_full_disk_is_named_before_anything_is_made(fleet: Fleet, mounted: Any):
    """A few kilobytes: less than any stack needs."""
    place = mounted("size=64k")
    fleet.add("a", torchnode_prefix=str(place / "torchnode"))
    outcome = told(fleet.play("site.yml"))
    assert "GiB free for" in outcome["expected"]
    assert list(place.iterdir()) == []


def test_a_disk_without_a_byte_is_named(fleet: Fleet, mounted: Any):
    """Even the lock does not fit; an adopted stack needs no more than that."""
    place = mounted("size=16k")
    with contextlib.suppress(OSError), (place / "full").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"0" * 4096)
    python = fleet.python("broken", probe="exit 3", worker="exit 3")
    fleet.add("a", torchnode_prefix=str(place / "torchnode"), torchnode_python=python)
    ended = readable(fleet.play("playbooks/burn_in.yml"))
    assert "No space left on device" in ended.out
    assert ended.verdicts == {"a": "FAILED"}
    os.remove(place / "full")
    assert fleet.play("playbooks/verify.yml").verdicts == {"a": "FAILED"}
    assert json.loads((place / "torchnode" / "record.json").read_text())["verdict"] == "FAILED"


def test_a_node_without_its_python_is_told(fleet: Fleet):
    """Ansible's own interpreter on the node, not the stack's."""
    fleet.add("a", ansible_python_interpreter="/no/such/python3")
    outcome = told(fleet.play("playbooks/plan.yml"))
    assert "/no/such/python3" in outcome["observed"]


OLD = """#!/bin/sh
# Stands in for a Python that ansible-core no longer supports: it cannot read today's syntax.
cat >/dev/null
echo '  File "<stdin>", line 1' >&2
echo "SyntaxError: future feature annotations is not defined" >&2
exit 1
"""


def test_a_node_whose_python_is_too_old_is_told(fleet: Fleet):
    """Neither 'MODULE FAILURE' nor 'No start of json char' helps anybody."""
    old = fleet.folder / "python3.6"
    old.write_text(OLD)
    old.chmod(0o755)
    fleet.add("a", ansible_python_interpreter=str(old))
    ended = fleet.play("playbooks/plan.yml")
    assert ended.status != 0
    assert "SyntaxError" in ended.worst("a", "fail")["observed"]
    assert "json char" not in ended.worst("a", "fail")["observed"]
    assert "3.9" in ended.worst("a", "fail")["remedy"]
    assert "ansible_python_interpreter" in ended.worst("a", "fail")["remedy"]


@pytest.mark.parametrize(
    ("says", "expected"),
    [("a password is required", "password"), ("worker is not in the sudoers file", "sudoers")],
)
def test_no_right_to_become_root_is_told(fleet: Fleet, says: str, expected: str):
    """A stand-in for sudo that refuses as sudo does."""
    sudo = fleet.folder / "sudo"
    sudo.write_text(f"#!/bin/sh\necho 'sudo: {says}' >&2\nexit 1\n")
    sudo.chmod(0o755)
    fleet.add("a", ansible_become=True, ansible_become_user="nobody", ansible_become_exe=str(sudo))
    ended = fleet.play("playbooks/plan.yml")
    assert ended.status != 0
    first = next(o for o in ended.nodes["a"]["outcomes"] if o["result"] != "pass")
    assert expected in first["observed"]
    assert "sudo" in first["remedy"]


SSH = {
    "the key is refused": ("worker@node: Permission denied (publickey).", "authorized_keys"),
    "an unknown host key": ("Host key verification failed.", "ssh-keyscan"),
    "no such name": ("ssh: Could not resolve hostname node: Name or service not known", "name"),
    "nobody listens": ("ssh: connect to host node port 22: Connection refused", "ansible_port"),
    "no answer": ("ssh: connect to host node port 22: Connection timed out", "power"),
}


@pytest.mark.parametrize("case", SSH)
def test_a_node_that_ssh_does_not_reach_is_told_why(fleet: Fleet, case: str):
    """A stand-in for ssh that says what OpenSSH says and exits as it does.

    It reads first: one that ends while Ansible still writes loses its words on a busy machine.
    """
    says, remedy = SSH[case]
    ssh = fleet.folder / "ssh"
    ssh.write_text(f"#!/bin/sh\ntimeout 3 cat >/dev/null\necho '{says}' >&2\nexit 255\n")
    ssh.chmod(0o755)
    fleet.hosts["a"] = {"ansible_host": "node", "ansible_ssh_executable": str(ssh)}
    ended = fleet.play("playbooks/plan.yml")
    assert ended.status == 4
    assert ended.verdicts == {"a": "UNKNOWN"}
    outcome = told(ended)
    assert says in outcome["observed"]
    assert remedy in outcome["remedy"]


def test_an_interpreter_to_adopt_that_is_not_there_is_named(fleet: Fleet):
    """Before anything is made on the node, and also in a plan."""
    fleet.add("a", torchnode_python="/no/such/python")
    fleet.add("b", torchnode_python="/usr/bin/false")
    for playbook in ("playbooks/plan.yml", "site.yml"):
        ended = fleet.play(playbook)
        assert ended.verdicts == {"a": "FAILED", "b": "FAILED"}
        outcome = told(ended)
        assert outcome["observed"] == "torchnode_python: /no/such/python: it is not there"
        assert "environment to adopt" in outcome["cause"]
        assert "it does not run" in told(ended, "b")["observed"]
        assert not fleet.tree()


def test_two_prefixes_do_not_share_one_fact(fleet: Fleet):
    """The second is refused before anything is made, and the first one's verdict stays."""
    python = fleet.python("broken", probe="exit 3", worker="exit 3")
    fleet.add("a", torchnode_python=python)
    fleet.play("playbooks/verify.yml")
    before = fleet.tree()
    folder = str(fleet.facts("a").parent)
    fleet.hosts.clear()
    fleet.add("b", torchnode_python=python, torchnode_facts_folder=folder)
    ended = readable(fleet.play("playbooks/burn_in.yml"))
    assert str(fleet.prefix("a")) in ended.out
    assert "torchnode_facts_folder" in ended.out
    assert fleet.tree() == before
    shutil.rmtree(fleet.prefix("a"))  # removed by hand: its fact holds nobody up
    fleet.play("playbooks/verify.yml")
    assert fleet.fact("b" if fleet.facts("b").exists() else "a")["prefix"] == str(fleet.prefix("b"))


def test_ctrl_c_while_the_stack_is_built_holds_nobody_up(fleet: Fleet, caches: dict[str, str]):
    """UNKNOWN meanwhile; the next run takes the lock over at once and ends with a verdict."""
    fleet.add("a")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        options = {"torchnode_index_url": index, "torchnode_torch_index_url": index}
        run = fleet.start("site.yml", "-e", json.dumps(options), **caches)
        fleet.until(fleet.facts("a").exists, run)
        os.killpg(run.pid, signal.SIGINT)
        ended = fleet.wait(run)
    assert ended.status != 0
    assert ended.report["status"] == "interrupted"
    assert ended.verdicts == {"a": "UNKNOWN"}
    assert fleet.fact("a")["verdict"] == "UNKNOWN"
    ended = fleet.play("site.yml", "-e", "torchnode_offline=true", **caches)
    assert ended.verdicts == {"a": "FAILED"}
    assert "waits for" not in ended.out
    assert not (fleet.prefix("a") / "lock.json").exists()
    assert fleet.fact("a")["run"] == ended.report["run"]["id"]
