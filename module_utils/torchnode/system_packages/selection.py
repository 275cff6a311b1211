"""Which packages come at which version, and what a transaction may not do. Pure."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..package_model import Package, PackageWish
from ..package_versions import fits, of_family, upstream
from .base import Change, Installed
from .failures import (
    PackageError,
    no_such_version,
    not_one_version,
    would_move_kernel,
    would_move_others,
    would_remove,
)

Candidates = Mapping[str, Sequence[str]]

#: Packages that are a kernel or choose one. Headers are none: they may come at any time.
KERNELS = (
    "linux-image-*", "linux-modules-[0-9]*", "linux-modules-extra-*", "linux-generic*",
    "kernel", "kernel-core", "kernel-modules*", "kernel-rt", "kernel-rt-core", "kernel-64k*",
    "kernel-uki*", "kernel6.*[0-9]",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """What has to come and go, and the family's version as the manager spells it ('' for none)."""

    install: Tuple[Tuple[str, str], ...] = ()
    remove: Tuple[str, ...] = ()
    version: str = ""


def cannot_stay(name: str, wish: PackageWish) -> bool:
    """Whether a package has to go. '{other}' in a pattern is any branch but the family's."""
    if name in wish.packages:
        return False
    patterns = [p for p in wish.absent if "{other}" not in p or not of_family(name, wish)]
    return any(fnmatch.fnmatchcase(name, p.replace("{other}", "[0-9]*")) for p in patterns)


def needed(wish: PackageWish, installed: Installed) -> List[str]:
    """Names whose candidates have to be known: the wished and the installed ones of the family."""
    family = [name for name in installed if of_family(name, wish)]
    return list(dict.fromkeys([*wish.packages, *family]))


def complete(wish: PackageWish, installed: Installed) -> bool:
    """Whether all that is wished is there in one version that fits: then nothing is to be moved."""
    if any(name not in installed for name in wish.packages):
        return False
    family = _staying(wish, installed)
    return len({upstream(p.version) for p in family}) <= 1 and all(
        fits(p.version, wish.version) for p in family
    )


def select(wish: PackageWish, installed: Installed, candidates: Candidates) -> Selection:
    """What the transaction needs. Raises PackageError where no version serves all packages."""
    gone = tuple(sorted(name for name in installed if cannot_stay(name, wish)))
    if complete(wish, installed):
        family = _staying(wish, installed)
        return Selection((), gone, family[0].version if family else "")
    loose = [n for n in wish.packages if n not in installed and not of_family(n, wish)]
    for name in loose:
        if not candidates.get(name):
            raise PackageError(no_such_version(name, "", ()))
    named = [name for name in wish.packages if of_family(name, wish)]
    install = [(name, _of_its_kernel(name, installed, candidates)) for name in loose]
    if not named:
        return Selection(tuple(install), gone)
    chosen = _choose(wish, named, installed, candidates)
    for name in named:
        if name not in installed or upstream(installed[name].version) != chosen:
            install.append((name, str(_at(candidates, name, chosen))))
    remove = list(gone)
    for package in _staying(wish, installed):
        if package.name not in named and upstream(package.version) != chosen:
            there = _at(candidates, package.name, chosen)
            # A library that the new version no longer has cannot stay at the old one.
            install.append((package.name, there)) if there else remove.append(package.name)
    version = _at(candidates, named[0], chosen) or installed[named[0]].version
    return Selection(tuple(install), tuple(sorted(remove)), version)


def _of_its_kernel(name: str, installed: Installed, candidates: Candidates) -> str:
    """The version of headers that goes with the installed kernel package, '' for any.

    The newest headers are of a kernel that may not be here: DKMS would build for it, and with it
    the driver's packages could fail.
    """
    kernel = name.replace("linux-headers-", "linux-image-", 1)
    version = installed[kernel].version if kernel != name and kernel in installed else ""
    return version if version in candidates[name] else ""


def _staying(wish: PackageWish, installed: Installed) -> List[Package]:
    return [p for n, p in installed.items() if of_family(n, wish) and not cannot_stay(n, wish)]


def _choose(
    wish: PackageWish, named: Sequence[str], installed: Installed, candidates: Candidates
) -> str:
    """The upstream version: what is installed if it fits, else the newest that all can have."""
    has: Dict[str, List[str]] = {}
    for name in named:
        own = [installed[name].version] if name in installed else []
        has[name] = [upstream(v) for v in (*candidates.get(name, ()), *own)]
    there = {upstream(p.version) for p in _staying(wish, installed)}
    first = list(there) if len(there) == 1 else []
    for version in (*first, *has[named[0]]):
        if fits(version, wish.version) and all(version in has[name] for name in named):
            return version
    for name in named:
        if not any(fits(version, wish.version) for version in has[name]):
            raise PackageError(no_such_version(name, wish.version, _distinct(has[name])))
    short = min(named, key=lambda name: len(has[name]))
    raise PackageError(not_one_version(short, wish.version, _distinct(has[short])))


def _at(candidates: Candidates, name: str, chosen: str) -> Optional[str]:
    return next((v for v in candidates.get(name, ()) if upstream(v) == chosen), None)


def _distinct(versions: Sequence[str]) -> List[str]:
    return list(dict.fromkeys(versions))


# ---- what a transaction may not do --------------------------------------------------------------


def judge(wish: PackageWish, installed: Installed, changes: Sequence[Change]) -> None:
    """Raises PackageError for a transaction that reaches beyond its component."""
    others = [c for c in changes if not mine(c.name, wish)]
    gone = [c.name for c in others if not c.after and not cannot_stay(c.name, wish)]
    if gone:
        raise PackageError(would_remove(gone))
    kernels = [c.name for c in others if c.after and is_kernel(c.name)]
    if kernels:
        raise PackageError(would_move_kernel(kernels))
    held = [c.name for c in others if c.after and c.name in installed and installed[c.name].held]
    if held:
        raise PackageError(would_move_others(held))


def mine(name: str, wish: PackageWish) -> bool:
    """Whether a component may move this package as it needs."""
    return name in wish.packages or of_family(name, wish)


def is_kernel(name: str) -> bool:
    """Whether a package is a kernel, or chooses one."""
    bare = re.sub(r"\.(x86_64|aarch64)$", "", name)
    return any(fnmatch.fnmatchcase(bare, pattern) for pattern in KERNELS)
