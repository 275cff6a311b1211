"""Every variable is declared once, typed, defaulted and documented, and nothing else is used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible.module_utils.torchnode.data.profiles import PROFILES, WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYS = [ROOT / "site.yml", *sorted((ROOT / "playbooks").glob("**/*.yml"))]
TASKS = [file for role in ROLES for file in sorted(role.glob("**/*.yml"))]

#: Made by group_by while the run goes on; no variables.
GROUPS = re.compile(r"torchnode_needs_\w*")


def load(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def options(role: str = "policy") -> dict:
    """The role's declared variables."""
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]


def used(text: str) -> set[str]:
    """The public variables that a file names; ``_torchnode_*`` are the roles' own."""
    return set(re.findall(r"(?<!\w)torchnode_\w+", GROUPS.sub("", text)))


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_every_role_is_specified(role):
    """With a short description, which Ansible prints, and a described, typed option each."""
    spec = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert spec["short_description"]
    assert spec["description"]
    for name, option in (spec["options"] or {}).items():
        assert option["description"], name
        assert option["type"], name


@pytest.mark.parametrize("role", [role.name for role in ROLES if role.name != "policy"])
def test_every_role_takes_its_variables_from_policy(role):
    """Depends on it, and declares no public variable of its own."""
    assert {"role": "policy"} in load(ROOT / "roles" / role / "meta" / "main.yml")["dependencies"]
    assert not used(" ".join(options(role)))
    assert not (ROOT / "roles" / role / "defaults").exists()


def test_defaults_are_those_of_the_specification():
    """The role's defaults file is what Ansible takes; the specification is what people read."""
    declared = {name: option["default"] for name, option in options().items()}
    assert declared == load(ROOT / "roles" / "policy" / "defaults" / "main.yml")


def test_every_variable_in_use_is_declared():
    """In roles, playbooks and the shipped inventories."""
    files = [*PLAYS, *TASKS, *sorted((ROOT / "inventory").glob("**/*.yml"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert used(text) - set(options()) == set()


def test_every_declared_variable_is_used():
    """A variable that no task reads would silently do nothing."""
    files = [path for path in [*PLAYS, *TASKS] if path.parent.name not in ("meta", "defaults")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert set(options()) - used(text) == set()


def test_workloads_and_profiles_are_those_of_the_data():
    """The text lists every workload, and the defaults exist."""
    text = " ".join(options()["torchnode_workload"]["description"])
    listed = re.search(r"One of ([^.]*)\.", text)
    assert listed
    assert set(re.split(r",\s*", listed[1])) == set(WORKLOADS)
    assert options()["torchnode_workload"]["default"] in WORKLOADS
    assert options()["torchnode_profile"]["default"] in PROFILES


def test_the_wishes_of_resolve_are_the_policys_fields():
    """Every field of Policy and of its part about the host, under the name of its variable."""
    from ansible.module_utils.torchnode.policy import HostPolicy, Policy

    tasks = load(ROOT / "roles" / "resolve" / "tasks" / "main.yml")
    given = next(task["resolve"]["policy"] for task in tasks if "resolve" in task)
    fields = {*Policy.__dataclass_fields__, *HostPolicy.__dataclass_fields__} - {"host"}
    assert set(given) == fields
    for field, value in given.items():
        assert "torchnode_" + field in value


def test_the_page_of_variables_is_fresh():
    """docs/variables.md says what the role says."""
    tool = [sys.executable, str(ROOT / "tools" / "variables_doc.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
