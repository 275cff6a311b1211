"""What apt, dnf, rpm and keys say, as it is read."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import ROOT

from ansible.module_utils.torchnode.package_model import Package, SourceWish
from ansible.module_utils.torchnode.system_packages import (
    apt_text,
    archive,
    dnf_text,
    openpgp,
    source_text,
)
from ansible.module_utils.torchnode.system_packages.base import Change

KEYS = sorted((ROOT / "files" / "keys").glob("*.asc"))


# ---- apt ----------------------------------------------------------------------------------------


def test_dpkg_query_tells_held_and_half_installed_packages() -> None:
    text = (
        "ii \tlibc6\tamd64\t2.36-9\tglibc\n"
        "hi \tlibcuda1\tamd64\t580.95.05-1\tnvidia-graphics-drivers\n"
        "ii \tlibcuda1\ti386\t535.1-1\tnvidia-graphics-drivers\n"
        "rc \told\tamd64\t1\told\n"
        "iU \tnew\tamd64\t2\tnew\n"
        "iF \tbroken\tamd64\t2\tbroken\n"
    )
    found = apt_text.installed(text, "amd64")
    assert set(found) == {"libc6", "libcuda1"}
    assert found["libcuda1"] == Package("libcuda1", "580.95.05-1", "nvidia-graphics-drivers", True)
    assert apt_text.half_installed(text) == ["new", "broken"]


def test_a_simulated_transaction_is_read_with_its_origins() -> None:
    text = (
        "Remv nvidia-kernel-dkms [570.1-1]\n"
        "Inst libcuda1 [570.1-1] (580.95.05-1 NVIDIA:NVIDIA CUDA [amd64]) []\n"
        "Inst libc6-dev (2.36-9 Debian:12.13/oldstable, Debian-Security:12/x [amd64])\n"
        "Inst flat (1 ./Packages [all])\n"
        "Conf libcuda1 (580.95.05-1 NVIDIA:NVIDIA CUDA [amd64])\n"
    )
    assert apt_text.simulated(text) == [
        Change("flat", "", "1", "./Packages"),
        Change("libc6-dev", "", "2.36-9", "Debian:12.13/oldstable, Debian-Security:12/x"),
        Change("libcuda1", "570.1-1", "580.95.05-1", "NVIDIA:NVIDIA CUDA"),
        Change("nvidia-kernel-dkms", "570.1-1", ""),
    ]


def test_a_package_of_the_system_must_not_come_from_a_vendor() -> None:
    change = Change("dkms", "3.0.10", "3.1.8", "NVIDIA:NVIDIA CUDA")
    both = [("3.1.8", "https://n/ Packages"), ("3.0.10", "http://deb/ bookworm/main Packages")]
    assert apt_text.changes_origin(change, both, "debian")
    assert not apt_text.changes_origin(change, both[:1], "debian")
    own = Change("libc6", "1", "2", "Debian-Security:12/oldstable-security")
    assert not apt_text.changes_origin(own, both, "debian")
    assert not apt_text.changes_origin(Change("dkms", "", "3.1.8", "NVIDIA"), both, "debian")


def test_a_branch_pin_is_narrowed_to_the_one_version() -> None:
    text = "Package: a\nPin: version 580.*\nPin-Priority: 1001\n"
    assert "Pin: version 580.95.05-*\n" in apt_text.narrowed(text, "580", "580.95.05-1")


# ---- dnf ----------------------------------------------------------------------------------------

TABLE = """Dependencies resolved.
================================================================================
 Package                  Arch     Version                Repository       Size
================================================================================
Installing:
 nvidia-driver-cuda       x86_64   3:580.95.05-1.el9      torchnode-nvidia-cuda
                                                                          6.1 k
 kernel-devel             x86_64   5.14.0-503.el9         baseos          21 M
Upgrading:
 a-name-that-is-too-long-for-its-column
                          noarch   2-1                    baseos          12 k
Installing dependencies:
 nvidia-kmod-common       noarch   3:580.95.05-1.el9      torchnode-nvidia-cuda 7 k
     replacing  old-common.noarch 1-1
Removing:
 other                    x86_64   1-1                    @System         0
Enabling module streams:
 nvidia-driver                     580-open

Transaction Summary
================================================================================
Install  2 Packages
"""


def test_the_table_of_dnf_is_read_although_its_lines_are_broken() -> None:
    have = {
        "a-name-that-is-too-long-for-its-column": Package("a", "1-1"),
        "old-common": Package("old-common", "1-1"),
        "kernel-devel": Package("kernel-devel", "5.14.0-427.el9"),
    }
    assert [(c.name, c.before, c.after) for c in dnf_text.simulated(TABLE, have)] == [
        ("a-name-that-is-too-long-for-its-column", "1-1", "2-1"),
        ("kernel-devel-5.14.0-503.el9", "", "5.14.0-503.el9"),
        ("nvidia-driver-cuda", "", "3:580.95.05-1.el9"),
        ("nvidia-kmod-common", "", "3:580.95.05-1.el9"),
        ("old-common", "1-1", ""),
        ("other", "1-1", ""),
    ]


def test_versions_are_ordered_as_rpm_does() -> None:
    newest_first = ["3:1-1", "580.105-1", "580.95.05-2.el9", "580.95.05-1.el9", "2.0-1",
                    "2.0~rc1-1", "1.a-1"]  # fmt: skip
    for newer, older in zip(newest_first, newest_first[1:]):
        assert dnf_text.compare(newer, older) == 1, (newer, older)
        assert dnf_text.compare(older, newer) == -1
    assert dnf_text.compare("1.0-1", "0:1.0-1") == 0


def test_locks_of_versionlock_are_read_and_written_alike() -> None:
    package = Package("nvidia-driver-cuda", "3:580.95.05-1.el9")
    (word,) = dnf_text.lock_words([package])
    assert word == "nvidia-driver-cuda-3:580.95.05-1.el9.*"
    assert dnf_text.locked("%s\n!kernel-0:5.14-1.*\n" % word) == {"nvidia-driver-cuda"}


def test_an_upgrade_that_was_cut_off_leaves_two_versions() -> None:
    text = "a\t0\t1-1\ta\na\t0\t2-1\ta\nkernel-core\t0\t1-1\tk\nkernel-core\t0\t2-1\tk\n"
    assert dnf_text.twice(text) == ["a"]


# ---- keys ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("gpg"), reason="needs gpg")
@pytest.mark.parametrize("path", KEYS, ids=lambda path: str(path.name))
def test_fingerprints_are_those_of_gpg(path: Path, tmp_path: Path) -> None:
    argv = ["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons", str(path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    lines = said.splitlines()
    primary = [lines[at + 1].split(":")[9] for at, li in enumerate(lines) if li[:4] == "pub:"]
    assert openpgp.fingerprints(path.read_bytes()) == primary
    binary = openpgp.dearmored(path.read_bytes())
    assert openpgp.fingerprints(openpgp.armored(binary).encode()) == primary
    (tmp_path / "again.asc").write_text(openpgp.armored(binary))
    argv[-1] = str(tmp_path / "again.asc")
    again = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert again.stdout == said  # gpg checks the armor's checksum


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", KEYS[0].read_bytes()[:300]])
def test_what_is_no_key_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|packet"):
        openpgp.fingerprints(content)


# ---- files that name repositories ---------------------------------------------------------------


def test_the_same_repository_is_found_under_other_addresses() -> None:
    official = "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/"
    assert source_text.same_repository(official, official.rstrip("/"))
    assert source_text.same_repository("file:///srv/nvidia/debian12/x86_64/", official)
    assert not source_text.same_repository(official.replace("12", "11"), official)
    assert not source_text.same_repository("http://deb.debian.org/debian", official)


def test_entries_of_a_repository_are_taken_out_and_others_stay() -> None:
    uri = "https://e.org/r/"
    text = "# note\ndeb [signed-by=/k] https://e.org/r /\ndeb http://d/debian bookworm main\n"
    assert source_text.without(text, uri, False) == "# note\ndeb http://d/debian bookworm main\n"
    assert source_text.without("deb https://e.org/r/ /\n", uri, False) is None
    stanzas = "Types: deb\nURIs: https://e.org/r/\nSuites: /\n\nTypes: deb\nURIs: http://d/\n"
    assert source_text.without(stanzas, uri, True) == "Types: deb\nURIs: http://d/\n"
    repo = "[a]\nbaseurl=https://e.org/r\n[b]\nbaseurl=http://d/\n"
    assert source_text.without_section(repo, uri) == "[b]\nbaseurl=http://d/\n"


def test_components_go_to_the_end_of_their_line() -> None:
    def own(entry: archive.Entry) -> bool:
        return entry.uris[0].endswith("/debian")

    text = "deb http://d/debian bookworm main # ours\ndeb http://d/docker bookworm main\n"
    wide = source_text.widened(text, ("contrib",), False, own)
    assert wide.splitlines() == [
        "deb http://d/debian bookworm main contrib # ours", "deb http://d/docker bookworm main",
    ]  # fmt: skip
    assert source_text.widened(wide, ("contrib",), False, own) == wide
    stanza = "Types: deb\nURIs: http://d/debian\nSuites: sid\nComponents: main\n contrib\n"
    wide = source_text.widened(stanza, ("contrib", "non-free"), True, own)
    assert "Components: main non-free\n contrib\n" in wide
    off = "Enabled: no\n" + stanza
    assert source_text.widened(off, ("non-free",), True, own) == off


def test_a_repo_file_checks_what_is_signed() -> None:
    packages = SourceWish("rpm", "torchnode-x", "https://m/")
    assert "gpgcheck=1\nrepo_gpgcheck=0\n" in source_text.repo(packages, "/k.asc", "")
    index = SourceWish("rpm", "torchnode-x", "https://m/", signs="index")
    assert "gpgcheck=0\nrepo_gpgcheck=1\n" in source_text.repo(index, "/k.asc", "/ca.pem")
    assert "sslcacert=/ca.pem\n" in source_text.repo(index, "/k.asc", "/ca.pem")


def test_what_is_excluded_is_never_taken_from_the_source() -> None:
    wish = SourceWish("deb", "torchnode-x", "https://m/", excluded=("libcuda1", "nvidia-*"))
    text = source_text.exclusion(wish)
    assert text is not None
    assert "Package: libcuda1 nvidia-*\nPin: release l=NVIDIA CUDA\nPin-Priority: -1\n" in text
    assert source_text.exclusion(SourceWish("deb", "torchnode-x", "https://m/")) is None
    repo = source_text.repo(dataclasses.replace(wish, kind="rpm"), "/k.asc", "")
    assert "excludepkgs=libcuda1 nvidia-*\n" in repo
