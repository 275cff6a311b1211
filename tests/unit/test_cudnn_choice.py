"""Which cuDNN stands beside a node's toolkits: none without one, packages for one CUDA major."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest
from helpers import H200, LOCKS, V100, driver, machine, policy

from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import Facts, SoftwareItem, Stack
from ansible.module_utils.torchnode.package_model import HostPlan, HostSoftware, Package
from ansible.module_utils.torchnode.policy import Conflict, HostPolicy
from ansible.module_utils.torchnode.stack import resolve


def resolved(facts: Optional[Facts] = None, **wishes: Any) -> Stack:
    host = HostPolicy(**{"nvidia_source": "nvidia", **wishes})
    return resolve(facts or machine(H200), dataclasses.replace(policy(), host=host), LOCKS)


def plan(facts: Optional[Facts] = None, **wishes: Any) -> HostPlan:
    stack = resolved(facts, **wishes)
    assert stack.host
    return stack.host


def packages(of: HostPlan) -> list[str]:
    return [n for wish in of.wishes if wish.component == "cudnn" for n in wish.packages]


@pytest.mark.parametrize("source", ["auto", "repository", "wheel"])
def test_without_a_toolkit_it_is_refused_with_what_it_is_for(source: str) -> None:
    with pytest.raises(Conflict) as refused:
        resolved(cudnn="9", cudnn_source=source)
    assert refused.value.argument == "torchnode_cudnn"
    assert "torchnode_cuda_toolkits" in refused.value.remedy
    assert "torch brings its own" in refused.value.remedy
    assert "compil" in refused.value.cause


@pytest.mark.parametrize(
    "changes",
    [
        {"toolkits": (SoftwareItem("cuda-toolkit", "13.0.2", "/usr/local/cuda-13.0"),)},
        {"host": HostSoftware("apt", (Package("nvidia-cuda-toolkit", "13.0.88~13.0.1-1"),))},
    ],
)
def test_a_toolkit_that_is_there_already_will_do(changes: dict[str, Any]) -> None:
    facts = dataclasses.replace(machine(H200), **changes)
    assert "libcudnn9-cuda-13" in packages(plan(facts, cudnn="9"))


def test_cann_is_no_toolkit_of_cuda() -> None:
    item = SoftwareItem("cann", "8.0", "/usr/local/Ascend/cann")
    with pytest.raises(Conflict):
        resolved(dataclasses.replace(machine(H200), toolkits=(item,)), cudnn="9")


def test_the_cuda_major_is_that_of_the_toolkit_and_not_of_the_driver() -> None:
    """The driver's branch, 580, serves CUDA 13."""
    assert "libcudnn9-cuda-12" in packages(plan(cudnn="9", cuda_toolkits=("12.8", "12.9")))


def test_two_cuda_majors_get_a_wheel_each_and_no_package() -> None:
    found = plan(cudnn="9", cuda_toolkits=("13.0", "12.8", "12.9"))
    assert packages(found) == []
    assert [wheel.cuda for wheel in found.cudnn_wheels] == [13, 12]  # the first is the default


def test_two_cuda_majors_from_the_repository_are_refused_and_the_reason_named() -> None:
    with pytest.raises(Conflict) as refused:
        resolved(cudnn="9", cudnn_source="repository", cuda_toolkits=("12.8", "13.0"))
    assert "CUDA 12 and 13" in refused.value.found
    assert "same files" in refused.value.cause
    assert "wheel" in refused.value.remedy


def test_a_version_that_no_wheel_has_does_not_send_two_majors_to_the_repository() -> None:
    with pytest.raises(Conflict) as refused:
        resolved(cudnn="9.10.1", cuda_toolkits=("12.8", "13.0"))
    assert "repository" not in refused.value.remedy
    with pytest.raises(Conflict) as refused:
        resolved(cudnn="9.10.1", cudnn_source="wheel", cuda_toolkits=("12.8",))
    assert "repository" in refused.value.remedy


def test_that_of_another_cuda_major_makes_room() -> None:
    """Their files are the same: what is there for CUDA 12 goes with a toolkit of CUDA 13."""
    there = tuple(
        Package(name % 12, "9.10.2.21-1", held=True)
        for name in ("libcudnn9-cuda-%d", "libcudnn9-dev-cuda-%d", "cudnn9-cuda-%d")
    )
    facts = machine(H200, drivers=(driver("580.95.05"),), host=HostSoftware("apt", there, "nvidia"))
    stack = resolved(facts, cudnn="9", cuda_toolkits=("13.0",))
    step = next(step for step in host_steps(facts, stack) if step.component == "cudnn")
    assert step.action == "change"
    assert step.removes == tuple(sorted(package.name for package in there))


@pytest.mark.parametrize(
    ("version", "toolkit", "expected"),
    [
        ("9.10.2", "13.0", "9.12 or later"),
        ("9.11", "11.8", "9.10 or earlier"),
        ("8.9", "12.8", "9, or a version of it"),
        ("8.5", "12.8", "9, or a version of it"),  # below the floor of the requirements, 8.6
    ],
)
def test_a_release_that_was_not_made_for_that_cuda_is_refused(
    version: str, toolkit: str, expected: str
) -> None:
    with pytest.raises(Conflict) as refused:
        resolved(cudnn=version, cudnn_source="repository", cuda_toolkits=(toolkit,))
    assert expected in refused.value.expected
    assert refused.value.nearest


@pytest.mark.parametrize(
    ("version", "toolkit"), [("9.12", "13.0"), ("9.10.2", "11.8"), ("9", "13.0"), ("9.1", "12.4")]
)
def test_those_that_were_made_are_not(version: str, toolkit: str) -> None:
    assert packages(plan(cudnn=version, cudnn_source="repository", cuda_toolkits=(toolkit,)))


@pytest.mark.parametrize("source", ["wheel", "repository"])
@pytest.mark.parametrize(("version", "refused"), [("9", True), ("9.17", True), ("9.10.2", False)])
def test_a_release_without_code_for_the_gpu_is_refused(
    source: str, version: str, refused: bool
) -> None:
    """Volta has none since cuDNN left it; the check of a compiled program only asks versions."""
    volta = machine(V100)
    wishes = {"cuda_toolkits": ["12.8"], "cudnn": version, "cudnn_source": source}
    if not refused:
        assert plan(volta, **wishes)
        return
    with pytest.raises(Conflict) as caught:
        plan(volta, **wishes)
    assert caught.value.found == "'%s', and a GPU of sm_70" % version
    assert caught.value.expected == "a release with code for it: 9.10.2 or earlier"
    assert plan(machine(H200), **wishes)
