"""A run without a node is no success."""

from __future__ import annotations


def test_an_inventory_that_does_not_exist_fails(fleet):
    """A misspelt -i is what ends a nightly job green for weeks."""
    ended = fleet.play("playbooks/plan.yml", "-i", str(fleet.folder / "nope"))
    assert ended.status != 0
    assert "nope" in ended.out
