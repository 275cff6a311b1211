"""The examples of the roles' own pages, played as they stand there on a node without a GPU."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import ROOT, Fleet

ROLES = sorted(
    path.parent.parent.name
    for path in ROOT.glob("roles/*/tasks/main.yml")
    if path.parent.parent.name.startswith(("nvidia_", "cuda_"))
    or path.parts[-3] in ("cudnn", "dcgm")
)


def example(role: str) -> str:
    """The playbook in a role's README."""
    text = (ROOT / "roles" / role / "README.md").read_text("utf-8")
    (found,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return str(found)


@pytest.mark.parametrize(
    ("role", "arguments"), [*((role, []) for role in ROLES), ("nvidia_driver", ["--check"])]
)
def test_a_role_alone_leaves_a_node_without_a_gpu_as_it_is(
    fleet: Fleet, tmp_path: Path, role: str, arguments: list[str]
) -> None:
    assert len(ROLES) == 7
    assert role in example(role)
    fleet.add("a")
    playbook = tmp_path / "alone.yml"
    playbook.write_text(example(role))
    before = fleet.tree()
    ended = fleet.play(str(playbook), *arguments)
    assert ended.status == 0, ended.out
    assert "changed=0" in ended.out
    assert fleet.tree() == before
    assert ended.verdicts == {"a": "PLANNED" if arguments else "UNKNOWN"}
