"""Plan and preflight: what is missing, and what must hold before it is changed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import B200, H200, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.model import (
    Facts,
    InstalledStack,
    Place,
    Process,
    Stack,
    Step,
)
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.plan import plan, preflight
from ansible.module_utils.torchnode.stack import resolve

R580 = "580.159.04"


def installed(stack: Stack, **changes: Any) -> InstalledStack:
    path = "/opt/torchnode/stacks/%s.1" % stack.digest
    done = InstalledStack(stack.digest, path, path + "/bin/python", "3.11.2", "2.13.0")
    return dataclasses.replace(done, **changes)


def converged(facts: Facts, **wishes: Any) -> tuple[Facts, Stack]:
    stack = resolve(facts, policy(**wishes), LOCKS)
    return dataclasses.replace(facts, stack=installed(stack)), stack


@pytest.mark.parametrize("facts", [machine(), machine(H200, loaded=R580)], ids=["cpu", "h200"])
def test_a_converged_node_plans_nothing(facts: Facts) -> None:
    after, stack = converged(facts)
    assert plan(after, stack) == ()
    assert resolve(after, policy(), LOCKS) == stack
    assert preflight(after, stack, (), False) == []


def test_a_bare_node_gets_its_stack() -> None:
    facts = machine()
    (step,) = plan(facts, resolve(facts, policy(), LOCKS))
    assert (step.component, step.action, step.before) == ("python_stack", "install", "none")
    assert "torch 2.13.0+cpu" in step.after
    assert not step.disruptive
    assert not step.reboot
    assert not step.operator


@pytest.mark.parametrize(
    ("changes", "action", "why"),
    [
        ({"damage": ("torch: torch/x.py is missing", "and more")}, "mend", "2 differences"),
        ({"digest": "0" * 16}, "change", "another one"),
        ({"digest": "", "damage": ("never finished",)}, "mend", "never finished"),
    ],
)
def test_what_is_there_is_mended_or_changed(changes: dict[str, Any], action: str, why: str) -> None:
    facts, stack = converged(machine())
    facts = dataclasses.replace(facts, stack=installed(stack, **changes))
    (step,) = plan(facts, stack)
    assert step.action == action
    assert why in step.why


DRIVERS: dict[str, tuple[Facts, dict[str, Any], str, bool]] = {
    "none": (machine(H200), {}, "no NVIDIA driver is installed", False),
    "not loaded": (
        machine(H200, drivers=(driver(None, on_disk=R580, userspace=R580),)),
        {}, "kernel module is not loaded", False,
    ),
    "another branch": (
        machine(H200, loaded="535.230.02"), {"driver_version": "580"}, "older than 580.65.06", True,
    ),
    "a newer branch": (
        machine(H200, loaded=R580), {"driver_version": "595"}, "asks for branch 595", True,
    ),
    "library of another version": (
        machine(H200, drivers=(driver(R580, userspace="580.65.06"),)), {}, "differ", True,
    ),
    "modules of another flavour": (
        machine(B200, loaded=R580, flavour="proprietary"),
        {}, "the proprietary kernel modules are installed", True,
    ),
    "a flavour that was asked for": (
        machine(H200, loaded=R580), {"driver_flavour": "proprietary"},
        "the open kernel modules are installed", True,
    ),
    "nouveau": (
        machine(H200, system=dataclasses.replace(machine().system, blocking_modules=("nouveau",))),
        {}, "nouveau is loaded", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRIVERS)
def test_drivers(name: str) -> None:
    facts, wishes, why, reboot = DRIVERS[name]
    stack = resolve(facts, policy(**wishes), LOCKS)
    first = plan(facts, stack)[0]
    assert (first.component, first.disruptive, first.operator) == ("nvidia_driver", True, True)
    assert why in first.why
    assert first.reboot is reboot
    outcome = next(o for o in preflight(facts, stack, [first], False) if "driver" in o.id)
    assert outcome.result is Result.FAIL
    assert "branch" in outcome.remedy


def test_a_driver_in_a_container_is_the_hosts() -> None:
    """The library is there, no module on disk, one loaded: nothing to do."""
    after, stack = converged(machine(H200, drivers=(driver(R580, on_disk=None),)))
    assert plan(after, stack) == ()


def test_an_adopted_environment_plans_nothing() -> None:
    facts = machine(H200, loaded=R580)
    assert plan(facts, resolve(facts, policy(python="/env/bin/python"), LOCKS)) == ()


# ---- preflight ---------------------------------------------------------------------------------

BUSY = (Process(4711, "alice", "python train.py", ("/dev/nvidia0",)),)
DISRUPTIVE = Step("nvidia_driver", "change", "535", "580", "why", disruptive=True)
BUILD = Step("python_stack", "install", "none", "torch", "why")


def checked(step: Step, allow_busy: bool = False, **changes: Any) -> dict[str, Outcome]:
    facts = dataclasses.replace(machine(H200, loaded=R580), **changes)
    stack = resolve(facts, policy(), LOCKS)
    return {outcome.id: outcome for outcome in preflight(facts, stack, [step], allow_busy)}


PLACES = {
    "prefix": Place("torchnode_prefix", "/srv/t", "/srv is not a folder"),
    "facts_folder": Place("torchnode_facts_folder", "/etc/f", "ops may not write into /etc"),
    "find_links": Place("torchnode_find_links", "/w", "/w is not there"),
    "ca_bundle": Place("torchnode_ca_bundle", "/ca.pem", "/ca.pem is not there"),
}


@pytest.mark.parametrize("check", PLACES)
def test_a_path_that_cannot_be_used_is_found_in_the_plan(check: str) -> None:
    """What is written is needed by every step, what is read only by the build of the stack."""
    place = PLACES[check]
    outcome = checked(BUILD, places=(place,))["preflight." + check]
    assert outcome.result is Result.FAIL
    assert outcome.observed == "%s: %s" % (place.variable, place.problem)
    assert place.variable in outcome.cause
    assert place.variable in outcome.remedy
    usable = dataclasses.replace(place, problem="")
    sound = checked(BUILD, places=(usable,))["preflight." + check]
    assert (sound.result, sound.observed) == (Result.PASS, place.path)
    written = check in ("prefix", "facts_folder")
    assert ("preflight." + check in checked(DISRUPTIVE, places=(place,))) is written
    facts = dataclasses.replace(machine(), places=(place,))
    assert preflight(facts, resolve(facts, policy(), LOCKS), (), False) == []


@pytest.mark.parametrize("which", ["key", "certificate"])
def test_what_signs_modules_has_to_be_on_the_node(which: str) -> None:
    place = Place("torchnode_secure_boot_" + which, "/k", "/k is not there")
    outcome = checked(DISRUPTIVE, places=(place,))["preflight.secure_boot_" + which]
    assert outcome.result is Result.FAIL
    assert place.variable in outcome.remedy
    assert "preflight.secure_boot_" + which not in checked(BUILD, places=(place,))


def test_of_several_folders_those_that_are_missing_are_named() -> None:
    good = Place("torchnode_find_links", "/good")
    bad = [Place("torchnode_find_links", path, path + " is not there") for path in ("/x", "/y")]
    outcome = checked(BUILD, places=(good, *bad))["preflight.find_links"]
    assert outcome.observed == "torchnode_find_links: /x is not there; /y is not there"


def test_a_busy_node_is_not_disturbed() -> None:
    outcome = checked(DISRUPTIVE, processes=BUSY)["preflight.in_use"]
    assert outcome.result is Result.FAIL
    assert "pid 4711 (alice: python train.py)" in outcome.observed
    allowed = checked(DISRUPTIVE, True, processes=BUSY)["preflight.in_use"]
    assert allowed.result is Result.WARN
    assert checked(DISRUPTIVE)["preflight.in_use"].result is Result.PASS


def test_building_beside_a_running_job_disturbs_nobody() -> None:
    assert "preflight.in_use" not in checked(BUILD, processes=BUSY)


PREFIX = "/opt/torchnode"


@pytest.mark.parametrize(
    ("before", "stacks", "unfinished", "keep", "removed"),
    [
        ("old.1", ["old.1"], [], 2, []),
        ("old.1", ["old.1"], [], 1, ["old.1"]),
        ("old.1", ["old.1", "older.1"], [], 2, ["older.1"]),
        ("old.1", ["old.1"], ["half.1"], 2, ["half.1"]),
        ("bad.1", ["bad.1", "old.1"], [], 2, ["bad.1"]),
        ("bad.1", [], [], 2, []),  # a link to nothing
        ("old.1", ["old.1", "NEW.1", "older.1"], [], 2, ["older.1"]),
    ],
)
def test_the_plan_says_what_will_be_removed(
    before: str, stacks: list[str], unfinished: list[str], keep: int, removed: list[str]
) -> None:
    """The same rule as pruning; a stack that is there already and becomes current stays."""

    def path(name: str) -> str:
        return f"{PREFIX}/stacks/{name.replace('NEW', stack.digest)}"

    bare = machine()
    stack = resolve(bare, policy(), LOCKS)
    damage = ("idna: is missing",) if "bad" in before else ()
    current = InstalledStack(before[:-2], path(before), "python", damage=damage)
    facts = dataclasses.replace(
        bare, prefix=PREFIX, stack=current, stacks=tuple(map(path, stacks)),
        unfinished=tuple(map(path, unfinished)),
    )  # fmt: skip
    (step,) = plan(facts, stack, keep)
    assert step.removes == tuple(map(path, removed))
