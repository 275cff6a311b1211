"""The example inventory, read by Ansible's own loader: one fleet, each node with its own stack.

The hosts' facts are what survey reads of the machines in tests/fixtures.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from helpers import LOCKS, ROOT, FixtureNode, machine
from report_samples import SITE

from ansible.module_utils.torchnode import controller, decide
from ansible.module_utils.torchnode.decide import Decision
from ansible.module_utils.torchnode.model import Facts
from ansible.module_utils.torchnode.survey import survey

EXAMPLE = ROOT / "inventory" / "example"


def load(place: str = str(EXAMPLE)) -> dict[str, dict[str, Any]]:
    """Every host with its variables, as a play would see them."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[place])
    variables = VariableManager(loader=loader, inventory=inventory)
    hosts = inventory.get_hosts()
    return {host.name: variables.get_vars(host=host, include_hostvars=False) for host in hosts}


HOSTS = load()


#: kind of host: the machine of tests/fixtures that is surveyed in its place.
SURVEYED = {
    "h100": "nvidia/h100-x1",
    "a100": "nvidia/a100-x8",
    "b200": "nvidia/b200",
    "v100": "nvidia/v100",
    "mi300x": "amd/mi300x-x8",
    "max1550": "intel/max1550",
    "ascend": "huawei/910b-x8",
    "tpu": "google/v5e",
    "mac": "apple/m2",
    "cpu": "cpu/debian12-vm",
    "cloud-gpu": "nvidia/h100-x1",
}


@functools.cache
def facts_of(kind: str) -> Facts:
    """What survey reads of the machine; Python and free disk, which no fixture has, are given."""
    with tempfile.TemporaryDirectory() as root:
        node = FixtureNode(Path(root), SURVEYED[kind])
        facts = survey(node, own_python="/nowhere/python3")
    spare = machine()
    return dataclasses.replace(facts, pythons=spare.pythons, disks=spare.disks)


#: kind of host: (backend, torch with its plugin, the outcome that stops it)
EXPECTED: dict[str, tuple[str, str, Optional[str]]] = {
    "h100": ("cuda", "2.13.0+cu130", None),
    "a100": ("cuda", "2.13.0+cu130", None),
    "b200": ("cuda", "2.13.0+cu130", None),
    "v100": ("cuda", "2.10.0+cu128", None),
    "mi300x": ("rocm", "2.13.0+rocm7.2", "preflight.lock"),
    "max1550": ("xpu", "2.13.0+xpu", "preflight.lock"),
    "ascend": ("npu", "2.10.0+cpu torch-npu==2.10.0.post7", None),
    "tpu": ("tpu", "2.9.0+cu128 torch-xla==2.9.0", None),
    "mac": ("mps", "2.13.0", None),
    "cpu": ("cpu", "2.13.0+cpu", None),
    "cloud-gpu": ("cuda", "adopted", None),
}


def kind(host: str) -> str:
    return host.partition(".")[0].rpartition("-")[0]


def decided(host: str, facts: Facts) -> Decision:
    """What the resolve role would make of the host's variables."""
    defaults = yaml.safe_load((ROOT / "roles/policy/defaults/main.yml").read_text())
    given = {k: v for k, v in HOSTS[host].items() if k.startswith("torchnode_")}
    (task, _group) = yaml.safe_load((ROOT / "roles/resolve/tasks/main.yml").read_text())
    names = list(task["resolve"]["policy"])
    values = {**defaults, **given}
    return decide.decide(
        facts=facts,
        wishes={name: values["torchnode_" + name] for name in names},
        allow_busy=False,
        variables=list(given),
        known=decide.known_variables(controller.PROJECT / "roles"),
        locks=LOCKS,
        now=1_790_000_000.0,
        requested=SITE,
        urls={},
        stated={name: values[name] for name in task["resolve"]["settings"]},
    )


def test_every_kind_of_machine_is_there_and_expected() -> None:
    assert {kind(host) for host in HOSTS} == set(EXPECTED) == set(SURVEYED)


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_each_node_resolves_to_its_own_stack(host: str) -> None:
    backend, torch, stopped = EXPECTED[kind(host)]
    decision = decided(host, facts_of(kind(host)))
    failing = [o.id for o in decision.outcomes if o.result.value in ("fail", "incomplete")]
    assert failing == ([stopped] if stopped else [])
    stack = decision.stack
    assert stack is not None
    named = " ".join(p for p in (stack.torch.label, stack.torch.plugin) if p) if stack.torch else ""
    assert (stack.backend, named or "adopted") == (backend, torch)
    assert decision.failed == bool(stopped)


@pytest.mark.parametrize("host", sorted(h for h in HOSTS if "torchnode_expect" in HOSTS[h]))
def test_a_node_that_lost_its_devices_fails(host: str) -> None:
    if HOSTS[host]["torchnode_expect"].get("count") == 0:
        lost = facts_of("h100")
    else:
        lost = dataclasses.replace(facts_of(kind(host)), accelerators=(), drivers=())
    decision = decided(host, lost)
    assert decision.failed
    assert "resolve.expected_accelerators" in [o.id for o in decision.outcomes]


def test_the_lock_that_is_missing_is_named_with_its_command() -> None:
    decision = decided("mi300x-01.example.com", facts_of("mi300x"))
    (found,) = (o for o in decision.outcomes if o.id == "preflight.lock")
    assert "make lock TORCH=2.13.0 TAG=rocm7.2 PYTHON=3.11" in found.remedy
    assert decision.stack is not None
    assert decision.stack.packages == ()
