"""A source is configured when nobody else holds the package manager, and who does is said."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.package_model import SourceWish
from ansible.module_utils.torchnode.system_packages import package_source
from ansible.module_utils.torchnode.system_packages.failures import PackageError
from ansible.module_utils.torchnode.system_packages.sources import SourceOrder, Sources

WIDER = SourceWish("components", "torchnode-components", components=("contrib",))
LISTED = "deb http://deb.debian.org/debian bookworm main\n"


def debian(root: Path) -> FixtureNode:
    node = FixtureNode(root)
    node.write("/etc/apt/sources.list", LISTED)
    node.write("/var/lib/dpkg/lock-frontend", "")
    return node


@contextmanager
def held(path: str, ready: Path) -> Iterator[int]:
    """Another process with a record lock on the file; yields its pid."""
    holder = os.fork()
    if holder == 0:
        with open(path, "w") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX)
            ready.touch()
            os.read(os.pipe()[0], 1)
    try:
        while not ready.exists():
            time.sleep(0.01)
        yield holder
    finally:
        os.kill(holder, 9)
        os.waitpid(holder, 0)


def nothing(argv: Sequence[str]) -> Completed:
    return Completed(0, "")


def test_who_is_waited_for_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    node, told = debian(tmp_path), list[str]()
    with held(node.path("/var/lib/dpkg/lock-frontend"), tmp_path / "ready") as pid:
        with pytest.raises(PackageError) as caught:
            Sources(node, nothing, told.append).apply(SourceOrder(WIDER, wait_seconds=0.1))
        assert "pid %d" % pid in told[0]
        assert "pid %d" % pid in caught.value.problem.observed
    assert node.read("/etc/apt/sources.list") == LISTED.rstrip()


def test_dnfs_lock_is_waited_for_as_well(tmp_path: Path) -> None:
    """dnf would wait for ever, and name nobody but in its own output."""
    node, told = FixtureNode(tmp_path), list[str]()
    node.write("/var/cache/dnf/metadata_lock.pid", "%d\n" % os.getpid())
    node.write("/etc/yum.repos.d/gone.repo", "[x]\n")
    order = SourceOrder(SourceWish("rpm", "gone"), wait_seconds=0.1, absent=True)
    with pytest.raises(PackageError):
        Sources(node, nothing, told.append).apply(order)
    assert "pid %d" % os.getpid() in told[0]


def test_the_module_writes_it_where_the_terminal_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, progress = debian(tmp_path), tmp_path / "progress.json"
    seen: list[Any] = []

    def look() -> None:
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            if progress.exists():
                seen.append(json.loads(progress.read_text()))
            time.sleep(0.01)

    given = {
        "source": {"kind": "components", "name": "torchnode-components", "uri": "", "suite": "",
                   "components": ["contrib"], "key": "", "fingerprint": "", "signs": ""},
        "key_file": None, "ca_bundle": "", "wait_seconds": 1, "prefix": None, "state": "present",
        "proxy": "", "progress": str(progress),
    }  # fmt: skip
    watcher = threading.Thread(target=look)
    watcher.start()
    with held(node.path("/var/lib/dpkg/lock-frontend"), tmp_path / "ready") as pid:
        applied = package_source.apply(node, given, check=False)
    watcher.join()
    assert applied.done is None
    assert "pid %d" % pid in seen[0]["text"]
    assert not progress.exists()
