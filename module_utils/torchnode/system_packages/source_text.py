"""The files that name repositories, for apt and dnf: written, searched and widened. Pure."""

from __future__ import annotations

import re
from typing import Callable, List, Optional, Sequence, Tuple

from .. import apt_pins
from ..package_model import SourceWish
from .archive import ENTRY, Entry, field, line_entry, stanza_entry

_HEADER = "# Written by torchnode; changes here are lost."


def deb822(wish: SourceWish, key: str) -> str:
    """A .sources file with one stanza."""
    lines = [_HEADER, "Types: deb", "URIs: " + wish.uri, "Suites: " + (wish.suite or "/")]
    if wish.components:
        lines.append("Components: " + " ".join(wish.components))
    return "\n".join([*lines, "Signed-By: " + key, ""])


def exclusion(wish: SourceWish) -> Optional[str]:
    """apt's preferences that keep packages of NVIDIA's out; None where none is excluded."""
    if not wish.excluded:
        return None
    release = "release " + apt_pins.NVIDIA_RELEASE
    kept_out = apt_pins.stanza(wish.excluded, release, apt_pins.NEVER)
    return "%s\n\n%s\n" % (_HEADER, kept_out)


def repo(wish: SourceWish, key: str, ca_bundle: str) -> str:
    """A .repo file with one section. What the key signs is what it is asked for."""
    lines = [
        _HEADER, "[%s]" % wish.name, "name=%s" % wish.name, "baseurl=" + wish.uri, "enabled=1",
        "gpgcheck=%d" % (wish.signs != "index"), "repo_gpgcheck=%d" % (wish.signs == "index"),
        "gpgkey=file://" + key,
    ]  # fmt: skip
    if wish.excluded:
        lines.append("excludepkgs=" + " ".join(wish.excluded))
    if ca_bundle:
        lines.append("sslcacert=" + ca_bundle)
    return "\n".join([*lines, ""])


def ca_setting(uri: str, ca_bundle: str) -> str:
    """apt's setting of a CA for the one host of ``uri``; '' where none is needed."""
    host = re.match(r"https://(?:[^@/]*@)?([^/:]+)", uri)
    if not (host and ca_bundle):
        return ""
    return '%s\nAcquire::https::%s::CAInfo "%s";\n' % (
        _HEADER.replace("#", "//"), host.group(1), ca_bundle,
    )  # fmt: skip


# ---- other files of the same repository ---------------------------------------------------------


def same_repository(one: str, other: str) -> bool:
    """Whether two addresses are one repository: the same, or a mirror of it and its origin."""
    left, right = _bare(one), _bare(other)
    if left == right:
        return True
    for marker in ("/cuda/repos/", "/libnvidia-container/"):
        if marker in left + "/" or marker in right + "/":
            return left.split("/")[-2:] == right.split("/")[-2:]
    return False


def _bare(uri: str) -> str:
    return re.sub(r"^[a-z+]+://", "", uri.strip()).rstrip("/")


def without(text: str, uri: str, deb822_file: bool) -> Optional[str]:
    """A file of apt's without the entries of ``uri``; None where nothing active is left of it.

    A file that has no such entry is returned as it is.
    """
    if deb822_file:
        return _without_stanzas(text, uri)
    kept = [line for line in text.splitlines() if not _is_entry(line, uri)]
    if len(kept) == len(text.splitlines()):
        return text
    return "\n".join(kept) + "\n" if any(map(line_entry, kept)) else None


def _without_stanzas(text: str, uri: str) -> Optional[str]:
    stanzas = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    kept = [s for s in stanzas if not any(same_repository(u, uri) for u in field(s, "URIs"))]
    if len(kept) == len(stanzas):
        return text
    return "\n\n".join(part.strip("\n") for part in kept) + "\n" if kept else None


def _is_entry(line: str, uri: str) -> bool:
    found = line_entry(line)
    return bool(found and same_repository(found.uris[0], uri))


def without_section(text: str, uri: str) -> Optional[str]:
    """A .repo file without the sections of ``uri``; None where no section is left."""
    parts = re.split(r"(?m)^(?=\[)", text)
    kept = [part for part in parts if not _has_baseurl(part, uri)]
    if len(kept) == len(parts):
        return text
    return "".join(kept) if any(part.startswith("[") for part in kept) else None


def _has_baseurl(section: str, uri: str) -> bool:
    found = re.search(r"(?m)^baseurl\s*=\s*(\S+)", section)
    return bool(found and same_repository(found.group(1), uri))


# ---- components ---------------------------------------------------------------------------------


def widened(
    text: str, components: Sequence[str], deb822_file: bool, own: Callable[[Entry], bool]
) -> str:
    """A file of apt's with ``components`` added to the entries of the system's own archive.

    ``own`` tells these: no other vendor's repository has such components.
    """
    if deb822_file:
        parts = re.split(r"(\n\s*\n)", text)
        return "".join(_widen_stanza(part, components, own) for part in parts)
    lines = text.splitlines(keepends=True)
    return "".join(_widen_line(line, components, own) for line in lines)


def _widen_line(line: str, components: Sequence[str], own: Callable[[Entry], bool]) -> str:
    found, entry = ENTRY.match(line), line_entry(line)
    if not found or entry is None or not own(entry):
        return line
    return _wider(line, components, entry.components, found.start("components"))


def _widen_stanza(stanza: str, components: Sequence[str], own: Callable[[Entry], bool]) -> str:
    found, entry = re.search(r"(?mi)^Components:[ \t]*", stanza), stanza_entry(stanza)
    if not found or entry is None or not own(entry):
        return stanza
    return _wider(stanza, components, entry.components, found.end())


def _wider(text: str, components: Sequence[str], have: Sequence[str], at: int) -> str:
    """A text with more components after those on the line that begins at ``at``."""
    words = re.match(r"[^#\n]*", text[at:])
    end = at + len(words.group(0).rstrip() if words else "")
    return text[:end] + "".join(" " + name for name in components if name not in have) + text[end:]


#: (path, text) of a file, and what becomes of it; None takes it out.
Edit = Callable[[str, str], Optional[str]]


def edited(files: Sequence[Tuple[str, str]], edit: Edit) -> List[Tuple[str, Optional[str]]]:
    """The files that an edit changes, with what becomes of each."""
    after = [(path, text, edit(path, text)) for path, text in files]
    return [(path, new) for path, text, new in after if new != text]
