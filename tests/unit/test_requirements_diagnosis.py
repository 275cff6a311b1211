"""``torch.cuda.is_available()`` is False: each reason is told apart."""

from __future__ import annotations

import dataclasses

import pytest
from verify_samples import UNAVAILABLE, facts, judge, sections, tells

from ansible.module_utils.torchnode.model import Accelerator
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.requirements.backends.cuda import RULES, hides_all


def broken(text="", **changes):
    """The H200 with a torch that says ``text`` instead of using it."""
    return sections(backend={**UNAVAILABLE, "init_error": text}, **changes)


NO_MODULE: dict[str, object] = {"nvidia_module": None, "nodes": []}
NO_NVML = {"driver": None, "error": "NVMLError_LibraryNotFound"}
ABSENT = {"on_disk": None, "loaded": None, "userspace": None}
OLD = {"nvml": {"driver": "570.26"}, "nvidia_smi": {"driver": "570.26"}}


def nodes(**usable):
    paths = {
        "nvidia_uvm": "/dev/nvidia-uvm",
        "nvidiactl": "/dev/nvidiactl",
        "nvidia0": "/dev/nvidia0",
    }
    return [{"path": paths[name], "usable": value} for name, value in usable.items()]


def divided(instances):
    """The H200 with MIG on."""
    found = facts()
    gpus = tuple(dataclasses.replace(gpu, mig=instances) for gpu in found.accelerators)
    return dataclasses.replace(found, accelerators=gpus)


CASES = [
    ("no_device_on_bus", broken(device_nodes=NO_MODULE), facts(0)),
    ("cpu_only_wheel", broken(torch_build={"cuda": None}), facts()),
    ("other_backend_wheel", broken(torch_build={"cuda": None, "hip": "6.4"}), facts()),
    (
        "nouveau_loaded",
        broken(device_nodes=NO_MODULE, nvml=NO_NVML),
        facts(blocking_modules=("nouveau",), **ABSENT),
    ),
    ("no_driver", broken(device_nodes=NO_MODULE, nvml=NO_NVML), facts(**ABSENT)),
    (
        "module_not_loaded",
        broken(device_nodes=NO_MODULE, nvml=NO_NVML),
        facts(loaded=None),
    ),
    (
        "driver_library_mismatch",
        broken(nvml={"driver": None, "error": "NVMLError: Driver/library version mismatch"}),
        facts(userspace="580.159.01"),
    ),
    (
        "container_without_devices",
        broken(device_nodes={"nodes": []}),
        facts(container="docker"),
    ),
    (
        "device_nodes_missing",
        broken(device_nodes={"nodes": nodes(nvidia0=True, nvidiactl=True)}),
        facts(),
    ),
    (
        "device_node_rights",
        broken(device_nodes={"nodes": nodes(nvidia0=True, nvidiactl=False, nvidia_uvm=True)}),
        facts(),
    ),
    (
        "fabric_manager",
        broken("RuntimeError: Unexpected error. Error 802: system not yet initialized"),
        facts(),
    ),
    ("driver_too_old", broken("The NVIDIA driver on your system is too old", **OLD), facts()),
    (
        "hidden_by_environment",
        broken(environment={"variables": {"CUDA_VISIBLE_DEVICES": ""}}),
        facts(),
    ),
    ("mig_without_instance", broken("No CUDA GPUs are available"), divided(())),
    ("unavailable_unknown", broken("RuntimeError: surprise"), facts()),
    ("unavailable_unknown", broken("RuntimeError: surprise"), divided(("1g.10gb",))),
]


@pytest.mark.parametrize(("cause", "told", "surveyed"), CASES, ids=[case[0] for case in CASES])
def test_the_cause_is_named(cause, told, surveyed):
    outcome = judge(told, facts=surveyed)["backend_available"]
    assert outcome.result is Result.FAIL
    assert tells(outcome, cause), outcome.cause


def test_every_rule_has_a_case():
    assert {rule.__name__ for rule in RULES} == {case[0] for case in CASES} - {
        "unavailable_unknown"
    }


def test_a_hidden_device_is_named_without_facts():
    told = broken(environment={"variables": {"CUDA_VISIBLE_DEVICES": "-1"}})
    outcome = judge(told, facts=None)["backend_available"]
    assert "CUDA_VISIBLE_DEVICES='-1'" in outcome.cause


ONE = (Accelerator("cuda", "nvidia", 0, "H200", uuid="GPU-0f0f0"),)


@pytest.mark.parametrize(
    ("value", "hidden"),
    [("", True), ("-1", True), ("7", True), ("0", False), ("GPU-0f0f", False), ("GPU-9", True)],
)
def test_what_hides_everything(value, hidden):
    assert hides_all(value, ONE) is hidden
