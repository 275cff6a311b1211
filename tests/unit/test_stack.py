"""Resolve: what machines get, what they are refused, and what holds for every machine."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from helpers import (
    A100,
    B200,
    GB200,
    GH200,
    H100,
    H200,
    LOCKS,
    P100,
    V100,
    driver,
    gpu,
    lock,
    machine,
    policy,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible.module_utils.torchnode.data import compatibility as tables
from ansible.module_utils.torchnode.data.nvidia_parts import PRODUCTS, lookup
from ansible.module_utils.torchnode.data.profiles import PROFILES, WORKLOADS
from ansible.module_utils.torchnode.driver_choice import driver_floor
from ansible.module_utils.torchnode.expectation import expectation
from ansible.module_utils.torchnode.locks import Lock
from ansible.module_utils.torchnode.model import Facts, PythonInterpreter, Stack
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.plan import plan
from ansible.module_utils.torchnode.policy import Conflict, Expect, Policy
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.torch_choice import minor

R580 = "580.159.04"


def torch_of(stack: Stack) -> str:
    assert stack.torch is not None
    return stack.torch.label


def refused(facts: Facts, wishes: Policy, locks: Any = LOCKS) -> Conflict:
    with pytest.raises(Conflict) as caught:
        resolve(facts, wishes, locks)
    conflict = caught.value
    assert conflict.argument
    assert conflict.found
    assert conflict.expected
    assert conflict.remedy
    return conflict


# ---- what machines get -------------------------------------------------------------------------

GOT = {
    "cpu": (machine(), {}, "2.13.0+cpu", "index", None),
    "cpu, audio": (
        machine(architecture="aarch64"),
        {"workload": "audio"},
        "2.10.0+cpu",
        "pypi",
        None,
    ),
    "cpu, arm": (machine(architecture="aarch64"), {}, "2.10.0+cpu", "pypi", None),
    "cpu asked for on a GPU node": (
        machine(H200, loaded=R580),
        {"backend": "cpu"},
        "2.13.0+cpu",
        "index",
        None,
    ),
    "h200": (machine(H200, loaded=R580), {}, "2.13.0+cu130", "pypi", ("580", "open", "580.65.06")),
    "h200 x8": (
        machine(*[H200] * 8, loaded=R580),
        {"workload": "llm-70b"},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "h200, no driver yet": (
        machine(H200),
        {},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "h200, proprietary modules work and stay": (
        machine(H200, loaded=R580, flavour="proprietary"),
        {},
        "2.13.0+cu130",
        "pypi",
        ("580", "proprietary", "580.65.06"),
    ),
    "h200, old driver": (
        machine(H200, loaded="535.230.02"),
        {},
        "2.10.0+cu128",
        "pypi",
        ("535", "open", "525.60.13"),
    ),
    "h200, old driver, moves": (
        machine(H200, loaded="535.230.02"),
        {"driver_version": "580"},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "h200, audio": (
        machine(H200, loaded=R580),
        {"workload": "audio"},
        "2.11.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "h200, vision": (
        machine(H200, loaded=R580),
        {"workload": "vision"},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "h200, newest torch by name": (
        machine(H200, loaded=R580),
        {"torch_version": "2.14.1"},
        "2.14.1+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "v100": (machine(V100), {}, "2.10.0+cu128", "pypi", ("580", "proprietary", "525.60.13")),
    "v100, audio": (
        machine(V100),
        {"workload": "audio"},
        "2.10.0+cu128",
        "pypi",
        ("580", "proprietary", "525.60.13"),
    ),
    "v100 + h100 share proprietary modules": (
        machine(V100, H100),
        {},
        "2.10.0+cu128",
        "pypi",
        ("580", "proprietary", "525.60.13"),
    ),
    "a100 + h100": (machine(A100, H100), {}, "2.13.0+cu130", "pypi", ("580", "open", "580.65.06")),
    "b200": (machine(B200), {}, "2.13.0+cu130", "pypi", ("580", "open", "580.65.06")),
    "b200, proprietary modules are replaced": (
        machine(B200, loaded=R580, flavour="proprietary"),
        {},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
    "gh200": (
        machine(GH200, architecture="aarch64"),
        {},
        "2.13.0+cu130",
        "pypi",
        ("580", "open", "580.65.06"),
    ),
}


@pytest.mark.parametrize("name", GOT)
def test_machines_get(name: str) -> None:
    facts, wishes, torch, source, chosen = GOT[name]
    stack = resolve(facts, policy(**wishes), LOCKS)
    assert (torch_of(stack), stack.torch and stack.torch.source) == (torch, source)
    got = stack.driver and (stack.driver.branch, stack.driver.flavour, stack.driver.minimum)
    assert got == chosen
    assert {reason.choice for reason in stack.reasons} >= {"backend", "torch", "python", "lock"}
    assert all(reason.value and reason.why for reason in stack.reasons)


def test_the_systems_python_comes_first_and_a_wish_before_it() -> None:
    facts = machine(H200, loaded=R580, pythons=("3.12.3", "3.11.9", "3.13.0"))
    assert resolve(facts, policy(), LOCKS).python == "/usr/bin/python3.12"
    assert resolve(facts, policy(python_version="3.13"), LOCKS).python == "/usr/bin/python3.13"


def test_a_python_without_a_lock_is_passed_over() -> None:
    facts = machine(pythons=("3.12.3", "3.11.9"))
    assert resolve(facts, policy(), LOCKS).python_version == "3.11.9"


def test_an_adopted_environment_gets_no_build() -> None:
    stack = resolve(machine(H200, loaded=R580), policy(python="/opt/env/bin/python"), LOCKS)
    assert stack.adopted
    assert (stack.torch, stack.lock, stack.interpreter) == (None, "", "/opt/env/bin/python")
    assert (stack.backend, stack.architectures) == ("cuda", ("sm_90",))


def test_the_digest_follows_lock_and_minor_version_only() -> None:
    def digest(version: str, path: str = "/usr/bin/python3") -> str:
        facts = machine(pythons=(), architecture="aarch64")
        facts = dataclasses.replace(facts, pythons=(PythonInterpreter(path, version),))
        return resolve(facts, policy(), LOCKS).digest

    assert digest("3.11.2") == digest("3.11.9") == digest("3.11.2", "/opt/python3")
    assert digest("3.11.2") != digest("3.12.2")
    assert len(digest("3.11.2")) == 16


# ---- what machines are refused -----------------------------------------------------------------

OTHER = "fp4-training"
REFUSED: dict[str, tuple[Facts, dict[str, str], str, str]] = {
    "a GPU below the profile's capability": (machine(P100), {}, "torchnode_profile", "backend cpu"),
    "one of two below it": (machine(V100, P100), {}, "torchnode_profile", "backend cpu"),
    "profile": (machine(), {"profile": "transformers-v9"}, "torchnode_profile", ""),
    "workload": (machine(), {"workload": OTHER}, "torchnode_workload", ""),
    "training on a CPU": (
        machine(),
        {"workload": "training"},
        "torchnode_workload",
        "torchnode_workload inference",
    ),
    "a backend that is not there": (
        machine(),
        {"backend": "cuda"},
        "torchnode_backend",
        "backend cpu",
    ),
    "a backend that nobody knows": (
        machine(),
        {"backend": "tpu"},
        "torchnode_backend",
        "backend cpu",
    ),
    "torch that does not exist": (
        machine(H200, loaded=R580),
        {"torch_version": "3.0.0"},
        "torchnode_torch_version",
        "torch 2.13.0+cu130 from PyPI on Python 3.11",
    ),
    "torch too new for the GPU": (
        machine(V100),
        {"torch_version": "2.15.0"},
        "accelerators",
        "torch 2.10.0+cu128 from PyPI",
    ),
    "torch too new for the driver": (
        machine(H200, loaded="535.230.02"),
        {"torch_version": "2.15.0"},
        "driver",
        "torch 2.10.0+cu128 from PyPI",
    ),
    "torch and tag too new for the driver": (
        machine(H200, loaded="535.230.02"),
        {"torch_version": "2.13.0", "torch_tag": "cu130"},
        "driver",
        "torch 2.10.0+cu128 from PyPI",
    ),
    "torch without torchaudio": (
        machine(H200, loaded=R580),
        {"torch_version": "2.13.0", "workload": "audio"},
        "torchnode_workload",
        "torch 2.11.0+cu130 from PyPI",
    ),
    "a tag that no build has": (
        machine(H200, loaded=R580),
        {"torch_tag": "cu999"},
        "torchnode_torch_tag",
        "torch 2.13.0+cu130 from PyPI",
    ),
    "a tag that this version lacks": (
        machine(H200, loaded=R580),
        {"torch_version": "2.14.1", "torch_tag": "cu126"},
        "torchnode_torch_tag",
        "torch 2.14.1+cu130 from PyPI",
    ),
    "a CPU tag on a GPU node": (
        machine(H200, loaded=R580),
        {"torch_tag": "cpu"},
        "torchnode_torch_tag",
        "torch 2.13.0+cu130 from PyPI",
    ),
    "a Python that is not there": (
        machine(H200, loaded=R580),
        {"python_version": "3.13"},
        "torchnode_python_version",
        "torch 2.13.0+cu130 from PyPI on Python 3.11",
    ),
    "a Python that no build has": (
        machine(pythons=("3.11.2", "3.8.18")),
        {"python_version": "3.8"},
        "torchnode_python_version",
        "torch 2.13.0+cpu from the cpu index on Python 3.11",
    ),
    "a branch that nobody makes": (
        machine(H200, loaded=R580),
        {"driver_version": "581"},
        "torchnode_driver_version",
        "branch 580",
    ),
    "a branch that is no number": (
        machine(H200),
        {"driver_version": "latest"},
        "torchnode_driver_version",
        "branch 580",
    ),
    "a branch that dropped the GPU": (
        machine(V100),
        {"driver_version": "595"},
        "torchnode_driver_version",
        "branch 580",
    ),
    "open modules for Volta": (
        machine(V100),
        {"driver_flavour": "open"},
        "torchnode_driver_flavour",
        "flavour proprietary",
    ),
    "proprietary modules for Blackwell": (
        machine(B200),
        {"driver_flavour": "proprietary"},
        "torchnode_driver_flavour",
        "flavour open",
    ),
    "proprietary modules for Grace Hopper": (
        machine(GH200, architecture="aarch64"),
        {"driver_flavour": "proprietary"},
        "torchnode_driver_flavour",
        "flavour open",
    ),
    "GPUs that no flavour serves together": (machine(V100, B200), {}, "accelerators", ""),
    "an unknown part": (machine(0xFFFE), {}, "accelerator 0000:10:00.0", ""),
    "an unknown part beside a known one": (
        machine(H200, 0xFFFE),
        {},
        "accelerator 0000:11:00.0",
        "",
    ),
    "no Python": (machine(pythons=()), {}, "the node's Pythons", ""),
    "an old Python": (machine(pythons=("3.6.8",)), {}, "the node's Pythons", ""),
    "a machine without builds": (machine(architecture="riscv64"), {}, "machine", ""),
    "a machine without CUDA builds": (machine(H200, architecture="ppc64le"), {}, "machine", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_machines_are_refused(name: str) -> None:
    facts, wishes, argument, nearest = REFUSED[name]
    conflict = refused(facts, policy(**wishes))
    assert conflict.argument == argument
    assert conflict.nearest.startswith(nearest) if nearest else conflict.nearest == ""
    for key, wish in wishes.items():
        if argument == "torchnode_" + key != "torchnode_backend":
            assert wish in conflict.found
            assert wish not in conflict.expected.split(" for ")[0].replace(",", "").split()


@pytest.mark.parametrize("name", [n for n, (_, wishes, *_) in REFUSED.items() if wishes])
def test_the_nearest_stack_resolves_when_the_wishes_are_dropped(name: str) -> None:
    """What a refusal recommends is what the node then gets, or one of fewer wishes gets it."""
    facts, wishes, _argument, _nearest = REFUSED[name]
    conflict = refused(facts, policy(**wishes))
    if not conflict.nearest.startswith("torch "):
        return
    named = conflict.nearest.split()[1]
    kept = {key: value for key, value in wishes.items() if key == "workload"}
    others = [key for key in wishes if key not in kept]
    fewer = [{k: v for k, v in wishes.items() if k != dropped} for dropped in others] + [kept]
    got = []
    for smaller in fewer:
        try:
            got.append(torch_of(resolve(facts, policy(**smaller), LOCKS)))
        except Conflict:
            continue
    assert named in got


def test_known_versions_are_those_of_the_machine() -> None:
    conflict = refused(
        machine(GH200, architecture="aarch64"), policy(torch_version="2.10.0"), LOCKS
    )
    assert conflict.argument == "torchnode_torch_version"
    assert "2.10.0" not in conflict.expected
    assert "2.11.0" in conflict.expected


def test_supported_pythons_are_those_of_the_wished_version() -> None:
    facts = machine(H200, loaded=R580, pythons=("3.10.12",))
    conflict = refused(facts, policy(torch_version="2.15.0"))
    assert conflict.argument == "the node's Pythons"
    assert "3.10," not in conflict.expected
    assert "3.14" in conflict.expected


# ---- no lock, no install ------------------------------------------------------------------------


def lock_reason(stack: Stack) -> str:
    return next(reason.why for reason in stack.reasons if reason.choice == "lock")


LOCKLESS: dict[str, tuple[Facts, dict[str, str], str, str, str]] = {
    "for the driver": (
        machine(H200, loaded="535.230.02"),
        {"torch_version": "2.13.0"},
        "2.13.0+cu126",
        "make lock TORCH=2.13.0 TAG=cu126 PYTHON=3.11`",
        "torch 2.10.0+cu128 from PyPI",
    ),
    "for the tag": (
        machine(H200, loaded=R580),
        {"torch_version": "2.13.0", "torch_tag": "cu126"},
        "2.13.0+cu126",
        "make lock TORCH=2.13.0 TAG=cu126 PYTHON=3.11`",
        "torch 2.13.0+cu130 from PyPI",
    ),
    "a build of PyPI that ships without one": (
        machine(H200, loaded=R580),
        {"torch_version": "2.9.1"},
        "2.9.1+cu128",
        "make lock TORCH=2.9.1 TAG=pypi PYTHON=3.11`",
        "torch 2.13.0+cu130",
    ),
    "for the Python": (
        machine(pythons=("3.12.3",)),
        {"workload": "vision"},
        "2.13.0+cpu",
        "make lock TORCH=2.13.0 TAG=cpu PYTHON=3.12 EXTRA=vision`",
        "",
    ),
    "for Ubuntu 22.04's Python, which the pins beside torch leave out": (
        machine(H200, loaded=R580, pythons=("3.10.12",)),
        {},
        "2.13.0+cu130",
        "is for Python 3.11, 3.12, 3.13, 3.14: install one of them on the node",
        "",
    ),
}


@pytest.mark.parametrize("name", LOCKLESS)
def test_a_stack_without_a_lock_is_named_with_the_command_for_one(name: str) -> None:
    facts, wishes, torch, command, nearest = LOCKLESS[name]
    stack = resolve(facts, policy(**wishes), LOCKS)
    assert (torch_of(stack), stack.lock, stack.digest) == (torch, "", "")
    assert command in lock_reason(stack)
    assert (nearest in lock_reason(stack)) if nearest else "has a lock" not in lock_reason(stack)


def test_a_lock_comes_before_the_order_of_preference() -> None:
    facts = machine(H200, loaded=R580)
    assert torch_of(resolve(facts, policy(), [lock("2.7.1")])) == "2.7.1+cu126"
    assert torch_of(resolve(facts, policy(), ())) == "2.13.0+cu130"


# ---- what a node should have -------------------------------------------------------------------


def record(*device_ids: int) -> dict[str, Any]:
    had = {
        "backend": "cuda" if device_ids else "cpu",
        "count": len(device_ids),
        "pci_ids": sorted("10de:%04x" % device_id for device_id in device_ids),
    }
    return {"at": "2026-11-01T00:00:00Z", "had": had}


EXPECTED: dict[str, tuple[Facts, dict[str, Any], Result, str]] = {
    "nothing stated, nothing there": (machine(), {}, Result.SKIPPED, ""),
    "nothing stated, GPUs there": (machine(H200), {}, Result.SKIPPED, ""),
    "all of it": (
        machine(*[H200] * 8),
        {"backend": "cuda", "model": "H200", "count": 8, "memory_bytes": 141 * 10**9},
        Result.PASS,
        "",
    ),
    "no GPU": (
        machine(),
        {"model": "H200", "count": 8},
        Result.FAIL,
        "0 accelerators instead of 8",
    ),
    "no GPU, only the backend stated": (
        machine(),
        {"backend": "cuda"},
        Result.FAIL,
        "backend cpu instead of cuda",
    ),
    "no GPU, only the model stated": (machine(), {"model": "H200"}, Result.FAIL, "H200"),
    "no GPU, only the memory stated": (
        machine(),
        {"memory_bytes": 80 * 10**9},
        Result.FAIL,
        "80.0 GB",
    ),
    "one lost": (machine(*[H200] * 7), {"count": 8}, Result.FAIL, "7 accelerators instead of 8"),
    "one more": (machine(H200, H200), {"count": 1}, Result.FAIL, "2 accelerators instead of 1"),
    "B200 is not GB200": (machine(GB200), {"model": "B200"}, Result.FAIL, "instead of B200"),
    "H200 is not GH200": (
        machine(GH200, architecture="aarch64"),
        {"model": "H200"},
        Result.FAIL,
        "instead of H200",
    ),
    "H100 among H200": (machine(H200, H100), {"model": "H200"}, Result.FAIL, "instead of H200"),
    "a CPU node as stated": (machine(), {"backend": "cpu", "count": 0}, Result.PASS, ""),
    "a GPU where none should be": (
        machine(H200),
        {"backend": "cpu"},
        Result.FAIL,
        "backend cuda instead of cpu",
    ),
    "unreadable memory": (
        machine(0xFFFE),
        {"memory_bytes": 1},
        Result.FAIL,
        "unreadable of memory",
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_expected_accelerators(name: str) -> None:
    facts, stated, result, observed = EXPECTED[name]
    outcome = expectation(facts, policy(expect=Expect(**stated) if stated else None))
    assert outcome.result is result
    assert observed in outcome.observed
    if result is Result.FAIL:
        assert "torchnode_expect" in outcome.cause
        assert outcome.expected


RECORDED: dict[str, tuple[Facts, dict[str, Any], Result, str]] = {
    "the same": (machine(H200, H200), record(H200, H200), Result.PASS, ""),
    "one lost": (machine(H200), record(H200, H200), Result.FAIL, "1 accelerators instead of 2"),
    "all lost": (machine(), record(H200), Result.FAIL, "backend cpu instead of cuda"),
    "another part": (machine(H100), record(H200), Result.FAIL, "10de:2330 instead of 10de:2335"),
    "a CPU node stays one": (machine(), record(), Result.PASS, ""),
    "no record of what it had": (machine(), {"at": "2026"}, Result.SKIPPED, ""),
    "a record of other shapes": (
        machine(),
        {"had": {"backend": "cuda", "count": "2", "pci_ids": 7}},
        Result.FAIL,
        "backend cpu",
    ),
    "a broken record": (
        machine(),
        {"error": "record.json is not JSON"},
        Result.INCOMPLETE,
        "not JSON",
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_last_record_is_the_expectation(name: str) -> None:
    facts, last, result, observed = RECORDED[name]
    outcome = expectation(dataclasses.replace(facts, record=last), policy())
    assert outcome.result is result
    assert observed in outcome.observed


def test_a_stated_expectation_overrules_the_record() -> None:
    facts = dataclasses.replace(machine(H100), record=record(H200, H200))
    assert expectation(facts, policy(expect=Expect(model="H100"))).result is Result.PASS


# ---- what holds for every machine --------------------------------------------------------------

IDS = [product.device_id for product in PRODUCTS] + [0xFFFE]
VERSIONS = sorted({row.version for row in tables.TORCH_BUILDS})
TAGS = sorted({row.tag for row in tables.TORCH_BUILDS})
PYTHONS = ["3.6.8", "3.9.18", "3.10.4", "3.11.2", "3.12.1", "3.13.0", "3.14.0"]
DRIVERS = [None, "450.80.02", "525.60.13", "535.230.02", "570.133.20", R580, "595.58.03"]

#: The shipped locks, and locks as an operator may make them.
ALL_LOCKS = [
    *LOCKS,
    *(
        lock(f"{row.version}+{row.tag}", "index", extra, [row.machine], [python])
        for row in tables.TORCH_BUILDS
        if not row.plugin
        for extra in ("none", "vision", "audio")
        for python in ("3.11", "3.12")
        if row.source == "index" and row.version in ("2.8.0", "2.10.0", "2.13.0")
    ),
]


@st.composite
def machines(draw: st.DrawFn) -> Facts:
    kinds = draw(st.lists(st.sampled_from(IDS), max_size=2))
    devices = (
        [draw(st.sampled_from(kinds)) for _ in range(draw(st.integers(1, 8)))] if kinds else []
    )
    facts = machine(
        *devices,
        loaded=draw(st.sampled_from(DRIVERS)),
        flavour=draw(st.sampled_from([None, "open", "proprietary"])),
        pythons=draw(st.lists(st.sampled_from(PYTHONS), max_size=3, unique=True)),
        architecture=draw(st.sampled_from(["x86_64", "x86_64", "aarch64", "riscv64"])),
    )
    if draw(st.booleans()):  # NVML names the architecture of parts that no row knows
        named = [
            dataclasses.replace(a, architecture=a.architecture or "sm_90")
            for a in facts.accelerators
        ]
        facts = dataclasses.replace(facts, accelerators=tuple(named))
    return facts


def maybe(values: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), st.just(""), st.sampled_from([*values, "nonsense"]))


policies = st.builds(
    Policy,
    profile=st.just("transformers-v5"),
    workload=st.sampled_from(sorted(WORKLOADS)),
    backend=st.sampled_from(["auto", "auto", "auto", "cpu", "cuda", "tpu"]),
    torch_version=maybe(VERSIONS),
    torch_tag=maybe(TAGS),
    python_version=maybe(["3.11", "3.12"]),
    driver_version=maybe([b.branch for b in tables.DRIVER_BRANCHES]),
    driver_flavour=st.sampled_from(["auto", "auto", "open", "proprietary", "nonsense"]),
)
lock_sets = st.one_of(
    st.just(list(ALL_LOCKS)), st.just(list(LOCKS)), st.lists(st.sampled_from(ALL_LOCKS), max_size=6)
)


def row_of(stack: Stack, facts: Facts) -> tables.TorchWheel:
    assert stack.torch is not None
    (row,) = (
        row
        for row in tables.TORCH_BUILDS
        if (row.version, row.tag, row.source, row.machine)
        == (stack.torch.version, stack.torch.tag, stack.torch.source, facts.system.machine)
        and (row.plugin.requirement if row.plugin else "") == stack.torch.plugin
    )
    return row


def check_words(conflict: Conflict) -> None:
    """A refusal says what, why and what next, whatever the machine."""
    assert all((conflict.argument, conflict.found, conflict.expected, conflict.remedy))


def check_every_row(facts: Facts, wishes: Policy, locks: list[Lock], stack: Stack) -> None:
    """Every table's every row that speaks about this stack, each asked in its own words."""
    row = row_of(stack, facts)
    assert row.backend == stack.backend
    python = next(p for p in facts.pythons if p.path == stack.python)
    assert minor(python.version) in row.pythons
    local = "" if row.source == "pypi" else "+" + row.tag
    assert stack.torch is not None
    assert stack.torch.requirement == "torch==" + row.version + local
    needs = WORKLOADS[wishes.workload].packages
    extra = {"torchvision": "vision", "torchaudio": "audio"}
    wanted = next((extra[p] for p in needs if p in extra), "none")
    fitting = [
        made.name
        for made in locks
        if (made.torch, made.source, made.extra) == (row.version + local, row.source, wanted)
        and made.plugin == stack.torch.plugin
        and facts.system.machine in made.machines
        and minor(python.version) in made.pythons
    ]
    assert stack.lock in (fitting or [""])
    assert all(getattr(row, package) for package in needs if package in extra)
    assert not WORKLOADS[wishes.workload].needs_accelerator or stack.backend != "cpu"
    for wish, got in (
        (wishes.torch_version, row.version),
        (wishes.torch_tag, row.tag),
        (wishes.python_version, minor(python.version)),
    ):
        assert wish in ("", got)
    if stack.backend == "cuda":
        check_driver(facts, wishes, row, stack)
    else:
        assert stack.driver is None


def check_driver(facts: Facts, wishes: Policy, row: tables.TorchWheel, stack: Stack) -> None:
    chosen = stack.driver
    assert chosen is not None
    loaded = facts.drivers[0].loaded if facts.drivers else None
    for device in facts.accelerators:
        assert tables.architecture_runs(device.architecture or "", row.architectures)
        capability = tables.parse_architecture(device.architecture or "")[1:3]
        assert capability >= PROFILES[wishes.profile].compute_capability
        part = lookup(int((device.pci_id or "").partition(":")[2], 16))
        generation = part.generation if part else "hopper"  # NVML said sm_90
        (flavour,) = (f for f in tables.FLAVOURS if f.generation == generation)
        assert chosen.flavour in flavour.allowed
        stays = loaded is not None and loaded.split(".")[0] == chosen.branch
        assert stays or int(chosen.branch) <= int(flavour.last_branch or 999)
    assert chosen.minimum == driver_floor(row)
    version = loaded if loaded and loaded.split(".")[0] == chosen.branch else chosen.branch + ".999"
    assert tables.version_key(version) >= tables.version_key(chosen.minimum)
    assert wishes.driver_branch in ("", chosen.branch)
    assert wishes.driver_flavour in ("auto", chosen.flavour)


@settings(max_examples=400, deadline=None)
@given(facts=machines(), wishes=policies, locks=lock_sets, seed=st.integers(0, 99))
def test_every_stack_satisfies_every_row(
    facts: Facts, wishes: Policy, locks: list[Lock], seed: int
) -> None:
    mixed = shuffled(facts, seed)
    again = random.Random(seed).sample(locks, len(locks))
    try:
        stack = resolve(facts, wishes, locks)
    except Conflict as conflict:
        check_words(conflict)
        with pytest.raises(Conflict):
            resolve(mixed, wishes, again)
        return
    check_every_row(facts, wishes, locks, stack)
    assert resolve(mixed, wishes, again) == stack


def shuffled(facts: Facts, seed: int) -> Facts:
    """The same machine read in another order. (The order of Pythons is survey's preference.)"""
    order = random.Random(seed)
    return dataclasses.replace(
        facts,
        accelerators=tuple(order.sample(facts.accelerators, len(facts.accelerators))),
        holds=("one", "two"),
        processes=(),
    )


def test_a_node_that_lost_its_gpus_never_resolves_to_a_cpu_stack_unseen() -> None:
    """The stack would exist; the expectation stands before it and fails."""
    facts = dataclasses.replace(machine(), record=record(H200))
    assert resolve(facts, policy(), LOCKS).backend == "cpu"
    assert expectation(facts, policy()).result is Result.FAIL


def test_of_two_locks_that_fit_the_choice_does_not_depend_on_their_order() -> None:
    first, second = lock("2.13.0", pythons=["3.11"]), lock("2.13.0", pythons=["3.11", "3.12"])
    facts = machine(H200, loaded=R580)
    assert resolve(facts, policy(), [first, second]) == resolve(facts, policy(), [second, first])


def test_a_part_that_no_generation_row_covers_is_refused() -> None:
    device = gpu(0xFFFE, architecture="sm_110")
    facts = machine(architecture="aarch64", accelerators=(device,), drivers=(driver(R580),))
    assert refused(facts, policy()).argument == "accelerator 0000:10:00.0"


# ---- the first branch that knows a GPU ---------------------------------------------------------


@pytest.fixture
def blackwell_from_570(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that says so, whatever the shipped one says: the rule is tested, not the figure."""

    @dataclasses.dataclass(frozen=True)
    class Chip:
        first_id: int
        last_id: int
        first_branch: str
        generation: str = "blackwell"
        architecture: str = "sm_100"

    chips = (Chip(H200, H200, "535", "hopper", "sm_90"), Chip(B200, B200, "570"))
    monkeypatch.setattr("ansible.module_utils.torchnode.driver_choice.CHIPS", chips)


@pytest.mark.usefixtures("blackwell_from_570")
def test_a_branch_older_than_the_gpu_is_refused() -> None:
    conflict = refused(machine(B200), policy(driver_version="535"))
    assert conflict.argument == "torchnode_driver_version"
    assert "blackwell" in conflict.expected
    assert "535" not in conflict.expected
    assert conflict.nearest == "branch 580"
    assert resolve(machine(H200), policy(driver_version="535"), LOCKS).driver is not None


@pytest.mark.usefixtures("blackwell_from_570")
def test_a_loaded_driver_older_than_the_gpu_has_to_go() -> None:
    facts = machine(B200, loaded="535.230.02")
    stack = resolve(facts, policy(), LOCKS)
    assert stack.driver is not None
    assert (stack.driver.branch, torch_of(stack)) == ("580", "2.13.0+cu130")
    (step, _python) = plan(facts, stack)
    assert step.component == "nvidia_driver"
    assert "570 is the first that knows these GPUs" in step.why
    assert refused(facts, policy(driver_version="535")).argument == "torchnode_driver_version"
