"""How far uv is, from what it prints while it fills an environment. Pure.

Without a terminal uv prints 'Downloading torch (858.1MiB)' for each file above 1 MiB that it
fetches, ' Downloaded torch' when it has it, and 'Prepared 34 packages in 41s' when every wheel is
unpacked in its cache; then it links or copies them into the environment.
Seen with uv 0.13.9, 2026-11-22; source: crates/uv/src/commands/reporters.rs in astral-sh/uv.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_BEGUN = re.compile(r"(?m)^ *Downloading (\S+) \((\d+(?:\.\d+)?)([KMGT]i)?B\)$")
_ENDED = re.compile(r"(?m)^ *Downloaded (\S+)$")
_PREPARED = re.compile(r"(?m)^Prepared \d+ package")


@dataclass(frozen=True)
class Download:
    """What uv has said of its downloads: bytes and files, and whether all are there."""

    files: int
    files_done: int
    size: float
    size_done: float
    prepared: bool


def read(text: str) -> Download:
    """What uv's output so far says."""
    ended = set(_ENDED.findall(text))
    sizes: Dict[str, float] = {}
    for name, number, unit in _BEGUN.findall(text):
        sizes[name] = float(number) * _UNITS[unit]
    done = [size for name, size in sizes.items() if name in ended]
    total = sum(sizes.values())
    return Download(len(sizes), len(done), total, sum(done), bool(_PREPARED.search(text)))


def state(
    download: Download, written: Optional[int], installed: int, packages: int
) -> Dict[str, Any]:
    """The progress file's ``text`` and ``rank``.

    ``written`` is how many bytes uv wrote, None where the system does not say; ``installed`` of
    ``packages`` are in the environment. A node of lower rank is further behind.
    """
    if download.prepared:
        share = installed / max(packages, 1)
        return said("installing, %d of %d packages" % (installed, packages), 1 + share)
    parts = []
    if download.files:
        sizes = amounts(download.size_done, download.size)
        files = (download.files_done, download.files)
        parts.append("downloaded %s, %d of %d files" % (sizes, *files))
    if written and written >= 1e6:
        parts.append("%s unpacked" % amount(written))
    share = download.size_done / download.size if download.size else 0.0
    return said("building, " + (", ".join(parts) or "nothing downloaded yet"), share)


def said(text: str, rank: float) -> Dict[str, Any]:
    """What every progress file says at least."""
    return {"text": text, "rank": round(rank, 3)}


def amounts(done: float, total: float) -> str:
    """'0.4 of 2.9 GB': both in the unit of the total."""
    unit, digits, name = _unit(total)
    return "%.*f of %.*f %s" % (digits, done / unit, digits, total / unit, name)


def amount(size: float) -> str:
    """'1.7 GB', '340 MB'."""
    unit, digits, name = _unit(size)
    return "%.*f %s" % (digits, size / unit, name)


def _unit(size: float) -> Tuple[float, int, str]:
    return (1e9, 1, "GB") if size >= 1e9 else (1e6, 0, "MB")
