"""The verdict that lies on the node: before the first change, at the end, and for a user."""

from __future__ import annotations

import calendar
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import PLAYBOOK, Fleet, descendants

TORCH_PYTHON = os.environ.get("TORCHNODE_TEST_PYTHON", "")
needs_torch = pytest.mark.skipif(
    not TORCH_PYTHON, reason="set TORCHNODE_TEST_PYTHON to a Python with torch: `make test` does"
)


def expires_in_days(fact: dict[str, str]) -> float:
    """Days from now until the fact's expiry."""
    until = calendar.timegm(time.strptime(fact["expires"], "%Y-%m-%dT%H:%M:%SZ"))
    return (until - time.time()) / 86400


def test_the_fact_is_unknown_from_before_the_first_change(fleet: Fleet):
    """Killed while the stack is fetched; then a run that cannot build says FAILED."""
    fleet.add("a", torchnode_record_days=3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        options = {"torchnode_index_url": index, "torchnode_torch_index_url": index}
        caches = {"XDG_CACHE_HOME": str(fleet.folder / "cache"), "HOME": str(fleet.folder)}
        run = fleet.start("site.yml", "-e", json.dumps(options), **caches)
        fleet.until(fleet.facts("a").exists, run)
        run_id = fleet.report()["run"]["id"]
        fact = fleet.fact("a")
        assert (fact["verdict"], fact["run"]) == ("UNKNOWN", run_id)
        assert 2.9 < expires_in_days(fact) <= 3
        fleet.seen.update(descendants(run.pid))
        run.kill()
        run.wait()
    assert fleet.report()["status"] == "running"
    assert fleet.fact("a")["verdict"] == "UNKNOWN"
    ended = fleet.play("site.yml", "-e", "torchnode_offline=true", **caches)
    assert ended.verdicts == {"a": "FAILED"}
    assert (ended.nodes["a"]["timings"]["apply"]) < 30
    assert fleet.fact("a")["verdict"] == "FAILED"
    assert fleet.fact("a")["run"] == ended.report["run"]["id"]
    assert not (fleet.prefix("a") / "lock.json").exists()


def test_a_plan_leaves_yesterdays_verdict(fleet: Fleet):
    """site.yml --tags plan proves nothing, so it replaces nothing."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    fleet.play("playbooks/verify.yml")
    before = fleet.tree()
    assert fleet.play("site.yml", "--tags", "plan").status == 0
    assert fleet.tree() == before


@pytest.fixture
def open_fleet(fleet: Fleet) -> Iterator[Fleet]:
    """A fleet whose folder other users may enter: any pytest that is started closes its own."""
    folder = Path(tempfile.mkdtemp(prefix="torchnode-", dir="/tmp"))
    folder.chmod(0o755)
    made = Fleet(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user without asking")
def test_an_ordinary_users_fact_lies_in_their_data_folder(open_fleet: Fleet):
    """No root needed on the node, and Ansible reads it as ansible_local.torchnode."""
    fleet = open_fleet
    if not Path("/usr/bin/python3").exists():
        pytest.skip("the other user needs a Python that is not in somebody's home")
    user = next((u for u in pwd.getpwall() if u.pw_name == "nobody"), None)
    if user is None:
        pytest.skip("no user nobody")
    os.chown(fleet.folder / "data", user.pw_uid, user.pw_gid)
    broken = fleet.folder / "broken"  # it runs, and what it has is no torch
    broken.write_text('#!/bin/sh\nexec /usr/bin/python3 "$@"\n')
    broken.chmod(0o755)
    fleet.add(
        "a",
        torchnode_python=str(broken),
        torchnode_prefix="",
        torchnode_facts_folder="",
        ansible_python_interpreter="/usr/bin/python3",
        ansible_become=True,
        ansible_become_user="nobody",
        ansible_become_method="su",
        ansible_become_flags="-s /bin/sh",
    )
    ended = fleet.play("playbooks/verify.yml")
    assert ended.verdicts == {"a": "FAILED"}, ended.out
    folder = fleet.folder / "data" / "torchnode" / "facts.d"
    assert (folder / "torchnode.fact").stat().st_uid == user.pw_uid
    setup = [str(PLAYBOOK.with_name("ansible")), "localhost", "-m", "setup"]
    asked = f"fact_path={folder} gather_subset=!all,!min,local"
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [*setup, "-a", asked, "-e", interpreter],
        env=fleet.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    read = json.loads(done.stdout[done.stdout.index("{") :])
    local = read["ansible_facts"]["ansible_local"]["torchnode"]
    assert (local["verdict"], local["run"]) == ("FAILED", ended.report["run"]["id"])


@needs_torch
def test_a_node_that_is_ready_says_so_with_its_scope(fleet: Fleet):
    """The whole line on an adopted environment; then what later runs make of its record."""
    fleet.add("a", torchnode_python=TORCH_PYTHON, torchnode_burn_in_seconds=2)
    ended = fleet.play("site.yml")
    assert ended.status == 0, ended.out
    assert ended.verdicts == {"a": "READY"}
    assert "READY (verified, burned in)" in ended.out
    assert ended.nodes["a"]["burn_in"]["devices"][0]["totals"]["errors"] == 0
    assert fleet.fact("a")["verdict"] == "READY"
    assert 6.9 < expires_in_days(fleet.fact("a")) <= 7
    before = fleet.tree()
    checked = fleet.play("site.yml", "--check", "--diff")
    assert (checked.status, checked.verdicts) == (0, {"a": "PLANNED"}), checked.out
    assert "changed=0" in checked.out
    assert fleet.tree() == before
    again = fleet.play("playbooks/verify.yml")
    assert again.verdicts == {"a": "READY"}
    assert again.nodes["a"]["scope"].startswith("verified, burned in on 20")
