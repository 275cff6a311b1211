"""Which toolkit /usr/local/cuda is, and how it becomes the first one of the inventory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode import cuda_default, manifest
from ansible.module_utils.torchnode.cuda_default import ALTERNATIVE, LINK, Problem
from ansible.module_utils.torchnode.node import Completed, Run

NEW, OLD = LINK + "-13.0", LINK + "-12.8"


@pytest.fixture
def node(tmp_path: Path) -> FixtureNode:
    made = FixtureNode(tmp_path)
    for folder in (NEW, OLD):
        made.write(folder + "/version.json", "{}")
    os.makedirs(made.path("/etc/alternatives"))
    os.makedirs(made.path("/p"))
    return made


def alternatives(node: FixtureNode, rc: int = 0) -> Run:
    """update-alternatives, which does as it is told or fails."""

    def run(argv: Sequence[str]) -> Completed:
        if rc == 0:
            os.remove(node.path(ALTERNATIVE))
            os.symlink(argv[-1], node.path(ALTERNATIVE))
        return Completed(rc, "", "error: no such alternative")

    return run


def test_the_packages_alternatives_are_asked(node: FixtureNode) -> None:
    os.symlink(ALTERNATIVE, node.path(LINK))
    os.symlink(OLD, node.path(ALTERNATIVE))
    assert cuda_default.current(node) == OLD
    assert cuda_default.settle(node, alternatives(node), "13.0", "/p", True)
    assert cuda_default.current(node) == OLD
    assert cuda_default.settle(node, alternatives(node), "13.0", "/p", False)
    assert cuda_default.current(node) == NEW
    assert not cuda_default.settle(node, alternatives(node), "13.0", "/p", False)
    with pytest.raises(Problem, match="no such alternative"):
        cuda_default.settle(node, alternatives(node, 2), "12.8", "/p", False)


def test_without_alternatives_a_link_is_made_noted_and_moved(node: FixtureNode) -> None:
    run = alternatives(node, 1)
    assert cuda_default.settle(node, run, "12.8", "/p", False)
    assert cuda_default.current(node) == OLD
    assert manifest.read(node, "/p")[LINK] == "file"
    assert cuda_default.settle(node, run, "13.0", "/p", False)
    assert cuda_default.current(node) == NEW


def test_what_somebody_else_made_stays(node: FixtureNode) -> None:
    os.symlink(OLD, node.path(LINK))
    with pytest.raises(Problem, match="neither"):
        cuda_default.settle(node, alternatives(node, 1), "13.0", "/p", False)
    assert cuda_default.current(node) == OLD


def test_a_toolkit_that_is_not_there_is_no_default(node: FixtureNode) -> None:
    with pytest.raises(Problem):
        cuda_default.settle(node, alternatives(node), "12.9", "/p", False)
    assert cuda_default.current(node) == ""
