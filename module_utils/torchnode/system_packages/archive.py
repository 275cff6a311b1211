"""Which entries of apt's sources are the distribution's own archive, wherever it is mirrored. Pure.

The formats: sources.list(5). 'mirror+file:' names a file with one address a line: apt-transport-
mirror(1); Debian's cloud images have it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, List, Mapping, Sequence, Set, Tuple

#: Addresses of a distribution's own archive end like this; Launchpad's personal ones, too.
_ADDRESS = re.compile(r"^(?!.*launchpad).*/(debian|debian-security|ubuntu|ubuntu-ports)/?$")
#: The keyring that only the archive's own entries name.
_KEYRING = re.compile(r"/(debian|ubuntu)-archive-keyring\.(gpg|pgp|asc)$")
#: Suites beside the release itself, which no other vendor's repository has.
_BESIDE = ("updates", "security", "backports", "proposed-updates")
_MIRROR = re.compile(r"^mirror(\+file)?:")

ENTRY = re.compile(
    r"^\s*(?P<kind>deb|deb-src)\s+(?P<options>\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)"
    r"(?P<components>[^#\n]*)"
)


@dataclass(frozen=True)
class Entry:
    """One line of a .list file, or one stanza of a .sources file."""

    uris: Tuple[str, ...]
    suites: Tuple[str, ...]
    components: Tuple[str, ...]
    signed_by: str = ""


def line_entry(line: str) -> Entry | None:
    """The entry of a line; None for one that is none."""
    found = ENTRY.match(line)
    if not found:
        return None
    key = re.search(r"\bsigned-by=(\S+?)[\s\]]", found["options"] or "", re.IGNORECASE)
    return Entry(
        (found["uri"],),
        (found["suite"],),
        tuple(found["components"].split()),
        key[1] if key else "",
    )


def stanza_entry(stanza: str) -> Entry | None:
    """The entry of a stanza; None for one that names no address, or is switched off."""
    if re.search(r"(?mi)^Enabled:[ \t]*no", stanza):
        return None
    uris, suites, components, key = (
        field(stanza, name) for name in ("URIs", "Suites", "Components", "Signed-By")
    )
    return Entry(uris, suites, components, " ".join(key)) if uris else None


def field(stanza: str, name: str) -> Tuple[str, ...]:
    """The words of a field, those of its continuation lines too."""
    found = re.search(r"^%s:((?:.*)(?:\n[ \t].*)*)" % name, stanza, re.MULTILINE | re.IGNORECASE)
    return tuple(found.group(1).split()) if found else ()


def entries(text: str, deb822: bool) -> List[Entry]:
    """The active entries of a file."""
    if deb822:
        found = [stanza_entry(stanza) for stanza in re.split(r"\n\s*\n", text)]
    else:
        found = [line_entry(line) for line in text.splitlines()]
    return [entry for entry in found if entry is not None]


def mirror_list(uri: str) -> str:
    """The path of the file that a mirror's address names, '' for another kind of address."""
    found = _MIRROR.match(uri)
    return re.sub(r"^/+", "/", uri[found.end() :]) if found else ""


class Archive:
    """Tells the own entries of a machine by all that its files say.

    ``listed`` are the contents of the files that mirror_list() names, ``codename`` is the release's
    ('bookworm').
    """

    def __init__(self, all_: Iterable[Entry], listed: Mapping[str, str], codename: str) -> None:
        self._listed = listed
        self._beside: Set[str] = {
            uri for entry in all_ for uri in entry.uris
            if codename and any(suite in _suites(codename) for suite in entry.suites)
        }  # fmt: skip

    def own(self, entry: Entry) -> bool:
        """Whether an entry is the distribution's archive, or a mirror of it."""
        if "main" not in entry.components:
            return False
        return bool(_KEYRING.search(entry.signed_by)) or any(map(self._own_address, entry.uris))

    def _own_address(self, uri: str) -> bool:
        addresses = (self._listed.get(mirror_list(uri)) or "").split()
        return uri in self._beside or any(map(_ADDRESS.match, (uri, *addresses)))


def _suites(codename: str) -> Sequence[str]:
    return ["%s-%s" % (codename, word) for word in _BESIDE]
