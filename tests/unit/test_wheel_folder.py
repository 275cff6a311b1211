"""cuDNN and toolkits from wheels: the real uv, and stand-ins in their layout with text inside."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers import H200, LOCKS, find_uv, machine, policy
from wheels import make_wheel

from ansible.module_utils.torchnode import (
    cudnn_wheel,
    manifest,
    package_index,
    stack_apply,
    toolkit_wheel,
    wheel_folder,
)
from ansible.module_utils.torchnode.data import cuda_wheels, cudnn_wheels
from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_model import (
    HostPlan,
    ToolkitWish,
    WheelFile,
    WheelWish,
)
from ansible.module_utils.torchnode.policy import Conflict
from ansible.module_utils.torchnode.software import read_cudnn, read_toolkits
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.stack_builder import Order
from ansible.module_utils.torchnode.wheel_folder import Applied

UV = find_uv()
needs_uv = pytest.mark.skipif(UV is None, reason="needs uv, as `make .venv-dev` brings it")
LAYOUT = {
    "nvidia/cudnn/include/cudnn.h": "#include <cudnn_version.h>\n",
    "nvidia/cudnn/lib/libcudnn.so.9": "a library",
    "nvidia/cudnn/lib/libcudnn_ops.so.9": "another one",
}
#: The pieces of a toolkit share a folder, as the real ones do.
PIECES = {
    "nvidia-cuda-nvcc": {"nvidia/cu13/bin/nvcc": "a compiler", "nvidia/cu13/bin/crt/link.stub": ""},
    "nvidia-nvvm": {"nvidia/cu13/nvvm/bin/cicc": "its back end"},
    "nvidia-cuda-runtime": {
        "nvidia/cu13/include/cuda_runtime_api.h": "#define CUDART_VERSION 13000\n",
        "nvidia/cu13/lib/libcudart.so.13": "a library",
    },
}


class Bench:
    """A folder of wheels and a prefix."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, folder / "prefix"
        self.wheels: list[WheelWish] = []
        self.toolkits: list[ToolkitWish] = []

    def add(self, version: str, cuda: int, layout: dict[str, str] = LAYOUT) -> WheelWish:
        """Offer such a wheel, and wish it."""
        name = f"nvidia-cudnn-cu{cuda}"
        path = make_wheel(self.folder / "links", name, version, layout)
        wish = WheelWish(name, version, cuda, hashlib.sha256(path.read_bytes()).hexdigest())
        self.wheels.append(wish)
        return wish

    def add_toolkit(self, cuda: str) -> ToolkitWish:
        """Offer the pieces of a toolkit, and wish it."""
        files = []
        for name, layout in PIECES.items():
            path = make_wheel(self.folder / "links", name, cuda + ".1", layout)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(WheelFile(name, cuda + ".1", digest))
        wish = ToolkitWish(cuda, tuple(files))
        self.toolkits.append(wish)
        return wish

    def apply(self, pretend: bool = False, what: Any = cudnn_wheel) -> Applied:
        stack = resolve(machine(H200, loaded="580.95.05"), policy(), LOCKS)
        wheels, toolkits = tuple(self.wheels), tuple(self.toolkits)
        host = HostPlan("distribution", cudnn_wheels=wheels, toolkit_wheels=toolkits)
        stack = dataclasses.replace(stack, prefix=str(self.prefix), host=host)
        stated = package_index.Sources(find_links=(str(self.folder / "links"),), offline=True)
        environ = {"PATH": os.environ["PATH"], "UV_CACHE_DIR": str(self.folder / "cache")}
        environ["HOME"] = str(self.folder)
        environment = stack_apply.environment(stated, "", stack, environ)
        order = Order(str(self.prefix), stack, "", str(UV))
        folders, links = what.folders(stack), what.links(stack)
        return wheel_folder.apply(
            Node(), order, what.KIND, folders, links, environment, pretend
        )  # fmt: skip

    def seen(self) -> set[str]:
        """What survey sees of it."""
        items = read_cudnn(Node(), str(self.prefix))
        return {item.version for item in items if item.name == "cudnn-wheel"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@needs_uv
def test_unpacked_linked_listed_and_then_nothing_to_do(bench: Bench) -> None:
    bench.add("9.10.2.21", 12)
    bench.add("9.28.1.4", 13)
    pretended = bench.apply(pretend=True)
    assert pretended.changed
    assert pretended.outcome.result is Result.SKIPPED
    assert not bench.prefix.exists()
    done = bench.apply()
    assert done.outcome.result is Result.PASS, done.outcome
    assert done.after == pretended.after
    top = bench.prefix / "cudnn"
    assert os.readlink(top / "current") == "9.10.2.21-cu12"
    assert os.readlink(top / "cu13") == "9.28.1.4-cu13"
    assert (top / "current/include/cudnn.h").read_text() == LAYOUT["nvidia/cudnn/include/cudnn.h"]
    assert (top / "current/lib/libcudnn_ops.so").read_text() == "another one"
    assert sorted(p.name for p in top.iterdir()) == [
        "9.10.2.21-cu12", "9.28.1.4-cu13", "cu12", "cu13", "current",
    ]  # fmt: skip
    assert bench.seen() == {"9.10.2.21-cu12", "9.28.1.4-cu13"}
    assert not bench.apply().changed
    noted = manifest.read(Node(), str(bench.prefix))
    assert str(top / "cu12") in noted
    assert all(path.startswith(str(bench.prefix)) for path in noted)
    manifest.remove(Node(), str(bench.prefix), pretend=False)
    assert not top.exists()


@needs_uv
@pytest.mark.parametrize("harm", ["truncated", "gone", "no marker"])
def test_what_was_altered_is_seen_and_mended(bench: Bench, harm: str) -> None:
    wish = bench.add("9.10.2.21", 12)
    bench.apply()
    folder = bench.prefix / "cudnn" / wish.name
    library = folder / "lib/libcudnn.so.9"
    if harm == "truncated":
        library.write_text("")
    else:
        (library if harm == "gone" else folder / "torchnode.json").unlink()
    assert bench.seen() == set()
    assert bench.apply().changed
    assert library.read_text() == "a library"
    assert bench.seen() == {wish.name}


@needs_uv
def test_a_damaged_cache_is_not_believed(bench: Bench) -> None:
    wish = bench.add("9.10.2.21", 12)
    bench.apply()
    cached = [p for p in (bench.folder / "cache").rglob("libcudnn.so.9") if p.is_file()]
    assert cached
    for path in cached:
        path.write_text("worse")
    (bench.prefix / "cudnn" / wish.name / "torchnode.json").unlink()
    assert bench.apply().outcome.result is Result.PASS
    assert (bench.prefix / "cudnn/cu12/lib/libcudnn.so.9").read_text() == "a library"


@needs_uv
def test_another_file_than_the_row_says_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    bench.add("9.10.2.21", 12)
    bench.apply()
    newer = bench.add("9.11.1.4", 12)
    bench.wheels = [dataclasses.replace(newer, sha256="0" * 64)]
    done = bench.apply()
    assert done.outcome.result is Result.FAIL
    assert "ash mismatch" in done.outcome.observed
    assert bench.seen() == {"9.10.2.21-cu12"}
    assert not list((bench.prefix / "cudnn").glob("*.new"))


@needs_uv
def test_a_wheel_of_another_layout_is_refused(bench: Bench) -> None:
    bench.add("9.10.2.21", 12, {"nvidia/other/readme": "x"})
    outcome = bench.apply().outcome
    assert outcome.result is Result.FAIL
    assert "hold no" in outcome.observed


@needs_uv
def test_a_toolkit_is_laid_out_as_its_compiler_looks_for_it(bench: Bench) -> None:
    bench.add_toolkit("13.1")
    bench.add_toolkit("13.0")
    assert bench.apply(pretend=True, what=toolkit_wheel).changed
    done = bench.apply(what=toolkit_wheel)
    assert done.outcome.result is Result.PASS, done.outcome
    assert done.outcome.id == "apply.cuda_toolkit_wheel"
    top = bench.prefix / "cuda"
    assert os.readlink(top / "current") == "13.1"
    for release in ("13.0", "13.1"):
        assert (top / release / "bin/nvcc").read_text() == "a compiler"
        assert (top / release / "nvvm/bin/cicc").exists()
        assert (top / release / "lib64/libcudart.so").read_text() == "a library"
        assert len(list((top / release).glob("*.dist-info"))) == len(PIECES)
    seen = read_toolkits(Node(), str(bench.prefix))
    mine = [(t.version, t.path) for t in seen if t.name == "cuda-toolkit-wheel"]
    assert mine == [(r, str(top / r)) for r in ("13.1", "13.0")], "the default first"
    assert not bench.apply(what=toolkit_wheel).changed
    (top / "13.0/nvvm/bin/cicc").unlink()
    seen = read_toolkits(Node(), str(bench.prefix))
    assert [t.version for t in seen if t.name == "cuda-toolkit-wheel"] == ["13.1"]
    assert bench.apply(what=toolkit_wheel).changed
    assert (top / "13.0/nvvm/bin/cicc").exists()
    (top / "current").unlink()
    seen = read_toolkits(Node(), str(bench.prefix))
    assert [t for t in seen if t.name == "cuda-toolkit-wheel"] == [], "no default is told"


# ---- rows and wishes ---------------------------------------------------------------------------


def test_the_newest_of_what_is_wished() -> None:
    newest = cudnn_wheels.newest("9", 12, "x86_64")
    assert newest.version == max(
        (w.version for w in cudnn_wheels.WHEELS if w.cuda == 12),
        key=lambda version: [int(part) for part in version.split(".")],
    )
    assert cudnn_wheels.newest("9.10", 11, "x86_64").version == "9.10.2.21"
    with pytest.raises(LookupError):
        cudnn_wheels.newest("9.1", 12, "x86_64")  # is not 9.10
    with pytest.raises(LookupError):
        cudnn_wheels.newest("9", 11, "aarch64")


def test_rows_are_files_of_their_own() -> None:
    rows = cudnn_wheels.WHEELS
    assert len({row.filename for row in rows}) == len({row.sha256 for row in rows}) == len(rows)
    assert all(len(row.sha256) == 64 and row.size > 10**8 for row in rows)


def test_the_distributions_packages_are_replaced_by_a_wheel_for_each_cuda() -> None:
    asked = {"nvidia_source": "distribution", "cuda_toolkits": ("12.4",), "cudnn": "9.10"}
    debian = dataclasses.replace(machine(H200).system, os_version="13")
    facts = dataclasses.replace(machine(H200), system=debian)
    wishes = policy()
    host = dataclasses.replace(wishes.host, **asked)
    stack = resolve(facts, dataclasses.replace(wishes, host=host), LOCKS)
    assert stack.host
    assert [wheel.name for wheel in stack.host.cudnn_wheels] == ["9.10.2.21-cu12"]
    assert "cudnn" not in [wish.component for wish in stack.host.wishes]
    steps = {step.component: step for step in host_steps(facts, stack)}
    assert steps["cudnn"].after == "9.10.2.21-cu12"
    bad = dataclasses.replace(host, cudnn="9.2")
    with pytest.raises(Conflict, match=r"9\.10\.2\.21"):
        resolve(facts, dataclasses.replace(wishes, host=bad), LOCKS)


def test_a_marker_that_is_no_json_counts_as_none(tmp_path: Path) -> None:
    for text in ("", "{", "[]", json.dumps({"sha256": "x"}), json.dumps({"files": {"a": 1}})):
        (tmp_path / "torchnode.json").write_text(text)
        assert wheel_folder.whole(Node(), str(tmp_path)) is None


def test_every_toolkit_of_wheels_has_the_same_pieces() -> None:
    rows = cuda_wheels.WHEELS
    assert len({row.sha256 for row in rows}) == len(rows)
    for machine_name in ("x86_64", "aarch64"):
        releases = cuda_wheels.releases(machine_name)
        assert releases
        for cuda in releases:
            pieces = cuda_wheels.of(cuda, machine_name)
            assert {row.project for row in pieces} == {
                "nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm", "nvidia-cuda-runtime",
                "nvidia-cuda-cccl", "nvidia-cuda-nvrtc", "nvidia-cublas",
            }  # fmt: skip
            own = [row for row in pieces if row.project != "nvidia-cublas"]
            assert all(row.version.startswith(cuda + ".") for row in own)
            assert all(len(row.sha256) == 64 and row.size > 10**5 for row in pieces)
