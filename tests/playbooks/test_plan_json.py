"""plan.json of a real run: valid against its schema, and the same plan in words."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from harness import ROOT, Ended, Fleet

SCHEMA = json.loads((ROOT / "docs" / "schema" / "plan-1.schema.json").read_text("utf-8"))


def plan_of(fleet: Fleet) -> dict[str, Any]:
    """The latest plan.json, valid."""
    text = (fleet.folder / "reports" / "latest" / "plan.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    return content


def words(ended: Ended) -> str:
    """What was printed, with the lines put together again."""
    return " ".join(ended.out.split())


@pytest.mark.parametrize("command", [("playbooks/plan.yml",), ("site.yml", "--check")])
def test_what_would_be_installed_and_removed_and_what_is_in_the_way(fleet, command):
    """A bare node, one with a stack that was never finished, one with a slip in its variables."""
    fleet.add("bare", "half")
    fleet.add("slip", torchnode_profile="transformers-v99")
    half = fleet.prefix("half") / "stacks" / "aaaa.1"
    half.mkdir(parents=True)
    (half.parent / "notes").mkdir()  # somebody else's
    before = fleet.tree()
    ended = fleet.play(*command)
    assert ended.status == 2, ended.out
    assert fleet.tree() == before
    plan = plan_of(fleet)
    assert plan["run"]["check"] is ("--check" in command)
    assert plan["summary"] == {
        "nodes": 3, "changes": 2, "nothing": 0, "blocked": 0, "unknown": 1, "reboots": 0,
    }  # fmt: skip
    by_node = {name: entry for entry in plan["plans"] for name in entry["nodes"]}
    assert by_node["bare"]["steps"][0]["removes"] == []
    assert by_node["half"]["steps"][0]["removes"] == [str(half)]
    assert by_node["half"]["state"] == "changes"
    (slip,) = by_node["slip"]["blocked_by"]
    assert "wrong by itself" in slip["cause"]
    text = words(ended)
    assert "PLAN *" in text
    assert f"removes {half}" in text
    assert "blocked by resolve.stack fail: found torchnode_profile: 'transformers-v99'" in text
    assert "Plan for 3 nodes: 2 to change, 1 not planned." in text
