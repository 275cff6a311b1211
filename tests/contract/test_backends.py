"""What every backend of the registry owes: a new one is red until all of it exists."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from helpers import FIXTURES, MACHINES, ROOT, FixtureNode

from ansible.module_utils.torchnode.accelerators import BACKENDS
from ansible.module_utils.torchnode.accelerators.base import Backend
from ansible.module_utils.torchnode.data.compatibility import TORCH_BUILDS
from ansible.module_utils.torchnode.node import Completed

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
def test_a_captured_machine_exists(backend: Backend) -> None:
    assert list((FIXTURES / backend.vendor).glob("*.json"))


@each_backend
def test_operators_can_ask_for_it(backend: Backend) -> None:
    specs = yaml.safe_load((ROOT / "roles/policy/meta/argument_specs.yml").read_text())
    choices = specs["argument_specs"]["main"]["options"]["torchnode_backend"]["choices"]
    assert backend.name in choices
    assert set(choices) == {"auto", *(b.name for b in BACKENDS)}


@each_backend
def test_a_torch_build_exists(backend: Backend) -> None:
    assert any(row.backend == backend.name for row in TORCH_BUILDS)


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
    assert [a.bus for a in found] == sorted(a.bus or "" for a in found)
    driver = backend.driver(node, found)
    assert driver is None or driver.vendor == backend.vendor
    refined, version, error = backend.refine(node, found, ("/usr/bin/python3",))
    assert [a.bus for a in refined] == [a.bus for a in found]
    assert version is None or error is None


@pytest.mark.parametrize("machine", [m for m in MACHINES if not m.startswith("cpu/")])
def test_a_vendors_machine_is_found_by_its_own_backend_only(machine: str, tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, machine)
    owners = {backend.vendor for backend in BACKENDS if backend.find(node)}
    assert owners == {machine.split("/")[0]}
