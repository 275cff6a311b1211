"""Resolve: facts + policy + tables + locks -> the one stack that fits a node. Pure."""

from __future__ import annotations

import hashlib
from typing import Optional, Sequence, Tuple

from .data.compatibility import parse_architecture
from .data.profiles import PROFILES, WORKLOADS, Workload
from .driver_choice import choose_driver, driver_version, flavour_of
from .expectation import describe_found, found_backend
from .locks import Lock
from .model import DriverChoice, Facts, PythonInterpreter, Reason, Stack, TorchBuild
from .policy import Conflict, Policy
from .torch_choice import Candidate, Wishes, choose, minor


def resolve(facts: Facts, policy: Policy, locks: Sequence[Lock]) -> Stack:
    """The stack for one node, every choice with its reason.

    Raises Conflict for a wish that cannot be met or a machine that no row fits.
    """
    workload = _workload(policy)
    backend, why_backend = _backend(facts, policy)
    _check_workload(backend, workload, policy)
    _check_capability(facts, policy)
    if policy.python:
        return _adopted(facts, policy, backend, why_backend)
    choice = choose(Wishes(facts, policy, locks, backend, workload))
    driver = choose_driver(facts, policy, choice.row) if backend == "cuda" else None
    return _stack(facts, policy, backend, why_backend, choice, driver)


# ---- backend and workload ----------------------------------------------------------------------


def _workload(policy: Policy) -> Workload:
    if policy.profile not in PROFILES:
        raise Conflict(
            "torchnode_profile", "'%s'" % policy.profile, "one of " + ", ".join(sorted(PROFILES)),
            "Correct the profile in the inventory.",
        )  # fmt: skip
    if policy.workload not in WORKLOADS:
        raise Conflict(
            "torchnode_workload", "'%s'" % policy.workload,
            "one of " + ", ".join(sorted(WORKLOADS)),
            "Correct the workload in the inventory.",
        )  # fmt: skip
    return WORKLOADS[policy.workload]


def _backend(facts: Facts, policy: Policy) -> Tuple[str, str]:
    found = found_backend(facts)
    if policy.backend == "auto":
        why = "%s found" % describe_found(facts) if facts.accelerators else "no accelerator found"
        return found, why
    if policy.backend not in ("cpu", found):
        raise Conflict(
            "torchnode_backend", "accelerators: " + describe_found(facts),
            "a device for the backend '%s'" % policy.backend,
            "Correct torchnode_backend, or look for the missing device with lspci.",
            "backend " + found,
        )  # fmt: skip
    return policy.backend, "asked for by torchnode_backend"


def _check_workload(backend: str, workload: Workload, policy: Policy) -> None:
    if backend == "cpu" and workload.needs_accelerator:
        raise Conflict(
            "torchnode_workload", "'%s' on a node without an accelerator" % policy.workload,
            "an accelerator (inference pipelines run on a CPU, this workload does not)",
            "Choose torchnode_workload: inference for this node, or give it an accelerator.",
            "torchnode_workload inference",
        )  # fmt: skip


def _check_capability(facts: Facts, policy: Policy) -> None:
    """Raises Conflict for a GPU below the profile's compute capability: before any change."""
    least = PROFILES[policy.profile].compute_capability
    for device in facts.accelerators:
        if device.backend != "cuda" or policy.backend == "cpu" or not device.architecture:
            continue
        _, major, minor_capability, _ = parse_architecture(device.architecture)
        if (major, minor_capability) < least:
            raise Conflict(
                "torchnode_profile", "%s with compute capability %d.%d" % (
                    device.model, major, minor_capability,
                ),
                "at least %d.%d for the profile '%s'" % (*least, policy.profile),
                "Use a newer GPU for this profile, or torchnode_backend: cpu on this node.",
                "backend cpu",
            )  # fmt: skip


# ---- the record --------------------------------------------------------------------------------


def _digest(lock: Lock, python: PythonInterpreter) -> str:
    # By minor version: a patch release, or the same Python at another path, changes no wheel.
    text = "%s %s" % (lock.digest, minor(python.version))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _architectures(facts: Facts, backend: str) -> Tuple[str, ...]:
    found = {a.architecture or "" for a in facts.accelerators if a.backend == backend}
    return tuple(sorted(found))


def _stack(
    facts: Facts, policy: Policy, backend: str, why_backend: str,
    choice: Candidate, driver: Optional[DriverChoice],
) -> Stack:  # fmt: skip
    row, python, lock = choice.row, choice.python, choice.lock
    if python is None or lock is None:  # the rules leave only complete candidates
        raise ValueError("a candidate without Python or lock passed every rule: %r" % (choice,))
    suffix = "" if row.source == "pypi" else "+" + row.tag
    torch = TorchBuild(row.version, row.tag, row.source, "torch==%s%s" % (row.version, suffix))
    return Stack(
        backend=backend,
        architectures=_architectures(facts, backend),
        profile=policy.profile,
        workload=policy.workload,
        prefix=facts.prefix,
        python=python.path,
        python_version=python.version,
        torch=torch,
        driver=driver,
        toolkit=row.cuda or None,
        cudnn=row.cudnn or None,
        lock=lock.name,
        digest=_digest(lock, python),
        reasons=_reasons(policy, backend, why_backend, choice, driver, facts),
    )  # fmt: skip


def _adopted(facts: Facts, policy: Policy, backend: str, why_backend: str) -> Stack:
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
    policy: Policy, backend: str, why_backend: str, choice: Candidate,
    driver: Optional[DriverChoice], facts: Facts,
) -> Tuple[Reason, ...]:  # fmt: skip
    row = choice.row
    wished = [n for n, v in (("version", policy.torch_version), ("tag", policy.torch_tag)) if v]
    why_torch = "asked for by torchnode_torch_" + " and _".join(wished) if wished else (
        "first in the order of preference that has code for the node's architectures, fits its "
        "driver and Python, and has a hash lock"
    )  # fmt: skip
    reasons = [
        Reason("backend", backend, why_backend),
        Reason("torch", "%s+%s" % (row.version, row.tag), why_torch),
        Reason("python", choice.python.path if choice.python else "",
               "runs on the node, supported by this torch build and its lock"),
        Reason("lock", choice.lock.name if choice.lock else "", "hashes for every file"),
    ]  # fmt: skip
    if driver is not None:
        _version, origin = driver_version(facts, policy)
        floor = "CUDA %s needs at least %s" % (row.cuda, driver.minimum)
        reasons.append(Reason("driver", driver.branch, "%s; %s" % (origin, floor)))
        why = flavour_of([a for a in facts.accelerators if a.backend == backend], policy)[1]
        reasons.append(Reason("driver flavour", driver.flavour, why))
    return tuple(reasons)
