"""The system's side of the plan: what differs from the wish, in words."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from helpers import H200, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import Facts, Process, Stack, Step
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_model import (
    HostPlan,
    HostSoftware,
    Kernel,
    Package,
    PackageWish,
)
from ansible.module_utils.torchnode.package_versions import fits, problems, upstream
from ansible.module_utils.torchnode.reboot_gate import gate, reason
from ansible.module_utils.torchnode.stack import resolve

R580 = "580.95.05"
RUNNING = machine().system.kernel
WISH = PackageWish(
    "nvidia_driver", ("nvidia-open", "linux-headers"), "580", ("nvidia-*", "libcuda1"),
    ("nvidia-dkms", "cuda-drivers"),
)  # fmt: skip
PIN = ("/etc/apt/preferences.d/torchnode-nvidia", "Package: x\n")
DIGEST = hashlib.sha256(PIN[1].encode()).hexdigest()
PACKAGES = (
    Package("nvidia-open", "580.95.05-1", held=True),
    Package("libcuda1", "580.95.05-1", held=True),
    Package("linux-headers", "6.1.0-50"),
)
SOFTWARE = HostSoftware(
    manager="apt", origin="nvidia", packages=PACKAGES, files=((PIN[0], DIGEST),),
    kernels=(Kernel(RUNNING, True, R580, "open"),),
)  # fmt: skip


def node(software: HostSoftware = SOFTWARE, loaded: Any = R580, **changes: Any) -> Facts:
    """A node with a GPU whose driver is as wished, but for the changes."""
    held = driver(loaded, on_disk=R580, userspace=R580)
    return machine(H200, drivers=(held,), host=software, **changes)


def wishing(facts: Facts, *wishes: PackageWish, version: str = "") -> Stack:
    """The stack of such a node, with these wishes for the system's packages."""
    stack = resolve(machine(H200, loaded=R580), policy(), LOCKS)
    assert stack.driver
    choice = dataclasses.replace(stack.driver, version=version, branch="580")
    return dataclasses.replace(
        stack, driver=choice, host=HostPlan("nvidia", (), wishes or (WISH,), (PIN,))
    )


def the_step(facts: Facts, stack: Stack) -> Step:
    (step,) = host_steps(facts, stack)
    return step


def test_a_node_as_wished_needs_no_step() -> None:
    facts = node()
    assert host_steps(facts, wishing(facts)) == []


def without(name: str) -> tuple[Package, ...]:
    return tuple(package for package in PACKAGES if package.name != name)


@pytest.mark.parametrize(
    ("changes", "action", "why"),
    [
        ({"packages": without("nvidia-open")}, "change", "nvidia-open is not installed"),
        ({"packages": without("linux-headers")}, "change", "linux-headers is not installed"),
        (
            {"packages": (Package("nvidia-open", "570.1-1", held=True), *PACKAGES[1:])},
            "change", "nvidia-open is 570.1",
        ),
        (
            {"packages": (Package("nvidia-open", "580.1-1", held=True), *PACKAGES[1:])},
            "change", "2 versions: 580.1, 580.95.05",
        ),
        ({"packages": (*PACKAGES, Package("nvidia-dkms", "580.95.05-1", held=True))}, "change",
         "nvidia-dkms cannot stay"),
        ({"packages": (dataclasses.replace(PACKAGES[0], held=False), *PACKAGES[1:])}, "mend",
         "nvidia-open is not held"),
        ({"files": ()}, "mend", "torchnode-nvidia is missing"),
        ({"files": ((PIN[0], "0" * 64),)}, "mend", "torchnode-nvidia was altered"),
        ({"kernels": (*SOFTWARE.kernels, Kernel("6.2"))}, "mend", "kernel 6.2 has no module"),
        ({"kernels": (Kernel("6.2", True, "570.1"),)}, "mend", "kernel 6.2 has module 570.1"),
        (
            {"kernels": (Kernel(RUNNING, True, R580, "open", initramfs_stale=True),)},
            "mend", "older than its settings",
        ),
        ({"interrupted": True}, "mend", "dpkg was interrupted"),
    ],
)  # fmt: skip
def test_what_differs_is_a_step_that_says_so(
    changes: dict[str, Any], action: str, why: str
) -> None:
    facts = node(dataclasses.replace(SOFTWARE, **changes))
    step = the_step(facts, wishing(facts))
    assert (step.component, step.action) == ("nvidia_driver", action)
    assert why in step.why
    assert step.disruptive
    assert not step.operator


def test_an_exact_version_that_is_not_loaded_is_a_change() -> None:
    wish = dataclasses.replace(WISH, version="580.82.07")
    facts = node()
    step = the_step(facts, wishing(facts, wish, version="580.82.07"))
    assert step.action == "change"
    assert "asks for version 580.82.07" in step.why
    assert step.after.startswith("version 580.82.07")
    assert step.reboot


def test_a_newer_release_of_the_branch_moves_nothing() -> None:
    """What the sources offer is not even asked: the branch fits."""
    assert problems(WISH, PACKAGES) == []


def test_a_bare_machine_is_an_install_and_other_components_follow() -> None:
    facts = machine(H200, host=HostSoftware("apt"))
    fabric = PackageWish("nvidia_fabric", ("nvidia-fabricmanager",), R580, ("nvidia-fabric*",))
    toolkits = [PackageWish("cuda_toolkit", ("cuda-toolkit-%s" % v,)) for v in ("12-8", "13-0")]
    stack = wishing(facts, WISH, fabric, *toolkits)
    steps = host_steps(facts, stack)
    assert [step.component for step in steps] == ["nvidia_driver", "nvidia_fabric", "cuda_toolkit"]
    assert [step.action for step in steps] == ["install"] * 3
    assert "cuda-toolkit-12-8, cuda-toolkit-13-0" in steps[2].after


@pytest.mark.parametrize(
    ("version", "wished", "fit"),
    [
        ("3:580.95.05-1.el9", "580", True),
        ("580.95.05-0ubuntu1", "580.95.05", True),
        ("535.261.03-1~deb12u1", "535", True),
        ("580.95.05-1", "58", False),
        ("580.95.05-1", "580.95", False),
        ("580.95.05-1", "", True),
        ("12.8.1-1", "12.8.1", True),
    ],
)
def test_versions_are_the_vendors_own(version: str, wished: str, fit: bool) -> None:
    assert fits(version, wished) is fit
    assert ":" not in upstream(version)


# ---- reboot ------------------------------------------------------------------------------------


def test_a_loaded_module_of_the_version_on_disk_needs_no_boot() -> None:
    facts = node()
    assert reason(facts, wishing(facts)) == ""
    assert gate(facts, wishing(facts), "never", False) == []


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (node(loaded="570.1"), "570.1 is loaded, and 580.95.05 is on disk"),
        (
            node(dataclasses.replace(SOFTWARE, kernels=(Kernel("6.9", True, R580),)), loaded=None),
            "%s runs without a module, and 6.9 has one" % RUNNING,
        ),
        (
            node(system=dataclasses.replace(machine().system, blocking_modules=("nouveau",))),
            "nouveau is loaded",
        ),
        (
            dataclasses.replace(node(), drivers=(driver(R580, loaded_flavour="proprietary"),)),
            "the proprietary module is loaded, and the open one is on disk",
        ),
    ],
)
def test_a_boot_is_needed_where_the_kernel_differs(facts: Facts, why: str) -> None:
    stack = wishing(facts)
    assert why in reason(facts, stack)
    (refused,) = gate(facts, stack, "never", False)
    assert refused.result is Result.FAIL
    assert "reboot is required" in refused.cause
    (granted,) = gate(facts, stack, "when_needed", False)
    assert granted.result is Result.PASS


def test_a_node_in_use_is_not_booted() -> None:
    busy = (Process(77, "ann", "python train.py", ("/dev/nvidia0",)),)
    facts = node(loaded="570.1", processes=busy)
    (refused,) = gate(facts, wishing(facts), "when_needed", False)
    assert refused.result is Result.FAIL
    assert "pid 77 (ann: python train.py)" in refused.observed
    assert gate(facts, wishing(facts), "when_needed", True)[0].result is Result.PASS


@pytest.mark.parametrize("system", [{"container": "podman"}, {"wsl2": True}])
def test_the_hosts_kernel_is_not_this_nodes_to_boot(system: dict[str, Any]) -> None:
    facts = node(loaded=None)
    facts = dataclasses.replace(facts, system=dataclasses.replace(facts.system, **system))
    assert reason(facts, wishing(facts)) == ""


@pytest.mark.parametrize(
    "kernels",
    [
        (Kernel(RUNNING),),  # no kernel has a module
        (Kernel(RUNNING), Kernel("5.9.0-9-amd64", True, R580)),  # the next boot takes the newest
        (Kernel(RUNNING, True, R580),),  # it could be loaded, and what stops it stays
    ],
)
def test_where_a_boot_would_change_nothing_none_is_asked_for(kernels: tuple[Kernel, ...]) -> None:
    facts = node(dataclasses.replace(SOFTWARE, kernels=kernels), loaded=None)
    assert reason(facts, wishing(facts)) == ""


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("6.1.0-9-amd64", "6.1.0-10-amd64"),
        ("5.14.0-570.12.1.el9_6.x86_64", "5.14.0-570.58.1.el9_6.x86_64"),
        ("6.8.0-51-generic", "6.11.0-9-generic"),
    ],
)
def test_newer_is_by_number(older: str, newer: str) -> None:
    for running, other, boots in ((older, newer, True), (newer, older, False)):
        kernels = (Kernel(running), Kernel(other, True, R580))
        facts = node(dataclasses.replace(SOFTWARE, kernels=kernels), loaded=None)
        system = dataclasses.replace(facts.system, kernel=running)
        facts = dataclasses.replace(facts, system=system)
        assert bool(reason(facts, wishing(facts))) is boots


# ---- toolkits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ("/usr/local/cuda-13.0", None),
        ("/usr/local/cuda-12.8", "the default is /usr/local/cuda-12.8, not /usr/local/cuda-13.0"),
        ("", "the default is none, not /usr/local/cuda-13.0"),
    ],
)
def test_the_default_toolkit_is_part_of_the_plan(there: str, why: Any) -> None:
    toolkit = PackageWish("cuda_toolkit", ("cuda-toolkit-13-0",), "", ("cuda-toolkit-13-0",))
    packages = (*PACKAGES, Package("cuda-toolkit-13-0", "13.0.2-1", held=True))
    facts = node(dataclasses.replace(SOFTWARE, packages=packages, cuda_default=there))
    stack = wishing(facts, WISH, toolkit)
    assert stack.host
    stack = dataclasses.replace(stack, host=dataclasses.replace(stack.host, cuda_default="13.0"))
    assert [step.why for step in host_steps(facts, stack)] == ([why] if why else [])


# ---- the words of a step -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "action", "before"),
    [
        ({"packages": (), "kernels": (), "origin": ""}, "install", "none"),
        ({"kernels": ()}, "mend", "packages of 580.95.05, and no module"),
        (
            {"packages": (Package("nvidia-open", "570.1-1"), Package("libcuda1", "580.1-1"))},
            "change", "packages of 570.1 and 580.1, and no module",
        ),
        # A distribution's toolkit has brought the library: there is no driver yet.
        (
            {"packages": (Package("libcuda1", "535.1-1"),), "kernels": (), "origin": ""},
            "install", "packages of 535.1, and no module",
        ),
    ],
)  # fmt: skip
def test_packages_without_a_module_are_not_none(
    changes: dict[str, Any], action: str, before: str
) -> None:
    facts = machine(H200, host=dataclasses.replace(SOFTWARE, **changes))
    step = the_step(facts, wishing(facts))
    assert (step.action, step.before) == (action, before)


@pytest.mark.parametrize(
    ("changes", "boots"),
    [
        ({"packages": (dataclasses.replace(PACKAGES[0], held=False), *PACKAGES[1:])}, False),
        ({"packages": without("linux-headers")}, False),
        ({"kernels": (*SOFTWARE.kernels, Kernel("6.2"))}, False),
        ({"files": ()}, False),
        ({"packages": (*PACKAGES, Package("nvidia-dkms", "580.95.05-1", held=True))}, True),
        ({"packages": (Package("nvidia-open", "580.1-1", held=True), *PACKAGES[1:])}, True),
    ],
)
def test_a_boot_is_foretold_only_where_the_loaded_module_moves(
    changes: dict[str, Any], boots: bool
) -> None:
    facts = node(dataclasses.replace(SOFTWARE, **changes))
    assert the_step(facts, wishing(facts)).reboot is boots
