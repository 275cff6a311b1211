"""A stack of each kind of source, from `make lock` to a current environment, with the real uv.

The wheels are stand-ins of a few bytes under the real names and versions: what is shown is that the
tool locks, resolve finds the lock, and exactly that is installed - not that a vendor's files work.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, find_uv, machine, policy
from index_server import serving
from wheels import make_simple_index, make_torch, make_wheel

from ansible.module_utils.torchnode import controller, stack_apply, supplied_wheel, venv
from ansible.module_utils.torchnode.model import Accelerator, PythonInterpreter, Stack
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_index import Sources
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.stack_apply import Applied
from ansible.module_utils.torchnode.stack_builder import Order

UV = find_uv()
MINOR = "%d.%d" % sys.version_info[:2]
ABI = "cp" + MINOR.replace(".", "")

pytestmark = pytest.mark.skipif(UV is None, reason="needs uv beside Python or on the PATH")


class Site:
    """An operator's site: an index of stand-in wheels, a folder of locks, one node's prefix."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder / "wheels"
        self.locks, self.prefix = folder / "locks", folder / "prefix"
        self.locks.mkdir()
        (self.locks / "packages.in").write_text("accelerate==1.15.0\n")
        self.index = make_simple_index(
            folder / "simple",
            make_torch(self.wheels, "2.13.0", "rocm7.2", "2.13.0+rocm7.2"),
            make_torch(self.wheels, "2.13.0", "cpu", "2.13.0+cpu"),
            make_wheel(self.wheels, "torch-npu", "2.13.0", requires=("torch==2.13.0.*",)),
            make_wheel(self.wheels, "filelock", "3.20.0"),
            make_wheel(self.wheels, "accelerate", "1.15.0", requires=("torch>=2",)),
        )
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "UV_CACHE_DIR": str(folder / "cache"),
            "UV_DEFAULT_INDEX": self.index,
            "PIP_CONFIG_FILE": os.devnull,
        }

    def lock(self, tag: str, *more: str) -> None:
        argv = [sys.executable, str(ROOT / "tools/lock.py"), "one", "--torch", "2.13.0"]
        argv += ["--tag", tag, "--python", MINOR, "--index", self.index]
        argv += ["--packages", str(self.locks / "packages.in"), "--output", str(self.locks), *more]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def resolve(self, backend: str, vendor: str, architecture: str, **wishes: Any) -> Stack:
        device = Accelerator(backend, vendor, 0, "stand-in", architecture, "0000:10:00.0")
        facts = machine(
            accelerators=(device,),
            pythons=(),
            prefix=str(self.prefix),
        )
        python = PythonInterpreter(sys.executable, "%d.%d.%d" % sys.version_info[:3])
        facts = dataclasses.replace(facts, pythons=(python,))
        return resolve(facts, policy(**wishes), controller.read_locks(self.locks))

    def install(self, stack: Stack) -> Applied:
        text = (self.locks / stack.lock).read_text()
        packages = controller.lock_packages(text, stack.python_version, "Linux", "x86_64")
        supplied = [supplied_wheel.package(stack.supplied)] if stack.supplied else []
        stack = dataclasses.replace(stack, packages=tuple(sorted([*packages, *supplied])))
        order = Order(stack.prefix, stack, text, str(UV))
        environment = stack_apply.environment(Sources(), "", stack, self.environ)
        return stack_apply.apply(Node(), order, environment, False)

    @property
    def packages(self) -> dict[str, str]:
        current = venv.read_current(Node(), str(self.prefix), hashes=True)
        assert current is not None
        assert current.damage == ()
        return dict(current.packages)

    def mlu_wheel(self) -> tuple[str, str]:
        """A stand-in of Cambricon's wheel: (path, SHA-256)."""
        plain = make_wheel(self.folder / "vendor", "torch-mlu", "1.30.0", requires=("torch",))
        path = plain.with_name(f"torch_mlu-1.30.0-{ABI}-{ABI}-linux_x86_64.whl")
        plain.rename(path)
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_rocm_build_from_an_index(site: Site) -> None:
    assert site.resolve("rocm", "amd", "gfx942").lock == ""
    site.lock("rocm7.2")
    stack = site.resolve("rocm", "amd", "gfx942")
    assert stack.torch is not None
    assert stack.torch.requirement == "torch==2.13.0+rocm7.2"
    done = site.install(stack)
    assert done.outcome.result is Result.PASS, done.outcome.observed
    assert site.packages["torch"] == "2.13.0+rocm7.2"


def test_an_npus_plugin_beside_the_cpu_build(site: Site) -> None:
    site.lock("cpu")  # the same torch without the plugin serves no NPU
    assert site.resolve("npu", "huawei", "Ascend910B").lock == ""
    site.lock("cpu", "--backend", "npu")
    stack = site.resolve("npu", "huawei", "Ascend910B")
    done = site.install(stack)
    assert done.outcome.result is Result.PASS, done.outcome.observed
    assert (site.packages["torch"], site.packages["torch-npu"]) == ("2.13.0+cpu", "2.13.0")


def test_a_plugin_that_no_row_knows_is_not_locked(site: Site) -> None:
    with pytest.raises(AssertionError, match="no plugin for it is known with torch 2"):
        site.lock("rocm7.2", "--backend", "npu")
    assert not list(site.locks.glob("*.txt"))


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_lock_that_cannot_be_made_says_why_and_what_next(site: Site, status: int) -> None:
    """In the words of who makes it: uv alone says the same of 401, 403 and 404."""
    with serving(site.folder, status=status) as index:
        site.index = site.environ["UV_DEFAULT_INDEX"] = index.url("planted", "s3cr3t-planted")
        with pytest.raises(AssertionError) as caught:
            site.lock("rocm7.2")
    said = str(caught.value)
    cause = {401: "wants a user", 403: "forbids this machine", 404: "no build that is asked for"}
    assert "cause: " in said
    assert cause.get(status, "failed by itself") in said
    assert "next: " in said
    assert "s3cr3t-planted" not in said


def test_a_folder_for_locks_that_is_not_there_is_named(site: Site) -> None:
    with pytest.raises(AssertionError, match="--output: found no folder /nowhere"):
        site.lock("rocm7.2", "--output", "/nowhere")


def test_a_supplied_wheel_is_installed_by_its_hash(site: Site) -> None:
    site.lock("cpu")
    path, sha256 = site.mlu_wheel()
    wishes = {"mlu_wheel": path, "mlu_wheel_sha256": sha256, "torch_version": "2.13.0"}
    stack = site.resolve("mlu", "cambricon", "mlu370", **wishes)
    done = site.install(stack)
    assert done.outcome.result is Result.PASS, done.outcome.observed
    assert (site.packages["torch"], site.packages["torch-mlu"]) == ("2.13.0+cpu", "1.30.0")
    assert site.install(stack).changed is False


def test_a_supplied_wheel_with_another_hash_changes_nothing(site: Site) -> None:
    site.lock("cpu")
    path, sha256 = site.mlu_wheel()
    wishes = {"mlu_wheel": path, "mlu_wheel_sha256": sha256, "torch_version": "2.13.0"}
    assert site.install(site.resolve("mlu", "cambricon", "mlu370", **wishes)).changed
    before, current = site.packages, os.readlink(site.prefix / "current")
    wishes["mlu_wheel_sha256"] = "0" * 64
    done = site.install(site.resolve("mlu", "cambricon", "mlu370", **wishes))
    assert (done.changed, done.outcome.result) == (False, Result.FAIL)
    assert "SHA-256" in done.outcome.cause
    assert (site.packages, os.readlink(site.prefix / "current")) == (before, current)
    assert len(list((site.prefix / "stacks").iterdir())) == 1
