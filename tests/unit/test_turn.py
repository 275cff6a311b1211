"""One module at a time is at work on a node, also where its controller has been killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.system_packages import turn as module
from ansible.module_utils.torchnode.system_packages.failures import PackageError
from ansible.module_utils.torchnode.system_packages.turn import turn

#: A module that is still at work: it holds the lock until it is killed.
AT_WORK = """
import fcntl, os, sys
stream = open(sys.argv[1], "a+")
fcntl.flock(stream, fcntl.LOCK_EX)
stream.write("%d\\n" % os.getpid())
stream.flush()
print("at work", flush=True)
sys.stdin.read()
"""


def nobody(text: str) -> None:
    raise AssertionError("waited: " + text)


def test_the_module_of_a_killed_run_is_waited_for_and_named(tmp_path: Path) -> None:
    path = tmp_path / module.PATH[1:]
    path.parent.mkdir(parents=True)
    argv = [sys.executable, "-c", AT_WORK, str(path)]
    pipe = subprocess.PIPE
    told: List[str] = []
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "at work\n"
        with pytest.raises(PackageError) as caught, turn(Node(str(tmp_path)), 0.1, told.append):
            raise AssertionError("two at work")
        with turn(Node(str(tmp_path)), 0.1, nobody, check=True):
            pass
        other.kill()
    assert "pid %d" % other.pid in caught.value.problem.observed
    assert "pid %d" % other.pid in told[0]
    with turn(Node(str(tmp_path)), 0, nobody):
        assert path.read_text() == "%d\n" % os.getpid()


def test_a_turn_ends_with_its_work(tmp_path: Path) -> None:
    for _ in range(2):
        with turn(Node(str(tmp_path)), 0, nobody):
            pass
    with pytest.raises(KeyError), turn(Node(str(tmp_path)), 0, nobody):
        raise KeyError
    with turn(Node(str(tmp_path)), 0, nobody):
        pass
