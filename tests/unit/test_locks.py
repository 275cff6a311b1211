"""Locks: their headers, whether they are fresh, and what they install where."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from helpers import LOCKS

from ansible.module_utils.torchnode import controller, locks
from ansible.module_utils.torchnode.data.compatibility import TORCH_BUILDS
from ansible.module_utils.torchnode.policy import Conflict

FOR = {
    "torch": "2.13.0+cpu",
    "source": "index",
    "extra": "none",
    "machines": "x86_64",
    "pythons": "3.11",
}
TEXT = locks.header(FOR, "sha256:abc") + "torch==2.13.0+cpu \\\n    --hash=sha256:00\n"


def test_a_header_is_read_back() -> None:
    lock = locks.parse("x.txt", TEXT)
    assert (lock.torch, lock.source, lock.extra) == ("2.13.0+cpu", "index", "none")
    assert (lock.machines, lock.pythons, lock.inputs) == (("x86_64",), ("3.11",), "sha256:abc")
    assert lock.digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert controller.lock_for(lock) == FOR


@pytest.mark.parametrize("field", [*FOR, "inputs", "torchnode-lock"])
def test_a_missing_field_is_named(field: str) -> None:
    text = "".join(
        line for line in TEXT.splitlines(True) if not line.startswith("# " + field + ":")
    )
    with pytest.raises(ValueError, match="locks/broken.txt.*" + field):
        locks.parse("broken.txt", text)


@pytest.mark.parametrize(
    "text", ["", "torch==1\n", TEXT.replace("lock: 1", "lock: 2"), "\n" + TEXT]
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"locks/x\.txt"):
        locks.parse("x.txt", text)


def test_a_broken_lock_among_others_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text(TEXT)
    assert [lock.name for lock in controller.read_locks(tmp_path)] == ["good.txt"]
    (tmp_path / "ill.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"/ill\.txt"):
        controller.read_locks(tmp_path)


def test_the_operators_own_locks_stand_beside_the_projects_and_win(tmp_path: Path) -> None:
    shipped = LOCKS[0]
    (tmp_path / "torch-2.13.0+rocm7.2-py311-x86_64.txt").write_text(TEXT)
    (tmp_path / shipped.name).write_text(TEXT)
    own = {lock.name: lock for lock in controller.all_locks(str(tmp_path))}
    assert set(own) == {lock.name for lock in LOCKS} | {"torch-2.13.0+rocm7.2-py311-x86_64.txt"}
    assert controller.lock_path(own[shipped.name]) == tmp_path / shipped.name
    assert controller.lock_text(own[shipped.name]) == TEXT
    assert controller.lock_path(own[LOCKS[1].name]) == controller.LOCKS / LOCKS[1].name


def test_a_folder_of_own_locks_that_is_not_there_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="torchnode_locks_folder: found no folder /nowhere"):
        controller.all_locks("/nowhere")
    (tmp_path / "ill.txt").write_text("nothing")
    with pytest.raises(Conflict, match=r"ill\.txt"):
        controller.all_locks(str(tmp_path))


@pytest.mark.parametrize("extra", ["none", "vision"])
@pytest.mark.parametrize("source", ["pypi", "index"])
@pytest.mark.parametrize("plugin", ["", "torch-npu==2.13.0"])
def test_a_lock_with_a_plugin_has_its_own_name_header_and_digest(
    plugin: str, source: str, extra: str
) -> None:
    fields = {**FOR, "source": source, "extra": extra, **({"plugin": plugin} if plugin else {})}
    lock = locks.parse("x.txt", locks.header(fields, "sha256:abc"))
    assert lock.plugin == plugin
    assert controller.lock_for(lock) == fields
    assert ("torch-npu-2.13.0" in locks.file_name(fields)) == bool(plugin)
    assert (plugin in controller.requirements_of(fields)) == bool(plugin)


def test_a_plugins_further_needs_are_locked_too() -> None:
    fields = {**FOR, "torch": "2.9.0", "source": "pypi", "plugin": "torch-xla==2.9.0"}
    assert controller.requirements_of(fields) == (
        "torch==2.9.0",
        "torch-xla==2.9.0",
        "libtpu==0.0.21",
    )


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_every_shipped_lock_is_fresh_and_for_a_build_of_the_table(lock: locks.Lock) -> None:
    assert controller.is_fresh(lock)
    version, _, tag = lock.torch.partition("+")
    for machine in lock.machines:
        rows = [r for r in TORCH_BUILDS if (r.version, r.source) == (version, lock.source)]
        rows = [r for r in rows if (r.plugin.requirement if r.plugin else "") == lock.plugin]
        assert any(r.machine == machine and (not tag or r.tag == tag) for r in rows)
        assert all(set(lock.pythons) <= set(r.pythons) for r in rows if r.machine == machine)
    assert lock.name == locks.file_name(controller.lock_for(lock))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_every_pin_of_every_shipped_lock_has_hashes(lock: locks.Lock) -> None:
    text = controller.lock_text(lock)
    blocks = [b for b in text.replace("\\\n", " ").splitlines() if b and not b.startswith("#")]
    assert len(blocks) == len(locks.pinned(text)) > 5
    assert all("--hash=sha256:" in block for block in blocks)
    names = {name for name, _version, _marker in locks.pinned(text)}
    assert {"torch", "transformers", "accelerate", "nvidia-ml-py"} <= names
    assert ("torchvision" in names) == (lock.extra == "vision")
    assert ("torchaudio" in names) == (lock.extra == "audio")
    assert lock.plugin.partition("==")[0] in {*names, ""}


def test_a_changed_pin_makes_every_lock_stale(tmp_path: Path) -> None:
    pins = (controller.LOCKS / "packages.in").read_text()
    (tmp_path / "packages.in").write_text("# another comment\n\n" + pins)
    assert all(controller.is_fresh(lock, tmp_path) for lock in LOCKS)
    (tmp_path / "packages.in").write_text(pins.replace("accelerate==", "accelerate==0"))
    assert not any(controller.is_fresh(lock, tmp_path) for lock in LOCKS)
    (tmp_path / "packages.in").write_text(pins + "numpy==2.0\n")
    assert not any(controller.is_fresh(lock, tmp_path) for lock in LOCKS)


@pytest.mark.parametrize("key", sorted(FOR))
def test_everything_that_a_lock_is_for_is_in_its_digest(key: str) -> None:
    requirements = ("torch==2.13.0+cpu",)
    other = {**FOR, key: "other"}
    assert locks.inputs_digest("a==1", requirements, FOR) != locks.inputs_digest(
        "a==1", requirements, other
    )


@pytest.mark.parametrize(
    ("source", "extra", "lines"),
    [
        ("pypi", "none", ("torch==2.11.0",)),
        ("pypi", "vision", ("torch==2.11.0", "torchvision==0.26.0")),
        ("index", "audio", ("torch==2.11.0+cu128", "torchaudio==2.11.0+cu128")),
    ],
)
def test_lock_requirements(source: str, extra: str, lines: tuple[str, ...]) -> None:
    torch = "2.11.0" if source == "pypi" else "2.11.0+cu128"
    assert locks.lock_requirements(torch, source, "0.26.0", "2.11.0", extra) == lines


MARKED = """\
# torchnode-lock: 1
torch==2.11.0 ; platform_machine == 'x86_64' \\
    --hash=sha256:00
torch==2.11.1 ; platform_machine == 'aarch64' \\
    --hash=sha256:00
numpy==2.2.6 ; python_full_version < '3.11' \\
    --hash=sha256:00
numpy==2.4.0 ; python_full_version >= '3.11' \\
    --hash=sha256:00
PyYAML==6.0.3 \\
    --hash=sha256:00
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
nvidia.ml_py==13.0 ; platform_system == 'Linux' and python_version != '3.9' \\
    --hash=sha256:00
"""


@pytest.mark.parametrize(
    ("python", "machine", "expected"),
    [
        ("3.10.4", "x86_64", {"torch": "2.11.0", "numpy": "2.2.6"}),
        ("3.12.0", "aarch64", {"torch": "2.11.1", "numpy": "2.4.0"}),
    ],
)
def test_markers_are_evaluated_for_the_node(
    python: str, machine: str, expected: dict[str, str]
) -> None:
    packages = dict(controller.lock_packages(MARKED, python, "Linux", machine))
    assert packages == {**expected, "pyyaml": "6.0.3", "nvidia-ml-py": "13.0"}


@pytest.mark.parametrize(
    "lock", [lock for lock in LOCKS if lock.source == "pypi"], ids=lambda k: k.name
)
def test_a_universal_lock_knows_every_file_of_a_compiled_package(lock: locks.Lock) -> None:
    """A lock made beside a local folder of wheels knew one file, for one Python and machine."""
    text = controller.lock_text(lock)
    for name in ("numpy", "pyyaml", "safetensors", "psutil", "regex"):
        blocks = re.findall(rf"^{name}==.*\n(?:    --hash.*\n?)+", text, re.MULTILINE)
        assert blocks
        assert all(block.count("--hash") >= 10 for block in blocks), name
