"""A child's end: one time to be gone for all that were struck together."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from ansible.module_utils.torchnode.burn_in import process


def child(pid: int, status: int | None) -> process.Child:
    made = process.Child.__new__(process.Child)
    made.process = SimpleNamespace(pid=pid, poll=lambda: status)  # type: ignore[assignment]
    made._gone_until = None
    return made


def test_several_that_are_stuck_in_the_kernel_are_waited_for_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, number: killed.append(pid))
    monkeypatch.setattr(process, "KILL_WAIT", 0.5)
    children = [*(child(pid, None) for pid in range(1, 9)), child(9, -9)]
    began = time.monotonic()
    for one in children:
        one.strike()
    assert killed == list(range(1, 10))
    assert time.monotonic() - began < 0.4
    assert [one.kill() for one in children] == [False] * 8 + [True]
    assert 0.5 <= time.monotonic() - began < 1.5


def test_one_that_is_gone_already_is_no_error() -> None:
    def killpg(pid: int, number: int) -> None:
        raise ProcessLookupError

    patch = pytest.MonkeyPatch()
    with patch.context() as replaced:
        replaced.setattr(os, "killpg", killpg)
        assert child(1, 0).kill()


@pytest.mark.parametrize(
    ("link", "first"),
    [("pid:[4026531836]", True), ("pid:[4026532290]", False), (None, False)],
)
def test_the_system_s_own_pid_namespace_is_known_by_its_number(
    monkeypatch: pytest.MonkeyPatch, link: str | None, first: bool
) -> None:
    def readlink(path: str) -> str:
        if link is None:
            raise FileNotFoundError(path)
        return link

    monkeypatch.setattr(os, "readlink", readlink)
    assert process.in_first_pid_namespace() is first
