"""Real apt and dpkg in a container without a network, against signed repositories of stand-ins."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from package_machine import PROXY, Container, image, make_tls, needs, outcome, serve_tls, started
from stub_repository.build import FAULTS, Repository, build

DRIVERS = ("570.195.03", "580.82.07", "580.95.05", "590.48.01")
PIN = "/etc/apt/preferences.d/torchnode-nvidia"
IMAGE = image("localhost/torchnode-bookworm", "localhost/torchnode-node")
pytestmark = needs(
    bool(IMAGE and shutil.which("dpkg-deb") and shutil.which("gpg")),
    "podman, dpkg-deb, gpg and an image that `molecule create` makes",
)


class Machine:
    """A Debian container with its repository."""

    def __init__(self, container: Container, repository: Repository) -> None:
        self.container = container
        self.sh, self._call, self.repository = container.sh, container.call, repository

    def packages(self, version: str = "580", check: bool = False, **more: Any) -> dict[str, Any]:
        given = {
            "component": "nvidia_driver", "packages": ["nvidia-driver-cuda"], "version": version,
            "family": ["nvidia-driver-cuda", "nvidia-persistenced", "nvidia-smi",
                       "nvidia-alternative", "libcuda1", "libnvidia-*1"],
            "absent": [], "stream": "", "version_of": [], "closure": [], "hold": True,
            "state": "present", "prefix": "/opt/t",
            "files": [[PIN, pins(version)]], "proxy": "", "wait_seconds": 1, "progress": None,
        }  # fmt: skip
        return self._call("package_set", check, dict(given, **more))

    def source(
        self,
        folder: str = "debian12",
        check: bool = False,
        proxy: str = "",
        ca_bundle: str = "",
        **more: Any,
    ) -> dict[str, Any]:
        place = "/srv/%s/x86_64/" % folder
        source = {
            "kind": "deb", "name": "torchnode-stub", "uri": "file://" + place, "suite": "/",
            "fingerprint": self.repository.fingerprint,
        }  # fmt: skip
        given = {
            "key_file": place + "3bf863cc.pub", "state": "present", "prefix": "/opt/t",
            "proxy": proxy, "ca_bundle": ca_bundle, "wait_seconds": 1, "progress": None,
        }  # fmt: skip
        return self._call("package_source", check, dict(given, source=dict(source, **more)))

    def versions(self) -> set[str]:
        """Versions of what is held."""
        said = self.sh("dpkg-query -W -f '${db:Status-Abbrev} ${Version}\\n'")
        return {line.split()[1] for line in said.splitlines() if line.startswith("hi")}


def pins(version: str) -> str:
    pattern = version + (".*" if "." not in version else "-*")
    names = "nvidia-driver-cuda nvidia-persistenced nvidia-smi nvidia-alternative libcuda1"
    return "Package: %s libnvidia-*\nPin: version %s\nPin-Priority: 1001\n" % (names, pattern)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("srv")
    root.chmod(0o755)  # apt reads as a user of its own
    (found,) = build(root, ["debian12"], drivers=DRIVERS)
    for fault in filter(None, FAULTS):
        (broken,) = build(root, ["debian12-" + fault], drivers=DRIVERS[-1:], fault=fault)
        assert broken.fingerprint == found.fingerprint
    make_tls(root / "tls")
    return found


@pytest.fixture
def machine(repository: Repository) -> Iterator[Machine]:
    with started(IMAGE, repository.folder.parent.parent) as container:
        container.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; mkdir -p /opt/t")
        yield Machine(container, repository)


def test_a_driver_comes_stays_moves_when_asked_and_goes(machine: Machine) -> None:
    assert outcome(machine.packages(check=True))["result"] == "skipped"
    assert machine.source()["changed"]
    assert not machine.source()["changed"]
    tried = machine.packages("580.82.07", check=True)
    assert "libcuda1 580.82.07-1\n" in tried["diff"]["after"]
    assert machine.versions() == set()

    assert machine.packages("580.82.07")["changed"]
    assert machine.versions() == {"580.82.07-1"}
    assert "nvidia-driver-cuda" not in machine.sh("apt-get -s dist-upgrade | grep ^Inst || true")
    answer = machine.packages("580", files=[[PIN, pins("580.82.07")]])
    assert not answer["changed"]
    assert machine.packages("580.95.05")["changed"]
    assert machine.versions() == {"580.95.05-1"}
    assert machine.packages("570")["changed"]
    assert machine.versions() == {"570.195.03-1"}
    refused = outcome(machine.packages("581"))
    assert refused["result"] == "fail"
    assert "590.48.01, 580.95.05, 580.82.07, 570.195.03" in refused["observed"]
    assert machine.versions() == {"570.195.03-1"}

    assert machine.packages("570", state="absent")["changed"]
    assert machine.sh("dpkg -l | grep -ci nvidia || true").strip() == "0"
    assert machine.sh("apt-mark showhold; ls /etc/apt/preferences.d") == ""


def test_a_mirror_with_a_ca_of_its_own_behind_a_proxy(machine: Machine) -> None:
    serve_tls(machine.container, "/srv")
    mirror: dict[str, Any] = {"uri": "https://mirror.test/debian12/x86_64/"}
    mirror["key_url"] = mirror["uri"] + "3bf863cc.pub"  # the key comes the same way
    for lacking in ({}, {"proxy": PROXY}, {"ca_bundle": "/srv/tls/ca.pem"}):
        refused = outcome(machine.source(**lacking, **mirror))
        assert refused["result"] == "fail", refused
        assert "mirror.test" in refused["observed"]
    machine.sh("! ls /etc/apt/sources.list.d/torchnode* /etc/apt/apt.conf.d/*torchnode*")
    assert machine.source(proxy=PROXY, ca_bundle="/srv/tls/ca.pem", **mirror)["changed"]
    assert machine.packages("580.82.07", proxy=PROXY)["changed"]
    assert machine.versions() == {"580.82.07-1"}
    asked = machine.sh("cat /tmp/proxy.log").splitlines()
    assert len(asked) > 2
    assert {line.split()[1] for line in asked} == {"mirror.test:443"}


def test_another_origins_driver_is_not_upgraded_from_the_source(machine: Machine) -> None:
    """What stands beside a driver that is left as it is comes without a newer driver."""
    machine.source()
    machine.packages("580.82.07", hold=False, files=[])
    upgrade = "apt-get -s dist-upgrade | grep -E '^Inst (libcuda1|nvidia-)' || true"
    assert "580.95.05" in machine.sh(upgrade) or "590.48.01" in machine.sh(upgrade)
    kept = "/etc/apt/preferences.d/torchnode-stub"
    assert machine.source(excluded=["libcuda1", "libnvidia-*", "nvidia-*"])["changed"]
    assert machine.sh(upgrade) == ""
    assert "Pin-Priority: -1" in machine.sh("cat " + kept)
    assert machine.source()["changed"]
    machine.sh("! test -e " + kept)


def test_fabric_manager_is_the_installed_drivers_and_not_the_branchs_newest(
    machine: Machine,
) -> None:
    machine.source()

    def fabric(branch: str, tail: str = "", **more: Any) -> dict[str, Any]:
        names = ["nvidia-fabricmanager" + tail, "libnvidia-nscq" + tail]
        follows = {"version_of": ["nvidia-driver-cuda", "libcuda1"], "files": []}
        own = {"component": "nvidia_fabric", "packages": names, "family": names}
        return machine.packages(branch, **{**own, **follows, **more})

    alone = outcome(fabric("580"))
    assert "nvidia_driver" in alone["remedy"]
    for driver in ("580.82.07", "580.95.05"):
        machine.packages(driver)
        assert fabric("580")["changed"]
        assert machine.versions() == {driver + "-1"}
        assert not fabric("580")["changed"]
    machine.packages("570")
    assert outcome(fabric("580"))["result"] == "fail"
    fabric("570", "-570", absent=["nvidia-fabricmanager", "libnvidia-nscq"])
    assert machine.versions() == {"570.195.03-1"}
    assert "nvidia-fabricmanager-570" in machine.sh("apt-mark showhold")


def test_an_unfinished_transaction_is_repaired_first(machine: Machine) -> None:
    machine.source()
    machine.packages("580.82.07")
    machine.sh("apt-mark unhold libcuda1; dpkg --unpack /srv/debian12/x86_64/libcuda1_580.95*.deb")
    answer = machine.packages("580.82.07")
    assert "repaired first" in outcome(answer)["observed"]
    assert machine.versions() == {"580.82.07-1"}
    assert not machine.packages("580.82.07")["changed"]


def test_a_package_that_fails_takes_the_others_back(machine: Machine) -> None:
    machine.source()
    machine.packages("580.82.07")
    # A script that dpkg runs before the new version is unpacked, as a broken prerm would.
    script = "/var/lib/dpkg/info/nvidia-driver-cuda.prerm"
    machine.sh("printf '#!/bin/sh\\nexit 3\\n' > %s; chmod 755 %s" % (script, script))
    failed = outcome(machine.packages("580.95.05"))
    assert failed["result"] == "fail"
    assert machine.versions() == {"580.82.07-1"}
    assert "580.82.07" in machine.sh("cat " + PIN)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong-key", "not signed by the key"),
        ("expired", "out of date"),
        ("no-index", "is not there"),
        ("damaged", "not what was signed"),
    ],
)
def test_a_broken_repository_leaves_no_trace(machine: Machine, fault: str, words: str) -> None:
    machine.sh(
        "echo 'deb file:///srv/debian12-%s/x86_64/ /' > /etc/apt/sources.list.d/own.list" % fault
    )
    failed = outcome(machine.source("debian12-" + fault))
    assert (failed["result"], words in failed["cause"]) == ("fail", True), failed
    assert machine.sh("ls /etc/apt/sources.list.d /etc/apt/keyrings").split() == [
        "/etc/apt/keyrings:", "/etc/apt/sources.list.d:", "own.list",
    ]  # fmt: skip


def test_a_key_of_somebody_else_is_not_trusted(machine: Machine) -> None:
    failed = outcome(machine.source(fingerprint="0" * 40))
    assert failed["result"] == "fail"
    assert machine.repository.fingerprint in failed["observed"]
    assert machine.sh("ls /etc/apt/sources.list.d") == ""


def test_somebody_who_holds_the_lock_is_named(machine: Machine) -> None:
    machine.source()
    machine.sh(
        "python3 -c \"import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); "
        'fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(30)" >/dev/null 2>&1 & sleep 0.5'
    )
    failed = outcome(machine.packages())
    assert "(python3)" in failed["observed"]
    assert machine.versions() == set()
