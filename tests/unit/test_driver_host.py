"""What a driver that torchnode installed is worth: every outcome good and bad, on made-up facts."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from helpers import H100, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.data import managed_files
from ansible.module_utils.torchnode.model import Facts, Stack
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.package_model import HostSoftware, Kernel, Package
from ansible.module_utils.torchnode.requirements.driver_host import driver_outcomes
from ansible.module_utils.torchnode.stack import resolve

VERSION = "535.261.03"
RUNNING, OTHER = "6.1.0", "6.1.0-56-amd64"
NODES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-caps")


def packages(**versions: str) -> tuple[Package, ...]:
    names = {
        "libcuda1": VERSION, "nvidia-smi": VERSION, "firmware-nvidia-gsp": VERSION,
        "nvidia-open-kernel-dkms": VERSION, "nvidia-persistenced": "535.171.04",
        **{name.replace("_", "-"): version for name, version in versions.items()},
    }  # fmt: skip
    return tuple(Package(name, version + "-1", held=True) for name, version in names.items())


def files(stack: Stack) -> tuple[tuple[str, str], ...]:
    assert stack.host is not None
    return tuple((p, hashlib.sha256(text.encode()).hexdigest()) for p, text in stack.host.files)


def resolved(facts: Facts) -> Stack:
    wish = policy(driver_version="535")
    host = dataclasses.replace(wish.host, nvidia_source="distribution")
    return resolve(facts, dataclasses.replace(wish, host=host), LOCKS)


def whole(**changes: Any) -> tuple[Facts, Stack]:
    """A Debian node with one GPU whose driver is as it should be, but for these changes of host."""
    bare = machine(H100, host=HostSoftware(manager="apt"))
    stack = resolved(bare)
    host = HostSoftware(
        manager="apt",
        packages=packages(),
        origin="distribution",
        kernels=(Kernel(RUNNING, True, VERSION, "open"), Kernel(OTHER, True, VERSION, "open")),
        files=files(stack),
        services=(("nvidia-persistenced", "active"),),
    )
    loaded = driver(VERSION, nvml=VERSION, device_nodes=NODES)
    facts = dataclasses.replace(
        bare, host=dataclasses.replace(host, **changes), drivers=(loaded,)
    )  # fmt: skip
    return facts, stack


def outcome(name: str, facts: Facts, stack: Stack) -> Outcome:
    (found,) = [o for o in driver_outcomes(facts, stack) if o.id == "apply.driver_" + name]
    return found


ALL = ("packages", "files", "modules", "initramfs", "flavour", "loaded", "rivals",
       "device_nodes", "persistenced")  # fmt: skip


def test_a_whole_driver_passes_every_check() -> None:
    facts, stack = whole()
    results = {o.id.removeprefix("apply.driver_"): o.result for o in driver_outcomes(facts, stack)}
    assert results == dict.fromkeys(ALL, Result.PASS)


@pytest.mark.parametrize(
    ("name", "observed", "changes"),
    [
        ("packages", "libcuda1 is not held",
         {"packages": (Package("libcuda1", VERSION + "-1"), *packages()[1:])}),
        ("packages", "nvidia-smi is not installed",
         {"packages": tuple(p for p in packages() if p.name != "nvidia-smi")}),
        ("packages", "2 versions", {"packages": packages(libcuda1="535.247.01")}),
        ("packages", "libcuda1 is 550.1", {"packages": packages(libcuda1="550.1")}),
        ("files", managed_files.MODPROBE, {"files": ()}),
        ("modules", OTHER + ": none",
         {"kernels": (Kernel(RUNNING, True, VERSION, "open"), Kernel(OTHER))}),
        ("modules", RUNNING + ": 470.1",
         {"kernels": (Kernel(RUNNING, True, "470.1", "open"),)}),
        ("initramfs", OTHER,
         {"kernels": (Kernel(RUNNING, True, VERSION, "open"),
                      Kernel(OTHER, True, VERSION, "open", initramfs_stale=True))}),
        ("flavour", "proprietary",
         {"kernels": (Kernel(RUNNING, True, VERSION, "proprietary"),)}),
        ("flavour", "open, proprietary",
         {"kernels": (Kernel(RUNNING, True, VERSION, "proprietary"),
                      Kernel(OTHER, True, VERSION, "open"))}),
        ("fabric", "nvidia-fabricmanager-535 " + VERSION,
         {"packages": (*packages(), Package("nvidia-fabricmanager-535", VERSION + "-1"))}),
        ("persistenced", "failed", {"services": (("nvidia-persistenced", "failed"),)}),
        ("persistenced", "absent", {"services": ()}),
    ],
)  # fmt: skip
def test_what_the_system_lacks_fails(name: str, observed: str, changes: dict[str, Any]) -> None:
    found = outcome(name, *whole(**changes))
    assert found.result is Result.FAIL
    assert observed in found.observed
    assert found.cause
    assert found.remedy


@pytest.mark.parametrize(
    ("name", "observed", "changes"),
    [
        ("loaded", "loaded none", {"loaded": None}),
        ("loaded", "loaded 535.247.01", {"loaded": "535.247.01"}),
        ("loaded", "library 550.1", {"userspace": "550.1"}),
        ("loaded", "NVML 550.1", {"nvml": "550.1"}),
        ("loaded", "library none", {"userspace": None}),
        ("device_nodes", "none", {"device_nodes": ("/dev/nvidiactl",)}),
    ],
)
def test_what_runs_is_not_what_is_installed(
    name: str, observed: str, changes: dict[str, Any]
) -> None:
    facts, stack = whole()
    broken = dataclasses.replace(facts.drivers[0], **changes)
    found = outcome(name, dataclasses.replace(facts, drivers=(broken,)), stack)
    assert found.result is Result.FAIL
    assert observed in found.observed


def test_a_gpu_without_any_driver_fails() -> None:
    facts, stack = whole()
    bare = dataclasses.replace(facts, drivers=())
    assert outcome("loaded", bare, stack).result is Result.FAIL
    assert outcome("device_nodes", bare, stack).result is Result.FAIL


def test_a_rival_that_is_loaded_fails() -> None:
    facts, stack = whole()
    system = dataclasses.replace(facts.system, blocking_modules=("nouveau",))
    found = outcome("rivals", dataclasses.replace(facts, system=system), stack)
    assert (found.result, found.observed) == (Result.FAIL, "nouveau")


def test_no_kernel_is_not_a_pass() -> None:
    assert outcome("modules", *whole(kernels=())).result is Result.INCOMPLETE


# ---- where there is no hardware ----------------------------------------------------------------

HARDWARE = ("loaded", "rivals", "device_nodes", "persistenced")


@pytest.mark.parametrize("where", ["container", "no GPU"])
def test_without_hardware_its_side_is_skipped_and_says_why(where: str) -> None:
    facts, stack = whole(services=(("nvidia-persistenced", "inactive"),))
    if where == "container":
        facts = dataclasses.replace(
            facts, system=dataclasses.replace(facts.system, container="podman")
        )
    else:
        facts = dataclasses.replace(facts, accelerators=())
    for name in HARDWARE:
        found = outcome(name, facts, stack)
        assert found.result is Result.SKIPPED
        assert not found.required
        assert ("container" if where == "container" else "no NVIDIA GPU") in found.observed
    for name in set(ALL) - set(HARDWARE):
        assert outcome(name, facts, stack).result is Result.PASS


def test_a_service_that_failed_with_nothing_to_serve_is_not_skipped() -> None:
    facts, stack = whole(services=(("nvidia-persistenced", "failed"),))
    found = outcome("persistenced", dataclasses.replace(facts, accelerators=()), stack)
    assert found.result is Result.FAIL


def test_a_driver_that_is_not_ours_is_not_judged() -> None:
    facts, stack = whole()
    assert driver_outcomes(facts, dataclasses.replace(stack, host=None)) == []
