"""What is wrong with how a run was asked for, found before its first play. Pure.

Ansible itself runs on with all of these: a misspelt ``--tags`` selects nothing and succeeds, an
inventory without a node succeeds, a skipped survey leaves every later stage without its facts.
"""

from __future__ import annotations

import re
from typing import Any, FrozenSet, Iterable, List, Sequence, Set, Tuple

from .policy import unknown_variables

#: Ansible's own words for ``--tags``.
_ANSIBLES = frozenset({"all", "always", "never", "tagged", "untagged"})

_SERIAL = re.compile(r"[1-9][0-9]*%?")


class Refused(Exception):
    """A run that must not begin; the text says what was found, what was expected, what next."""


def check(
    plays: Sequence[Tuple[str, FrozenSet[str]]],
    only: Iterable[str],
    skip: Iterable[str],
    nodes: int,
    variables: Iterable[str] = (),
    known: Iterable[str] = (),
    serial: Any = None,
) -> None:
    """Raises Refused for tags, an inventory, variables or a batch size that cannot be meant.

    ``plays`` are a playbook's (stage, tags); ``variables`` are names that were given, ``known`` the
    ones that there are; ``serial`` is torchnode_serial where it is set. Tags to skip that no play
    has are no mistake: tools pass their own.
    """
    _check_tags(set(only), {tag for _, tags in plays for tag in tags})
    _check_skipped(plays, set(skip))
    if not nodes:
        raise Refused(
            "inventory: found no node; expected at least one. Name an inventory with -i, such as "
            "the project's inventory/local for this machine, and look at it with "
            "`ansible-inventory --graph`."
        )
    misspelt = unknown_variables(variables, known)
    if misspelt:
        raise Refused(
            "variables: found that %s; expected only variables of docs/variables.md. Correct the "
            "name: a misspelt variable would silently do nothing." % "; ".join(misspelt)
        )
    for size in serial if isinstance(serial, list) else [serial]:
        _check_serial(size)


def _check_tags(only: Set[str], known: Set[str]) -> None:
    unknown = sorted(only - known - _ANSIBLES)
    if unknown:
        raise Refused(
            "--tags: found %s; expected %s. Correct it: a tag that no play has would "
            "select nothing and look like success."
            % (
                ", ".join(unknown),
                ", ".join(sorted(known - _ANSIBLES)) or "none, as no play has any",
            )
        )


def _check_skipped(plays: Sequence[Tuple[str, FrozenSet[str]]], skip: Set[str]) -> None:
    lost: List[str] = [
        stage for stage, tags in plays if "always" in tags and skip & {*tags, "tagged"}
    ]
    if lost:
        raise Refused(
            "--skip-tags: found %s; expected that %s %s in every run, because the other stages "
            "need it. Choose stages with --tags instead, such as --tags verify."
            % (", ".join(sorted(skip)), " and ".join(lost), "stays" if len(lost) == 1 else "stay")
        )


def _check_serial(size: Any) -> None:
    """One batch size. A template is left to Ansible, which knows its variables."""
    text = str(size)
    if size is None or "{{" in text or (not isinstance(size, bool) and _SERIAL.fullmatch(text)):
        return
    raise Refused(
        "torchnode_serial: found %r; expected how many nodes to change at a time, such as 5 or "
        "'20%%', or a list of these. Correct it in the inventory." % (size,)
    )
