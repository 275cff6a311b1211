"""Components go alone: what goes with them, which files are theirs, and what the node then says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible.module_utils.torchnode import component_paths, dkms, manifest, node_removal
from ansible.module_utils.torchnode.node import Node


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix with a cuDNN from a wheel, and a file that names a key for DKMS."""
    found, node = str(tmp_path / "t"), Node("/", environ={})
    made = manifest.make_folder(node, found + "/cudnn/wheel")
    manifest.add(node, found, [*made, (found + "/cudnn/wheel", "tree")])
    key = tmp_path / "signing.conf"
    key.touch()
    monkeypatch.setattr(dkms, "SIGNING_FILE", str(key))
    manifest.add(node, found, [(str(key), "file")])
    return found


@pytest.fixture
def fact(tmp_path: Path) -> Path:
    path = tmp_path / "facts" / "torchnode.fact"
    path.parent.mkdir()
    path.write_text(json.dumps({"verdict": "READY", "run": "before"}))
    return path


def test_what_is_nothing_without_another_goes_with_it() -> None:
    found = component_paths.with_dependents(["nvidia_driver", "cuda_toolkit", "cudnn"])
    assert found == ["nvidia_driver", "nvidia_fabric", "cuda_toolkit", "cudnn"]


@pytest.mark.parametrize("component", ["cuda_toolkit", "nvidia_driver"])
def test_its_own_files_go_and_the_verdict_is_unknown(
    prefix: str, fact: Path, component: str
) -> None:
    node, both = Node("/", environ={}), [prefix + "/cudnn/wheel", dkms.SIGNING_FILE]
    goes, stays = both if component == "cuda_toolkit" else reversed(both)
    looked = node_removal.Order(prefix, [component], str(fact.parent), check=True)
    said = node_removal.files(node, looked, False)
    assert (node.exists(goes), json.loads(fact.read_text())["verdict"]) == (True, "READY")
    order = node_removal.Order(prefix, [component], str(fact.parent))
    assert set(node_removal.files(node, order, False)[0]) == set(said[0])
    assert (node.exists(goes), node.exists(stays)) == (False, True)
    told = json.loads(fact.read_text())
    assert told["verdict"] == "UNKNOWN"
    assert component in told["reason"]


def test_a_component_that_is_not_there_changes_nothing(prefix: str, fact: Path) -> None:
    node, order = Node("/", environ={}), node_removal.Order(prefix, ["dcgm"], str(fact.parent))
    assert node_removal.files(node, order, False) == ([], [])
    assert json.loads(fact.read_text())["verdict"] == "READY"
    assert node_removal.told(node, order, [], [], []) == "nothing of dcgm is there"
