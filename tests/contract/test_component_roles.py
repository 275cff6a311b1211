"""What every role that installs packages owes: a removal of its own, by its name everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from helpers import ROOT

from ansible.module_utils.torchnode.component_paths import COMPONENTS

INSTALLING = [
    path.parent.parent.name
    for path in sorted(ROOT.glob("roles/*/tasks/main.yml"))
    if "package_set:" in path.read_text(encoding="utf-8")
]


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_components_are_the_roles_that_install_packages() -> None:
    assert sorted(COMPONENTS) == sorted(INSTALLING)
    specs = read("roles/policy/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert specs["torchnode_remove_components"]["choices"] == list(COMPONENTS)


@pytest.mark.parametrize("role", INSTALLING)
def test_a_role_removes_itself_and_says_so(role: str) -> None:
    (task,) = read("roles/%s/tasks/remove.yml" % role)
    assert task["vars"]["torchnode_remove_components"] == [role]
    assert "remove" in read("roles/%s/meta/argument_specs.yml" % role)["argument_specs"]
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert "tasks/remove.yml" in readme
