"""Resolve for every backend but cuda, each on a machine made of a few words: what it gets, what it
is refused, and what the operator has to bring. The devices' words are constructed here; what survey
makes of real machines is tested with the fixtures."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from helpers import H100, LOCKS, P100, SYSTEM, driver, gpu, lock, machine, policy

from ansible.module_utils.torchnode import supplied_wheel
from ansible.module_utils.torchnode.data import compatibility as tables
from ansible.module_utils.torchnode.data.vendor_drivers import TOOLKIT_FLOORS
from ansible.module_utils.torchnode.expectation import expectation
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Driver,
    Facts,
    SoftwareItem,
    Stack,
)
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.plan import plan, preflight
from ansible.module_utils.torchnode.policy import Conflict, Expect
from ansible.module_utils.torchnode.stack import resolve

SHA = "ab" * 32
MLU_WHEEL = "/srv/wheels/torch_mlu-1.30.0-cp311-cp311-linux_x86_64.whl"
WHEEL = {"mlu_wheel": MLU_WHEEL, "mlu_wheel_sha256": SHA, "torch_version": "2.13.0"}

#: backend: (vendor, model, architecture, device node)
DEVICES = {
    "rocm": ("amd", "AMD Instinct MI300X", "gfx942", "/dev/kfd"),
    "xpu": ("intel", "Intel Data Center GPU Max 1550", "pvc", "/dev/dri/renderD128"),
    "npu": ("huawei", "Ascend 910B", "Ascend910B", "/dev/davinci0"),
    "mlu": ("cambricon", "MLU370-X8", "mlu370", "/dev/cambricon_dev0"),
    "tpu": ("google", "TPU v5e", "v5e", "/dev/accel0"),
    "mps": ("apple", "Apple M2", "Apple M2", ""),
}
CANN = SoftwareItem("cann", "9.0.0", "/usr/local/Ascend/cann")


def node(backend: str, served: bool = True, **changes: Any) -> Facts:
    """A machine with one device of the backend, served by its driver."""
    vendor, model, architecture, device_node = DEVICES[backend]
    device = Accelerator(backend, vendor, 0, model, architecture, "0000:10:00.0", "ffff:0001")
    served_by = Driver(vendor, loaded="6.0", device_nodes=(device_node,))
    facts = machine(
        accelerators=(device,),
        drivers=(served_by,) if served and device_node else (),
        toolkits=(CANN,) if backend == "npu" and served else (),
    )
    if backend == "mps":
        system = dataclasses.replace(
            SYSTEM, system="Darwin", machine="arm64", os_id="macos", os_version="14.5"
        )
        facts = dataclasses.replace(facts, system=system)
    return dataclasses.replace(facts, **changes)


def arm(backend: str) -> Facts:
    return node(backend, system=dataclasses.replace(SYSTEM, machine="aarch64"))


def refused(facts: Facts, **wishes: Any) -> Conflict:
    with pytest.raises(Conflict) as caught:
        resolve(facts, policy(**wishes), LOCKS)
    return caught.value


def reason(stack: Stack, choice: str) -> str:
    return next(r.why for r in stack.reasons if r.choice == choice)


#: name: (facts, wishes, torch, plugin, lock; '' where none can ship)
GOT: dict[str, tuple[Facts, dict[str, Any], str, str, str]] = {
    "rocm": (node("rocm"), {}, "2.13.0+rocm7.2", "", ""),
    "rocm, older": (node("rocm"), {"torch_version": "2.7.1"}, "2.7.1+rocm6.3", "", ""),
    "xpu": (node("xpu"), {}, "2.13.0+xpu", "", ""),
    "npu": (
        node("npu"), {}, "2.13.0+cpu", "torch-npu==2.13.0",
        "torch-2.13.0+cpu-torch-npu-2.13.0-py311-x86_64.txt",
    ),
    "npu on Arm": (
        arm("npu"), {}, "2.10.0+cpu", "torch-npu==2.10.0.post7",
        "torch-2.10.0-pypi-torch-npu-2.10.0.post7.txt",
    ),
    "npu on Arm, newest": (
        arm("npu"), {"torch_version": "2.14.0"}, "2.14.0+cpu", "torch-npu==2.14.0", "",
    ),
    "tpu": (
        node("tpu"), {}, "2.9.0+cu128", "torch-xla==2.9.0",
        "torch-2.9.0-pypi-torch-xla-2.9.0.txt",
    ),
    "mps": (node("mps"), {}, "2.13.0", "", "torch-2.13.0-pypi.txt"),
    "a Mac's CPU": (node("mps"), {"backend": "cpu"}, "2.13.0", "", "torch-2.13.0-pypi.txt"),
    "mlu": (
        node("mlu"), WHEEL, "2.13.0+cpu", "torch-mlu==1.30.0",
        "torch-2.13.0+cpu-py311-x86_64.txt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOT)
def test_each_backend_gets_its_own_torch(name: str) -> None:
    facts, wishes, torch, plugin, made = GOT[name]
    stack = resolve(facts, policy(**wishes), LOCKS)
    assert stack.torch is not None
    assert (stack.torch.label, stack.torch.plugin, stack.lock) == (torch, plugin, made)
    assert bool(stack.digest) == bool(made)
    assert stack.driver is None
    assert all(r.value and r.why for r in stack.reasons)
    assert ("plugin" in {r.choice for r in stack.reasons}) == bool(plugin)


@pytest.mark.parametrize(
    ("facts", "wishes", "command"),
    [
        (node("rocm"), {}, "make lock TORCH=2.13.0 TAG=rocm7.2 PYTHON=3.11`"),
        (
            node("xpu"),
            {"workload": "vision"},
            "make lock TORCH=2.13.0 TAG=xpu PYTHON=3.11 EXTRA=vision`",
        ),
        (
            arm("npu"),
            {"torch_version": "2.14.0"},
            "make lock TORCH=2.14.0 TAG=cpu PYTHON=3.11 BACKEND=npu MACHINE=aarch64`",
        ),
        (node("mps"), {"torch_version": "2.9.1"}, "make lock TORCH=2.9.1 TAG=pypi PYTHON=3.11`"),
    ],
)
def test_no_lock_no_install(facts: Facts, wishes: dict[str, Any], command: str) -> None:
    stack = resolve(facts, policy(**wishes), LOCKS)
    steps = plan(facts, stack)
    assert [step.component for step in steps] == ["python_stack"]
    found = {o.id: o for o in preflight(facts, stack, steps, False)}["preflight.lock"]
    assert found.result is Result.FAIL
    assert command in found.remedy


def test_a_lock_of_the_operators_own_is_taken() -> None:
    own = lock("2.13.0+rocm7.2", "index")
    stack = resolve(node("rocm"), policy(), [*LOCKS, own])
    assert stack.lock == own.name


def test_a_plugins_lock_serves_no_stack_without_the_plugin() -> None:
    own = dataclasses.replace(lock("2.13.0+cpu", "index"), plugin="torch-npu==2.13.0")
    assert resolve(machine(), policy(), [own]).lock == ""
    assert resolve(node("npu"), policy(), [own]).lock == own.name
    assert resolve(node("npu"), policy(), [lock("2.13.0+cpu", "index")]).lock == ""


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "wishes", "argument", "nearest"),
    [
        (node("xpu"), {"torch_version": "2.5.1"}, "torchnode_torch_version", "torch 2.13.0+xpu"),
        (node("xpu"), {"torch_version": "2.6.0"}, "torchnode_torch_version", "torch 2.13.0+xpu"),
        (node("rocm"), {"torch_tag": "cu130"}, "torchnode_torch_tag", "torch 2.13.0+rocm7.2"),
        (
            node("rocm"),
            {"torch_version": "2.15.0"},
            "torchnode_torch_version",
            "torch 2.13.0+rocm7.2",
        ),
        (node("tpu"), {"torch_version": "2.13.0"}, "torchnode_torch_version", "torch 2.9.0+cu128"),
        (
            node("npu"),
            {"torch_version": "2.15.0"},
            "torchnode_torch_version",
            "torch 2.13.0+cpu with torch-npu 2.13.0",
        ),
        (node("mps"), {"torch_tag": "cpu"}, "torchnode_torch_tag", "torch 2.13.0 from PyPI"),
        (node("rocm"), {"backend": "cuda"}, "torchnode_backend", "backend rocm"),
        (arm("rocm"), {}, "machine", ""),
        (arm("tpu"), {}, "machine", ""),
        (node("mlu"), {}, "torchnode_mlu_wheel", "backend cpu"),
    ],
)
def test_a_wish_that_a_backend_cannot_meet(
    facts: Facts, wishes: dict[str, Any], argument: str, nearest: str
) -> None:
    conflict = refused(facts, **wishes)
    assert conflict.argument == argument
    assert conflict.nearest.startswith(nearest) if nearest else conflict.nearest == ""
    assert conflict.found
    assert conflict.expected
    assert conflict.remedy


def test_a_gpu_that_an_older_tag_has_no_code_for() -> None:
    facts = node("rocm")
    mi355x = dataclasses.replace(facts.accelerators[0], architecture="gfx950")
    facts = dataclasses.replace(facts, accelerators=(mi355x,))
    conflict = refused(facts, torch_version="2.7.1")
    assert conflict.argument == "accelerators"
    assert "gfx950" in conflict.found
    assert conflict.nearest.startswith("torch 2.13.0+rocm7.2")


def test_no_stack_is_named_as_nearest_that_would_be_refused_too() -> None:
    """The CPU does not train."""
    assert refused(node("mlu")).nearest == "backend cpu"
    assert refused(node("mlu"), workload="training").nearest == ""
    assert refused(machine(P100), workload="training").nearest == ""


def test_a_container_without_the_wished_device_is_told_where_devices_come_from() -> None:
    inside = machine(system=dataclasses.replace(SYSTEM, container="docker"))
    assert "container" in refused(inside, backend="cuda").remedy
    assert "container" not in refused(machine(), backend="cuda").remedy


def test_a_mac_trains_and_is_no_part_of_distributed_work() -> None:
    assert resolve(node("mps"), policy(workload="training"), LOCKS).backend == "mps"
    conflict = refused(node("mps"), workload="distributed")
    assert conflict.argument == "torchnode_workload"
    assert "backend mps" in conflict.found
    for backend in ("rocm", "xpu", "npu", "tpu"):
        assert resolve(node(backend), policy(workload="distributed"), LOCKS).backend == backend


def test_a_gpu_whose_architecture_is_unknown_names_the_vendors_table() -> None:
    facts = node("rocm")
    unknown = dataclasses.replace(facts.accelerators[0], architecture=None)
    conflict = refused(dataclasses.replace(facts, accelerators=(unknown,)))
    assert "data/amd_parts.py" in conflict.remedy


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"mlu_wheel": ""}, "torchnode_mlu_wheel"),
        ({"mlu_wheel": "wheels/" + MLU_WHEEL.rpartition("/")[2]}, "torchnode_mlu_wheel"),
        ({"mlu_wheel": "/srv/torch_npu-1.0-cp311-cp311-linux_x86_64.whl"}, "torchnode_mlu_wheel"),
        ({"mlu_wheel": MLU_WHEEL.replace("x86_64", "aarch64")}, "torchnode_mlu_wheel"),
        ({"mlu_wheel_sha256": ""}, "torchnode_mlu_wheel_sha256"),
        ({"mlu_wheel_sha256": "ab"}, "torchnode_mlu_wheel_sha256"),
        ({"torch_version": ""}, "torchnode_torch_version"),
        ({"torch_version": "1.0.0"}, "torchnode_torch_version"),
        ({"mlu_wheel": MLU_WHEEL.replace("cp311", "cp310")}, "the node's Pythons"),
    ],
)
def test_a_supplied_wheel_that_cannot_be_it(changes: dict[str, str], argument: str) -> None:
    assert refused(node("mlu"), **{**WHEEL, **changes}).argument == argument


def test_the_supplied_wheel_is_a_line_with_its_hash_and_part_of_the_digest() -> None:
    stack = resolve(node("mlu"), policy(**WHEEL), LOCKS)
    other = resolve(node("mlu"), policy(**{**WHEEL, "mlu_wheel_sha256": "cd" * 32}), LOCKS)
    plain = resolve(machine(), policy(), LOCKS)
    assert len({stack.digest, other.digest, plain.digest}) == 3
    assert stack.supplied is not None
    line = supplied_wheel.lock_line(stack.supplied)
    assert line == f"torch-mlu @ file://{MLU_WHEEL} \\\n    --hash=sha256:{SHA}\n"


def macos(version: str) -> Facts:
    facts = node("mps")
    return dataclasses.replace(facts, system=dataclasses.replace(facts.system, os_version=version))


def test_an_older_macos_gets_the_last_torch_for_it() -> None:
    for version, torch in (("13.7.1", "2.11.0"), ("14.0", "2.13.0"), ("26.1", "2.13.0")):
        stack = resolve(macos(version), policy(), LOCKS)
        assert stack.torch is not None
        assert stack.torch.label == torch
    conflict = refused(macos("13.7.1"), torch_version="2.13.0")
    assert (conflict.argument, conflict.found) == ("macOS", "13.7.1")
    assert conflict.nearest.startswith("torch 2.11.0 from PyPI")


# ---- several vendors in one machine ------------------------------------------------------------


def mixed() -> Facts:
    amd = node("rocm")
    return machine(
        accelerators=(gpu(H100), *amd.accelerators),
        drivers=(driver("580.159.04"), *amd.drivers),
    )


def test_the_first_backend_wins_and_says_so() -> None:
    stack = resolve(mixed(), policy(), LOCKS)
    assert (stack.backend, stack.architectures) == ("cuda", ("sm_90",))
    assert "of cuda, rocm the first is taken" in reason(stack, "backend")
    assert "torchnode_backend chooses another" in reason(stack, "backend")


def test_torchnode_backend_chooses_the_other() -> None:
    stack = resolve(mixed(), policy(backend="rocm"), LOCKS)
    assert (stack.backend, stack.architectures, stack.driver) == ("rocm", ("gfx942",), None)
    assert reason(stack, "backend") == "asked for by torchnode_backend"


def test_what_is_expected_is_counted_for_the_chosen_backend() -> None:
    expect = Expect(backend="rocm", model="MI300X", count=1)
    assert expectation(mixed(), policy(backend="rocm", expect=expect)).result is Result.PASS
    assert expectation(mixed(), policy(expect=expect)).result is Result.FAIL


def test_a_record_counts_every_device_whichever_the_stack_is_for() -> None:
    had = {"backend": "cuda", "count": 2, "pci_ids": ["10de:2330", "ffff:0001"]}
    facts = dataclasses.replace(mixed(), record={"at": "2026-11-01", "had": had})
    for backend in ("auto", "rocm"):
        assert expectation(facts, policy(backend=backend)).result is Result.PASS


# ---- what the operator has to bring ------------------------------------------------------------


def needs(facts: Facts, **wishes: Any) -> dict[str, Outcome]:
    stack = resolve(facts, policy(**wishes), LOCKS)
    steps = plan(facts, stack)
    assert [step.component for step in steps][-1] == "python_stack"
    found = preflight(facts, stack, steps, False)
    return {o.id: o for o in found if o.result is Result.FAIL and o.id != "preflight.lock"}


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("rocm", {"preflight.amd_driver"}),
        ("xpu", {"preflight.intel_driver"}),
        ("npu", {"preflight.ascend_driver", "preflight.cann"}),
        ("mlu", {"preflight.cambricon_driver"}),
        ("tpu", {"preflight.tpu_driver"}),
        ("mps", set()),
    ],
)
def test_a_missing_driver_is_the_operators_step(backend: str, expected: set[str]) -> None:
    wishes = WHEEL if backend == "mlu" else {}
    missing = needs(node(backend, served=False), **wishes)
    assert set(missing) == expected
    assert all(outcome.cause and outcome.remedy for outcome in missing.values())
    assert needs(node(backend), **wishes) == {}


def test_cann_is_asked_for_where_the_driver_is_there() -> None:
    missing = needs(node("npu", toolkits=()))
    assert set(missing) == {"preflight.cann"}
    assert "CANN" in missing["preflight.cann"].remedy


@pytest.mark.parametrize(
    ("versions", "seen"),
    [
        (["8.3.RC1"], True),
        (["8.3.RC1", "9.2.0"], False),
        (["8.5.0"], False),
        (["unreadable"], False),
    ],
)
def test_a_cann_that_huawei_does_not_name_for_the_plugin_is_a_warning(
    versions: list[str], seen: bool
) -> None:
    found = [SoftwareItem("cann", v, "/usr/local/Ascend/cann-" + v) for v in versions]
    facts = node("npu", toolkits=tuple(found))
    stack = resolve(facts, policy(), LOCKS)
    told = preflight(facts, stack, plan(facts, stack), False)
    warnings = [o for o in told if o.id == "preflight.cann_version"]
    assert [o.result for o in warnings] == [Result.WARN] * seen
    assert all("8.3.RC1" in o.cause and "CANN 9.2.0" in o.remedy for o in warnings)


def test_every_plugin_in_the_tables_has_its_toolkits_row() -> None:
    """A new torch-npu comes with the CANN that it is compatible with."""
    plugins = {w.plugin.requirement for w in tables.TORCH_BUILDS if w.plugin and w.backend == "npu"}
    assert plugins
    assert plugins <= {row.plugin for row in TOOLKIT_FLOORS}
    assert all(row.cited for row in TOOLKIT_FLOORS)


# ---- WSL2 --------------------------------------------------------------------------------------


def windows(loaded: str | None) -> Facts:
    facts = machine(H100, loaded=loaded, flavour=None)
    return dataclasses.replace(facts, system=dataclasses.replace(facts.system, wsl2=True))


def test_under_wsl2_the_driver_is_windows_and_never_a_step() -> None:
    stack = resolve(windows("580.159.04"), policy(), LOCKS)
    assert stack.torch is not None
    assert stack.torch.label == "2.13.0+cu130"
    assert stack.driver is not None
    assert (stack.driver.branch, stack.driver.flavour) == ("580", "")
    assert [s.component for s in plan(windows("580.159.04"), stack)] == ["python_stack"]


def test_under_wsl2_a_missing_driver_is_for_windows() -> None:
    facts = windows(None)
    stack = resolve(facts, policy(), LOCKS)
    steps = plan(facts, stack)
    assert [s.component for s in steps] == ["python_stack"]
    found = {o.id: o for o in preflight(facts, stack, steps, False)}["preflight.windows_driver"]
    assert found.result is Result.FAIL
    assert "Never install a Linux driver" in found.remedy


def test_under_wsl2_an_older_driver_gets_the_build_that_it_runs() -> None:
    stack = resolve(windows("535.230.02"), policy(driver_version="580"), LOCKS)
    assert stack.torch is not None
    assert stack.torch.label == "2.10.0+cu128"
