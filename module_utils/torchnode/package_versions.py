"""Versions as package managers spell them against what the inventory asks for. Pure."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import Iterable, List

from .package_model import Package, PackageWish


def upstream(version: str) -> str:
    """The vendor's own version: '3:580.95.05-1.el9' and '580.95.05-0ubuntu1' as '580.95.05'."""
    return version.partition(":")[2].partition("-")[0] if ":" in version else (
        version.partition("-")[0]
    )  # fmt: skip


def fits(version: str, wished: str) -> bool:
    """Whether a package version is the wished one.

    '' is any, '580' that branch, '9.10.*' any release of 9.10, anything else exactly itself.
    """
    found = upstream(version)
    if wished.endswith(".*"):
        return found.startswith(wished[:-1])
    return not wished or found == wished or (found.startswith(wished + ".") and "." not in wished)


def of_family(name: str, wish: PackageWish) -> bool:
    """Whether a package belongs to what a wish pins."""
    return _named_by(name, wish.family)


def to_hold(name: str, wish: PackageWish) -> bool:
    """Whether a package is to stay at its version for a wish's sake."""
    return _named_by(name, (*wish.family, *wish.closure))


def settled(wish: PackageWish, installed: Iterable[Package]) -> PackageWish:
    """The wish at the exact version that it follows (see ``version_of``), as far as that is known.

    What it follows counts as it is installed, unless it does not fit the wish: then it has yet to
    move there.
    """
    there = followed(wish, installed)
    fitting = len(there) == 1 and fits(there[0], wish.version)
    return replace(wish, version=there[0]) if fitting else wish


def followed(wish: PackageWish, installed: Iterable[Package]) -> List[str]:
    """The versions of those packages whose version a wish follows: one, where all is well."""
    names = wish.version_of
    return sorted({upstream(p.version) for p in installed if _named_by(p.name, names)})


def _named_by(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def problems(wish: PackageWish, installed: Iterable[Package], hold: bool = True) -> List[str]:
    """What is missing of a wish, in words: packages, versions, what has to go, holds."""
    all_ = tuple(installed)
    wish = settled(wish, all_)
    have = {package.name: package for package in all_}
    # Kernel headers of rpm are wished as name-version-release: several stand side by side.
    there = {*have, *("%s-%s" % (p.name, p.version.partition(":")[2] or p.version) for p in all_)}
    missing = [name for name in wish.packages if name not in there]
    are = "is" if len(missing) == 1 else "are"
    found = ["%s %s not installed" % (", ".join(missing), are)] if missing else []
    family = [package for package in have.values() if of_family(package.name, wish)]
    other = [p for p in family if not fits(p.version, wish.version)]
    found += ["%s is %s" % (p.name, upstream(p.version)) for p in other[:1]]
    versions = sorted({upstream(package.version) for package in family})
    if not other and len(versions) > 1:
        found.append("its packages have %d versions: %s" % (len(versions), ", ".join(versions)))
    gone = [name for name in have if _named_by(name, wish.absent)]
    found += ["%s cannot stay beside it" % name for name in gone[:1]]
    loose = [p.name for p in have.values() if hold and not p.held and to_hold(p.name, wish)]
    if loose and not found:
        found.append("%s is not held" % loose[0])
    return found
