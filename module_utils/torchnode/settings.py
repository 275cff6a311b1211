"""Settings that no stack depends on, refused before any change where they cannot work. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence, Tuple

from .burn_in.levels import STAGES
from .data.compatibility import version_key
from .model import Stack
from .policy import Conflict, Mistake
from .redaction import redacted
from .requirements import read_minima

_DAY = 86400

#: Least and most of each number. A burn-in of more than two weeks is a slip of the keyboard.
RANGES: Mapping[str, Tuple[float, float]] = {
    "torchnode_burn_in_seconds": (0, 14 * _DAY),
    "torchnode_burn_in_memory_fraction": (0.01, 0.99),
    "torchnode_verify_timeout_seconds": (1, _DAY),
    "torchnode_lock_wait_seconds": (0, 14 * _DAY),
    "torchnode_lock_lease_seconds": (60, 14 * _DAY),
    "torchnode_record_days": (1, 366),
    "torchnode_keep_stacks": (1, 100),
    "torchnode_reboot_wait_seconds": (30, _DAY),
    "torchnode_package_lock_wait_seconds": (0, _DAY),
}
FOLDERS = ("torchnode_prefix", "torchnode_facts_folder")

#: Where packages come from; a slip here is found before anything is touched.
INDEXES = (
    "torchnode_index_url",
    "torchnode_extra_index_urls",
    "torchnode_torch_index_url",
    "torchnode_find_links",
)
_INDEX = re.compile(r"https?://[^/\s]|file://|/")


def check(settings: Mapping[str, Any], urls: Mapping[str, Any]) -> None:
    """Raises Mistake for the first setting that cannot work, naming it."""
    for name, (least, most) in RANGES.items():
        if name in settings:
            _check_range(name, settings[name], least, most)
    for name in FOLDERS:
        _check_folder(name, str(settings.get(name) or ""))
    _check_stages(settings.get("torchnode_burn_in_stages") or [])
    for name, value in urls.items():
        given = value if isinstance(value, list) else [value]
        _check_credentials(name, given)
        if name in INDEXES:
            _check_index(name, given)
    _minima(settings)


def check_minima(settings: Mapping[str, Any], stack: Stack) -> None:
    """Raises Conflict where the stack's own packages cannot meet the operator's minimums."""
    have = dict(stack.packages)
    for name, least in _minima(settings).items():
        if name in have and version_key(_public(have[name])) < version_key(least):
            raise Conflict(
                "torchnode_requirements.%s" % name, "%s %s in %s" % (name, have[name], stack.lock),
                "at least %s" % least,
                "Ask for a stack that has it (torchnode_torch_version), or lower the requirement.",
                "%s %s" % (name, have[name]),
            )  # fmt: skip


def _public(version: str) -> str:
    return version.partition("+")[0]


def _minima(settings: Mapping[str, Any]) -> Mapping[str, str]:
    try:
        return read_minima(settings.get("torchnode_requirements") or {})
    except ValueError as error:
        name, _, said = str(error).partition(": found ")
        found, _, expected = said.partition("; expected ")
        raise Mistake(
            "torchnode_" + name, found, expected.rstrip("."), "Correct it in the inventory."
        ) from None


def _check_range(name: str, value: Any, least: float, most: float) -> None:
    try:
        inside = least <= float(value) <= most
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise Mistake(
            name,
            repr(value),
            "a number from %s to %s" % (least, most),
            "Correct it in the inventory.",
        )


def _check_stages(stages: Sequence[Any]) -> None:
    for stage in stages:
        if stage not in STAGES:
            raise Mistake(
                "torchnode_burn_in_stages", repr(stage), "some of " + ", ".join(STAGES),
                "Correct it in the inventory.",
            )  # fmt: skip


def _check_folder(name: str, path: str) -> None:
    if path and not path.startswith(("/", "~/")):
        raise Mistake(
            name, "'%s'" % path, "an absolute path on the node, or one that begins with ~/",
            "Correct it in the inventory: a relative path would mean another folder on every node.",
        )  # fmt: skip


def _check_credentials(name: str, urls: Sequence[Any]) -> None:
    """A password in a variable would stand in process lists, ``-vvv`` output and fact caches."""
    for url in urls:
        if redacted(str(url)) != str(url):
            raise Mistake(
                name, "a URL with credentials in it (%s)" % redacted(str(url)),
                "the same URL without them",
                "Give them to the node by netrc, or in its environment or pip configuration.",
            )  # fmt: skip


def _check_index(name: str, urls: Sequence[Any]) -> None:
    """uv takes a text without a known scheme for the name of an index, or for a relative path."""
    for url in filter(None, urls):
        if not _INDEX.match(str(url)):
            raise Mistake(
                name, "'%s'" % url,
                "a URL that begins with https://, http:// or file://, or a folder's absolute path",
                "Correct it in the inventory.",
            )  # fmt: skip
