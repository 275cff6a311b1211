"""Building a stack from a local folder of tiny wheels, with the real uv."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, find_uv
from wheels import hashes, make_simple_index, make_torch, make_wheel

from ansible.module_utils.torchnode import controller, manifest, stack_apply, stack_builder, venv
from ansible.module_utils.torchnode.model import InstalledStack, Stack, TorchBuild
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_index import Sources
from ansible.module_utils.torchnode.stack_apply import Applied
from ansible.module_utils.torchnode.stack_builder import Order

UV = find_uv()
needs_uv = pytest.mark.skipif(UV is None, reason="needs uv beside Python or on the PATH")
NODE = Node("/", environ={})
MINOR = "%d.%d" % sys.version_info[:2]


class Workshop:
    """A prefix, a folder of wheels, and orders for stacks made of them."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self.wheels, self.folder = folder / "prefix", folder / "wheels", folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "UV_CACHE_DIR": str(folder / "cache"),
            "PIP_CONFIG_FILE": os.devnull,  # this machine's own settings have no say here
        }
        self.filelock = make_wheel(self.wheels, "filelock", "3.20.0")
        self.torch = make_torch(self.wheels, "9.9.9", "cu999", "9.9.9+cu999")
        self.lock = hashes(self.torch, self.filelock)

    def order(self, digest: str = "aaaa", lock: str = "", **changes: Any) -> Order:
        lock = lock or self.lock
        stack = Stack(
            backend="cuda",
            architectures=("sm_90",),
            profile="transformers-v5",
            workload="inference",
            prefix=str(self.prefix),
            python=sys.executable,
            python_version=MINOR,
            torch=TorchBuild("9.9.9", "cu999", "index", "torch==9.9.9+cu999"),
            digest=digest,
            packages=controller.lock_packages(lock, MINOR, "Linux", "x86_64"),
        )
        made = Order(str(self.prefix), stack, lock, str(UV))
        return dataclasses.replace(made, **changes)

    def environment(self, order: Order, stated: Sources | None = None) -> dict[str, str]:
        stated = stated or Sources(find_links=(str(self.wheels),), offline=True)
        return stack_apply.environment(stated, "", order.stack, self.environ)

    def apply(self, order: Order, pretend: bool = False, stated: Sources | None = None) -> Applied:
        return stack_apply.apply(NODE, order, self.environment(order, stated), pretend)

    @property
    def current(self) -> InstalledStack | None:
        return venv.read_current(NODE, str(self.prefix), hashes=True)

    @property
    def stacks(self) -> list[str]:
        return sorted(os.listdir(self.prefix / "stacks"))

    def says(self) -> str:
        """What the current stack's own interpreter says of its torch."""
        python = str(self.prefix / "current/bin/python")
        code = "import torch; print(torch.__version__)"
        return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


# ---- building ----------------------------------------------------------------------------------


@needs_uv
def test_build_then_nothing_to_do(shop: Workshop) -> None:
    order = shop.order()
    pretended = shop.apply(order, pretend=True)
    assert (pretended.changed, pretended.path) == (True, None)
    assert pretended.outcome.result is Result.SKIPPED
    assert not shop.prefix.exists()
    done = shop.apply(order)
    assert (done.changed, done.outcome.result) == (True, Result.PASS)
    assert done.path == str(shop.prefix / "stacks/aaaa.1")
    assert done.after == pretended.after == "filelock==3.20.0\ntorch==9.9.9+cu999\n"
    assert done.before == ""
    assert shop.says() == "9.9.9+cu999"
    assert shop.current is not None
    assert shop.current.damage == ()
    again = shop.apply(order)
    assert (again.changed, again.before) == (False, again.after)
    assert shop.apply(order, pretend=True).changed is False


@needs_uv
def test_from_a_simple_index(shop: Workshop) -> None:
    index = make_simple_index(shop.folder / "simple", shop.torch, shop.filelock)
    missing = (shop.folder / "missing").as_uri()  # pip ignores it, so uv is not told of it
    done = shop.apply(shop.order(), stated=Sources(index_url=index, extra_index_urls=(missing,)))
    assert done.outcome.result is Result.PASS, done.outcome.observed
    assert shop.says() == "9.9.9+cu999"


@needs_uv
def test_the_manifest_lists_all_of_it(shop: Workshop) -> None:
    shop.apply(shop.order())
    shop.apply(shop.order("bbbb"))
    _removed, kept = manifest.remove(NODE, str(shop.prefix), pretend=False)
    # The prefix itself is noted by whoever made it (here: the builder).
    assert kept == []
    assert not shop.prefix.exists()


@needs_uv
@pytest.mark.parametrize("harm", ["missing", "longer", "same size", "added"])
def test_damage_is_mended_beside_the_damaged_stack(shop: Workshop, harm: str) -> None:
    shop.apply(shop.order())
    assert shop.current is not None
    (site,) = Path(shop.current.path).glob("lib/python3.*/site-packages")
    if harm == "missing":
        (site / "torch/lib/libtorch.so").unlink()
    elif harm == "added":
        (site / "sitecustomize.py").write_text("")
    else:
        # In place, so that a file that uv linked from its cache is altered there too.
        (site / "torch/lib/libtorch.so").write_text("y" * (1000 if harm == "same size" else 1001))
    assert shop.current.damage
    order = shop.order(hashes=harm == "same size")  # which only a look at every byte can see
    done = shop.apply(order)
    assert (done.changed, done.outcome.result) == (True, Result.PASS), done.outcome.observed
    assert "# damaged: " in done.before
    assert shop.current.path.endswith("aaaa.2")
    assert shop.current.damage == ()
    assert shop.stacks == ["aaaa.2"]
    assert shop.says() == "9.9.9+cu999"


@needs_uv
def test_a_second_stack_and_back_without_building(shop: Workshop) -> None:
    shop.apply(shop.order())
    other = make_wheel(shop.wheels, "filelock", "3.21.0")
    second = shop.order("bbbb", hashes(shop.torch, other))
    assert shop.apply(second).changed
    assert shop.stacks == ["aaaa.1", "bbbb.1"]
    assert dict(shop.current.packages)["filelock"] == "3.21.0"  # type: ignore[union-attr]  # it is there
    back = shop.apply(dataclasses.replace(shop.order(), uv="/nowhere/uv"))
    assert (back.changed, back.outcome.result) == (True, Result.PASS)
    assert back.path == str(shop.prefix / "stacks/aaaa.1")


@needs_uv
def test_prune_keeps_the_newest(shop: Workshop) -> None:
    for number, digest in enumerate(("aaaa", "bbbb", "cccc")):
        shop.apply(shop.order(digest, keep=2))
        os.utime(shop.prefix / f"stacks/{digest}.1", (number, number))
    assert shop.stacks == ["bbbb.1", "cccc.1"]
    (shop.prefix / "stacks/dddd.1").mkdir()  # never finished
    (shop.prefix / "stacks/notes").mkdir()  # somebody else's
    shop.apply(shop.order("eeee", keep=1))
    assert shop.stacks == ["eeee.1", "notes"]


# ---- failing -----------------------------------------------------------------------------------


def check_refused(shop: Workshop, done: Applied, said: str, cause: str) -> None:
    """The run failed with its cause, nothing half-made is left, and the old stack works."""
    outcome = done.outcome
    assert (done.changed, outcome.result) == (False, Result.FAIL)
    assert said in outcome.observed
    assert cause in outcome.cause
    assert outcome.remedy
    assert shop.stacks == ["aaaa.1"]
    assert shop.says() == "9.9.9+cu999"
    assert shop.current is not None
    assert shop.current.damage == ()


@pytest.fixture
def built(shop: Workshop) -> Workshop:
    if UV is None:
        pytest.skip("needs uv beside Python or on the PATH")
    assert shop.apply(shop.order()).outcome.result is Result.PASS
    return shop


def test_another_file_than_the_locked_one(built: Workshop) -> None:
    good = make_wheel(built.wheels, "accelerate", "1.0.0")
    lock = hashes(built.torch, built.filelock, good)
    make_wheel(built.wheels, "accelerate", "1.0.0", {"accelerate/__init__.py": "import os\n"})
    done = built.apply(built.order("bbbb", lock))
    check_refused(built, done, "Hash mismatch", "not the one that was locked")


def test_a_lock_with_a_line_without_hashes(built: Workshop) -> None:
    make_wheel(built.wheels, "accelerate", "1.0.0")
    lock = hashes(built.torch, built.filelock) + "accelerate==1.0.0\n"
    done = built.apply(built.order("bbbb", lock))
    check_refused(built, done, "must have a hash", "a line without a hash")


def test_a_file_that_is_not_there(built: Workshop) -> None:
    gone = make_wheel(built.wheels, "accelerate", "1.0.0")
    lock = hashes(built.torch, built.filelock, gone)
    gone.unlink()
    done = built.apply(built.order("bbbb", lock))
    check_refused(built, done, "accelerate", "work offline")
    assert "torchnode_find_links" in done.outcome.remedy


@pytest.mark.parametrize(
    ("tag", "says"), [("", "9.9.9+cpu"), ("", "9.9.9"), ("cu999", "9.9.9+cu998")]
)
def test_another_build_under_the_same_version(built: Workshop, tag: str, says: str) -> None:
    """The lock was made from an index that served the wrong build: its hashes fit, its tag not."""
    other = make_torch(built.folder / "other", "9.9.9", tag, says)
    make_wheel(other.parent, "filelock", "3.20.0")
    order = built.order("bbbb", hashes(other, built.filelock))
    done = built.apply(order, stated=Sources(find_links=(str(other.parent),), offline=True))
    said = f"torch/version.py says {says} instead of 9.9.9+cu999"
    check_refused(built, done, said, "another build of torch")


def test_pypis_build_beside_tagged_ones_of_the_same_version(built: Workshop) -> None:
    """'torch==9.9.9' names 9.9.9+cu999 too, which lies in the same folder and sorts higher."""
    plain = make_torch(built.wheels, "9.9.9", "", "9.9.9+cu130")
    order = built.order("bbbb", hashes(plain, built.filelock))
    torch = TorchBuild("9.9.9", "cu130", "pypi", "torch==9.9.9")
    order = dataclasses.replace(order, stack=dataclasses.replace(order.stack, torch=torch))
    assert built.apply(order).outcome.result is Result.PASS
    assert built.says() == "9.9.9+cu130"


def test_an_index_that_does_not_answer(built: Workshop) -> None:
    extra = make_wheel(built.folder / "elsewhere", "accelerate", "1.0.0")
    order = built.order("bbbb", hashes(built.torch, built.filelock, extra))
    built.environ |= {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "5"}
    url = "http://user:secret@127.0.0.1:9/simple"
    done = built.apply(order, stated=Sources(index_url=url))
    check_refused(built, done, "127.0.0.1:9", "cannot be reached")
    assert "secret" not in str(done)


def test_a_uv_that_does_not_run(built: Workshop) -> None:
    done = built.apply(built.order("bbbb", uv="/nowhere/uv"))
    check_refused(built, done, "/nowhere/uv", "uv does not run")


def test_a_python_that_is_not_there(built: Workshop) -> None:
    order = built.order("bbbb")
    order = dataclasses.replace(order, stack=dataclasses.replace(order.stack, python="/no/python3"))
    done = built.apply(order)
    assert done.outcome.result is Result.FAIL
    check_refused(built, done, "/no/python3", "")


def test_a_package_too_many_or_too_few(built: Workshop) -> None:
    order = built.order("bbbb")
    wanted = (*order.stack.packages, ("numpy", "2.0"))
    order = dataclasses.replace(order, stack=dataclasses.replace(order.stack, packages=wanted))
    check_refused(built, built.apply(order), "numpy: 2.0 is missing", "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@needs_uv
def test_a_full_disk(shop: Workshop, small_disk: Path) -> None:
    shop.prefix = small_disk / "prefix"
    assert shop.apply(shop.order()).outcome.result is Result.PASS
    big = make_wheel(shop.wheels, "accelerate", "1.0.0", {"accelerate/data": "x" * (2 << 20)})
    done = shop.apply(shop.order("bbbb", hashes(shop.torch, shop.filelock, big)))
    check_refused(shop, done, "No space left on device", "The disk is full")


@needs_uv
def test_a_disk_without_a_byte_left(shop: Workshop, small_disk: Path) -> None:
    shop.prefix = small_disk / "prefix"
    assert shop.apply(shop.order()).outcome.result is Result.PASS
    fill = os.open(small_disk / "fill", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(fill, b"x" * 4096):
            pass
    os.close(fill)
    assert os.statvfs(small_disk).f_bavail == 0
    done = shop.apply(shop.order("bbbb"))
    check_refused(shop, done, "No space left on device", "The disk is full")
    assert not list(shop.prefix.glob("*.json.*"))


@needs_uv
def test_a_prefix_that_cannot_be_written(shop: Workshop, small_disk: Path) -> None:
    shop.prefix = small_disk / "prefix"
    assert shop.apply(shop.order()).outcome.result is Result.PASS
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = shop.apply(shop.order("bbbb"))
    check_refused(shop, done, "Read-only file system", "cannot be written")


# ---- killed ------------------------------------------------------------------------------------

APPLY = """
import json, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.torchnode import stack_apply
from ansible.module_utils.torchnode.model import Stack, from_data
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.stack_builder import Order
given = json.load(sys.stdin)
order = Order(given["prefix"], from_data(Stack, given["stack"]), given["lock"], given["uv"])
print(stack_apply.apply(Node(), order, given["environment"], False).outcome)
"""

STUCK_UV = """#!/bin/sh
# Makes environments, and gets stuck inside the installation.
if [ "$1" = venv ]; then exec "{uv}" "$@"; fi
"{uv}" "$@"
echo $$ > "{folder}/stuck"
exec sleep 60
"""


def test_killed_while_uv_works(built: Workshop) -> None:
    import json

    from ansible.module_utils.torchnode.model import as_data

    stuck = built.folder / "stuck-uv"
    stuck.write_text(STUCK_UV.format(uv=UV, folder=built.folder))
    stuck.chmod(0o755)
    order = built.order("bbbb")
    given = {**as_data(order), "uv": str(stuck), "environment": built.environment(order)}
    command = [sys.executable, "-c", APPLY, str(ROOT / "module_utils")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert child.stdin is not None
    child.stdin.write(json.dumps(given))
    child.stdin.close()
    pid_file, deadline = built.folder / "stuck", time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert built.stacks == ["aaaa.1", "bbbb.1"]  # half-made, and noted before it was begun
    assert str(built.prefix / "stacks/bbbb.1") in manifest.read(NODE, str(built.prefix))
    assert built.current is not None
    assert built.current.digest == "aaaa"
    assert built.says() == "9.9.9+cu999"
    done = built.apply(order)
    assert (done.changed, done.outcome.result) == (True, Result.PASS)
    assert built.stacks == ["aaaa.1", "bbbb.2"]
    assert built.current.digest == "bbbb"


def test_killed_between_link_and_rename(built: Workshop) -> None:
    os.symlink("stacks/aaaa.1", f"{built.prefix}/current.{os.getpid()}")
    assert built.apply(built.order("bbbb")).outcome.result is Result.PASS
    assert built.current is not None
    assert built.current.digest == "bbbb"


# ---- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("torch==2.13.0 \\\n", "torch===2.13.0 \\\n"),
        ("torch==2.13.0 ; python_version < '3' \\\n", "torch===2.13.0 ; python_version < '3' \\\n"),
        ("torchvision==0.28.0\n", "torchvision===0.28.0\n"),
        ("torch==2.13.0+cpu \\\n", "torch==2.13.0+cpu \\\n"),
        ("torchmetrics==1.0 \\\n", "torchmetrics==1.0 \\\n"),
        ("pytorch==1.0 \\\n", "pytorch==1.0 \\\n"),
    ],
)
def test_torch_is_pinned_by_its_whole_version(line: str, written: str) -> None:
    assert stack_builder.exact("# head\n" + line) == "# head\n" + written


@pytest.mark.parametrize(
    ("source", "offline", "there", "asked"),
    [
        ("index", False, False, "https://torch/cu999"),
        ("index", False, True, ""),
        ("index", True, False, ""),
        ("pypi", False, False, ""),
    ],
)
def test_torchs_own_index_is_asked_only_where_it_is_needed(
    shop: Workshop, source: str, offline: bool, there: bool, asked: str
) -> None:
    stack = shop.order().stack
    assert stack.torch is not None
    stack = dataclasses.replace(stack, torch=dataclasses.replace(stack.torch, source=source))
    stated = Sources(find_links=(str(shop.wheels),) if there else (), offline=offline)
    environment = stack_apply.environment(stated, "https://torch/", stack, shop.environ)
    assert environment.get("UV_INDEX", "") == asked
