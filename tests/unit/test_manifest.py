"""Removal takes out exactly what was put in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible.module_utils.torchnode import manifest
from ansible.module_utils.torchnode.node import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node("/", environ={})


@pytest.fixture
def prefix(tmp_path: Path, node: Node) -> str:
    """A prefix two folders deep with a stack, a link, a record and a program of ours."""
    prefix = str(tmp_path / "data" / "torchnode")
    made = manifest.make_folder(node, prefix)
    entries = [(prefix + "/current", "file"), (prefix + "/record.json", "file")]
    trees = [(prefix + "/stacks/one.1", "tree"), (prefix + "/uv", "tree")]
    manifest.add(node, prefix, made + entries)
    manifest.add(node, prefix, [*manifest.make_folder(node, prefix + "/stacks"), *trees])
    Path(prefix, "stacks/one.1/bin").mkdir(parents=True)
    Path(prefix, "stacks/one.1/bin/python").write_text("x")
    Path(prefix, "current").symlink_to("stacks/one.1")
    Path(prefix, "record.json").write_text("{}")
    return prefix


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_all_of_ours_and_nothing_else_goes(tmp_path: Path, node: Node, prefix: str) -> None:
    (tmp_path / "foreign").write_text("stays")
    removed, kept = manifest.remove(node, prefix, pretend=False)
    assert everything(tmp_path) == {"foreign"}
    assert kept == []
    assert set(removed) == {
        str(tmp_path / "data"),
        prefix,
        *(prefix + "/" + name for name in ("stacks", "stacks/one.1", "current", "record.json")),
    }
    assert manifest.remove(node, prefix, pretend=False) == ([], [])


def test_what_lies_below_one_path_goes_alone(tmp_path: Path, node: Node, prefix: str) -> None:
    before = everything(tmp_path)
    tops = [prefix + "/stacks", prefix + "/not-there", prefix + "/u"]
    said = manifest.remove_some(node, prefix, tops, pretend=True)
    assert everything(tmp_path) == before
    assert manifest.remove_some(node, prefix, tops, pretend=False) == said
    assert set(said) == {prefix + "/stacks", prefix + "/stacks/one.1"}
    stacks = {name for name in before if "/stacks" in name}
    assert everything(tmp_path) == before - stacks
    assert prefix + "/uv" in manifest.read(node, prefix)
    assert not set(said) & set(manifest.read(node, prefix))


def test_pretending_says_the_same_and_removes_nothing(
    tmp_path: Path, node: Node, prefix: str
) -> None:
    before = everything(tmp_path)
    said = manifest.remove(node, prefix, pretend=True)
    assert everything(tmp_path) == before
    assert manifest.remove(node, prefix, pretend=False) == said


def test_a_folder_with_something_foreign_stays(tmp_path: Path, node: Node, prefix: str) -> None:
    Path(prefix, "stacks/mine.txt").write_text("mine")
    said = manifest.remove(node, prefix, pretend=True)
    removed, kept = manifest.remove(node, prefix, pretend=False)
    assert (removed, kept) == said
    assert kept == [prefix + "/stacks", prefix, str(tmp_path / "data")]
    assert everything(tmp_path) == {
        "data", "data/torchnode", "data/torchnode/stacks", "data/torchnode/stacks/mine.txt",
    }  # fmt: skip


def test_a_folder_that_was_there_before_is_not_ours(tmp_path: Path, node: Node) -> None:
    (tmp_path / "opt").mkdir()
    made = manifest.make_folder(node, str(tmp_path / "opt/a/b"))
    assert made == [(str(tmp_path / "opt/a"), "folder"), (str(tmp_path / "opt/a/b"), "folder")]
    assert manifest.make_folder(node, str(tmp_path / "opt/a/b")) == []


def test_a_link_in_place_of_a_tree_is_taken_out_and_not_followed(
    tmp_path: Path, node: Node, prefix: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("stays")
    Path(prefix, "uv").symlink_to(other)
    manifest.remove(node, prefix, pretend=False)
    assert everything(tmp_path) == {"other", "other/precious"}


def test_half_written_files_of_killed_runs_go_too(tmp_path: Path, node: Node, prefix: str) -> None:
    Path(prefix, "record.json.4711").write_text('{"half')
    os.symlink("stacks/one.1", prefix + "/current.4712")
    Path(prefix, "record.json.4711.mine").write_text("mine")
    manifest.remove(node, prefix, pretend=False)
    assert everything(tmp_path) == {
        "data", "data/torchnode", "data/torchnode/record.json.4711.mine",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"created": [1]}', '{"created": [{"path": "x"}]}']
)
def test_a_broken_manifest_is_named_and_removes_nothing(
    tmp_path: Path, node: Node, prefix: str, text: str
) -> None:
    Path(manifest.path_of(prefix)).write_text(text)
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"manifest\.json is no manifest"):
        manifest.remove(node, prefix, pretend=False)
    assert everything(tmp_path) == before


def test_entries_are_noted_once_and_in_order(node: Node, prefix: str) -> None:
    before = list(manifest.read(node, prefix))
    manifest.add(node, prefix, [(before[0], "folder"), (prefix + "/z", "file")])
    assert list(manifest.read(node, prefix)) == [*before, prefix + "/z"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    manifest.write_json(str(path), {"a": 1}, 0o600)
    with pytest.raises(TypeError):
        manifest.write_json(str(path), {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_tree_outside_the_prefix_is_ever_noted(tmp_path: Path) -> None:
    """Removal takes a tree whole: one slip here would take somebody's folder."""
    node = Node(str(tmp_path))
    (tmp_path / "opt/t").mkdir(parents=True)
    for path in ("/opt/tools", "/opt", "/opt/t"):
        with pytest.raises(ValueError, match="outside"):
            manifest.add(node, "/opt/t", [(path, "tree")])
    manifest.add(node, "/opt/t", [("/opt/t/stacks", "tree")])
