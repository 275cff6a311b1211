"""Which branch a node gets where none is wished, and when the one that is loaded cannot stay."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import B200, H200, LOCKS, V100, driver, machine, policy

from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import Facts, Stack
from ansible.module_utils.torchnode.package_model import HostSoftware
from ansible.module_utils.torchnode.policy import Conflict, HostPolicy
from ansible.module_utils.torchnode.stack import resolve


def node(*parts: int, os_id: str, os_version: str, **changes: Any) -> Facts:
    system = dataclasses.replace(machine().system, os_id=os_id, os_version=os_version)
    return machine(*parts, system=system, **{"host": HostSoftware("apt"), **changes})


def resolved(facts: Facts, source: str = "nvidia", **wishes: Any) -> Stack:
    host = HostPolicy(source, nvidia_key_file="/k.asc", nvidia_key_fingerprint="A" * 40)
    return resolve(facts, dataclasses.replace(policy(**wishes), host=host), LOCKS)


def branch(stack: Stack) -> str:
    assert stack.driver
    return stack.driver.branch


@pytest.mark.parametrize(
    ("os_id", "os_version", "source", "expected"),
    [
        ("debian", "12", "nvidia", "580"),
        ("debian", "12", "distribution", "535"),
        ("ubuntu", "24.04", "distribution", "580"),
        ("ubuntu", "26.04", "distribution", "580"),
        ("ubuntu", "26.04", "nvidia", "595"),  # NVIDIA's repository of it begins there
    ],
)
def test_the_default_is_580_or_what_is_next_to_it(
    os_id: str, os_version: str, source: str, expected: str
) -> None:
    assert branch(resolved(node(H200, os_id=os_id, os_version=os_version), source)) == expected


@pytest.mark.parametrize("wished", ["550", "570", "590"])
def test_ubuntu_24_04_has_more_branches_than_26_04(wished: str) -> None:
    older = node(H200, os_id="ubuntu", os_version="24.04")
    assert branch(resolved(older, "distribution", driver_version=wished)) == wished
    newer = node(H200, os_id="ubuntu", os_version="26.04")
    with pytest.raises(Conflict) as refused:
        resolved(newer, "distribution", driver_version=wished)
    assert refused.value.expected == (
        "one of 580, 595, the branches that this system's packages have"
    )


@pytest.mark.parametrize("wished", ["", "580"])
def test_a_distribution_without_a_branch_for_the_gpu_is_not_the_nearest(wished: str) -> None:
    facts = node(B200, os_id="debian", os_version="12")
    with pytest.raises(Conflict) as refused:
        resolved(facts, "distribution", driver_version=wished)
    assert refused.value.argument == "torchnode_nvidia_source"
    assert "blackwell" in refused.value.expected
    assert refused.value.nearest == "torchnode_nvidia_source nvidia"


def test_an_old_gpu_is_not_given_a_branch_that_has_left_it() -> None:
    facts = node(V100, os_id="ubuntu", os_version="26.04")
    with pytest.raises(Conflict) as refused:
        resolved(facts)
    assert "580 or older" in refused.value.expected
    assert refused.value.nearest == "torchnode_nvidia_source distribution"
    assert branch(resolved(facts, "distribution")) == "580"


@pytest.mark.parametrize("wished", ["", "580"])
def test_a_loaded_branch_that_has_left_the_gpu_does_not_stay(wished: str) -> None:
    host = HostSoftware("apt", origin="nvidia", evidence="constructed")
    facts = node(
        V100, os_id="debian", os_version="12", host=host, drivers=(driver("590.44.01"),)
    )  # fmt: skip
    stack = resolved(facts, driver_version=wished)
    assert stack.driver
    assert (stack.driver.branch, stack.driver.flavour) == ("580", "proprietary")
    assert "580 is the last" in host_steps(facts, stack)[0].why
    with pytest.raises(Conflict) as refused:
        resolved(facts, driver_version="590")
    assert "590" not in refused.value.expected
    assert refused.value.nearest == "branch 580"


@pytest.mark.parametrize("loaded", ["", "590.44.01"])
@pytest.mark.parametrize("wished", ["630", "630.10.01"])
@pytest.mark.parametrize(
    ("os_id", "os_version", "manager"),
    [("ubuntu", "24.04", "apt"), ("debian", "12", "apt"), ("rocky", "9", "dnf")],
)
def test_a_branch_beyond_the_newest_known_is_refused_with_one_that_works(
    os_id: str, os_version: str, manager: str, wished: str, loaded: str
) -> None:
    drivers = (driver(loaded),) if loaded else ()
    host = HostSoftware(manager, origin="nvidia" if loaded else "", evidence="constructed")
    facts = node(H200, os_id=os_id, os_version=os_version, host=host, drivers=drivers)
    with pytest.raises(Conflict) as refused:
        resolved(facts, driver_version=wished)
    assert refused.value.argument == "torchnode_driver_version"
    assert "630" not in refused.value.expected
    nearest = refused.value.nearest.split()[-1]
    assert nearest == (loaded or "580").split(".")[0]
    assert branch(resolved(facts, driver_version=nearest)) == nearest


@pytest.mark.parametrize("there", ["570.195.03", "590.48.01"])
@pytest.mark.parametrize("on_disk", [True, False])
def test_a_driver_that_is_installed_and_not_loaded_keeps_its_branch(
    there: str, on_disk: bool
) -> None:
    """A kernel without its module, or nouveau in its place: what is to be mended is not moved."""
    module = there if on_disk else None
    seen = driver(None, "open" if on_disk else None, on_disk=module, userspace=there)
    facts = node(H200, os_id="ubuntu", os_version="24.04", drivers=(seen,))
    assert branch(resolved(facts)) == there.partition(".")[0]
    assert branch(resolved(facts, driver_version="580")) == "580"


def test_what_is_installed_and_does_not_serve_the_gpu_does_not_stay() -> None:
    seen = driver(None, None, userspace="535.261.03")
    facts = node(B200, os_id="ubuntu", os_version="24.04", drivers=(seen,))
    assert branch(resolved(facts)) == "580"
