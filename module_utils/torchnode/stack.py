"""Resolve: facts + policy + tables + locks -> the one stack that fits a node. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Optional, Sequence, Tuple

from .data.compatibility import TorchWheel, parse_architecture
from .data.profiles import PROFILES, WORKLOADS, Workload
from .device_fit import check_instances, check_memory
from .driver_choice import choose_driver, driver_version, flavour_of
from .expectation import describe_found, found_backend
from .host_choice import host_plan
from .locks import Lock
from .model import DriverChoice, Facts, Reason, Stack, SuppliedWheel, TorchBuild
from .policy import Conflict, Mistake, Policy
from .supplied_wheel import mlu_wheel
from .torch_choice import (
    Candidate,
    Wishes,
    choose,
    lock_command,
    minor,
    nearest_with_lock,
    pythons_with_lock,
)


def resolve(facts: Facts, policy: Policy, locks: Sequence[Lock]) -> Stack:
    """The stack for one node, every choice with its reason. Its ``lock`` is '' where none exists.

    Raises Conflict for a wish that cannot be met or a machine that no row fits.
    """
    workload = _workload(policy)
    backend, why_backend = _backend(facts, policy)
    _check_workload(backend, workload, policy)
    _check_supported(backend, workload)
    _check_capability(facts, policy, backend)
    check_instances(facts, backend, workload)
    check_memory(facts, backend, workload)
    if policy.python:
        return _adopted(facts, policy, backend, why_backend)
    supplied = mlu_wheel(policy, facts) if backend == "mlu" else None
    wishes = Wishes(facts, policy, locks, backend, workload, supplied)
    choice = choose(wishes)
    driver = choose_driver(facts, policy, choice.row) if backend == "cuda" else None
    host, host_reasons = host_plan(facts, policy, driver)
    reasons = (*_reasons(wishes, why_backend, choice, driver), *host_reasons)
    return dataclasses.replace(_stack(wishes, choice, driver, reasons), host=host)


# ---- backend and workload ----------------------------------------------------------------------


def _workload(policy: Policy) -> Workload:
    if policy.profile not in PROFILES:
        raise Mistake(
            "torchnode_profile", "'%s'" % policy.profile, "one of " + ", ".join(sorted(PROFILES)),
            "Correct the profile in the inventory.",
        )  # fmt: skip
    if policy.workload not in WORKLOADS:
        raise Mistake(
            "torchnode_workload", "'%s'" % policy.workload,
            "one of " + ", ".join(sorted(WORKLOADS)),
            "Correct the workload in the inventory.",
        )  # fmt: skip
    return WORKLOADS[policy.workload]


def _backend(facts: Facts, policy: Policy) -> Tuple[str, str]:
    present = list(dict.fromkeys(a.backend for a in facts.accelerators))
    if policy.backend not in ("auto", "cpu", *present):
        inside = bool(facts.system.container)
        raise Conflict(
            "torchnode_backend", "accelerators: " + describe_found(facts),
            "a device for the backend '%s'" % policy.backend,
            "Correct torchnode_backend, or look for the missing device with lspci."
            + (" A container has only the devices that it was started with." * inside),
            "backend " + found_backend(facts),
        )  # fmt: skip
    if policy.backend != "auto":
        return policy.backend, "asked for by torchnode_backend"
    if not present:
        return "cpu", "no accelerator found"
    why = "%s found" % describe_found(facts)
    if len(present) > 1:
        why += "; a stack serves one backend, and of %s the first is taken" % ", ".join(present)
        why += ": torchnode_backend chooses another"
    return present[0], why


def _check_workload(backend: str, workload: Workload, policy: Policy) -> None:
    if backend == "cpu" and workload.needs_accelerator:
        raise Conflict(
            "torchnode_workload", "'%s' on a node without an accelerator" % policy.workload,
            "an accelerator (inference pipelines run on a CPU, this workload does not)",
            "Choose torchnode_workload: inference for this node, or give it an accelerator.",
            "torchnode_workload inference",
        )  # fmt: skip


def _check_supported(backend: str, workload: Workload) -> None:
    if backend in workload.not_on:
        raise Conflict(
            "torchnode_workload", "'%s' on a node with the backend %s" % (workload.name, backend),
            "a backend on which torch can do this work",
            "Choose another workload for this node, such as training or inference.",
            "torchnode_workload training",
        )  # fmt: skip


def _check_capability(facts: Facts, policy: Policy, backend: str) -> None:
    """Raises Conflict for a GPU below the profile's compute capability: before any change."""
    least = PROFILES[policy.profile].compute_capability
    for device in facts.accelerators:
        if backend != "cuda" or device.backend != "cuda" or not device.architecture:
            continue
        _, major, minor_capability, _ = parse_architecture(device.architecture)
        if (major, minor_capability) < least:
            raise Conflict(
                "torchnode_profile", "%s with compute capability %d.%d" % (
                    device.model, major, minor_capability,
                ),
                "at least %d.%d for the profile '%s'" % (*least, policy.profile),
                "Use a newer GPU for this profile, or torchnode_backend: cpu on this node.",
                "" if WORKLOADS[policy.workload].needs_accelerator else "backend cpu",
            )  # fmt: skip


# ---- the record --------------------------------------------------------------------------------


def _digest(choice: Candidate, supplied: Optional[SuppliedWheel]) -> str:
    """What the environment holds, in 16 hex digits; '' where no lock says what it holds."""
    if choice.lock is None or choice.python is None:
        return ""
    # By minor version: a patch release, or the same Python at another path, changes no wheel.
    text = "%s %s" % (choice.lock.digest, minor(choice.python.version))
    text += " " + supplied.sha256 if supplied else ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _architectures(facts: Facts, backend: str) -> Tuple[str, ...]:
    found = {a.architecture or "" for a in facts.accelerators if a.backend == backend}
    return tuple(sorted(found))


def _stack(
    wishes: Wishes, choice: Candidate, driver: Optional[DriverChoice], reasons: Tuple[Reason, ...]
) -> Stack:
    facts, policy, row, python = wishes.facts, wishes.policy, choice.row, choice.python
    if python is None:  # the rules leave only candidates with one
        raise ValueError("a candidate without Python passed every rule: %r" % (choice,))
    public = row.version if row.source == "pypi" else row.label
    plugin = row.plugin.requirement if row.plugin else ""
    return Stack(
        backend=wishes.backend,
        architectures=_architectures(facts, wishes.backend),
        profile=policy.profile,
        workload=policy.workload,
        prefix=facts.prefix,
        python=python.path,
        python_version=python.version,
        torch=TorchBuild(row.version, row.tag, row.source, "torch==" + public, plugin),
        driver=driver,
        toolkit=row.cuda or None,
        cudnn=row.cudnn or None,
        lock=choice.lock.name if choice.lock else "",
        digest=_digest(choice, wishes.supplied),
        reasons=reasons,
        supplied=wishes.supplied,
    )


def _adopted(facts: Facts, policy: Policy, backend: str, why_backend: str) -> Stack:
    if facts.python_problem:
        raise Conflict(
            "torchnode_python", "%s: %s" % (policy.python, facts.python_problem),
            "the path of a Python interpreter on this node",
            "Name the bin/python of an environment that has torch, or leave the variable empty: "
            "then torchnode installs a stack.",
            cause="The environment to adopt cannot be used on this node.",
        )  # fmt: skip
    return Stack(
        backend=backend,
        architectures=_architectures(facts, backend),
        profile=policy.profile,
        workload=policy.workload,
        prefix=facts.prefix,
        python=policy.python,
        python_version="",
        adopted=True,
        reasons=(
            Reason("backend", backend, why_backend),
            Reason("python", policy.python, "adopted by torchnode_python: nothing is installed"),
        ),
    )


def _reasons(
    wishes: Wishes, why_backend: str, choice: Candidate, driver: Optional[DriverChoice]
) -> Tuple[Reason, ...]:
    row = choice.row
    reasons = [
        Reason("backend", wishes.backend, why_backend),
        Reason("torch", row.label, _why_torch(wishes.policy, choice)),
        Reason("python", choice.python.path if choice.python else "",
               "runs on the node, supported by this torch build"),
        _lock_reason(wishes, choice),
    ]  # fmt: skip
    if row.plugin is not None:
        why = "supplied by torchnode_mlu_wheel" if wishes.supplied else (
            "brings the backend %s to torch %s" % (row.backend, row.version)
        )  # fmt: skip
        reasons.append(Reason("plugin", row.plugin.requirement, why))
    return (*reasons, *_driver_reasons(wishes, row, driver))


def _why_torch(policy: Policy, choice: Candidate) -> str:
    wished = [n for n, v in (("version", policy.torch_version), ("tag", policy.torch_tag)) if v]
    if wished:
        return "asked for by torchnode_torch_" + " and _".join(wished)
    first = "first in the order of preference that has code for the node's architectures and fits "
    return first + "its driver and Python" + (", and has a hash lock" if choice.lock else "")


def _lock_reason(wishes: Wishes, choice: Candidate) -> Reason:
    """Where there is no lock: how to have one, and what has one already."""
    if choice.lock is not None:
        return Reason("lock", choice.lock.name, "hashes for every file")
    nearest = nearest_with_lock(wishes)
    instead = "; without the wishes, %s has a lock" % nearest if nearest else ""
    return Reason("lock", "none", _way_to_a_lock(wishes, choice) + instead)


def _way_to_a_lock(wishes: Wishes, choice: Candidate) -> str:
    pythons = pythons_with_lock(wishes, choice)
    if pythons:
        return (
            "the lock of this build is for Python %s: install one of them on the node beside its "
            "own, such as the system's package python%s" % (", ".join(pythons), pythons[0])
        )
    return (
        "on a machine that reaches the index of this build (INDEX=<url> names your own), `%s` "
        "makes it; locks outside the project belong into torchnode_locks_folder"
        % lock_command(wishes, choice)
    )


def _driver_reasons(
    wishes: Wishes, row: TorchWheel, driver: Optional[DriverChoice]
) -> Tuple[Reason, ...]:
    if driver is None:
        return ()
    facts, policy = wishes.facts, wishes.policy
    _version, origin = driver_version(facts, policy)
    floor = "CUDA %s needs at least %s" % (row.cuda, driver.minimum)
    branch = Reason("driver", driver.branch, "%s; %s" % (origin, floor))
    if not driver.flavour:
        return (branch,)
    why = flavour_of([a for a in facts.accelerators if a.backend == "cuda"], policy)[1]
    return branch, Reason("driver flavour", driver.flavour, why)
