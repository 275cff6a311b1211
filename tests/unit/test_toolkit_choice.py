"""From where toolkits come: packages of the origin, or wheels where it has none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import H200, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.disk_fit import needs
from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import Facts, SoftwareItem, Stack
from ansible.module_utils.torchnode.package_model import HostPlan, HostSoftware
from ansible.module_utils.torchnode.policy import Conflict, HostPolicy
from ansible.module_utils.torchnode.stack import resolve

DEBIAN13 = dataclasses.replace(machine().system, os_id="debian", os_version="13")
BARE = HostSoftware(manager="apt")


def facts(system: Any = DEBIAN13, **changes: Any) -> Facts:
    return dataclasses.replace(machine(H200, host=BARE, system=system), system=system, **changes)


def resolved(given: Facts, *toolkits: str, **wishes: Any) -> Stack:
    own = {"cuda_toolkits": toolkits, "nvidia_source": "distribution", **wishes}
    return resolve(given, dataclasses.replace(policy(), host=HostPolicy(**own)), LOCKS)


def plan(*toolkits: str, **wishes: Any) -> HostPlan:
    found = resolved(facts(), *toolkits, **wishes).host
    assert found
    return found


def packages(host: HostPlan) -> list[str]:
    wishes = [wish for wish in host.wishes if wish.component == "cuda_toolkit"]
    return [name for wish in wishes for name in wish.packages]


@pytest.mark.parametrize(
    ("wishes", "unpacked", "named"),
    [
        ({}, ["13.0"], ["nvidia-cuda-toolkit", "g++"]),  # the distribution has 12.4
        ({"cuda_toolkit_source": "wheel"}, None, None),  # and of 12.4 there is no wheel
        ({"nvidia_source": "nvidia"}, [], ["cuda-toolkit-12-4", "g++", "cuda-toolkit-13-0", "g++"]),
    ],
)
def test_wheels_are_for_what_the_packages_do_not_have(
    wishes: dict[str, str], unpacked: Any, named: Any
) -> None:
    if unpacked is None:
        with pytest.raises(Conflict, match="torchnode_cuda_toolkits"):
            plan("12.4", "13.0", **wishes)
        return
    host = plan("12.4", "13.0", **wishes)
    assert [wish.cuda for wish in host.toolkit_wheels] == unpacked
    assert packages(host) == named


def test_wheels_alone_bring_the_systems_compiler_and_no_source() -> None:
    running = facts(drivers=(driver("580.95.05"),))
    stack = resolved(
        running, "13.2", "13.0", nvidia_source="preinstalled", cuda_toolkit_source="wheel"
    )
    assert stack.host
    assert [wish.cuda for wish in stack.host.toolkit_wheels] == ["13.2", "13.0"]
    assert packages(stack.host) == ["g++"]
    assert stack.host.sources == ()
    assert stack.host.cuda_default == ""
    steps = [step for step in host_steps(running, stack) if step.component == "cuda_toolkit"]
    assert [step.after for step in steps] == ["g++", "13.2 from wheels, 13.0 from wheels"]


def test_a_machine_whose_packages_no_table_knows_gets_wheels() -> None:
    gentoo = dataclasses.replace(DEBIAN13, os_id="gentoo", os_version="2.15")
    running = facts(gentoo, drivers=(driver("580.95.05"),))
    stack = resolved(running, "13.0", nvidia_source="auto")
    assert stack.host
    assert [wish.cuda for wish in stack.host.toolkit_wheels] == ["13.0"]
    assert stack.host.wishes == ()


@pytest.mark.parametrize(("unpacked", "why"), [
    (("13.2", "13.0"), None),
    (("13.0", "13.2"), "13.2 is to be the default"),
    (("13.2",), "13.0 is not there, or not whole"),
])  # fmt: skip
def test_another_default_is_a_step(unpacked: tuple[str, ...], why: str | None) -> None:
    items = (SoftwareItem("cuda-toolkit-wheel", cuda, "/t/" + cuda) for cuda in unpacked)
    there = facts(drivers=(driver("580.95.05"),), toolkits=tuple(items))
    stack = resolved(
        there, "13.2", "13.0", nvidia_source="preinstalled", cuda_toolkit_source="wheel"
    )
    steps = [s for s in host_steps(there, stack) if s.after.endswith("from wheels")]
    assert [step.why for step in steps] == ([why] if why else [])


def test_what_is_unpacked_is_no_step_and_needs_no_room() -> None:
    there = facts(
        toolkits=(SoftwareItem("cuda-toolkit-wheel", "13.0", "/opt/torchnode/cuda/13.0"),)
    )
    stack = resolved(there, "13.0")
    steps = [s for s in host_steps(there, stack) if s.component == "cuda_toolkit"]
    assert [step.after for step in steps] == ["g++"]
    rooms = {need.folder: need.size for need in needs(there, stack, steps)}
    assert rooms.get(there.prefix, 0) == 0
    bare = resolved(facts(), "13.0")
    steps = host_steps(facts(), bare)
    sizes = [n.size for n in needs(facts(), bare, steps) if n.what == "cuda_toolkit"]
    assert max(sizes) > 1 << 30


def test_cudnn_stands_beside_a_toolkit_of_wheels() -> None:
    host = plan("13.0", cudnn="9")
    assert [wheel.cuda for wheel in host.cudnn_wheels] == [13]


def test_a_toolkit_that_nobody_has_is_refused() -> None:
    with pytest.raises(Conflict) as caught:
        plan("12.8")
    assert "nvidia-cuda-toolkit" in caught.value.remedy or "12.4" in caught.value.expected
    with pytest.raises(Conflict) as caught:
        plan("12.8", cuda_toolkit_source="wheel")
    assert caught.value.nearest == "CUDA toolkit 13.0"
