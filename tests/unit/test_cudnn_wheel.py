"""cuDNN from a wheel: the real uv, and a stand-in in cuDNN's layout with text for libraries."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import pytest
from helpers import H200, LOCKS, find_uv, machine, policy
from wheels import make_wheel

from ansible.module_utils.torchnode import cudnn_wheel, manifest, package_index, stack_apply
from ansible.module_utils.torchnode.cudnn_wheel import Applied
from ansible.module_utils.torchnode.data import cudnn_wheels
from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.package_model import HostPlan, WheelWish
from ansible.module_utils.torchnode.policy import Conflict
from ansible.module_utils.torchnode.software import read_cudnn
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.stack_builder import Order

UV = find_uv()
needs_uv = pytest.mark.skipif(UV is None, reason="needs uv, as `make .venv-dev` brings it")
LAYOUT = {
    "nvidia/cudnn/include/cudnn.h": "#include <cudnn_version.h>\n",
    "nvidia/cudnn/lib/libcudnn.so.9": "a library",
    "nvidia/cudnn/lib/libcudnn_ops.so.9": "another one",
}


class Bench:
    """A folder of wheels and a prefix."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, folder / "prefix"
        self.wheels: list[WheelWish] = []

    def add(self, version: str, cuda: int, layout: dict[str, str] = LAYOUT) -> WheelWish:
        """Offer such a wheel, and wish it."""
        name = f"nvidia-cudnn-cu{cuda}"
        path = make_wheel(self.folder / "links", name, version, layout)
        wish = WheelWish(name, version, cuda, hashlib.sha256(path.read_bytes()).hexdigest())
        self.wheels.append(wish)
        return wish

    def apply(self, pretend: bool = False) -> Applied:
        stack = resolve(machine(H200, loaded="580.95.05"), policy(), LOCKS)
        host = HostPlan("distribution", cudnn_wheels=tuple(self.wheels))
        stack = dataclasses.replace(stack, prefix=str(self.prefix), host=host)
        stated = package_index.Sources(find_links=(str(self.folder / "links"),), offline=True)
        environ = {"PATH": os.environ["PATH"], "UV_CACHE_DIR": str(self.folder / "cache")}
        environ["HOME"] = str(self.folder)
        environment = stack_apply.environment(stated, "", stack, environ)
        order = Order(str(self.prefix), stack, "", str(UV))
        return cudnn_wheel.apply(Node(), order, environment, pretend)

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
    assert "holds no" in outcome.observed


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
        assert cudnn_wheel.whole(Node(), str(tmp_path)) is None
