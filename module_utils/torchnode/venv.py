"""Reading a stack's environment: what is in it, and what differs from its own records.

A stack is a folder ``<prefix>/stacks/<digest>.<n>`` that is a virtual environment and holds, as
its last file written, :data:`MARKER`. A folder without it was never finished.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from .model import InstalledStack
from .node import Node

MARKER = "torchnode.json"
MOST_DAMAGE_LISTED = 20  # enough to see the pattern; a rebuild does not need every line

# Files that environments hold without any package owning them.
_NOT_OWNED = {"__pycache__", "_virtualenv.py", "_virtualenv.pth"}


def read_marker(node: Node, path: str) -> Optional[Dict[str, Any]]:
    """The marker's content; None for a folder that was never finished, or whose marker broke."""
    try:
        marker = json.loads(node.read("%s/%s" % (path, MARKER)) or "")
    except ValueError:
        return None
    whole = isinstance(marker, dict) and "digest" in marker
    return marker if whole and isinstance(marker.get("packages", {}), dict) else None


def read_stacks(node: Node, prefix: str) -> Tuple[str, ...]:
    """The paths of complete stacks under ``prefix``, newest first."""
    paths = [path for path in _folders(node, prefix) if read_marker(node, path) is not None]
    return tuple(sorted(paths, key=lambda path: -_changed(node, path)))


def read_unfinished(node: Node, prefix: str) -> Tuple[str, ...]:
    """The paths of stacks under ``prefix`` that were never finished."""
    return tuple(path for path in _folders(node, prefix) if read_marker(node, path) is None)


def _folders(node: Node, prefix: str) -> List[str]:
    names = node.names(prefix + "/stacks")
    ours = [name for name in names if re.fullmatch(r"[0-9a-f]+\.\d+", name)]
    return ["%s/stacks/%s" % (prefix, name) for name in ours]


def _changed(node: Node, path: str) -> float:
    try:
        return os.stat(node.path(path)).st_mtime
    except OSError:
        return 0.0  # it went this moment


def read_current(node: Node, prefix: str, hashes: bool = False) -> Optional[InstalledStack]:
    """The stack that ``<prefix>/current`` points to, inspected; None where nothing is current."""
    target = node.link_name(prefix + "/current")
    if target is None:
        return None
    return inspect(node, "%s/stacks/%s" % (prefix, target), hashes)


def inspect(node: Node, path: str, hashes: bool = False) -> InstalledStack:
    """Compare the environment at ``path`` with its marker and every package's RECORD.

    Seen: a package missing, added or at another version; a file missing or of another size than
    its RECORD says (of another SHA-256 with ``hashes``); something in site-packages that no
    package owns; an interpreter that does not run.
    """
    marker = read_marker(node, path)
    python = path + "/bin/python"
    if marker is None:
        return InstalledStack("", path, python, damage=("never finished: no %s" % MARKER,))
    version = node.run([python, "-I", "-c", "import sys; print(sys.version.split()[0])"])
    damage: List[str] = []
    if version.rc != 0:
        damage.append("%s does not run: %s" % (python, version.err.strip()[-200:]))
    found, differences = compare(node, path, marker.get("packages", {}), hashes)
    damage += differences
    return InstalledStack(
        digest=str(marker["digest"]),
        path=path,
        python=python,
        python_version=version.out.strip() or None,
        torch=read_torch_version(node, path),
        packages=tuple(sorted(found.items())),
        damage=tuple(damage[:MOST_DAMAGE_LISTED]),
    )


def compare(
    node: Node, path: str, expected: Mapping[str, str], hashes: bool
) -> Tuple[Dict[str, str], List[str]]:
    """The packages in the environment at ``path``, and what differs: (name to version, damage).

    A line of damage begins with the package's name and a colon where one package is damaged.
    """
    found: Dict[str, str] = {}
    damage: List[str] = []
    for site in node.glob(path + "/lib/python3.*/site-packages"):
        damage += _packages(node, site, found, hashes)
    return found, damage + _differences(expected, found)


def compare_folder(node: Node, site: str) -> List[str]:
    """What of the packages in ``site`` differs from their RECORDs, every byte read."""
    return _packages(node, site, {}, True)


def read_torch_version(node: Node, path: str) -> Optional[str]:
    """torch's version with its local tag, from torch/version.py as text.

    Metadata cannot tell: PyPI's wheels carry no local version there.
    """
    for file in node.glob(path + "/lib/python3.*/site-packages/torch/version.py"):
        match = re.search(r"^__version__ = '([^']+)'", node.read(file) or "", re.MULTILINE)
        if match:
            return match.group(1)
    return None


def _packages(node: Node, site: str, found: Dict[str, str], hashes: bool) -> List[str]:
    """Check every package below ``site``, adding name and version to ``found``."""
    damage: List[str] = []
    owned: Set[str] = set(_NOT_OWNED)
    for folder in node.names(site, "*.dist-info"):
        name, version = _name_and_version(folder)
        found[name] = version
        owned.add(folder)
        record = node.read("%s/%s/RECORD" % (site, folder))
        if record is None:
            damage.append("%s: no RECORD" % name)
            continue
        for file, checksum, size in _record_rows(record):
            owned.add(file.split("/", 1)[0])
            problem = _file_problem(node.path(site + "/" + file), checksum if hashes else "", size)
            if problem:
                damage.append("%s: %s %s" % (name, file, problem))
    damage += ["%s is owned by no package" % n for n in node.names(site) if n not in owned]
    return damage


def _record_rows(record: str) -> Iterator[Tuple[str, str, str]]:
    for line in record.splitlines():
        try:
            row = next(csv.reader([line]), [])
        except csv.Error:
            row = ["RECORD has an unreadable line", "", "-"]
        if len(row) == 3 and row[2]:  # rows without a size are RECORD itself and compiled files
            yield row[0], row[1], row[2]


def _file_problem(path: str, checksum: str, size: str) -> str:
    try:
        actual = os.stat(path).st_size
    except OSError:
        return "is missing"
    if str(actual) != size:
        return "has %d bytes instead of %s" % (actual, size)
    if checksum and not _checksum_matches(path, checksum):
        return "has another %s than recorded" % checksum.split("=", 1)[0]
    return ""


def _checksum_matches(path: str, checksum: str) -> bool:
    algorithm, _, expected = checksum.partition("=")
    try:
        digest = hashlib.new(algorithm)
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except (OSError, ValueError):  # unreadable, or no algorithm of this name
        return False
    actual = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii")
    return actual == expected


def _name_and_version(folder: str) -> Tuple[str, str]:
    name, _, version = folder[: -len(".dist-info")].partition("-")
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _differences(expected: Mapping[str, str], found: Dict[str, str]) -> List[str]:
    missing = ["%s: %s is missing" % item for item in expected.items() if item[0] not in found]
    added = ["%s: %s was added" % item for item in found.items() if item[0] not in expected]
    changed = [
        "%s: is %s instead of %s" % (name, found[name], version)
        for name, version in expected.items()
        if name in found and found[name] != version
    ]
    return missing + added + changed
