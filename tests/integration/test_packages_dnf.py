"""Real dnf and rpm in a container without a network, against signed repositories of stand-ins.

The container is Debian with dnf and rpm that says it is Rocky Linux 9, as in Molecule's nvidia_el.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT
from package_machine import (
    PROXY,
    RUN,
    Container,
    image,
    make_tls,
    needs,
    outcome,
    serve_tls,
    started,
)

DRIVERS = ("570.195.03", "580.82.07", "580.95.05", "590.48.01")
FAULTS = ("wrong-key", "no-index", "damaged")
IMAGE = image("localhost/torchnode-enterprise-linux")
pytestmark = needs(bool(IMAGE), "podman and the image that `molecule create -s nvidia_el` makes")
BUILD = "python3 -m stub_repository /srv/{0} {1} --drivers {2} {3} >/dev/null\n"
#: What makes it look like Rocky Linux 9; DKMS has other tests, and compiles for seconds.
DISGUISE = """
set -eu
mkdir -p /opt/debian /etc/yum.repos.d /opt/t
mv /usr/bin/apt /usr/bin/apt-* /usr/bin/dpkg-query /var/lib/dpkg/status /opt/debian/
rm -f /etc/os-release
printf 'ID="rocky"\\nVERSION_ID="9.6"\\nPLATFORM_ID="platform:el9"\\n' > /etc/os-release
echo 9 > /etc/dnf/vars/releasever
sed -i 's/^enabled.*/enabled = 0/' /etc/dnf/plugins/local.conf
sed 's/^gpgkey=.*/gpgcheck=0/; s/^gpgcheck=1//' \
    /srv/good/rhel9-base/x86_64/cuda-rhel9-base.repo > /etc/yum.repos.d/base.repo
ln -sf /bin/true /usr/sbin/dkms
"""


class Machine:
    """A container that is taken for Rocky Linux 9, with its repository."""

    def __init__(self, container: Container, fingerprint: str) -> None:
        self.container = container
        self.sh, self._call, self.fingerprint = container.sh, container.call, fingerprint

    def packages(self, version: str = "580", check: bool = False, **more: Any) -> dict[str, Any]:
        flavour = more.pop("flavour", "open")
        kmod = "kmod-nvidia-%s-dkms" % ("open" if flavour == "open" else "latest")
        other = "kmod-nvidia-%s-dkms" % ("latest" if flavour == "open" else "open")
        stream = "%s-%s" % (version.partition(".")[0], "open" if flavour == "open" else "dkms")
        given = {
            "component": "nvidia_driver", "packages": ["nvidia-driver-cuda", kmod],
            "version": version,
            "family": ["nvidia-driver-cuda*", "nvidia-persistenced", "nvidia-kmod-common",
                       "libnvidia-ml", "libnvidia-cfg", "kmod-nvidia-*"],
            "absent": [other], "stream": stream,
            "version_of": [], "closure": [], "hold": True, "state": "present", "prefix": "/opt/t",
            "files": [], "proxy": "", "wait_seconds": 1, "progress": None,
        }  # fmt: skip
        return self._call("package_set", check, dict(given, **more))

    def source(
        self,
        root: str = "good",
        check: bool = False,
        proxy: str = "",
        ca_bundle: str = "",
        **more: Any,
    ) -> dict[str, Any]:
        place = "/srv/%s/rhel9/x86_64/" % root
        source = {
            "kind": "rpm", "name": "torchnode-nvidia-cuda", "uri": "file://" + place,
            "fingerprint": self.fingerprint,
        }  # fmt: skip
        given = {
            "key_file": place + "D42D0685.pub", "state": "present", "prefix": "/opt/t",
            "proxy": proxy, "ca_bundle": ca_bundle, "wait_seconds": 1, "progress": None,
        }  # fmt: skip
        return self._call("package_source", check, dict(given, source=dict(source, **more)))

    def remove(self) -> list[str]:
        said: list[str] = self._call("removal", False, {"prefix": "/opt/t"})["said"]
        return said

    def versions(self) -> set[str]:
        """Versions of the driver's packages that are locked, each as rpm has it."""
        locks = self.sh("cat /etc/dnf/plugins/versionlock.list 2>/dev/null || true")
        names = re.findall(r"^(.+)-\d+:\S+$", locks, re.MULTILINE)
        said = self.sh("rpm -qa --queryformat '%{NAME} %{VERSION}\\n'")
        return {line.split()[1] for line in said.splitlines() if line.split()[0] in names}

    def stream(self) -> str:
        text = self.sh("cat /etc/dnf/modules.d/nvidia-driver.module 2>/dev/null || true")
        return "".join(re.findall(r"^stream=(.*)$", text, re.MULTILINE))

    def driver(self) -> str:
        """All of the driver that rpm knows of, whoever holds it."""
        return self.sh("rpm -qa 'nvidia*' 'libnvidia*' 'kmod-nvidia*' | sort")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("srv")
    drivers = " ".join(DRIVERS)
    script = "set -eu\n" + BUILD.format("good", "rhel9 rhel9-base", drivers, "")
    for fault in FAULTS:
        script += "mkdir /srv/%s; cp -a /srv/good/.keys /srv/%s/\n" % (fault, fault)
        script += BUILD.format(fault, "rhel9", DRIVERS[-1], "--fault " + fault)
    argv = ["podman", "run", "--rm", *RUN, "--workdir=/build", "--volume=%s:/srv" % root]
    argv += ["--volume=%s:/build/stub_repository:ro" % (ROOT / "tests" / "stub_repository")]
    subprocess.run([*argv, IMAGE, "sh", "-c", script], check=True, capture_output=True)
    make_tls(root / "tls")
    return root


@pytest.fixture
def machine(repository: Path) -> Iterator[Machine]:
    with started(IMAGE, repository) as container:
        container.sh(DISGUISE)
        told = container.sh("gpg --show-keys --with-colons /srv/good/rhel9/x86_64/D42D0685.pub")
        yield Machine(container, re.findall(r"^fpr:+([0-9A-F]{40}):", told, re.MULTILINE)[0])


def test_a_driver_comes_stays_moves_when_asked_and_goes(machine: Machine) -> None:
    assert outcome(machine.packages(check=True))["result"] == "skipped"
    assert machine.source()["changed"]
    assert not machine.source()["changed"]
    tried = machine.packages("580.82.07", check=True)
    assert "nvidia-driver-cuda 3:580.82.07-1.el9\n" in tried["diff"]["after"]
    assert machine.driver() == machine.stream() == ""

    assert machine.packages("580.82.07")["changed"]
    assert machine.versions() == {"580.82.07"}
    assert machine.stream() == "580-open"
    assert "nvidia" not in machine.sh("dnf -q --assumeno upgrade || true")
    assert not machine.packages("580")["changed"]
    assert machine.packages("580.95.05")["changed"]
    assert machine.versions() == {"580.95.05"}
    assert machine.packages("570")["changed"]
    assert (machine.versions(), machine.stream()) == ({"570.195.03"}, "570-open")
    refused = outcome(machine.packages("581"))
    assert refused["result"] == "fail"
    assert "590.48.01, 580.95.05, 580.82.07, 570.195.03" in refused["observed"]
    assert (machine.versions(), machine.stream()) == ({"570.195.03"}, "570-open")

    assert machine.packages("570", state="absent")["changed"]
    assert machine.driver() == machine.stream() == ""
    assert "nvidia" not in machine.sh("cat /etc/dnf/plugins/versionlock.list")


def test_a_mirror_with_a_ca_of_its_own_behind_a_proxy(machine: Machine) -> None:
    serve_tls(machine.container, "/srv/good")
    mirror: dict[str, Any] = {"uri": "https://mirror.test/rhel9/x86_64/"}
    mirror["key_url"] = mirror["uri"] + "D42D0685.pub"  # the key comes the same way
    for lacking in ({}, {"proxy": PROXY}, {"ca_bundle": "/srv/tls/ca.pem"}):
        refused = outcome(machine.source(**lacking, **mirror))
        assert refused["result"] == "fail", refused
        assert "mirror.test" in refused["observed"]
    machine.sh("! ls /etc/yum.repos.d/torchnode*")
    assert machine.source(proxy=PROXY, ca_bundle="/srv/tls/ca.pem", **mirror)["changed"]
    assert machine.packages("580.82.07", proxy=PROXY)["changed"]
    assert machine.versions() == {"580.82.07"}
    asked = machine.sh("cat /tmp/proxy.log").splitlines()
    assert len(asked) > 2
    assert {line.split()[1] for line in asked} == {"mirror.test:443"}


@pytest.mark.parametrize("trusted", [False, True])
def test_removal_leaves_neither_packages_nor_stream_nor_the_key_that_came(
    machine: Machine, trusted: bool
) -> None:
    if trusted:  # by the operator, before torchnode
        machine.sh("rpm --import /srv/good/rhel9/x86_64/D42D0685.pub")
    # Headers of another kernel than the one that is asked for are not torchnode's.
    machine.sh("dnf -qy install bash kernel-devel-5.14.0-570.58.1.el9_6")
    before = machine.sh("rpm -qa | sort")
    machine.source()
    headers = "kernel-devel-5.14.0-570.12.1.el9_6"
    kmod = ["nvidia-driver-cuda", "kmod-nvidia-open-dkms"]
    brought = machine.packages("580.95.05", packages=[*kmod, headers])
    assert brought["changed"], outcome(brought)
    assert "kernel-devel-5.14.0-570.12.1" in machine.sh("rpm -q kernel-devel")
    assert machine.sh("rpm -qa | grep -c gpg-pubkey").strip() == "1"
    machine.remove()
    assert machine.sh("rpm -qa | sort") == before
    assert machine.stream() == ""


def test_the_other_flavour_is_another_stream_and_one_transaction(machine: Machine) -> None:
    machine.source()
    machine.packages("580.95.05")
    assert machine.packages("580.95.05", flavour="proprietary")["changed"]
    assert machine.stream() == "580-dkms"
    assert machine.versions() == {"580.95.05"}
    assert "kmod-nvidia-open" not in machine.driver()
    said = machine.sh("dnf -q history info last")
    assert re.search(r"Install +kmod-nvidia-latest-dkms", said)
    assert re.search(r"(Removed|Obsoleted) +kmod-nvidia-open-dkms", said)


def test_fabric_manager_is_the_installed_drivers_and_not_the_branchs_newest(
    machine: Machine,
) -> None:
    machine.source()

    def fabric() -> dict[str, Any]:
        names = ["nvidia-fabricmanager", "libnvidia-nscq"]
        own: dict[str, Any] = {"component": "nvidia_fabric", "packages": names, "family": names}
        follows = ["nvidia-driver-cuda"]
        return machine.packages("580", version_of=follows, absent=[], stream="", **own)

    assert "nvidia_driver" in outcome(fabric())["remedy"]
    for driver in ("580.82.07", "580.95.05"):
        machine.packages(driver)
        assert fabric()["changed"]
        assert machine.versions() == {driver}
        assert not fabric()["changed"]
    machine.packages("570")
    assert outcome(fabric())["result"] == "fail"


def test_a_package_that_fails_takes_the_others_back(machine: Machine) -> None:
    machine.source()
    machine.packages("580.82.07")
    before = machine.driver()
    # A folder where the package has a file: rpm finds out in the middle of its transaction.
    machine.sh("mkdir -p /lib/firmware/nvidia/590.48.01/gsp_ga10x.bin/in-the-way")
    failed = outcome(machine.packages("590.48.01"))
    assert failed["result"] == "fail"
    assert machine.driver() == before
    assert (machine.versions(), machine.stream()) == ({"580.82.07"}, "580-open")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong-key", "not signed by the key"),
        ("no-index", "is not there"),
        ("damaged", "not what was signed"),
    ],
)
def test_a_broken_repository_leaves_no_trace(machine: Machine, fault: str, words: str) -> None:
    before = machine.sh("ls /etc/yum.repos.d; ls -A /etc/pki/rpm-gpg 2>/dev/null || true")
    failed = outcome(machine.source(fault, signs="index"))
    assert (failed["result"], words in failed["cause"]) == ("fail", True), failed
    after = machine.sh("ls /etc/yum.repos.d; ls -A /etc/pki/rpm-gpg 2>/dev/null || true")
    assert after == before


def test_packages_of_somebody_else_are_not_installed(machine: Machine) -> None:
    """NVIDIA signs its packages: what the key does not cover is found out when they come."""
    machine.source("wrong-key")
    failed = outcome(machine.packages("590"))
    assert failed["result"] == "fail"
    assert "sign" in failed["cause"]
    assert machine.driver() == machine.stream() == ""


def test_a_key_of_somebody_else_is_not_trusted(machine: Machine) -> None:
    failed = outcome(machine.source(fingerprint="0" * 40))
    assert failed["result"] == "fail"
    assert machine.fingerprint in failed["observed"]
    assert machine.sh("ls /etc/yum.repos.d").split() == ["base.repo"]


def test_somebody_who_holds_the_lock_is_named(machine: Machine) -> None:
    machine.source()
    machine.sh(
        "python3 -c \"import fcntl, time; f = open('/var/lib/rpm/.rpm.lock', 'w'); "
        'fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(30)" >/dev/null 2>&1 & sleep 0.5'
    )
    failed = outcome(machine.packages())
    assert "(python3)" in failed["observed"]
    assert machine.driver() == ""
