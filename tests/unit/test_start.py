"""What is refused before the first play, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible.module_utils.torchnode import start

PLAYS = [
    ("survey", frozenset({"always", "survey", "plan"})),
    ("verify", frozenset({"verify"})),
    ("report", frozenset({"always", "report"})),
]
KNOWN = ("torchnode_prefix", "torchnode_serial")


def check(
    only: Any = ("all",), skip: Any = (), nodes: int = 1, given: Any = (), serial: Any = None
) -> None:
    start.check(PLAYS, only, skip, nodes, given, KNOWN, serial)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"only": ["verify", "plan"]},
        {"only": ["tagged"]},
        {"skip": ["molecule-notest", "notest", "verify"]},
        {"given": ["torchnode_prefix", "somebody_elses"]},
        *({"serial": size} for size in (1, "1", "20%", "100%", [1, "5", "30%"], "{{ batch }}")),
    ],
    ids=str,
)
def test_what_can_be_meant_begins(asked: dict[str, Any]) -> None:
    check(**asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"only": ["verfy"]}, "--tags: found verfy; expected plan, report, survey, verify"),
        ({"skip": ["survey"]}, "--skip-tags: found survey; expected that survey stays"),
        ({"skip": ["always"]}, "survey and report stay"),
        ({"skip": ["tagged"]}, "survey and report stay"),
        ({"nodes": 0}, "inventory: found no node"),
        ({"given": ["torchnode_prefx"]}, "did you mean 'torchnode_prefix'"),
        *(({"serial": s}, "torchnode_serial") for s in ("abc", 0, -1, "0%", "1.5", True, [5, "x"])),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(start.Refused, match="found") as caught:
        check(**asked)
    assert told in str(caught.value)


def test_a_playbook_without_tags_says_so() -> None:
    with pytest.raises(start.Refused, match="expected none"):
        start.check([("", frozenset())], ["x"], [], 1)
