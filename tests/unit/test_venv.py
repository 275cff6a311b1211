"""Inspecting an environment: each way in which one can differ from its records is seen."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Callable

import pytest
from wheels import digest

from ansible.module_utils.torchnode import venv
from ansible.module_utils.torchnode.model import InstalledStack
from ansible.module_utils.torchnode.node import Node

NODE = Node("/", environ={})
PACKAGES = {"torch": "2.13.0+cpu", "nvidia-ml-py": "13.0", "filelock": "3.20.0"}


def site_of(stack: Path) -> Path:
    return stack / "lib/python3.11/site-packages"


def install(site: Path, name: str, version: str, files: dict[str, str]) -> None:
    """What an installer leaves of a package."""
    info = f"{name}-{version}.dist-info"
    files = {**files, f"{info}/METADATA": f"Name: {name}\n"}
    rows = [f"{p},{digest(t.encode())},{len(t.encode())}" for p, t in files.items()]
    rows += [f"{info}/RECORD,,", "torch/__pycache__/x.pyc,,"]
    for path, text in {**files, f"{info}/RECORD": "\n".join(rows) + "\n"}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A small environment, complete and current, whose interpreter runs."""
    path = tmp_path / "stacks" / "abc.1"
    site = site_of(path)
    torch = {"torch/version.py": "__version__ = '2.13.0+cpu'\n", "torch/__init__.py": "pass\n"}
    install(site, "torch", "2.13.0+cpu", {**torch, "../../../bin/torchrun": "#!/bin/sh\n"})
    install(site, "nvidia_ml_py", "13.0", {"pynvml.py": "x = 1\n"})
    install(site, "filelock", "3.20.0", {"filelock/__init__.py": '"""é"""\n'})
    (site / "__pycache__").mkdir()
    (site / "_virtualenv.pth").write_text("import _virtualenv\n")
    (site / "_virtualenv.py").write_text("")
    (path / "bin/python").symlink_to(sys.executable)
    marker = {"digest": "abc", "packages": PACKAGES}
    (path / venv.MARKER).write_text(json.dumps(marker))
    (tmp_path / "current").symlink_to("stacks/abc.1")
    return path


def look(stack: Path, hashes: bool = False) -> InstalledStack:
    return venv.inspect(NODE, str(stack), hashes)


@pytest.mark.parametrize("hashes", [False, True])
def test_an_untouched_environment(stack: Path, hashes: bool) -> None:
    found = look(stack, hashes)
    assert found.damage == ()
    assert dict(found.packages) == PACKAGES
    assert (found.digest, found.torch) == ("abc", "2.13.0+cpu")
    assert found.python_version == sys.version.split()[0]
    assert venv.read_current(NODE, str(stack.parent.parent)) == look(stack)


def rewrite(name: str, text: str) -> Callable[[Path], None]:
    def harm(site: Path) -> None:
        (site / name).write_text(text)

    return harm


def drop(name: str) -> Callable[[Path], None]:
    return lambda site: (
        shutil.rmtree(site / name) if (site / name).is_dir() else (site / name).unlink()
    )


def change_version(site: Path) -> None:
    (site / "filelock-3.20.0.dist-info").rename(site / "filelock-3.21.0.dist-info")


def add_package(site: Path) -> None:
    install(site, "evil_pkg", "1.0", {"evil_pkg.py": "x\n"})


def cut_interpreter(site: Path) -> None:
    python = site.parent.parent.parent / "bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file is missing": (drop("torch/__init__.py"), "torch: torch/__init__.py is missing"),
    "a file is longer": (rewrite("pynvml.py", "x = 100\n"), "pynvml.py has 8 bytes instead of 6"),
    "a file is empty": (rewrite("torch/version.py", ""), "torch/version.py has 0 bytes"),
    "a program is missing": (drop("../../../bin/torchrun"), "bin/torchrun is missing"),
    "a package is missing": (drop("filelock-3.20.0.dist-info"), "filelock: 3.20.0 is missing"),
    "its files are left": (drop("filelock-3.20.0.dist-info"), "filelock is owned by no package"),
    "a package was added": (add_package, "evil-pkg: 1.0 was added"),
    "another version": (change_version, "filelock: is 3.21.0 instead of 3.20.0"),
    "no RECORD": (drop("filelock-3.20.0.dist-info/RECORD"), "filelock: no RECORD"),
    "a stray module": (rewrite("sitecustomize.py", "x"), "sitecustomize.py is owned by no package"),
    "a stray .pth": (rewrite("evil.pth", "import os"), "evil.pth is owned by no package"),
    "a nonsense size": (
        rewrite("filelock-3.20.0.dist-info/RECORD", "filelock/__init__.py,sha256=x,many\n"),
        "filelock/__init__.py has",
    ),
    "a dead interpreter": (cut_interpreter, "bin/python does not run"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(stack: Path, name: str) -> None:
    harm, said = DAMAGE[name]
    harm(site_of(stack))
    assert [line for line in look(stack).damage if said in line]


def test_other_content_of_the_same_size_needs_hashes(stack: Path) -> None:
    (site_of(stack) / "pynvml.py").write_text("x = 2\n")
    assert look(stack).damage == ()
    assert look(stack, hashes=True).damage == (
        "nvidia-ml-py: pynvml.py has another sha256 than recorded",
    )


def test_a_hash_that_nobody_knows_is_damage_and_no_crash(stack: Path) -> None:
    record = site_of(stack) / "nvidia_ml_py-13.0.dist-info/RECORD"
    record.write_text("pynvml.py,md17=abc,6\n")
    assert "has another md17" in look(stack, hashes=True).damage[0]


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"packages": {}}', '{"digest": "x", "packages": []}']
)
def test_a_folder_without_a_whole_marker_was_never_finished(stack: Path, text: str | None) -> None:
    marker = stack / venv.MARKER
    marker.unlink()
    if text is not None:
        marker.write_text(text)
    found = look(stack)
    assert found.digest == ""
    assert "never finished" in found.damage[0]
    assert venv.read_stacks(NODE, str(stack.parent.parent)) == ()


def test_a_link_to_nothing(stack: Path, tmp_path: Path) -> None:
    shutil.rmtree(stack)
    found = venv.read_current(NODE, str(tmp_path))
    assert found is not None
    assert "never finished" in found.damage[0]


def test_no_link_is_no_stack(tmp_path: Path) -> None:
    assert venv.read_current(NODE, str(tmp_path)) is None
    assert venv.read_stacks(NODE, str(tmp_path)) == ()


def test_much_damage_is_not_listed_to_the_end(stack: Path) -> None:
    for number in range(100):
        (site_of(stack) / f"stray{number}.py").write_text("")
    assert len(look(stack).damage) == venv.MOST_DAMAGE_LISTED


def test_torch_without_its_version_file(stack: Path) -> None:
    (site_of(stack) / "torch/version.py").write_text("version = 1\n")
    assert look(stack).torch is None
