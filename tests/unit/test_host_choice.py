"""Whose packages a node gets, and which: one origin, the default branch there, wishes in order."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import B200, H200, LOCKS, V100, driver, machine, policy

from ansible.module_utils.torchnode.host_choice import dcgm_majors, default_branch, origin
from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import DriverChoice, Facts, Stack
from ansible.module_utils.torchnode.package_model import HostSoftware, Kernel, Package
from ansible.module_utils.torchnode.policy import Conflict, HostPolicy, read_host
from ansible.module_utils.torchnode.stack import resolve

DEBIAN12 = dataclasses.replace(
    machine().system, os_id="debian", os_version="12", os_name="Debian GNU/Linux 12",
    kernel="6.1.0-50-amd64",
)  # fmt: skip
BARE = HostSoftware(
    manager="apt",
    packages=(Package("linux-image-amd64", "6.1.176-1"),),
    kernels=(Kernel("6.1.0-50-amd64", headers=True), Kernel("6.1.0-51-amd64")),
)


def node(*gpus: int, host: HostSoftware = BARE, system: Any = DEBIAN12, **changes: Any) -> Facts:
    """A Debian 12 machine with GPUs and nothing of NVIDIA's, but for the changes."""
    return machine(*(gpus or (H200,)), host=host, system=system, **changes)


def wishes(**given: Any) -> Any:
    """The policy with wishes about the host, and others by their own names."""
    own = {field.name for field in dataclasses.fields(HostPolicy)}
    host = HostPolicy(**{name: value for name, value in given.items() if name in own})
    return policy(host=host, **{name: value for name, value in given.items() if name not in own})


def resolved(facts: Facts, **given: Any) -> Stack:
    return resolve(facts, wishes(**given), LOCKS)


PRESENT = HostSoftware(
    manager="apt", origin="distribution", evidence="package libcuda1",
    packages=(Package("nvidia-open-kernel-dkms", "535.261.03-1"),),
)  # fmt: skip


NOBLE = dataclasses.replace(DEBIAN12, os_id="ubuntu", os_version="24.04")
EL9 = dataclasses.replace(DEBIAN12, os_id="rocky", os_version="9.6")


def brought(origin_found: str, *names: str, **changes: Any) -> HostSoftware:
    """A driver of an origin whose packages have these names, with its module on disk."""
    return HostSoftware(
        manager="apt", origin=origin_found, evidence="package " + names[0],
        packages=tuple(Package(name, "580.95.05-1") for name in names),
        kernels=(Kernel("6.8.0-51-generic", module="580.95.05", flavour="open"),), **changes,
    )  # fmt: skip


#: Drivers that serve by means that torchnode does not have, by system and origin.
OTHERS = [
    (NOBLE, "distribution", ("linux-modules-nvidia-580-server-open-6.8.0-51-generic",
                             "libnvidia-compute-580-server", "nvidia-utils-580-server")),
    (NOBLE, "distribution", ("nvidia-driver-580", "nvidia-dkms-580", "libnvidia-compute-580")),
    (DEBIAN12, "distribution", ("nvidia-tesla-535-kernel-dkms", "libcuda1")),
    (EL9, "distribution", ("kmod-nvidia", "nvidia-x11-drv")),  # ELRepo's
    (EL9, "nvidia", ("kmod-nvidia-580.95.05-5.14.0-570.el9", "nvidia-driver-cuda")),
]  # fmt: skip


@pytest.mark.parametrize(("system", "found", "names"), OTHERS)
def test_a_driver_that_serves_by_other_means_is_left_as_it_is(
    system: Any, found: str, names: tuple[str, ...]
) -> None:
    facts = node(system=system, host=brought(found, *names), loaded="580.95.05")
    whose, why = origin(facts, policy())
    assert whose == "preinstalled"
    assert names[0] in why
    stack = resolved(facts)
    assert stack.host
    assert not stack.host.wishes
    assert not [step for step in host_steps(facts, stack) if step.component == "nvidia_driver"]


def test_what_torchnode_packages_is_managed_also_as_a_wreck() -> None:
    dkms = brought("distribution", "nvidia-dkms-580-server-open", "libnvidia-compute-580-server")
    lost = brought("distribution", "libnvidia-compute-580-server")
    ours = dataclasses.replace(lost, files=(("/etc/modprobe.d/torchnode-nvidia.conf", "hash"),))
    no_module = dataclasses.replace(lost, kernels=(Kernel("6.8.0-51-generic"),))
    for host in (dkms, ours):
        assert origin(node(system=NOBLE, host=host, loaded="580.95.05"), policy())[0] == (
            "distribution"
        )
    assert origin(node(system=NOBLE, host=no_module), policy())[0] == "distribution"


def test_modules_that_came_built_go_where_dkms_is_asked_for() -> None:
    host = brought("distribution", "linux-modules-nvidia-580-server-open-generic")
    facts = node(system=NOBLE, host=host, loaded="580.95.05")
    stack = resolved(facts, nvidia_source="distribution")
    (step,) = [step for step in host_steps(facts, stack) if step.component == "nvidia_driver"]
    assert step.removes == ("linux-modules-nvidia-580-server-open-generic",)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (node(), "nvidia"),
        (node(host=PRESENT, loaded="535.261.03"), "distribution"),
        (node(host=dataclasses.replace(PRESENT, origin="runfile")), "preinstalled"),
        # A distribution's toolkit has brought the library, and nothing else of a driver.
        (
            node(
                host=dataclasses.replace(BARE, packages=(Package("libcuda1", "535.261.03-1"),)),
                drivers=(driver(None, userspace="535.261.03"),),
            ),
            "nvidia",
        ),
        (node(drivers=(driver(None, userspace="535.261.03"),)), "preinstalled"),
        (node(loaded="580.95.05"), "preinstalled"),
        (node(system=dataclasses.replace(DEBIAN12, container="docker")), "preinstalled"),
        (node(system=dataclasses.replace(DEBIAN12, wsl2=True)), "preinstalled"),
        (node(system=dataclasses.replace(DEBIAN12, os_id="gentoo")), "preinstalled"),
        (node(host=HostSoftware()), "preinstalled"),
    ],
)
def test_the_origin_is_that_of_what_is_there(facts: Facts, expected: str) -> None:
    assert origin(facts, policy())[0] == expected


@pytest.mark.parametrize("found", ["distribution", "runfile", "unknown"])
def test_two_origins_are_never_mixed(found: str) -> None:
    facts = node(host=dataclasses.replace(PRESENT, origin=found))
    with pytest.raises(Conflict) as caught:
        origin(facts, wishes(nvidia_source="nvidia"))
    assert "package libcuda1" in caught.value.found
    assert found in caught.value.found
    assert caught.value.remedy


def test_a_bare_machine_gets_driver_headers_pins_and_source() -> None:
    stack = resolved(node())
    assert stack.driver
    assert (stack.driver.branch, stack.driver.flavour, stack.driver.origin) == (
        "580", "open", "nvidia",
    )  # fmt: skip
    assert stack.host
    (wish,) = stack.host.wishes
    assert wish.component == "nvidia_driver"
    assert "linux-headers-6.1.0-51-amd64" in wish.packages
    assert "linux-headers-6.1.0-50-amd64" not in wish.packages  # they are there
    assert "linux-headers-amd64" in wish.packages  # brings those of later kernels
    alone = resolved(node(host=dataclasses.replace(BARE, packages=())))
    assert alone.host
    assert "linux-headers-amd64" not in alone.host.wishes[0].packages
    assert stack.host.sources[0].uri.endswith("/debian12/x86_64/")
    assert len(stack.host.sources[0].fingerprint) == 40
    paths = [path for path, _ in stack.host.files]
    assert "/etc/apt/preferences.d/torchnode-nvidia" in paths
    assert any("modprobe.d" in path for path in paths)
    assert "driver origin" in [reason.choice for reason in stack.reasons]


def test_the_distributions_own_branch_decides_the_wheel() -> None:
    facts = node(H200)
    assert default_branch(facts, wishes(nvidia_source="distribution")) == "535"
    stack = resolved(facts, nvidia_source="distribution")
    assert stack.driver
    assert stack.driver.branch == "535"
    assert stack.torch
    assert stack.torch.label.endswith(("+cu126", "+cu128"))  # CUDA 13 needs 580
    assert stack.host
    assert [source.kind for source in stack.host.sources] == ["components"]


def test_the_distribution_lacks_what_a_part_needs() -> None:
    with pytest.raises(Conflict):
        resolved(node(B200), nvidia_source="distribution")


def test_a_flavour_that_a_branch_is_no_longer_made_in_is_refused() -> None:
    with pytest.raises(Conflict) as caught:
        resolved(node(), driver_version="620", driver_flavour="proprietary")
    assert (caught.value.argument, caught.value.nearest) == (
        "torchnode_driver_flavour", "flavour open",
    )  # fmt: skip
    there = node(loaded="580.95.05", drivers=(driver("580.95.05", flavour="proprietary"),))
    choice = resolved(there, driver_version="620", nvidia_source="preinstalled").driver
    assert choice
    assert choice.flavour == "open"


def test_volta_gets_the_proprietary_modules() -> None:
    stack = resolved(node(V100))
    assert stack.driver
    assert stack.driver.flavour == "proprietary"
    assert stack.host
    assert not [name for name in stack.host.wishes[0].packages if "open" in name]


def test_an_exact_version_is_wished_exactly() -> None:
    stack = resolved(node(), driver_version="580.95.05")
    assert stack.host
    assert stack.host.wishes[0].version == "580.95.05"
    assert stack.driver
    assert (stack.driver.branch, stack.driver.version) == ("580", "580.95.05")
    assert any("580.95.05-*" in content for _, content in stack.host.files)


@pytest.mark.parametrize(
    ("found", "wished", "guarded"),
    [
        ("runfile", "auto", True),
        ("", "preinstalled", True),
        ("distribution", "preinstalled", True),
        ("nvidia", "preinstalled", False),  # it comes from there, and its owner may move it
        ("nvidia", "auto", False),
    ],
)
def test_another_drivers_packages_are_never_upgraded_from_nvidias_source(
    found: str, wished: str, guarded: bool
) -> None:
    host = dataclasses.replace(BARE, origin=found, evidence="something")
    stack = resolved(
        node(host=host, loaded="580.95.05"), nvidia_source=wished, cuda_toolkits=("12.8",)
    )
    assert stack.host
    source = next(s for s in stack.host.sources if s.kind == "deb")
    assert ("libcuda1" in source.excluded) is guarded
    assert ("nvidia-kernel-open-dkms" in source.excluded) is guarded
    assert "cuda-toolkit-12-8" not in source.excluded


def test_a_driver_that_is_left_alone_has_no_wish_and_toolkits_stand_beside_it() -> None:
    facts = node(loaded="580.95.05", drivers=(driver("580.95.05"),))
    stack = resolved(facts)
    assert stack.host
    assert (stack.host.origin, stack.host.wishes, stack.host.files) == ("preinstalled", (), ())
    stack = resolved(facts, cuda_toolkits=("12.8", "13.0"), dcgm=True)
    assert stack.host
    components = [wish.component for wish in stack.host.wishes]
    assert components == ["cuda_toolkit", "cuda_toolkit", "dcgm"]
    assert "13" in stack.host.wishes[2].packages[0]
    assert stack.host.sources


@pytest.mark.parametrize(
    ("gpu", "branch", "majors"),
    [
        (H200, "535", [12]), (H200, "570", [12]), (H200, "580", [13]), (H200, "615", [13]),
        (V100, "570", [12]), (V100, "580", [12, 13]),
    ],
)  # fmt: skip
def test_the_cuda_majors_that_dcgm_asks_by(gpu: int, branch: str, majors: list[int]) -> None:
    assert dcgm_majors(node(gpu), DriverChoice("nvidia", branch, "open", "1.0")) == majors


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"cuda_toolkits": ["12"]}, "torchnode_cuda_toolkits"),
        ({"cuda_toolkits": ["latest"]}, "torchnode_cuda_toolkits"),
        ({"cudnn": "newest"}, "torchnode_cudnn"),
        ({"nvidia_key_fingerprint": "3bf863cc"}, "torchnode_nvidia_key_fingerprint"),
    ],
)
def test_what_is_no_version_or_fingerprint_is_refused(given: Any, argument: str) -> None:
    with pytest.raises(Conflict) as caught:
        read_host(given)
    assert caught.value.argument == argument


def test_under_wsl2_toolkits_are_installed_and_no_driver_is() -> None:
    system = dataclasses.replace(NOBLE, wsl2=True)
    facts = node(system=system, drivers=(driver(None, nvml="580.95.05"),))
    stack = resolved(facts, cuda_toolkits=("12.8",))
    assert [step.component for step in host_steps(facts, stack)] == ["cuda_toolkit"]
    assert stack.host
    (source,) = stack.host.sources
    assert "libnvidia-compute" in source.excluded
    assert "cuda-drivers" in source.excluded
