"""The run's identity, and whether another controller is gone for certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from ansible.module_utils.torchnode import controller


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(controller.ENVIRONMENT, "")


def me(**changes: Any) -> dict[str, Any]:
    run = controller.start_run("run-1", ["verify"])
    return {"run": "run-1", "controller": {**run["controller"], **changes}}


def test_a_run_is_what_was_started() -> None:
    started = controller.start_run("run-1", ["verify", "burn_in"])
    assert controller.current_run() == started
    assert started["controller"]["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_without_a_run_nothing_is_done(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(controller.ENVIRONMENT, text)
    with pytest.raises(controller.NoRun) as caught:
        controller.current_run()
    assert str(caught.value)


def test_this_process_is_not_gone() -> None:
    assert not controller.controller_is_gone(me())


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"start": "1"}, True),  # the number was given to another process
        ({"boot_id": "another boot"}, True),
        ({"host": "another"}, False),  # cannot be seen from here
        ({"host": None}, False),
        ({"pid": "nonsense"}, True),
        ({"pid": None}, True),
    ],
)
def test_a_controller_that_is_gone(changes: dict[str, Any], gone: bool) -> None:
    assert controller.controller_is_gone(me(**changes)) is gone


@pytest.mark.parametrize("holder", [{}, {"controller": None}, {"controller": "x"}])
def test_a_holder_that_says_nothing_is_not_gone(holder: dict[str, Any]) -> None:
    assert not controller.controller_is_gone(holder)


def test_an_ended_process_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = controller.process_start(child.pid)
    assert start
    assert start.isdigit()
    holder = me(pid=child.pid, start=start)
    assert not controller.controller_is_gone(holder)
    child.communicate(b"\n")
    assert controller.process_start(child.pid) is None
    assert controller.controller_is_gone(holder)


def test_names_of_runs_sort_by_time() -> None:
    name = controller.new_run_name()
    assert name.endswith("-%d" % os.getpid())
    assert len(name.split("-")[0]) == 8
    assert json.dumps(name)
