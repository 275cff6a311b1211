"""Choosing torch, Python and lock together: candidates, rules, and the nearest that works. Pure.

The candidates are the rows of the torch build table with every Python and lock that may serve
them. Each rule removes those that it forbids; the first rule that leaves none names the conflict.
A lock is no rule: of what is left, what has one is taken, and where nothing has one the best build
is still named, so that a plan can say what is missing. Preflight refuses to install it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, List, Optional, Sequence, Tuple

from . import driver_choice, supplied_wheel
from .data import compatibility as tables
from .data.profiles import Workload
from .expectation import describe_found
from .locks import Lock
from .model import Facts, PythonInterpreter, SuppliedWheel
from .policy import Conflict, Policy

Row = tables.TorchWheel


@dataclass(frozen=True)
class Candidate:
    """A row of the build table with the Python and lock that may serve it, None where none does."""

    row: Row
    python: Optional[PythonInterpreter] = None
    lock: Optional[Lock] = None


@dataclass(frozen=True)
class Wishes:
    """What one choice depends on. ``supplied`` is the operator's own wheel of the backend."""

    facts: Facts
    policy: Policy
    locks: Sequence[Lock]
    backend: str
    workload: Workload
    supplied: Optional[SuppliedWheel] = None

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
    keep: Callable[[Candidate], bool]
    is_wish: bool = False


def choose(wishes: Wishes) -> Candidate:
    """The best candidate that every rule leaves. Raises Conflict where none is left."""
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
    return _best(remaining)


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """The first in the order of preference of those with a lock, else of all."""
    return min([c for c in candidates if c.lock] or candidates, key=_rank)


def nearest_with_lock(wishes: Wishes) -> str:
    """What has a lock when wishes are dropped, '' for nothing: said where the choice has none."""
    needed = [rule for rule in _rules(wishes) if not rule.is_wish]
    kept = [c for c in _candidates(wishes) if c.lock and all(rule.keep(c) for rule in needed)]
    return _describe(_best(kept)) if kept else ""


def _no_build(wishes: Wishes) -> Conflict:
    known = sorted({(row.machine, row.backend) for row in tables.TORCH_BUILDS})
    return Conflict(
        "machine", "%s with backend %s" % (wishes.facts.system.machine or "?", wishes.backend),
        "one of " + ", ".join("%s with %s" % pair for pair in known),
        "torch has no build for this kind of machine: use another one, or adopt an environment of "
        "your own with torchnode_python.",
    )  # fmt: skip


def _nearest(wishes: Wishes, rules: Sequence[_Rule], failed: _Rule) -> str:
    """What would be chosen if the failed wish, else another wish, else every wish were dropped.

    Only wishes are dropped: a stack that breaks a rule of the tables is no stack that works.
    """
    wished = [rule for rule in rules if rule.is_wish]
    drops = [[rule] for rule in sorted(wished, key=lambda rule: rule is not failed)]
    works = []
    for dropped in [*drops, wished]:
        others = [rule for rule in rules if rule not in dropped]
        kept = [c for c in _candidates(wishes) if all(rule.keep(c) for rule in others)]
        works += [_best(kept)] if kept else []
    ready = [candidate for candidate in works if candidate.lock]
    return _describe((ready or works)[0]) if works else ""


def _describe(candidate: Candidate) -> str:
    python = " on Python " + minor(candidate.python.version) if candidate.python else ""
    row = candidate.row
    plugin = " with " + row.plugin.requirement.replace("==", " ") if row.plugin else ""
    source = "PyPI" if row.source == "pypi" else "the %s index" % row.tag
    lock = "" if candidate.lock else " (no lock yet)"
    return "torch %s%s from %s%s%s" % (row.label, plugin, source, python, lock)


def _candidates(wishes: Wishes) -> List[Candidate]:
    """Every build of this backend and machine with every Python and lock that may serve it."""
    found = []
    for row in _rows(wishes):
        pythons = [p for p in wishes.facts.pythons if minor(p.version) in row.pythons]
        pairs = [(p, _lock(wishes, row, p)) for p in pythons]
        found += [Candidate(row, p, lock) for p, lock in pairs] or [Candidate(row)]
    return found


def _rows(wishes: Wishes) -> List[Row]:
    """The table's rows for this backend, system and machine; a supplied plugin beside its torch."""
    system = wishes.facts.system
    here = [
        row
        for row in tables.TORCH_BUILDS
        if (row.system, row.machine) == (system.system, system.machine)
    ]
    if wishes.supplied is None:
        return [row for row in here if wishes.backend in row.backends]
    plugin = supplied_wheel.plugin_of(wishes.supplied)
    return [replace(row, plugin=plugin) for row in here if supplied_wheel.serves(row)]


def _lock(wishes: Wishes, row: Row, python: PythonInterpreter) -> Optional[Lock]:
    found = (k for k in _locks_of(wishes, row) if minor(python.version) in k.pythons)
    return next(found, None)


def _locks_of(wishes: Wishes, row: Row) -> List[Lock]:
    """The locks of a build on its machine, for whichever Python."""
    wanted = row.version if row.source == "pypi" else row.label
    # A supplied plugin is added to the lock of the torch that it goes beside.
    plugin = row.plugin.requirement if row.plugin and wishes.supplied is None else ""
    like = (wanted, row.source, wishes.extra, plugin)
    return [
        lock
        for lock in sorted(wishes.locks, key=lambda lock: lock.name)
        if (lock.torch, lock.source, lock.extra, lock.plugin) == like
        and row.machine in lock.machines
    ]


def pythons_with_lock(wishes: Wishes, candidate: Candidate) -> Tuple[str, ...]:
    """The Pythons, oldest first, for which a build of PyPI has its lock, where the node has none.

    Such a lock is for every Python that the pins beside torch support: making it again gives the
    node's own Python no lock. () where a lock can be made, as for a build of another index.
    """
    row = candidate.row
    if row.source != "pypi" or candidate.lock is not None:
        return ()
    found = {p for lock in _locks_of(wishes, row) for p in lock.pythons if p in row.pythons}
    return tuple(sorted(found, key=tables.version_key))


def _rank(candidate: Candidate) -> Tuple[int, int, str]:
    """Preferred torch first; PyPI before an index; then the newest tag."""
    preferred = tables.PREFERRED_TORCH
    version = candidate.row.version
    place = preferred.index(version) if version in preferred else len(preferred)
    return place, 0 if candidate.row.source == "pypi" else 1, _descending(candidate.row.tag)


def _descending(tag: str) -> str:
    return "".join(chr(0x10FFFF - ord(character)) for character in tag)


def _rules(wishes: Wishes) -> List[_Rule]:
    rules = [
        *_wish_rules(wishes),
        *_system_rules(wishes),
        *_architecture_rules(wishes),
        *(_cuda_rules(wishes) if wishes.backend == "cuda" else []),
        _extra_rule(wishes),
        _python_rule(wishes),
    ]
    return rules


def _wish_rules(wishes: Wishes) -> List[_Rule]:
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


def _known_versions(wishes: Wishes) -> List[str]:
    return sorted({c.row.version for c in _candidates(wishes)}, key=tables.version_key)


def _system_rules(wishes: Wishes) -> List[_Rule]:
    """A wheel for macOS names the oldest one that it runs on."""
    have = wishes.facts.system.os_version
    if wishes.facts.system.system != "Darwin" or not have:
        return []
    return [_Rule(
        "macOS", have, "a macOS that the torch build is made for (14 from torch 2.12 on)",
        "Update macOS, or leave the torch version to the choice.",
        lambda c: tables.version_key(have) >= tables.version_key(c.row.system_version),
    )]  # fmt: skip


def _architecture_rules(wishes: Wishes) -> List[_Rule]:
    """The build must have code for every device of the backend; none for backends without lists."""
    devices = [a for a in wishes.facts.accelerators if a.backend == wishes.backend]
    if not any(row.architectures for row in _rows(wishes)):
        return []
    architectures = sorted({a.architecture or "" for a in devices})
    if "" in architectures:
        raise driver_choice.unknown_part(next(a for a in devices if not a.architecture))
    found = "%s (%s)" % (describe_found(wishes.facts), ", ".join(architectures))
    return [_Rule(
        "accelerators", found, "a torch build with code for every one of these architectures",
        "Drop the wish that excludes the builds for this device.",
        lambda c: all(
            tables.build_runs(wishes.backend, a, c.row.architectures) for a in architectures
        ),
    )]  # fmt: skip


def _cuda_rules(wishes: Wishes) -> List[_Rule]:
    facts, policy = wishes.facts, wishes.policy
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    if not facts.system.wsl2:
        # A flavour or branch that cannot work is refused before torch is chosen. Under WSL2 the
        # driver is Windows', and has neither.
        driver_choice.flavour_of(devices, policy)
        driver_choice.check_branch(facts, policy, devices)
    version, origin = driver_choice.driver_version(facts, policy)
    return [
        _Rule(
            "driver", "%s (%s)" % (version, origin),
            "a driver new enough for the CUDA version of the torch build",
            "Set torchnode_driver_version to a newer branch, or upgrade the driver.",
            lambda c: driver_choice.serves(version, c.row),
        ),
    ]  # fmt: skip


def _extra_rule(wishes: Wishes) -> _Rule:
    package = "torch" + wishes.extra
    return _Rule(
        "torchnode_workload", "'%s', which needs %s" % (wishes.policy.workload, package),
        "a torch version that has a matching %s" % package,
        "Choose another torch version for this workload, or leave it empty.",
        lambda c: wishes.extra == "none" or bool(getattr(c.row, package)),
    )  # fmt: skip


def _python_rule(wishes: Wishes) -> _Rule:
    have = ", ".join("%s %s" % (p.path, p.version) for p in wishes.facts.pythons) or "none"
    version, tag = wishes.policy.torch_version, wishes.policy.torch_tag
    rows = [row for row in _rows(wishes) if version in ("", row.version) and tag in ("", row.tag)]
    supported = sorted({m for row in rows for m in row.pythons}, key=tables.version_key)
    return _Rule(
        "the node's Pythons", have, "one that the torch build supports (%s)" % ", ".join(supported),
        "Install a supported Python on the node (for example python3.11).",
        lambda c: c.python is not None,
    )  # fmt: skip


def lock_command(wishes: Wishes, candidate: Candidate) -> str:
    """The `make lock` call that makes the lock which the candidate lacks."""
    row, python = candidate.row, candidate.python
    plugin = row.plugin if wishes.supplied is None else None
    arguments = [
        ("TORCH", row.version),
        ("TAG", row.tag if row.source == "index" else "pypi"),
        ("PYTHON", minor(python.version) if python else ""),
        ("BACKEND", plugin.backend if plugin else ""),
        ("MACHINE", row.machine if row.source == "index" and row.machine != "x86_64" else ""),
        ("EXTRA", wishes.extra if wishes.extra != "none" else ""),
    ]
    return "make lock " + " ".join("%s=%s" % pair for pair in arguments if pair[1])


def minor(version: str) -> str:
    """'3.11.2' -> '3.11'."""
    return ".".join(version.split(".")[:2])
