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
from helpers import ROOT, FixtureNode

from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.package_model import SourceWish
from ansible.module_utils.torchnode.system_packages import (
    key_fetch,
    openpgp,
    package_source,
    sources,
)
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


# ---- the distribution's own archive --------------------------------------------------------------

#: As Debian's cloud images have it (debian-cloud-images, config_space/12/files).
CLOUD = """\
Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: bookworm bookworm-updates bookworm-backports
Components: main

Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian-security.list
Suites: bookworm-security
Components: main
"""
ARTIFACTORY = "https://repo.example.org/artifactory/debian-remote"
NOT_OURS = (
    "deb https://ppa.launchpadcontent.net/x/ppa/ubuntu bookworm main\n"
    "deb [signed-by=/etc/apt/keyrings/x.asc] https://download.example.org/debian-x bookworm main\n"
)


def archived(root: Path, **files: str) -> FixtureNode:
    """A Debian 12 whose apt has these files."""
    node = FixtureNode(root)
    node.write("/etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n")
    node.write("/etc/apt/sources.list.d/others.list", NOT_OURS)
    for path, text in files.items():
        node.write("/etc/apt/" + path, text)
    return node


def widened(node: FixtureNode) -> list[str]:
    """What the index was read of, in the files that apt was given."""
    read: list[str] = []

    def run(argv: Sequence[str]) -> Completed:
        (parts,) = (word for word in argv if word.startswith("Dir::Etc::sourceparts="))
        read.extend(p.read_text() for p in Path(parts.partition("=")[2]).iterdir())
        return Completed(0, "")

    assert Sources(node, run).apply(SourceOrder(WIDER)).changed
    assert "contrib" not in (node.read("/etc/apt/sources.list.d/others.list") or "")
    return read


@pytest.mark.parametrize(
    ("path", "text", "wide"),
    [
        ("sources.list.d/debian.sources", CLOUD, 2),
        ("sources.list", "deb %s bookworm main\ndeb %s bookworm-updates main\n"
         % (ARTIFACTORY, ARTIFACTORY), 2),
        ("sources.list", "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
         "http://10.0.0.1/x bookworm main\n", 1),
        ("sources.list", "deb http://m/debian/ bookworm main non-free # ours\n", 1),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://m/x\nSuites: bookworm\n"
         "Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n", 1),
    ],
)  # fmt: skip
def test_the_archive_is_told_however_it_is_mirrored(
    tmp_path: Path, path: str, text: str, wide: int
) -> None:
    node = archived(tmp_path, **{path: text})
    node.write("/etc/apt/mirrors/debian.list", "https://deb.debian.org/debian\n")
    node.write("/etc/apt/mirrors/debian-security.list", "https://deb.debian.org/debian-security\n")
    (read,) = widened(node)  # no other file's index, whatever became of its server
    assert read.count("contrib") == wide
    assert node.read("/etc/apt/" + path) == read.rstrip("\n")


@pytest.mark.parametrize(
    "text",
    [
        "deb %s bookworm main\n" % ARTIFACTORY,  # anybody's repository may look like this
        CLOUD.replace("Types:", "Enabled: no\nTypes:"),
    ],
)
def test_what_may_be_anybodys_is_not_widened(tmp_path: Path, text: str) -> None:
    node = archived(tmp_path, **{"sources.list.d/x.sources" if "Types" in text else "x.list": text})
    with pytest.raises(PackageError) as caught:
        Sources(node, nothing).apply(SourceOrder(WIDER))
    assert caught.value.problem.kind == "no_archive"


def test_the_files_are_narrowed_to_what_they_were(tmp_path: Path) -> None:
    node = archived(tmp_path, **{"sources.list.d/debian.sources": CLOUD})
    node.write("/etc/apt/mirrors/debian.list", "https://deb.debian.org/debian\n")
    order = SourceOrder(WIDER, prefix="/opt/t")
    assert Sources(node, nothing).apply(order).changed
    assert Sources(node, nothing).apply(SourceOrder(WIDER, prefix="/opt/t", absent=True)).changed
    assert node.read("/etc/apt/sources.list.d/debian.sources") == CLOUD.rstrip("\n")


# ---- keys ----------------------------------------------------------------------------------------

KEYS = ROOT / "files" / "keys"
OLD, NEW = "nvidia-cuda-3bf863cc.asc", "nvidia-cuda-debian13-8793f200.asc"


def key(name: str) -> bytes:
    return openpgp.dearmored((KEYS / name).read_bytes())


def fingerprint(name: str) -> str:
    return openpgp.fingerprints(key(name))[0]


def nvidias(**change: Any) -> SourceWish:
    own = {"uri": "https://m/cuda/repos/debian12/x86_64/", "suite": "/"}
    return SourceWish("deb", "torchnode-x", **{**own, "fingerprint": fingerprint(NEW), **change})


def test_the_revoked_key_and_other_entries_of_the_repository_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "REVOKED_KEYS", (fingerprint(OLD),))
    node = FixtureNode(tmp_path)
    node.write("/new.asc", (KEYS / NEW).read_text())
    files = {
        "/etc/apt/trusted.gpg": key(OLD) + key(NEW),
        "/usr/share/keyrings/cuda-archive-keyring.gpg": key(OLD),
        "/etc/apt/keyrings/both.asc": openpgp.armored(key(NEW) + key(OLD)).encode(),
        "/etc/apt/trusted.gpg.d/box.gpg": b"\0\0\0\x20\x01\x01\0\x02KBXf",
        "/etc/apt/trusted.gpg.d/new.gpg": key(NEW),
    }
    for path, content in files.items():
        node.write(path, "")
        Path(node.path(path)).write_bytes(content)
    entry = "deb https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/ /\n"
    node.write("/etc/apt/sources.list.d/cuda.list", entry)
    node.write("/etc/apt/sources.list.d/mixed.list", LISTED + entry)
    assert Sources(node, nothing).apply(SourceOrder(nvidias(key="k"), "/new.asc")).changed
    assert not node.exists("/usr/share/keyrings/cuda-archive-keyring.gpg")
    assert not node.exists("/etc/apt/sources.list.d/cuda.list")
    assert node.read("/etc/apt/sources.list.d/mixed.list") == LISTED.rstrip("\n")
    for path in ("/etc/apt/trusted.gpg", "/etc/apt/keyrings/both.asc"):
        assert openpgp.fingerprints(node.read_bytes(path) or b"") == [fingerprint(NEW)]
    for path in ("/etc/apt/trusted.gpg.d/box.gpg", "/etc/apt/trusted.gpg.d/new.gpg"):
        assert node.read_bytes(path) == files[path]


def test_a_key_that_could_not_be_shipped_is_fetched_and_then_kept(tmp_path: Path) -> None:
    node, asked = FixtureNode(tmp_path), list[str]()

    def fetch(url: str) -> bytes:
        asked.append(url)
        return (KEYS / NEW).read_bytes()

    order = SourceOrder(nvidias(key_url="https://m/cuda/repos/debian12/x86_64/8793F200.pub"))
    assert Sources(node, nothing, fetch=fetch).apply(order).changed
    kept = node.read_bytes("/etc/apt/keyrings/torchnode-x.asc") or b""
    assert openpgp.fingerprints(kept) == [fingerprint(NEW)]
    Sources(node, nothing, fetch=fetch).apply(order)
    assert asked == [order.wish.key_url]


def test_a_fetched_key_of_another_fingerprint_changes_nothing(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    order = SourceOrder(nvidias(key_url="https://m/8793F200.pub"))
    with pytest.raises(PackageError) as caught:
        Sources(node, nothing, fetch=lambda _: (KEYS / OLD).read_bytes()).apply(order)
    assert "https://m/8793F200.pub: " + fingerprint(OLD) in caught.value.problem.observed
    assert not node.exists("/etc/apt")


def test_what_cannot_be_fetched_says_why_and_what_next(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"x")
    assert key_fetch.fetch("file://%s/key" % tmp_path, {}) == b"x"
    for url in ("file://%s/none" % tmp_path, "http://127.0.0.1:9/key", "no address"):
        with pytest.raises(PackageError) as caught:
            key_fetch.fetch(url, {})
        assert url in caught.value.problem.observed
        assert "torchnode_nvidia_key_file" in caught.value.problem.remedy
