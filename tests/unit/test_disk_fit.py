"""Room on the right file systems: what shares one is added up, and a full one is seen before."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Optional

import pytest
from helpers import H200, LOCKS, FixtureNode, driver, machine, policy

from ansible.module_utils.torchnode import disks as reading
from ansible.module_utils.torchnode.disk_fit import (
    BOOT_ROOM,
    CUDNN_WHEEL_BYTES,
    DRIVER_ROOM,
    GIB,
    STACK_BYTES,
    TOOLKIT_ARCHIVES_BYTES,
    TOOLKIT_BYTES,
    disk_outcomes,
)
from ansible.module_utils.torchnode.model import Disk, Facts, Step
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.package_model import HostSoftware, Package
from ansible.module_utils.torchnode.plan import plan
from ansible.module_utils.torchnode.policy import HostPolicy
from ansible.module_utils.torchnode.stack import resolve

PREFIX = machine().prefix
USR, VAR = (size for _, size in DRIVER_ROOM)
BOOT = BOOT_ROOM[0][1]
APART = (
    Disk((PREFIX,), 500 * GIB), Disk(("/usr", "/usr/local"), 500 * GIB), Disk(("/var",), 500 * GIB),
    Disk(("/boot",), 500 * GIB),
)  # fmt: skip


def judged(facts: Facts, *components: str, **wishes: Any) -> dict[str, Outcome]:
    """Outcomes by id, for the steps of these components or for all."""
    host = HostPolicy(**{"nvidia_source": "nvidia", **wishes})
    stack = resolve(facts, dataclasses.replace(policy(), host=host), LOCKS)
    steps = [s for s in plan(facts, stack) if not components or s.component in components]
    assert steps
    return {outcome.id: outcome for outcome in disk_outcomes(facts, stack, steps)}


def filled(*disks: Disk, **changes: Any) -> Facts:
    return machine(H200, disks=disks, host=HostSoftware("apt"), **changes)


@pytest.mark.parametrize(
    ("free", "result"),
    [
        (STACK_BYTES["cuda"], Result.PASS),
        (STACK_BYTES["cuda"] - 1, Result.FAIL),
        (0, Result.FAIL),
        (None, Result.INCOMPLETE),
    ],
)
def test_the_stack_needs_room_below_the_prefix(free: Optional[int], result: Result) -> None:
    found = judged(filled(Disk((PREFIX,), free)), "python_stack")
    assert list(found) == ["preflight.disk"]
    assert found["preflight.disk"].result is result


def test_a_cpu_stack_needs_less() -> None:
    facts = machine(disks=(Disk((PREFIX,), STACK_BYTES["cpu"]),))
    stack = resolve(facts, policy(), LOCKS)
    (found,) = disk_outcomes(facts, stack, plan(facts, stack))
    assert found.result is Result.PASS


def test_each_file_system_of_its_own_is_judged_for_itself() -> None:
    found = judged(filled(*APART))
    assert set(found) == {
        "preflight.disk", "preflight.disk.usr", "preflight.disk.var", "preflight.disk.boot",
    }  # fmt: skip
    for at, name in ((1, "usr"), (2, "var"), (3, "boot")):
        full = [dataclasses.replace(d, free_bytes=0) if d is APART[at] else d for d in APART]
        results = {check: outcome.result for check, outcome in judged(filled(*full)).items()}
        assert [c for c in results if results[c] is Result.FAIL] == ["preflight.disk." + name]


def test_what_shares_a_file_system_is_added_up() -> None:
    together = USR + VAR + BOOT + STACK_BYTES["cuda"]
    folders = (PREFIX, "/usr", "/usr/local", "/var", "/boot")
    (fits,) = judged(filled(Disk(folders, together))).values()
    assert fits.result is Result.PASS
    (full,) = judged(filled(Disk(folders, together - 1))).values()
    assert full.result is Result.FAIL
    assert "nvidia_driver" in full.expected
    assert "python_stack 12.0" in full.expected
    assert "torchnode_prefix" in full.remedy
    assert "clean" in full.remedy


def test_a_driver_that_stays_needs_no_room() -> None:
    facts = filled(*APART, drivers=(driver("580.95.05"),))
    assert set(judged(facts, nvidia_source="preinstalled")) == {"preflight.disk"}


def test_every_toolkit_that_is_missing_counts() -> None:
    there = (Package("cuda-toolkit-12-8", "12.8.1-1", held=True),)
    for packages, count in (((), 2), (there, 1)):
        host = HostSoftware("apt", packages)
        for lacking, result in ((0, Result.PASS), (1, Result.FAIL)):
            disks = (
                Disk(("/usr/local",), count * TOOLKIT_BYTES - lacking),
                Disk(("/var",), count * TOOLKIT_ARCHIVES_BYTES - lacking),
            )
            facts = dataclasses.replace(filled(*disks), host=host)
            found = judged(facts, "cuda_toolkit", cuda_toolkits=("12.8", "13.0"))
            assert {o.result for o in found.values()} == {result}


def test_a_distributions_toolkit_lies_in_usr() -> None:
    system = dataclasses.replace(machine().system, os_id="debian", os_version="13")
    facts = filled(*APART, system=system)
    found = judged(facts, "cuda_toolkit", nvidia_source="distribution", cuda_toolkits=("12.4",))
    assert "for /usr " in found["preflight.disk.usr"].expected


def test_cudnn_from_wheels_lies_below_the_prefix() -> None:
    facts = filled(Disk((PREFIX,), 2 * CUDNN_WHEEL_BYTES - 1))
    found = judged(facts, "cudnn", cudnn="9", cuda_toolkits=("12.8", "13.0"))
    assert found["preflight.disk"].result is Result.FAIL


def test_a_file_system_that_nobody_read_is_no_pass() -> None:
    found = judged(filled(Disk((PREFIX,), 500 * GIB)), "nvidia_driver")
    assert {o.result for o in found.values()} == {Result.INCOMPLETE}
    assert all(outcome.remedy for outcome in found.values())


def test_what_the_operator_has_to_do_is_the_operators_room() -> None:
    facts = filled(Disk((PREFIX,), 0))
    stack = resolve(facts, policy(), LOCKS)
    step = Step("nvidia_driver", "install", "none", "580", "why", operator=True)
    assert disk_outcomes(facts, stack, [step]) == []


# ---- reading -----------------------------------------------------------------------------------


def test_folders_of_one_file_system_are_one_disk(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.write("/usr/bin/true", "")
    (found,) = reading.read_disks(node, "/opt/torchnode")
    assert found.folders == ("/opt/torchnode", "/usr", "/usr/local", "/var", "/boot")
    assert found.free_bytes


def test_a_folder_on_another_file_system_is_a_disk_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FixtureNode(tmp_path)
    node.write("/var/lib/x", "")
    real = os.stat
    moved = str(tmp_path / "var")

    def stat(path: Any, **more: Any) -> Any:
        found = real(path, **more)
        return os.stat_result([*found[:2], 99, *found[3:]]) if str(path) == moved else found

    monkeypatch.setattr(os, "stat", stat)
    folders = [disk.folders for disk in reading.read_disks(node, "/srv/t")]
    assert folders == [("/srv/t", "/usr", "/usr/local", "/boot"), ("/var",)]


def test_a_mac_has_no_such_folders_and_a_dead_mount_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FixtureNode(tmp_path)
    node.system = "Darwin"
    assert [disk.folders for disk in reading.read_disks(node, "/srv/t")] == [("/srv/t",)]

    def dead(path: Any) -> Any:
        raise OSError

    monkeypatch.setattr(os, "statvfs", dead)
    assert reading.read_disks(node, "/srv/t") == (Disk(("/srv/t",), None),)
