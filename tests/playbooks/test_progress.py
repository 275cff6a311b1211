"""Long work says how far it is while it runs, and nothing of that is left when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time

import pytest
from harness import Fleet, command_of

from ansible.module_utils.torchnode.model import Stack, TorchBuild, as_data

#: A stand-in for uv: it says what uv 0.13.9 says of a large download, and is slow about it.
SLOW_UV = """#!/bin/sh
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin";;
  pip)
    printf 'Resolved 2 packages in 12ms\\nDownloading torch (900.0MiB)\\n'
    printf 'Downloading triton (100.0MiB)\\n Downloaded triton\\n'
    {wait}
    echo 'No space left on device' >&2; exit 1;;
esac
"""

#: A play of one task: the rest of a run would only take time here.
PLAYBOOK = """
- name: Build
  hosts: all
  gather_facts: false
  vars:
    _torchnode_stage: apply
  tasks:
    - name: Build the stack
      python_stack:
        prefix: "{{ torchnode_prefix }}"
        stack: "{{ stack }}"
        lock: "torch==9.9.9"
        uv: "{{ uv }}"
        progress: "{{ torchnode_prefix }}/progress.json"
"""


class Builds:
    """Builds with the slow stand-in on a fleet of local nodes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.playbook = fleet.folder / "build.yml"
        self.playbook.write_text(PLAYBOOK)

    def start(self, *names: str, wait: str, seconds: str = "0.5"):
        uv = self.fleet.folder / "uv"
        uv.write_text(SLOW_UV.format(wait=wait))
        uv.chmod(0o755)
        for name in names:
            prefix = self.fleet.prefix(name)
            prefix.mkdir()
            stack = Stack(
                backend="cpu", architectures=(), profile="transformers-v5", workload="inference",
                prefix=str(prefix), python=sys.executable, python_version="3.11", digest="aaaa",
                torch=TorchBuild("9.9.9", "cpu", "index", "torch==9.9.9"),
                packages=(("torch", "9.9.9"), ("triton", "9.0.0")),
            )  # fmt: skip
            self.fleet.add(name, uv=str(uv), stack=as_data(stack))
        return self.fleet.start(str(self.playbook), TORCHNODE_PROGRESS_SECONDS=seconds)

    def left(self, name: str) -> list[str]:
        """What of a build is under a node's prefix."""
        prefix = self.fleet.prefix(name)
        return [str(path.relative_to(prefix)) for path in prefix.glob("progress*")]


@pytest.fixture
def builds(fleet: Fleet) -> Builds:
    return Builds(fleet)


def test_a_slow_build_says_how_far_it_is(builds):
    """Bytes and files of the downloads, in plain lines for a log."""
    run = builds.start("a", wait="sleep 3")
    ended = builds.fleet.wait(run)
    line = r"(?m)^\.\.\. a, \d+ s: building, downloaded 0\.1 of 1\.0 GB, 1 of 2 files"
    assert re.search(line, ended.out), ended.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", ended.out), "no control characters"
    assert ended.status == 2
    assert "The disk is full" in ended.out, "and the build ends as without progress"
    assert builds.left("a") == []


def test_many_nodes_take_one_line(builds):
    """And name the slowest."""
    names = [f"n{i}" for i in range(5)]
    ended = builds.fleet.wait(builds.start(*names, wait="sleep 4"))
    line = r"(?m)^\.\.\. Build the stack, \d+ s: 5 nodes at work; slowest n\d: building, .* 1\.0 GB"
    assert re.search(line, ended.out), ended.out


def test_zero_seconds_say_nothing(builds):
    """Neither progress nor that a task still runs."""
    ended = builds.fleet.wait(builds.start("a", wait="sleep 1", seconds="0"))
    assert "..." not in ended.out


#: A play of an operator's own before one of torchnode's.
OTHERS = """
- name: Prepare
  hosts: all
  gather_facts: false
  tasks:
    - name: A short task
      ansible.builtin.command: "true"
    - name: A long task
      ansible.builtin.command: sleep 2
- name: Survey
  hosts: all
  gather_facts: false
  vars:
    _torchnode_stage: survey
  tasks:
    - name: Nothing
      ansible.builtin.debug:
"""


def test_a_task_of_another_play_is_over_when_it_has_ended(fleet):
    playbook = fleet.folder / "others.yml"
    playbook.write_text(OTHERS)
    fleet.add("a")
    ended = fleet.wait(fleet.start(str(playbook), TORCHNODE_PROGRESS_SECONDS="0.5"))
    since = ended.out.partition("... A long task: ")[2]
    assert since, ended.out
    assert "... A short task: " not in since, since


@pytest.mark.parametrize("ended_by", ["ctrl_c", "terminated"])
def test_an_interrupted_build_leaves_no_process_and_no_progress(builds, ended_by):
    """In the middle of a download."""
    fleet = builds.fleet
    run = builds.start("a", wait="exec sleep 598")
    fleet.until(lambda: "building, downloaded" in fleet.output(run), run)
    assert json.loads((fleet.prefix("a") / "progress.json").read_text())["rank"] < 1
    if ended_by == "ctrl_c":
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.terminate()
    assert fleet.wait(run).status == 99
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (working(fleet) or builds.left("a")):
        time.sleep(0.1)
    assert not working(fleet)
    assert builds.left("a") == []


def working(fleet: Fleet) -> list[int]:
    """Stand-ins for uv that this fleet's runs started and that still run."""
    return [pid for pid in fleet.seen if "sleep\x00598" in command_of(pid)]
