"""Comparing versions that operators, packages and vendors write. Pure."""

from __future__ import annotations

import re
from typing import Tuple

from ..data.compatibility import version_key

_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)([^+]*)(?:\+(.*))?")


def split(version: str) -> Tuple[str, str, str]:
    """(base, suffix, local) of a version: ('2.4.0', 'a0', 'nv24.7'). ValueError for none."""
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        raise ValueError("%r is not a version" % version)
    return match.group(1), match.group(2), match.group(3) or ""


def at_least(version: str, minimum: str) -> bool:
    """Whether ``version`` meets ``minimum`` by its base version; '' asks for nothing.

    2.4.0a0 counts as 2.4.0: vendors ship pre-releases of a version with its features, and a strict
    comparison would refuse their supported builds. ValueError for what is no version.
    """
    if not minimum:
        return True
    return version_key(split(version)[0]) >= version_key(split(minimum)[0])


def spoken(version: str) -> str:
    """The version, with a remark where only its base was compared."""
    base, suffix, _local = split(version)
    if suffix and not suffix.startswith(".post"):
        return "%s (a pre-release or vendor build, compared by its base version %s)" % (
            version,
            base,
        )
    return version


def public(version: str) -> str:
    """The version without its local part: what PyPI's metadata says."""
    return version.split("+", 1)[0]


def cudnn_version(number: int) -> str:
    """cuDNN's own number as a version: 91002 is 9.10.2, 8902 is 8.9.2 (four digits before 9)."""
    major_unit = 10000 if number >= 10000 else 1000
    major, rest = divmod(number, major_unit)
    return "%d.%d.%d" % (major, rest // 100, rest % 100)
