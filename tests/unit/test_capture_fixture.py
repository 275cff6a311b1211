"""The tool that turns a machine into a fixture asks what survey asks, and survey reads it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, FixtureNode

from ansible.module_utils.torchnode import host_survey
from ansible.module_utils.torchnode.data.nvidia_packages import HOST_COMPILER
from ansible.module_utils.torchnode.host_survey import read_host
from ansible.module_utils.torchnode.node import Node

COMPILERS = set(HOST_COMPILER.values())  # of every machine, so that no fixture lists them
TOOL = str(ROOT / "tools" / "capture_fixture.py")


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    """The tool's names; it stands alone, so that its lists are copies of survey's."""
    return runpy.run_path(TOOL)


@pytest.mark.parametrize("manager", ["/usr/bin/apt-get", "/usr/bin/dnf"])
def test_its_queries_are_those_of_survey(
    tool: dict[str, Any], tmp_path: Path, manager: str
) -> None:
    node = FixtureNode(tmp_path)
    node.write(manager, "")
    read_host(node)
    first = [query for query in node.asked if query[0] != "dnf" or "--cacheonly" in query]
    assert first
    assert all(query in tool["PACKAGES"] for query in first)


def test_its_lists_are_those_of_survey(tool: dict[str, Any]) -> None:
    assert tuple(tool["UNITS"]) == host_survey.SERVICES
    assert tuple(tool["MODULES"]) == host_survey.MODULE_FOLDERS
    stack = [pattern for pattern in host_survey.PATTERNS if pattern not in COMPILERS]
    bare = [pattern.replace("[0-9]*", "6.12").rstrip("*") for pattern in stack]
    names = [name.replace("[0-9]", "2").replace("*", "64k") for name in bare]
    assert [name for name in names if not tool["STACK"].search(name)] == []


def test_survey_reads_what_it_captures(tool: dict[str, Any], tmp_path: Path) -> None:
    captured = json.loads(json.dumps(tool["capture"]()))
    node = FixtureNode(tmp_path)
    node.load(captured)
    told = read_host(node)
    here = read_host(Node())
    assert (told is None) == (here is None)
    if told is not None and here is not None:
        assert told.manager == here.manager
        names = [p.name for p in here.packages if p.name not in COMPILERS]
        assert [p.name for p in told.packages] == names
        assert [(k.release, k.module) for k in told.kernels] == [
            (k.release, k.module) for k in here.kernels
        ]
        assert told.services == here.services
        assert (told.origin, told.dkms) == (here.origin, here.dkms)
