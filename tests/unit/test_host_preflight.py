"""What must hold before system packages are touched: root, dkms, a key where Secure Boot is on."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest
from helpers import H200, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.host_preflight import host_preflight
from ansible.module_utils.torchnode.model import Facts, Stack, System
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.package_model import HostSoftware
from ansible.module_utils.torchnode.policy import HostPolicy
from ansible.module_utils.torchnode.stack import resolve

BARE = machine().system
SYSTEMS = {
    "debian": dataclasses.replace(BARE, os_id="debian", os_version="12"),
    "el9": dataclasses.replace(BARE, os_id="rocky", os_version="9.6"),
    "el10": dataclasses.replace(BARE, os_id="rhel", os_version="10.1"),
    "amazon": dataclasses.replace(BARE, os_id="amzn", os_version="2023"),
}
KEY = {"nvidia_key_file": "/k.asc", "nvidia_key_fingerprint": "A" * 40}


def bare(system: System = SYSTEMS["debian"], host: Any = None, **changes: Any) -> Facts:
    """A machine with a GPU and no driver."""
    manager = "apt" if system.os_id == "debian" else "dnf"
    return machine(H200, system=system, host=host or HostSoftware(manager), **changes)


def planned(facts: Facts, **wishes: Any) -> Stack:
    host = HostPolicy(**{"nvidia_source": "nvidia", **KEY, **wishes})
    return resolve(facts, dataclasses.replace(policy(), host=host), LOCKS)


def checked(facts: Facts, **wishes: Any) -> dict[str, Outcome]:
    stack = planned(facts, **wishes)
    return {o.id: o for o in host_preflight(facts, stack, host_steps(facts, stack))}


def test_nothing_to_touch_needs_nothing() -> None:
    facts = bare()
    assert host_preflight(facts, planned(facts), ()) == []


def test_only_root_installs_packages() -> None:
    facts = bare()
    assert checked(facts)["preflight.root"].result is Result.PASS
    facts = dataclasses.replace(facts, user=dataclasses.replace(facts.user, uid=1000))
    root = checked(facts)["preflight.root"]
    assert root.result is Result.FAIL
    assert "become" in root.remedy


# ---- dkms --------------------------------------------------------------------------------------


def dkms(system: str, version: str = "", offered: Optional[str] = "", **wishes: Any) -> Outcome:
    host = HostSoftware("dnf", dkms=version, dkms_offered=offered)
    return checked(bare(SYSTEMS[system], host), **wishes)["preflight.dkms"]


@pytest.mark.parametrize(
    ("version", "offered", "result"),
    [
        ("", "3.2.1", Result.PASS),
        ("3.1.8-1.el9", None, Result.PASS),
        ("0:3.2.1-1.el9", "", Result.PASS),
        ("3.0.13-1.el9", "3.1.8", Result.PASS),  # an upgrade of it is to be had
        ("", "", Result.FAIL),
        ("", "3.1.6", Result.FAIL),
        ("3.0.13-1.el9", "", Result.FAIL),
        ("", None, Result.SKIPPED),  # not asked, or no answer: never a pass
    ],
)
@pytest.mark.parametrize("system", ["el9", "el10"])
def test_enterprise_linux_needs_a_source_of_dkms(
    system: str, version: str, offered: Optional[str], result: Result
) -> None:
    assert dkms(system, version, offered).result is result


def test_the_remedy_names_epel_and_what_it_builds_on_and_is_left_to_the_operator() -> None:
    for system, number in (("el9", "9"), ("el10", "10")):
        remedy = dkms(system).remedy
        assert "dnf install epel-release" in remedy
        assert "crb enable" in remedy
        assert "codeready-builder-for-rhel-%s-" % number in remedy
        assert "epel-release-latest-%s.noarch.rpm" % number in remedy
    sources = planned(bare(SYSTEMS["el9"])).host
    assert sources
    assert not [source for source in sources.sources if "epel" in source.uri]


def test_a_mirror_may_have_what_nvidias_repository_has_not() -> None:
    found = dkms("el9", nvidia_repository_url="https://mirror.example.org/cuda")
    assert found.result is Result.SKIPPED
    assert "mirror.example.org" in found.observed
    assert dkms("el9", "", "3.1.8", nvidia_repository_url="https://m/c").result is Result.PASS


@pytest.mark.parametrize("system", ["debian", "amazon"])
def test_other_systems_have_their_own(system: str) -> None:
    assert "preflight.dkms" not in checked(bare(SYSTEMS[system]))


def test_a_toolkit_alone_needs_no_dkms() -> None:
    facts = bare(SYSTEMS["el9"], drivers=(driver("580.95.05"),))
    found = checked(facts, nvidia_source="preinstalled", cuda_toolkits=("12.8",))
    assert "preflight.root" in found
    assert "preflight.dkms" not in found


def test_modules_that_nobody_builds_need_no_dkms() -> None:
    """A stream or a package of prebuilt modules has no name that ends so."""
    facts = bare(SYSTEMS["el9"], HostSoftware("dnf", dkms_offered=""))
    stack = planned(facts)
    assert stack.host
    wish = dataclasses.replace(stack.host.wishes[0], packages=("kmod-nvidia-open",))
    stack = dataclasses.replace(stack, host=dataclasses.replace(stack.host, wishes=(wish,)))
    found = [o.id for o in host_preflight(facts, stack, host_steps(facts, stack))]
    assert "preflight.dkms" not in found


# ---- Secure Boot -------------------------------------------------------------------------------


SIGNED = {"secure_boot_key": "/k", "secure_boot_certificate": "/c"}


def test_secure_boot_needs_a_key() -> None:
    secured = dataclasses.replace(SYSTEMS["debian"], secure_boot=True)
    refused = checked(bare(secured))["preflight.secure_boot"]
    assert refused.result is Result.FAIL
    assert "torchnode_secure_boot_key" in refused.remedy
    assert "preflight.secure_boot" not in checked(bare())


@pytest.mark.parametrize(
    ("enrolled", "result"),
    [(True, Result.PASS), (False, Result.FAIL), (None, Result.SKIPPED)],
)
def test_secure_boot_needs_a_key_that_the_firmware_knows(
    enrolled: Optional[bool], result: Result
) -> None:
    secured = dataclasses.replace(SYSTEMS["debian"], secure_boot=True)
    found = checked(bare(secured, HostSoftware("apt", enrolled=enrolled)), **SIGNED)
    assert found["preflight.secure_boot"].result is result
    if result is Result.FAIL:
        assert "mokutil --import" in found["preflight.secure_boot"].remedy


@pytest.mark.parametrize(
    ("system", "dkms", "result"),
    [
        (SYSTEMS["debian"], "3.0.10-8", Result.PASS),
        (SYSTEMS["debian"], "2.8.4-3", Result.FAIL),
        (SYSTEMS["debian"], "", Result.SKIPPED),
        (dataclasses.replace(BARE, os_id="ubuntu", os_version="22.04"), "", Result.FAIL),
    ],
)
def test_a_dkms_that_would_sign_with_a_key_of_its_own_is_refused(
    system: System, dkms: str, result: Result
) -> None:
    host = HostSoftware("apt", dkms=dkms)
    assert checked(bare(system, host), **SIGNED)["preflight.dkms_signs"].result is result
    assert "preflight.dkms_signs" not in checked(bare(system, host))
