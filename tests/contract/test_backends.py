"""What every backend of the registry owes: a new one is red until all of it exists."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import FIXTURES, MACHINES, ROOT, FixtureNode

from ansible.module_utils.torchnode import supplied_wheel
from ansible.module_utils.torchnode.accelerators import BACKENDS
from ansible.module_utils.torchnode.accelerators.base import Backend
from ansible.module_utils.torchnode.data.compatibility import TORCH_BUILDS
from ansible.module_utils.torchnode.data.vendor_drivers import VENDOR_DRIVERS
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.probe import ADAPTERS
from ansible.module_utils.torchnode.requirements.backends import BACKENDS as VERIFIED

each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: str(backend.name))
METHODS = ("find", "driver", "refine")


def test_names_are_unique() -> None:
    assert len({backend.name for backend in BACKENDS}) == len(BACKENDS)
    assert len({backend.vendor for backend in BACKENDS}) == len(BACKENDS)


@each_backend
@pytest.mark.parametrize("method", METHODS)
def test_methods_take_what_the_protocol_says(backend: Backend, method: str) -> None:
    made, wanted = getattr(type(backend), method), getattr(Backend, method)
    assert list(inspect.signature(made).parameters) == list(inspect.signature(wanted).parameters)
    assert inspect.get_annotations(made) == inspect.get_annotations(wanted)
    assert inspect.getdoc(made)


@each_backend
def test_plain_facts(backend: Backend) -> None:
    assert isinstance(backend.name, str)
    assert backend.name
    assert isinstance(backend.vendor, str)
    assert backend.vendor
    assert isinstance(backend.device_nodes, tuple)
    assert all(path.startswith("/dev/") for path in backend.device_nodes)


@each_backend
def test_a_machine_of_its_own_exists(backend: Backend) -> None:
    assert list((FIXTURES / backend.vendor).glob("*.json"))


def options() -> dict[str, Any]:
    """The variables that operators may set."""
    specs = yaml.safe_load((ROOT / "roles/policy/meta/argument_specs.yml").read_text())
    declared: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return declared


@each_backend
def test_operators_can_ask_for_it(backend: Backend) -> None:
    choices = options()["torchnode_backend"]["choices"]
    assert backend.name in choices
    assert set(choices) == {"auto", *(b.name for b in BACKENDS)}


@each_backend
def test_a_torch_build_exists(backend: Backend) -> None:
    """Cambricon's torch_mlu is on no index: the operator supplies it beside a torch of a row."""
    if backend.name == "mlu":
        assert any(supplied_wheel.serves(row) for row in TORCH_BUILDS)
    else:
        assert any(row.backend == backend.name for row in TORCH_BUILDS)


@each_backend
def test_verify_knows_it(backend: Backend) -> None:
    """How torch reaches it, and why torch cannot use it. The CPU is always there."""
    if backend.name != "cpu":
        assert backend.name in ADAPTERS
        assert VERIFIED[backend.name].rules
        assert VERIFIED[backend.name].expected


@each_backend
def test_its_driver_is_asked_for(backend: Backend) -> None:
    """CUDA's is chosen by driver_choice; macOS and the CPU bring theirs."""
    if backend.name not in ("cuda", "mps", "cpu"):
        row = VENDOR_DRIVERS[backend.name]
        assert row.vendor == backend.vendor
        assert row.cited
        assert row.remedy


@each_backend
def test_an_empty_machine_has_none(backend: Backend, tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    assert backend.find(node) == ()
    assert backend.driver(node, ()) is None
    assert backend.refine(node, (), ("/usr/bin/python3",)) == ((), None, None)


@each_backend
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "answer", [None, Completed(0, ""), Completed(0, "nonsense"), Completed(1, "", "no\n")]
)
def test_captured_machines_are_read(
    backend: Backend, machine: str, answer: Completed | None, tmp_path: Path
) -> None:
    """Also where every command answers nonsense, nothing raises and nothing is made up."""
    node = FixtureNode(tmp_path, machine)
    if answer is not None:
        node.run = lambda argv: answer
    found = backend.find(node)
    assert [accelerator.index for accelerator in found] == list(range(len(found)))
    assert {a.backend for a in found} <= {backend.name}
    assert {a.vendor for a in found} <= {backend.vendor}
    assert [a.bus or "" for a in found] == sorted(a.bus or "" for a in found)
    driver = backend.driver(node, found)
    assert driver is None or driver.vendor == backend.vendor
    refined, version, error = backend.refine(node, found, ("/usr/bin/python3",))
    assert [a.bus for a in refined] == [a.bus for a in found]
    assert version is None or error is None


#: A machine lies in the folder of its first vendor; these have another one's devices as well.
MIXED = {"nvidia/mixed-h100-mi210": {"nvidia", "amd"}}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_vendors_machine_is_found_by_its_own_backend_only(machine: str, tmp_path: Path) -> None:
    """On a machine of the folder cpu none finds anything: that is what the folder is for."""
    node = FixtureNode(tmp_path, machine)
    owners = {backend.vendor for backend in BACKENDS if backend.find(node)}
    assert owners == MIXED.get(machine, {machine.split("/")[0]} - {"cpu"})


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_says_where_it_comes_from(machine: str) -> None:
    """Captured with a command, or made up from named sources: never in between."""
    told = json.loads((FIXTURES / (machine + ".json")).read_text(encoding="utf-8"))
    if told.get("constructed"):
        assert any(source.startswith("https://") for source in told["sources"])
        files = [source.split(",")[0] for source in told["sources"] if "://" not in source]
        assert all((ROOT / file).is_file() for file in files)
        assert "command" not in told
    else:
        assert told["origin"] == "captured"
        assert told["command"]
