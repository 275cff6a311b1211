"""Who may import whom, and what pure modules may not touch. Read from the source, by its AST."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT

PACKAGE = "ansible.module_utils.torchnode"
SOURCE = ROOT / "module_utils" / "torchnode"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    .removesuffix("__init__")
    .strip("."): path
    for path in sorted(SOURCE.rglob("*.py"))
}
LIBRARY = sorted((ROOT / "library").glob("*.py"))

#: Beside ansible-core on the controller, and free to import what it requires.
CONTROLLER = {
    "controller", "decide", "heartbeat", "journal", "progress_watch", "report",
    "uv_controller",
    *(name for name in MODULES if name.startswith("report_")),
}  # fmt: skip
#: Files that bring a heavy package into a child process, which is all that they are for.
CHILDREN = {"probe", *(name for name in MODULES if name.startswith("burn_in.child"))}

#: Touch no subprocess, torch, clock or file.
PURE = {
    "apt_pins", "model", "package_model", "outcome", "stack", "torch_choice", "driver_choice",
    "expectation", "device_fit", "place_fit", "disk_fit", "host_preflight",
    "plan", "nvcc_failures", "host_choice", "host_plan", "nvidia_packages", "nvidia_fabric",
    "package_versions", "reboot_gate", "cudnn_choice", "toolkit_choice",
    "policy", "locks", "records", "burn_in_record", "start", "task_failures", "supplied_wheel",
    "uv_failures",
    *("system_packages." + name for name in (
        "apt_text", "archive", "base", "dnf_text", "failures", "openpgp", "selection",
        "source_text",
    )),
    "redaction", "report_junit", "report_plan", "report_prometheus", "report_table", "retention",
    "progress_lines", "uv_progress",
    "requirements", *(name for name in MODULES if name.startswith("requirements.")),
    *("burn_in." + name for name in (
        "agreement", "counted", "events", "fleet", "health", "judge", "judge_bandwidth",
        "judge_counters", "judge_kernel_log", "judge_links", "judge_processes", "judge_settings",
        "judge_work",
        "judge_worker", "judging", "levels", "link_gates", "rates", "records", "robust",
        "telemetry", "thinning",
    )),
    *(name for name in MODULES if name == "data" or name.startswith("data.")),
}  # fmt: skip
IMPURE = {
    "os", "io", "pathlib", "shutil", "subprocess", "tempfile", "time", "socket", "glob", "random",
    "secrets", "torch", "pynvml", "threading", "multiprocessing", "urllib", "sys",
}  # fmt: skip
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, name: str = "") -> Iterator[str]:
    """Full names of what a file imports; ``name`` is its own, for relative imports."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            base = found.module or ""
            if found.level:
                parts = [PACKAGE, *filter(None, name.split("."))]
                up = found.level - (path.name == "__init__.py")
                base = ".".join([*parts[: len(parts) - up], *filter(None, [base])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in found.names)


def inside(path: Path, name: str) -> set[str]:
    """The torchnode modules that a file imports, by their names below the package."""
    found = {i[len(PACKAGE) + 1 :] for i in imports(path, name) if i.startswith(PACKAGE + ".")}
    return found & set(MODULES)


def tops(path: Path, name: str = "") -> set[str]:
    return {found.split(".")[0] for found in imports(path, name)}


def test_the_reader_of_imports_sees_them() -> None:
    """The rules below are worth what this reader sees."""
    assert {"node", "model", "accelerators", "venv"} <= inside(MODULES["survey"], "survey")
    assert {"data.nvidia_parts", "accelerators.pci"} <= inside(
        MODULES["accelerators.nvidia"], "accelerators.nvidia"
    )
    assert "os" in tops(MODULES["survey"])
    assert set(MODULES) >= PURE


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.name))
def test_library_imports_ansible_and_torchnode_only(path: Path) -> None:
    ours = {i for i in imports(path) if i.startswith("ansible") and i != "ansible.module_utils"}
    allowed = (PACKAGE, "ansible.module_utils.basic", "ansible.module_utils.urls")
    assert all(name.startswith(allowed) for name in ours)
    assert tops(path) <= {*sys.stdlib_module_names, "ansible"}


@pytest.mark.parametrize("name", MODULES)
def test_nothing_imports_library_and_only_library_imports_basic(name: str) -> None:
    found = set(imports(MODULES[name], name))
    assert not {i.split(".")[0] for i in found} & {"library", *(p.stem for p in LIBRARY)}
    assert not [i for i in found if i.startswith("ansible.module_utils.basic")]


@pytest.mark.parametrize("name", sorted(set(MODULES) - CONTROLLER - CHILDREN))
def test_what_runs_on_nodes_imports_the_standard_library_only(name: str) -> None:
    assert tops(MODULES[name], name) <= {*sys.stdlib_module_names, "ansible"}
    foreign = [i for i in imports(MODULES[name], name) if i.startswith("ansible")]
    assert all(i.startswith(PACKAGE) for i in foreign)
    assert not inside(MODULES[name], name) & CONTROLLER


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_touch_nothing(name: str) -> None:
    assert not tops(MODULES[name], name) & IMPURE
    calls = {
        node.func.id
        for node in ast.walk(tree(MODULES[name]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & IMPURE_CALLS
    now = {
        node.attr
        for node in ast.walk(tree(MODULES[name]))
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
    }
    assert not now


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_import_pure_modules_only(name: str) -> None:
    # causes and probe_report are words and records of the probe's answers, as pure as these;
    # burn_in holds a docstring, and telemetry shares the worker's way of writing a UUID.
    others = {"causes", "probe_report", "data", "burn_in", "burn_in.child", "burn_in.child.device"}
    assert inside(MODULES[name], name) <= PURE | others


BACKENDS = sorted(
    name
    for name in MODULES
    if name.startswith("accelerators.") and name.split(".")[1] not in ("base", "pci")
)


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_never_import_one_another(name: str) -> None:
    assert not inside(MODULES[name], name) & (set(BACKENDS) - {name})
    assert "subprocess" not in tops(MODULES[name], name)  # commands go through the node


@pytest.mark.parametrize("name", MODULES)
def test_no_module_works_at_import_time(name: str) -> None:
    """At a module's top level stand definitions and data, no statement that does something."""
    for node in tree(MODULES[name]).body:
        loose = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        assert not loose, f"{name}:{node.lineno}"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name: str) -> None:
    module = tree(MODULES[name])
    assert ast.get_docstring(module)
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            # The rules' names are the causes' ids; the children are told in their package.
            exempt = name == "requirements.diagnosis" or name in CHILDREN
            assert ast.get_docstring(node) or exempt, f"{name}.{node.name}"


OLD = Path.home() / ".pyenv/versions/3.9.18/bin/python"
IMPORT_ALL = """
import importlib, sys, types
for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["ansible.module_utils"].__path__.append(sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
from ansible.module_utils.torchnode.model import Facts, System, User, as_data, from_data
facts = Facts(System("Linux", "x86_64", "6.1"), User("w", 1, "/h", "/d"), "/opt/torchnode")
assert from_data(Facts, as_data(facts)) == facts
print("imported", len(sys.argv) - 2)
"""


def test_node_code_really_runs_on_python_39() -> None:
    python = str(OLD) if OLD.exists() else shutil.which("python3.9")
    if python is None:
        pytest.skip("needs Python 3.9")
    names = [f"{PACKAGE}.{n}".strip(".") for n in sorted(set(MODULES) - CONTROLLER - CHILDREN)]
    command = [python, "-I", "-c", IMPORT_ALL, str(ROOT / "module_utils"), *names]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported", str(len(names))]


@pytest.mark.parametrize(
    "path", [*LIBRARY, *MODULES.values()], ids=lambda path: str(path.relative_to(ROOT))
)
def test_node_code_parses_as_python_39(path: Path) -> None:
    if MODULES.get(path.stem) == path and path.stem in CONTROLLER:
        return
    ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 9))
