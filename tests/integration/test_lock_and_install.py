"""`tools/lock.py one` against a local index makes a lock, and that lock installs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, find_uv
from wheels import make_simple_index, make_torch, make_wheel

from ansible.module_utils.torchnode import controller, stack_apply, venv
from ansible.module_utils.torchnode.model import Stack, TorchBuild
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_index import Sources
from ansible.module_utils.torchnode.stack_builder import Order

UV = find_uv()
MINOR = "%d.%d" % sys.version_info[:2]
NAME = f"torch-9.9.9+cu999-py{MINOR.replace('.', '')}-x86_64.txt"

pytestmark = pytest.mark.skipif(UV is None, reason="needs uv beside Python or on the PATH")


@pytest.fixture
def index(tmp_path: Path) -> str:
    """An index that serves two builds of torch 9.9.9, and what one of them needs."""
    wheels = tmp_path / "wheels"
    return make_simple_index(
        tmp_path / "simple",
        make_torch(wheels, "9.9.9", "cu999", "9.9.9+cu999"),
        make_torch(wheels, "9.9.9", "cpu", "9.9.9+cpu"),
        make_wheel(wheels, "filelock", "3.20.0"),
        make_wheel(wheels, "accelerate", "1.15.0", requires=("torch>=2",)),
    )


def make_lock(folder: Path, index: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "packages.in").write_text("accelerate==1.15.0\n")
    argv = [sys.executable, str(ROOT / "tools/lock.py"), "one", "--torch", "9.9.9"]
    argv += ["--packages", str(folder / "packages.in"), "--output", str(folder)]
    argv += ["--tag", "cu999", "--python", MINOR, "--index", index, *more]
    return subprocess.run(argv, env=environ(folder, index), capture_output=True, text=True)


def environ(folder: Path, index: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_DEFAULT_INDEX": index,
        "PIP_CONFIG_FILE": os.devnull,
    }


def test_a_lock_is_made_and_installs(tmp_path: Path, index: str) -> None:
    done = make_lock(tmp_path, index)
    assert done.returncode == 0, done.stderr
    (lock,) = [lock for lock in controller.read_locks(tmp_path) if lock.name == NAME]
    assert (lock.torch, lock.source, lock.pythons) == ("9.9.9+cu999", "index", (MINOR,))
    assert controller.is_fresh(lock, tmp_path)
    text = (tmp_path / NAME).read_text()
    packages = controller.lock_packages(text, MINOR, "Linux", "x86_64")
    assert dict(packages) == {"torch": "9.9.9+cu999", "accelerate": "1.15.0", "filelock": "3.20.0"}
    stack = Stack(
        "cuda", ("sm_90",), "transformers-v5", "inference", str(tmp_path / "prefix"),
        sys.executable, MINOR, TorchBuild("9.9.9", "cu999", "index", "torch==9.9.9+cu999"),
        lock=NAME, digest=hashlib.sha256(text.encode()).hexdigest()[:16], packages=packages,
    )  # fmt: skip
    order = Order(stack.prefix, stack, text, str(UV))
    environment = stack_apply.environment(Sources(), "", stack, environ(tmp_path, index))
    applied = stack_apply.apply(Node(), order, environment, False)
    assert applied.outcome.result is Result.PASS, applied.outcome.observed
    current = venv.read_current(Node(), stack.prefix, hashes=True)
    assert current is not None
    assert (current.torch, current.damage) == ("9.9.9+cu999", ())


def test_a_build_that_the_index_lacks(tmp_path: Path, index: str) -> None:
    done = make_lock(tmp_path, index, "--tag", "cu998")
    assert done.returncode != 0
    assert "torch==9.9.9+cu998" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("torch-*.txt"))


def test_a_password_in_an_index_that_uv_cannot_read_is_not_told(tmp_path: Path) -> None:
    """uv repeats such a URL whole."""
    done = make_lock(tmp_path, "http://u:s3cr3t-planted@127.0.0.1:x/simple")
    assert done.returncode != 0
    assert "invalid port number" in done.stderr
    assert "s3cr3t-planted" not in done.stderr + done.stdout


def test_an_extra_that_the_build_lacks(tmp_path: Path, index: str) -> None:
    done = make_lock(tmp_path, index, "--extra", "audio")
    assert done.returncode != 0
    assert "no torchaudio is known for torch 9.9.9+cu999" in done.stderr


def test_shipped_locks_are_fresh() -> None:
    argv = [sys.executable, str(ROOT / "tools/lock.py"), "check"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
