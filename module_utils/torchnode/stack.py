"""Resolve: facts + policy + tables + locks -> the one stack that fits a node. Pure.

The candidates are the rows of the torch build table. Each rule removes those that it forbids;
the first rule that leaves none names the conflict, and the nearest stack is what the node would
get if that one wish were dropped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Callable, Iterable, List, Optional, Sequence, Tuple

from .data import compatibility as tables
from .data.nvidia_parts import CHIPS, lookup
from .data.profiles import PROFILES, WORKLOADS, Workload
from .locks import Lock
from .model import (
    Accelerator,
    Driver,
    DriverChoice,
    Facts,
    PythonInterpreter,
    Reason,
    Stack,
    TorchBuild,
)
from .outcome import Outcome, Result
from .policy import Conflict, Expect, Policy, expect_of_record, meets

Row = tables.TorchWheel


def resolve(facts: Facts, policy: Policy, locks: Sequence[Lock]) -> Stack:
    """The stack for one node, every choice with its reason.

    Raises Conflict for a wish that cannot be met or a machine that no row fits.
    """
    workload = _workload(policy)
    backend, why_backend = _backend(facts, policy)
    _check_workload(backend, workload, policy)
    if policy.python:
        return _adopted(facts, policy, backend, why_backend)
    choice = _choose(_Wishes(facts, policy, locks, backend, workload))
    driver = _driver_choice(facts, policy, choice.row) if backend == "cuda" else None
    return _stack(facts, policy, backend, why_backend, choice, driver)


def expectation(facts: Facts, policy: Policy) -> Outcome:
    """What the node should have (the policy's word, else its last record) against what it has."""
    expect = policy.expect or expect_of_record(facts.record)
    if expect is None and facts.record is not None and "error" in facts.record:
        return Outcome(
            "resolve.expected_accelerators", "resolve", Result.INCOMPLETE,
            observed=str(facts.record["error"]), expected="a readable record of the last run",
            cause="What this node had before cannot be read, so a lost device would go unnoticed.",
            remedy="State what the node has in torchnode_expect, or remove the broken record.",
        )  # fmt: skip
    if expect is None:
        return Outcome(
            "resolve.expected_accelerators", "resolve", Result.SKIPPED,
            observed=_had(facts), expected="no torchnode_expect and no earlier record",
        )  # fmt: skip
    found = found_backend(facts)
    differences = meets(expect, found, [a for a in facts.accelerators if a.backend == found])
    if not differences:
        return Outcome(
            "resolve.expected_accelerators", "resolve", Result.PASS, _had(facts), _wanted(expect)
        )
    return Outcome(
        "resolve.expected_accelerators", "resolve", Result.FAIL,
        observed="; ".join(differences),
        expected=_wanted(expect),
        cause="The machine does not have the accelerators that %s says it has: a device may have "
        "fallen off the bus, been replaced, or be hidden from this machine." % expect.origin,
        remedy="Look for the device with lspci and in the kernel log, reseat or replace it. If the "
        "machine was changed on purpose, state what it has now in torchnode_expect.",
    )  # fmt: skip


def found_backend(facts: Facts) -> str:
    """The backend of the accelerators that are there, in the registry's order; 'cpu' for none."""
    return facts.accelerators[0].backend if facts.accelerators else "cpu"


def _had(facts: Facts) -> str:
    models = [a.model for a in facts.accelerators]
    return ", ".join("%d x %s" % (models.count(m), m) for m in sorted(set(models))) or "none"


def _wanted(expect: Expect) -> str:
    parts = [
        "backend " + expect.backend if expect.backend else "",
        "%d accelerators" % expect.count if expect.count is not None else "",
        expect.model or " ".join(sorted(set(expect.pci_ids))),
        "%.1f GB each" % (expect.memory_bytes / 1e9) if expect.memory_bytes else "",
    ]
    return ", ".join(part for part in parts if part)


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
        why = "%s found" % _had(facts) if facts.accelerators else "no accelerator found"
        return found, why
    if policy.backend not in ("cpu", found):
        raise Conflict(
            "torchnode_backend", "accelerators: " + _had(facts),
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


# ---- torch, Python and lock together -----------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    row: Row
    python: Optional[PythonInterpreter] = None
    lock: Optional[Lock] = None


@dataclass(frozen=True)
class _Wishes:
    facts: Facts
    policy: Policy
    locks: Sequence[Lock]
    backend: str
    workload: Workload

    @property
    def extra(self) -> str:
        """The lock's extra package set that the workload needs."""
        for name in ("vision", "audio"):
            if "torch" + name in self.workload.packages:
                return name
        return "none"


@dataclass(frozen=True)
class _Rule:
    """``keep`` filters; ``argument``, ``found`` and ``expected`` word the conflict it causes."""

    argument: str
    found: str
    expected: str
    remedy: str
    keep: Callable[[_Candidate], bool]
    is_wish: bool = False


def _choose(wishes: _Wishes) -> _Candidate:
    remaining = _candidates(wishes)
    if not remaining:
        raise _no_build(wishes)
    rules = _rules(wishes)
    for rule in rules:
        kept = [candidate for candidate in remaining if rule.keep(candidate)]
        if not kept:
            raise Conflict(
                rule.argument, rule.found, rule.expected, rule.remedy, _nearest(wishes, rules, rule)
            )
        remaining = kept
    return min(remaining, key=_rank)


def _no_build(wishes: _Wishes) -> Conflict:
    known = sorted({(row.machine, row.backend) for row in tables.TORCH_BUILDS})
    return Conflict(
        "machine", "%s with backend %s" % (wishes.facts.system.machine or "?", wishes.backend),
        "one of " + ", ".join("%s with %s" % pair for pair in known),
        "torch has no build for this kind of machine: use another one, or adopt an environment of "
        "your own with torchnode_python.",
    )  # fmt: skip


def _nearest(wishes: _Wishes, rules: Sequence[_Rule], failed: _Rule) -> str:
    """What would be chosen if the failed wish, else another wish, else every wish were dropped.

    Only wishes are dropped: a stack that breaks a rule of the tables is no stack that works.
    """
    wished = [rule for rule in rules if rule.is_wish]
    drops = [[rule] for rule in sorted(wished, key=lambda rule: rule is not failed)]
    for dropped in [*drops, wished]:
        others = [rule for rule in rules if rule not in dropped]
        kept = [c for c in _candidates(wishes) if all(rule.keep(c) for rule in others)]
        if kept:
            return _describe(min(kept, key=_rank))
    return ""


def _describe(candidate: _Candidate) -> str:
    python = " on Python " + minor(candidate.python.version) if candidate.python else ""
    return "torch %s+%s from %s%s" % (
        candidate.row.version, candidate.row.tag,
        "PyPI" if candidate.row.source == "pypi" else "the %s index" % candidate.row.tag, python,
    )  # fmt: skip


def _candidates(wishes: _Wishes) -> List[_Candidate]:
    """Every build of this backend and machine with every Python and lock that may serve it."""
    found = []
    for row in tables.TORCH_BUILDS:
        if (row.backend, row.machine) != (wishes.backend, wishes.facts.system.machine):
            continue
        pythons = [p for p in wishes.facts.pythons if minor(p.version) in row.pythons]
        pairs = [(p, _lock(wishes, row, p)) for p in pythons]
        found += [_Candidate(row, p, lock) for p, lock in pairs] or [_Candidate(row)]
    return found


def _lock(wishes: _Wishes, row: Row, python: PythonInterpreter) -> Optional[Lock]:
    wanted = row.version if row.source == "pypi" else "%s+%s" % (row.version, row.tag)
    for lock in sorted(wishes.locks, key=lambda lock: lock.name):
        if (
            (lock.torch, lock.source, lock.extra) == (wanted, row.source, wishes.extra)
            and row.machine in lock.machines
            and minor(python.version) in lock.pythons
        ):
            return lock
    return None


def _rank(candidate: _Candidate) -> Tuple[int, int, str]:
    """Preferred torch first; PyPI before an index; then the newest tag."""
    preferred = tables.PREFERRED_TORCH
    version = candidate.row.version
    place = preferred.index(version) if version in preferred else len(preferred)
    return place, 0 if candidate.row.source == "pypi" else 1, _descending(candidate.row.tag)


def _descending(tag: str) -> str:
    return "".join(chr(0x10FFFF - ord(character)) for character in tag)


def _rules(wishes: _Wishes) -> List[_Rule]:
    rules = [
        *_wish_rules(wishes),
        *(_cuda_rules(wishes) if wishes.backend == "cuda" else []),
        _extra_rule(wishes),
        _python_rule(wishes),
    ]
    return [*rules, _lock_rule(wishes, rules)]


def _wish_rules(wishes: _Wishes) -> List[_Rule]:
    policy, rules = wishes.policy, []
    if policy.torch_version:
        rules.append(_Rule(
            "torchnode_torch_version", "'%s'" % policy.torch_version,
            "one of %s for this machine" % ", ".join(_known_versions(wishes)),
            "Choose one of these, or leave it empty for the version that fits.",
            lambda c: c.row.version == policy.torch_version, True,
        ))  # fmt: skip
    if policy.torch_tag:
        rules.append(_Rule(
            "torchnode_torch_tag", "'%s'" % policy.torch_tag,
            "a tag that exists for this machine, backend and torch version",
            "Leave torchnode_torch_tag empty, or choose the tag of a build in the table.",
            lambda c: c.row.tag == policy.torch_tag, True,
        ))  # fmt: skip
    if policy.python_version:
        rules.append(_Rule(
            "torchnode_python_version", "'%s'" % policy.python_version,
            "a Python minor version such as 3.12 that the torch build supports and the node has",
            "Install that Python on the node, or leave torchnode_python_version empty.",
            lambda c: c.python is not None and minor(c.python.version) == policy.python_version,
            True,
        ))  # fmt: skip
    return rules


def _known_versions(wishes: _Wishes) -> List[str]:
    return sorted({c.row.version for c in _candidates(wishes)}, key=tables.version_key)


def _cuda_rules(wishes: _Wishes) -> List[_Rule]:
    facts, policy = wishes.facts, wishes.policy
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    architectures = sorted({a.architecture or "" for a in devices})
    if "" in architectures:
        raise _unknown_part(next(a for a in devices if not a.architecture))
    flavour_of(devices, policy)  # a flavour that cannot work is refused before torch is chosen
    _check_branch(facts, policy, devices)
    version, origin = _driver_version(facts, policy)
    return [
        _Rule(
            "accelerators", "%s (%s)" % (_had(facts), ", ".join(architectures)),
            "a torch build with code for every one of these architectures",
            "Drop the wish that excludes the builds for this GPU.",
            lambda c: all(tables.architecture_runs(a, c.row.architectures) for a in architectures),
        ),
        _Rule(
            "driver", "%s (%s)" % (version, origin),
            "a driver new enough for the CUDA version of the torch build",
            "Set torchnode_driver_branch to a newer branch, or upgrade the driver.",
            lambda c: tables.version_key(version) >= tables.version_key(driver_floor(c.row)),
        ),
    ]  # fmt: skip


def _unknown_part(device: Accelerator) -> Conflict:
    return Conflict(
        "accelerator " + (device.bus or str(device.index)), device.pci_id or device.model,
        "a GPU whose architecture is known from its PCI id or from NVML, of a known generation",
        "Add a row for it to data/nvidia_parts.py, or install its driver so that NVML names it.",
    )  # fmt: skip


def _extra_rule(wishes: _Wishes) -> _Rule:
    package = "torch" + wishes.extra
    return _Rule(
        "torchnode_workload", "'%s', which needs %s" % (wishes.policy.workload, package),
        "a torch version that has a matching %s" % package,
        "Choose another torch version for this workload, or leave it empty.",
        lambda c: wishes.extra == "none" or bool(getattr(c.row, package)),
    )  # fmt: skip


def _python_rule(wishes: _Wishes) -> _Rule:
    have = ", ".join("%s %s" % (p.path, p.version) for p in wishes.facts.pythons) or "none"
    version, tag = wishes.policy.torch_version, wishes.policy.torch_tag
    rows = [
        row for row in tables.TORCH_BUILDS if version in ("", row.version) and tag in ("", row.tag)
    ]
    supported = sorted({m for row in rows for m in row.pythons}, key=tables.version_key)
    return _Rule(
        "the node's Pythons", have, "one that the torch build supports (%s)" % ", ".join(supported),
        "Install a supported Python on the node (for example python3.11).",
        lambda c: c.python is not None,
    )  # fmt: skip


def _lock_rule(wishes: _Wishes, earlier: Sequence[_Rule]) -> _Rule:
    fitting = [c.row for c in _candidates(wishes) if all(rule.keep(c) for rule in earlier)]
    builds = sorted({"%s+%s" % (r.version, r.tag) for r in fitting}, key=tables.version_key)
    pythons = sorted({minor(p.version) for p in wishes.facts.pythons}, key=tables.version_key)
    return _Rule(
        "locks", "no hash lock for torch %s with Python %s on %s"
        % (" or ".join(builds[-3:]), " or ".join(pythons), wishes.facts.system.machine),
        "a lock for one of them (no lock, no install)",
        "Make one against your index with `make lock TORCH=<version> TAG=<tag> PYTHON=<minor>`, or "
        "install a Python that has a lock.",
        lambda c: c.lock is not None,
    )  # fmt: skip


# ---- driver ------------------------------------------------------------------------------------


def driver_floor(row: Row) -> str:
    """The oldest driver that runs a build's CUDA runtime (minor-version compatibility)."""
    return next(f.minimum for f in tables.DRIVER_FLOORS if f.cuda_major == row.cuda_major)


def cuda_driver(facts: Facts) -> Optional[Driver]:
    """NVIDIA's driver as survey saw it."""
    return next((d for d in facts.drivers if d.vendor == "nvidia"), None)


def _driver_version(facts: Facts, policy: Policy) -> Tuple[str, str]:
    """The driver that torch will meet: the loaded one, else the branch that will be installed.

    A branch that the operator names, and that is not the loaded one's, is a wish to move there.
    """
    driver, branch = cuda_driver(facts), policy.driver_branch or tables.DEFAULT_DRIVER_BRANCH
    wishes_move = policy.driver_branch and driver and driver.loaded and (
        driver.loaded.split(".")[0] != branch
    )  # fmt: skip
    if driver and driver.loaded and not wishes_move:
        return driver.loaded, "loaded on the node"
    # Branches are long-lived: their current release is past every floor inside the branch.
    return branch + ".999", "branch %s, to be installed" % branch


def _check_branch(facts: Facts, policy: Policy, devices: Sequence[Accelerator]) -> None:
    """Raises Conflict for a wished branch that nobody makes, or that dropped one of the GPUs."""
    wished, driver = policy.driver_branch, cuda_driver(facts)
    known = [branch.branch for branch in tables.DRIVER_BRANCHES]
    loaded = (driver.loaded or "").split(".")[0] if driver else ""
    if not wished or wished == loaded:
        return
    last = [rule for rule in _flavour_rules(devices) if rule.last_branch]
    usable = [b for b in known if all(int(b) <= int(rule.last_branch) for rule in last)]
    if wished not in usable:
        names = " and ".join(rule.generation for rule in last)
        raise Conflict(
            "torchnode_driver_branch", "'%s'" % wished,
            "one of %s%s"
            % (", ".join(usable), ", the branches that still serve " + names if last else ""),
            "Choose one of these, or leave it empty for the branch that is loaded, else %s."
            % tables.DEFAULT_DRIVER_BRANCH,
            "branch " + (loaded or tables.DEFAULT_DRIVER_BRANCH),
        )  # fmt: skip


def flavour_of(devices: Sequence[Accelerator], policy: Policy) -> Tuple[str, str]:
    """(flavour, why) that serves every device. Raises Conflict where none does."""
    rules = _flavour_rules(devices)
    for device in devices:
        if generation_of(device) not in [rule.generation for rule in rules]:
            raise _unknown_part(device)
    names = ", ".join(rule.generation for rule in rules)
    allowed = _allowed_flavours(rules)
    if not allowed:
        raise Conflict(
            "accelerators", "GPUs of %s in one machine" % names,
            "GPUs that one kernel module flavour serves",
            "Move one kind of GPU to another machine.",
        )  # fmt: skip
    if policy.driver_flavour == "auto":
        return allowed[0], "%s: %s" % (names, " or ".join(allowed))
    if policy.driver_flavour not in allowed:
        raise Conflict(
            "torchnode_driver_flavour", "'%s'" % policy.driver_flavour,
            "%s, which %s needs" % (" or ".join(allowed), names),
            "Set torchnode_driver_flavour to auto.", "flavour " + allowed[0],
        )  # fmt: skip
    return policy.driver_flavour, "asked for by torchnode_driver_flavour"


def generation_of(device: Accelerator) -> str:
    """The part's generation: by PCI id (it tells Grace Hopper from Hopper), else architecture."""
    part = lookup(int((device.pci_id or ":0").partition(":")[2], 16))
    if part is not None:
        return part.generation
    return next((c.generation for c in CHIPS if c.architecture == device.architecture), "")


def _flavour_rules(devices: Iterable[Accelerator]) -> List[tables.Flavour]:
    generations = sorted({generation_of(device) for device in devices})
    return [rule for rule in tables.FLAVOURS if rule.generation in generations]


def _allowed_flavours(rules: Sequence[tables.Flavour]) -> List[str]:
    """The flavours that serve all, the preferred one ('open') first."""
    return [f for f in ("open", "proprietary") if all(f in rule.allowed for rule in rules)]


def _driver_choice(facts: Facts, policy: Policy, row: Row) -> DriverChoice:
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    version, _origin = _driver_version(facts, policy)
    flavour = flavour_of(devices, policy)[0]
    driver = cuda_driver(facts)
    if policy.driver_flavour == "auto" and driver and driver.flavour:
        # A working driver of an allowed flavour is not moved for a preference.
        allowed = _allowed_flavours(_flavour_rules(devices))
        flavour = driver.flavour if driver.flavour in allowed else flavour
    return DriverChoice("nvidia", version.split(".")[0], flavour, driver_floor(row))


# ---- the record --------------------------------------------------------------------------------


def minor(version: str) -> str:
    """'3.11.2' -> '3.11'."""
    return ".".join(version.split(".")[:2])


def _digest(lock: Lock, python: PythonInterpreter) -> str:
    # By minor version: a patch release, or the same Python at another path, changes no wheel.
    text = "%s %s" % (lock.digest, minor(python.version))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _architectures(facts: Facts, backend: str) -> Tuple[str, ...]:
    found = {a.architecture or "" for a in facts.accelerators if a.backend == backend}
    return tuple(sorted(found))


def _stack(
    facts: Facts, policy: Policy, backend: str, why_backend: str,
    choice: _Candidate, driver: Optional[DriverChoice],
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
    policy: Policy, backend: str, why_backend: str, choice: _Candidate,
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
        _version, origin = _driver_version(facts, policy)
        floor = "CUDA %s needs at least %s" % (row.cuda, driver.minimum)
        reasons.append(Reason("driver", driver.branch, "%s; %s" % (origin, floor)))
        why = flavour_of([a for a in facts.accelerators if a.backend == backend], policy)[1]
        reasons.append(Reason("driver flavour", driver.flavour, why))
    return tuple(reasons)
