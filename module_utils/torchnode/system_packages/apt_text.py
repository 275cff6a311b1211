"""What dpkg and apt print, read. Pure."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Tuple

from .. import apt_pins
from ..package_model import Package, PackageWish
from ..package_versions import upstream
from .base import Change

#: dpkg-query's format that :func:`installed` reads.
QUERY = r"${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\t${source:Package}\n"


def installed(text: str, architecture: str) -> Dict[str, Package]:
    """The wholly installed packages of the machine's own architecture, by name."""
    found: Dict[str, Package] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 5 or fields[0][1:2] != "i" or fields[2] not in (architecture, "all"):
            continue
        status, name, _, version, source = fields
        held = status.startswith("h")
        found[name] = Package(name, version, "" if source == name else source, held)
    return found


def half_installed(text: str) -> List[str]:
    """Names of packages that a transaction has left unpacked, unconfigured or worse."""
    lines = [line.split("\t") for line in text.splitlines()]
    return [f[1] for f in lines if len(f) == 5 and (f[0][1:2] in "UFHWt" or f[0][2:3] == "R")]


def madison(text: str) -> Dict[str, List[Tuple[str, str]]]:
    """Name to (version, source) as ``apt-cache madison`` lists them: newest first."""
    found: Dict[str, List[Tuple[str, str]]] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and not fields[2].endswith(" Sources"):
            found.setdefault(fields[0], []).append((fields[1], fields[2]))
    return found


_INST = re.compile(
    r"Inst (?P<name>\S+) (?:\[(?P<before>[^\]]+)\] )?"
    r"\((?P<after>\S+) ?(?P<origin>.*?)(?: \[[^\]]+\])?\)"
)
_REMV = re.compile(r"(?:Remv|Purg) (?P<name>\S+) \[(?P<before>[^\]]+)\]")


def simulated(text: str) -> List[Change]:
    """The changes that ``apt-get --simulate`` lists, by name."""
    changes: Dict[str, Change] = {}
    for line in text.splitlines():
        new, gone = _INST.match(line), _REMV.match(line)
        if new:
            name = new["name"]
            changes[name] = Change(name, new["before"] or "", new["after"], new["origin"].strip())
        elif gone:
            changes[gone["name"]] = Change(gone["name"], gone["before"], "")
    return [changes[name] for name in sorted(changes)]


def narrowed(content: str, wished: str, version: str) -> str:
    """A pin file for one transaction: instead of the whole branch, the one version of it.

    ``apt-get install a=1`` takes the candidates of what a depends on, whatever a demands.
    """
    return content.replace("Pin: version %s.*" % wished, "Pin: version %s-*" % upstream(version))


def family_pin(wish: PackageWish, version: str) -> str:
    """A pin of the family for one transaction, where no file of the component has one."""
    epoch = version.partition(":")[0] + ":" if ":" in version else ""
    whole = epoch + upstream(version)
    stanzas = [
        apt_pins.stanza(wish.family, "version " + pattern, apt_pins.TO_THIS_ONE)
        for pattern in (whole + "-*", whole)
    ]
    return "\n\n".join(stanzas) + "\n"


def vendor(origin: str) -> str:
    """The first word of an origin: 'debian' of 'Debian-Security:12/oldstable-security'."""
    return re.split(r"[:/,\- ]", origin.strip(), maxsplit=1)[0].lower()


def changes_origin(change: Change, held_by: Sequence[Tuple[str, str]], system: str) -> bool:
    """Whether an installed package would come from a vendor's source instead of the system's.

    ``held_by`` is what :func:`madison` says of it, ``system`` the ID of os-release.
    """
    if not (change.before and change.after) or vendor(change.origin) == system:
        return False
    new = {source.split()[0] for version, source in held_by if version == change.after}
    return any(source.split()[0] not in new for _, source in held_by)
