"""What rpm and dnf 4 print, read. Pure."""

from __future__ import annotations

import functools
import re
from typing import Dict, Iterable, List, Mapping, Set, Tuple

from ..package_model import Package
from .base import Change

#: rpm's format that :func:`installed` reads, and dnf's that :func:`candidates` reads.
QUERY = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{SOURCERPM}\n"
REPOQUERY = "%{name}\t%{epoch}\t%{version}-%{release}\t%{repoid}\n"

#: Where dnf keeps what it knows of the module nvidia-driver.
MODULE_FILE = "/etc/dnf/modules.d/nvidia-driver.module"

#: Packages of which several versions stand side by side.
_SEVERAL = re.compile(r"kernel([0-9.]*|-core|-modules.*|[0-9.]*-devel|-uki.*|-rt.*|-64k.*)$")
_HEADERS = re.compile(r"kernel[0-9.]*-devel$")


def enabled_stream(text: str) -> str:
    """The stream that a module's file in /etc/dnf/modules.d says is enabled, '' for none."""
    fields = dict(re.findall(r"(?m)^(\w+)[ \t]*=[ \t]*(\S+)$", text))
    return fields.get("stream", "") if fields.get("state") == "enabled" else ""


def version_of(epoch: str, rest: str) -> str:
    """'3:580.95.05-1.el9'; an epoch of 0 is not written."""
    return rest if epoch in ("0", "", "(none)") else "%s:%s" % (epoch, rest)


def installed(text: str, locked: Set[str]) -> Dict[str, Package]:
    """By name; of which several may stand, also by name-version-release, as they are wished."""
    found: Dict[str, Package] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 4:
            continue
        name, epoch, rest, source = fields
        version = version_of(epoch, rest)
        origin = re.sub(r"-[^-]+-[^-]+\.src\.rpm$", "", source)
        package = Package(name, version, "" if origin == name else origin, name in locked)
        found[name] = package
        if _SEVERAL.match(name):
            whole = "%s-%s" % (name, rest)
            found[whole] = Package(whole, version, package.source, package.held)
    return found


def twice(text: str) -> List[str]:
    """Names that stand in two versions and may not: an upgrade was cut off before its cleanup."""
    names = [line.split("\t")[0] for line in text.splitlines() if line.count("\t") == 3]
    names = [name for name in names if not _SEVERAL.match(name) and name != "gpg-pubkey"]
    return sorted({name for name in names if names.count(name) > 1})


def candidates(text: str) -> Dict[str, List[str]]:
    """Name to its versions, newest first."""
    found: Dict[str, Set[str]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 4:
            found.setdefault(fields[0], set()).add(version_of(fields[1], fields[2]))
    order = functools.cmp_to_key(compare)
    return {name: sorted(versions, key=order, reverse=True) for name, versions in found.items()}


def compare(one: str, other: str) -> int:
    """-1, 0 or 1, as rpm orders versions: epoch, version, release, each by its segments."""
    left, right = _parts(one), _parts(other)
    return (left > right) - (left < right)


def _parts(version: str) -> List[List[Tuple[int, int, str]]]:
    epoch, _, rest = version.rpartition(":")
    upstream, _, release = rest.partition("-")
    return [_segments(part) for part in (epoch or "0", upstream, release)]


def _segments(text: str) -> List[Tuple[int, int, str]]:
    """Numbers come after letters, '~' before everything, also before the end."""
    found = []
    for part in re.findall(r"\d+|[A-Za-z]+|~", text):
        found.append((2, int(part), "") if part.isdigit() else (1, 0, part))
    ranked = [(-1, 0, "") if kind == 1 and word == "~" else (kind, number, word)
              for kind, number, word in found]  # fmt: skip
    return [*ranked, (0, 0, "")]


# ---- a transaction that was answered with no ----------------------------------------------------

_SECTION = re.compile(
    r"(?P<what>Installing|Upgrading|Downgrading|Reinstalling|Removing|Enabling|Disabling|Switching"
    r"|Resetting|Skipping)\b.*:$"
)
_SIZE = re.compile(r"\s+[\d.]+( [kMG])?$")


def simulated(text: str, have: Mapping[str, Package]) -> List[Change]:
    """The table of ``dnf --assumeno``; a long name stands on a line of its own."""
    changes: Dict[str, Change] = {}
    section, pending = "", []  # type: Tuple[str, List[str]]
    for line in text.splitlines():
        header = _SECTION.match(line)
        if header or line.startswith("Transaction Summary"):
            section, pending = header["what"] if header else "", []
        elif not pending and _SIZE.match(line):
            pass  # the end of a row whose version or repository is too long for its column
        elif section in ("Installing", "Upgrading", "Downgrading", "Removing"):
            pending = [*pending, *line.split()] if line.startswith(" ") else []
            if pending[:1] == ["replacing"]:
                gone = pending[1].rpartition(".")[0]
                changes[gone] = Change(gone, have[gone].version if gone in have else "", "")
                pending = []
            elif len(pending) >= 4:
                _add(changes, section, pending, have)
                pending = []
    return [changes[name] for name in sorted(changes)]


def _add(
    changes: Dict[str, Change], section: str, row: List[str], have: Mapping[str, Package]
) -> None:
    name, _, version, origin = row[:4]
    if _HEADERS.match(name):  # of one kernel, beside those of others: named as they are wished
        name = "%s-%s" % (name, version.rpartition(":")[2])
    if section == "Removing":
        changes[name] = Change(name, version, "")
        return
    before = have[name].version if name in have and section != "Installing" else ""
    changes[name] = Change(name, before, version, origin)


# ---- versionlock --------------------------------------------------------------------------------

_LOCK = re.compile(r"(?P<name>[A-Za-z0-9_+.\-]+?)-(?:\d+:)?[^-:\s]+-[^-\s]+$")


def locked(text: str) -> Set[str]:
    """Names that ``dnf versionlock list`` holds; a line with '!' excludes, and holds nothing."""
    found = (_LOCK.match(line.strip()) for line in text.splitlines())
    return {match["name"] for match in found if match}


def lock_words(packages: Iterable[Package]) -> List[str]:
    """What ``dnf versionlock add --raw`` takes: the very version, of any architecture."""
    words = []
    for package in packages:
        epoch, _, rest = package.version.rpartition(":")
        words.append("%s-%s:%s.*" % (package.name, epoch or "0", rest))
    return words
