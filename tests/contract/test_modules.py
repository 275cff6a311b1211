"""Every module of library/ is documented so that ansible-doc shows it, and says what it takes."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT

MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))


def ansible(program: str) -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which(program, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    assert found, f"{program} is not installed beside {sys.executable}"
    return found


@pytest.fixture(scope="session")
def documented() -> dict[str, Any]:
    """What ansible-doc says of all of them."""
    argv = [ansible("ansible-doc"), "-t", "module", "-j", "-M", str(ROOT / "library"), *MODULES]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def argument_spec(name: str) -> set[str]:
    """The keys of the dictionary that the module gives AnsibleModule, or none for an action's."""
    source = ast.parse((ROOT / "library" / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(source):
        if isinstance(node, ast.keyword) and node.arg == "argument_spec":
            if isinstance(node.value, ast.Dict):
                return {ast.literal_eval(key) for key in node.value.keys if key is not None}
            if isinstance(node.value, ast.Name):
                return named_dictionary(source, node.value.id)
    return set()


def named_dictionary(source: ast.Module, name: str) -> set[str]:
    for node in ast.walk(source):
        targets = node.targets if isinstance(node, ast.Assign) else []
        value = node.value if isinstance(node, ast.Assign) else None
        if any(isinstance(t, ast.Name) and t.id == name for t in targets) and isinstance(
            value, ast.Dict
        ):
            return {ast.literal_eval(key) for key in value.keys if key is not None}
    return set()


@pytest.mark.parametrize("name", MODULES)
def test_ansible_doc_shows_it(name: str, documented: dict[str, Any]) -> None:
    doc = documented[name]["doc"]
    assert doc["short_description"]
    assert doc["description"]
    assert all(option["description"] for option in (doc.get("options") or {}).values())
    examples = yaml.safe_load(documented[name]["examples"])
    assert any(name in task for task in examples)
    assert documented[name]["return"]


@pytest.mark.parametrize("name", MODULES)
def test_documented_options_are_the_ones_it_takes(name: str, documented: dict[str, Any]) -> None:
    taken = argument_spec(name)
    if not taken:
        assert (ROOT / "action_plugins" / f"{name}.py").exists()
        return
    assert set(documented[name]["doc"].get("options") or {}) == taken


@pytest.mark.parametrize("name", MODULES)
def test_library_files_are_thin(name: str) -> None:
    source = ast.parse((ROOT / "library" / f"{name}.py").read_text(encoding="utf-8"))
    functions = [node for node in source.body if isinstance(node, ast.FunctionDef)]
    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in functions)
    assert lines <= 90, f"{lines} lines of code"


def test_ansible_doc_renders_as_text() -> None:
    argv = [ansible("ansible-doc"), "-M", str(ROOT / "library"), "accelerator_facts"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for option in ("prefix", "python", "check_hashes"):
        assert option in done.stdout
