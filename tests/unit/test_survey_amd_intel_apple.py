"""Survey of AMD, Intel and Apple machines, and what must not be taken for an accelerator."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Callable, Sequence

import pytest
from helpers import LOCKS, FixtureNode, policy

from ansible.module_utils.torchnode.accelerators import BACKENDS
from ansible.module_utils.torchnode.accelerators.amd import Amd
from ansible.module_utils.torchnode.accelerators.apple import Apple
from ansible.module_utils.torchnode.accelerators.intel import Intel
from ansible.module_utils.torchnode.data import amd_parts, intel_parts
from ansible.module_utils.torchnode.data.compatibility import TORCH_BUILDS, build_runs
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Driver,
    Facts,
    PythonInterpreter,
    as_data,
    from_data,
)
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.plan import plan
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.survey import survey

GIB = 2**30
AMD_VENDOR, INTEL_VENDOR = "0x1002", "0x8086"
PYTHON = "/opt/venv/bin/python"

Machine = Callable[[str], FixtureNode]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return lambda name: FixtureNode(tmp_path, name)


@pytest.fixture
def bare(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path)


def read(node: FixtureNode) -> Facts:
    return survey(node, own_python="/nowhere/python3")


def words(accelerators: Sequence[Accelerator]) -> list[tuple[str, str | None]]:
    return [(a.model, a.architecture) for a in accelerators]


def loaded(facts: Facts, vendor: str) -> Driver:
    (driver,) = (d for d in facts.drivers if d.vendor == vendor)
    return driver


# ---- AMD ---------------------------------------------------------------------------------------


def test_eight_mi300x(machine: Machine) -> None:
    facts = read(machine("amd/mi300x-x8"))
    assert words(facts.accelerators) == [("AMD Instinct MI300X", "gfx942")] * 8
    assert {a.memory_bytes for a in facts.accelerators} == {196592 * 2**20}
    assert [a.numa_node for a in facts.accelerators] == [0] * 4 + [1] * 4
    assert len({a.uuid for a in facts.accelerators}) == 8
    driver = loaded(facts, "amd")
    assert (driver.on_disk, driver.loaded, driver.userspace) == ("6.16.6", "6.16.6", "7.1.0")
    assert driver.device_nodes[0] == "/dev/kfd"
    assert len(driver.device_nodes) == 9


def test_each_die_of_an_mi250x_is_a_device(machine: Machine) -> None:
    facts = read(machine("amd/mi250x"))
    assert words(facts.accelerators) == [("AMD Instinct MI250X/MI250", "gfx90a")] * 2
    assert all(a.memory_bytes and a.memory_bytes < 64 * GIB for a in facts.accelerators)


def test_a_module_of_the_kernel_itself_has_the_kernels_version(machine: Machine) -> None:
    driver = loaded(read(machine("amd/mi250x")), "amd")
    assert (driver.on_disk, driver.loaded) == ("6.8.0-60-generic", "6.8.0-60-generic")
    assert driver.userspace is None


def test_without_a_driver_the_table_tells_what_it_is(bare: FixtureNode) -> None:
    bare.pci("0000:05:00.0", "0x74a1", "0x120000", AMD_VENDOR)
    (gpu,) = Amd().find(bare)
    assert (gpu.architecture, gpu.memory_bytes) == ("gfx942", None)
    driver = Amd().driver(bare, (gpu,))
    assert driver == Driver(vendor="amd")


def test_a_driver_that_serves_another_gpu_is_not_loaded_for_this_one(bare: FixtureNode) -> None:
    """amdgpu is there for the graphics of the processor; the card belongs to a guest."""
    bare.write("/sys/module/amdgpu/version", "6.16.6")
    folder = bare.pci("0000:05:00.0", "0x74a1", "0x120000", AMD_VENDOR)
    bare._link(folder + "/driver", "vfio-pci")
    driver = Amd().driver(bare, Amd().find(bare))
    assert driver
    assert driver.loaded is None


def test_an_unknown_processing_accelerator_is_found_and_told_by_its_driver(
    bare: FixtureNode,
) -> None:
    bare.pci("0000:85:00.0", "0x7fff", "0x120000", AMD_VENDOR)
    assert words(Amd().find(bare)) == [("AMD device 1002:7fff", None)]
    properties = "simd_count 1024\ngfx_target_version 90500\nlocation_id 34048\ndomain 0\n"
    bare.write("/sys/class/kfd/kfd/topology/nodes/1/properties", properties)
    assert words(Amd().find(bare)) == [("AMD device 1002:7fff", "gfx950")]


@pytest.mark.parametrize(
    ("version", "name"),
    [(90010, "gfx90a"), (90402, "gfx942"), (110000, "gfx1100"), (120001, "gfx1201")],
)
def test_the_drivers_number_is_a_gfx_target(bare: FixtureNode, version: int, name: str) -> None:
    bare.pci("0001:c6:03.1", "0x7fff", "0x120000", AMD_VENDOR)
    location = 0xC6 << 8 | 3 << 3 | 1
    text = f"simd_count 4\ngfx_target_version {version}\nlocation_id {location}\ndomain 1\n"
    bare.write("/sys/class/kfd/kfd/topology/nodes/1/properties", text)
    assert Amd().find(bare)[0].architecture == name


def test_a_card_of_an_unknown_model_is_found(bare: FixtureNode) -> None:
    bare.pci("0000:03:00.0", "0x75f0", "0x030000", AMD_VENDOR)
    assert words(Amd().find(bare)) == [("AMD device 1002:75f0", None)]


@pytest.mark.parametrize(
    "device", ["0x164e", "0x15bf", "0x150e", "0x1586", "0x1638", "0x15dd", "0x515e", "0x6939"]
)
@pytest.mark.parametrize("kind", ["0x030000", "0x038000"])
def test_graphics_that_are_no_accelerator(bare: FixtureNode, device: str, kind: str) -> None:
    """Raphael, Phoenix, Strix, Strix Halo, Cezanne, Raven; a server's display; an old card."""
    bare.pci("0000:0c:00.0", device, kind, AMD_VENDOR)
    assert Amd().find(bare) == ()


def test_shares_for_guests_are_not_counted_on_the_host(bare: FixtureNode) -> None:
    bare.pci("0000:05:00.0", "0x74a1", "0x120000", AMD_VENDOR)
    share = bare.pci("0000:05:02.0", "0x74b5", "0x120000", AMD_VENDOR)
    bare._link(share + "/physfn", "0000:05:00.0")
    assert [a.bus for a in Amd().find(bare)] == ["0000:05:00.0"]


def test_a_guest_counts_the_share_that_it_was_given(bare: FixtureNode) -> None:
    bare.pci("0000:00:05.0", "0x74b5", "0x120000", AMD_VENDOR)
    assert words(Amd().find(bare)) == [("AMD Instinct MI300X VF", "gfx942")]


def amdsmi(node: FixtureNode, *answers: Completed) -> None:
    left = list(answers)
    node.answers[PYTHON] = lambda argv: left.pop(0)


def test_amd_smi_names_what_nothing_else_named(bare: FixtureNode) -> None:
    bare.pci("0000:05:00.0", "0x74a1", "0x120000", AMD_VENDOR)
    bare.pci("0000:85:00.0", "0x7fff", "0x120000", AMD_VENDOR)
    told = [
        {"bus": "0000:%s:00.0" % bus, "name": "AMD Instinct New", "uuid": bus, "driver": "6.16.6"}
        for bus in ("05", "85")
    ]
    amdsmi(bare, Completed(0, json.dumps(told)))
    refined, version, error = Amd().refine(bare, Amd().find(bare), (PYTHON,))
    assert [a.model for a in refined] == ["AMD Instinct MI300X", "AMD Instinct New"]
    assert [a.uuid for a in refined] == ["05", "85"]
    assert (version, error) == ("6.16.6", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Completed(0, "[]"), "no GPU in the answer"),
        (Completed(0, '[{"bus": 3}]'), "unreadable answer"),
        (Completed(1, "", "Traceback\nAmdSmiLibraryException: no permission\n"), "no permission"),
        (Completed(124, "", "did not answer within 20 s"), "did not answer"),
        (Completed(1, "", "ModuleNotFoundError: No module named 'amdsmi'"), None),
        (Completed(127, "", "no such file"), None),
    ],
)
def test_what_amd_smi_does_not_say_is_not_made_up(
    bare: FixtureNode, answer: Completed, error: str | None
) -> None:
    bare.pci("0000:05:00.0", "0x74a1", "0x120000", AMD_VENDOR)
    amdsmi(bare, answer)
    found = Amd().find(bare)
    refined, version, told = Amd().refine(bare, found, (PYTHON,))
    assert (refined, version) == (found, None)
    assert (told is None) if error is None else (error in str(told))


# ---- Intel -------------------------------------------------------------------------------------


def test_two_max_1550(machine: Machine) -> None:
    facts = read(machine("intel/max1550"))
    assert words(facts.accelerators) == [("Intel Data Center GPU Max 1550", "pvc")] * 2
    assert {a.memory_bytes for a in facts.accelerators} == {128 * GIB}
    driver = loaded(facts, "intel")
    assert (driver.loaded, driver.userspace) == ("6.8.0-60-generic", "1.6.32224")
    assert driver.device_nodes == ("/dev/dri/renderD128", "/dev/dri/renderD129")


def test_shares_of_a_flex_are_the_guests(machine: Machine) -> None:
    (gpu,) = read(machine("intel/flex170-vf")).accelerators
    assert (gpu.bus, gpu.architecture) == ("0000:4d:00.0", "ats-m150")


def test_a_share_of_a_flex_in_a_guest_may_lie_on_bus_zero(bare: FixtureNode) -> None:
    bare.pci("0000:00:02.0", "0x56c0", "0x038000", INTEL_VENDOR)
    assert words(Intel().find(bare)) == [("Intel Data Center GPU Flex 170", "ats-m150")]


def test_xe_tells_memory_by_tile(bare: FixtureNode) -> None:
    folder = bare.pci("0000:29:00.0", "0x0bd5", "0x038000", INTEL_VENDOR)
    for tile in (0, 1):
        bare.write(f"{folder}/tile{tile}/physical_vram_size_bytes", str(64 * GIB))
    assert Intel().find(bare)[0].memory_bytes == 128 * GIB
    bare.write(f"{folder}/tile1/physical_vram_size_bytes", "")
    assert Intel().find(bare)[0].memory_bytes is None


def test_an_unknown_card_is_found(bare: FixtureNode) -> None:
    bare.pci("0000:03:00.0", "0xe2ff", "0x030000", INTEL_VENDOR)
    assert words(Intel().find(bare)) == [("Intel device 8086:e2ff", None)]


@pytest.mark.parametrize(
    ("address", "device", "kind"),
    [
        ("0000:00:02.0", "0x4680", "0x030000"),
        ("0000:00:02.0", "0x3e92", "0x038000"),  # Coffee Lake: in no list, in the processor's slot
        ("0000:00:05.0", "0xa780", "0x030000"),  # handed to a guest
        ("0000:00:0b.0", "0x7d1d", "0x120000"),  # a processor's NPU
        ("0000:03:00.0", "0x15f3", "0x020000"),  # a network card
    ],
)
def test_intel_devices_that_are_no_accelerator(
    bare: FixtureNode, address: str, device: str, kind: str
) -> None:
    bare.pci(address, device, kind, INTEL_VENDOR)
    assert Intel().find(bare) == ()


@pytest.mark.parametrize("bound", ["xe", "i915", None])
def test_the_driver_is_the_one_that_is_bound(bare: FixtureNode, bound: str | None) -> None:
    """Both modules are loaded, one of them for the processor's own graphics."""
    for module in ("xe", "i915"):
        bare.write(f"/sys/module/{module}/version", module + " 1")
    folder = bare.pci("0000:03:00.0", "0xe20b", "0x030000", INTEL_VENDOR)
    if bound:
        bare._link(folder + "/driver", bound)
    driver = Intel().driver(bare, Intel().find(bare))
    assert driver
    assert driver.loaded == (bound and bound + " 1")


# ---- Apple -------------------------------------------------------------------------------------


def test_a_mac(machine: Machine) -> None:
    facts = read(machine("apple/m2"))
    (gpu,) = facts.accelerators
    assert (gpu.backend, gpu.model, gpu.architecture) == ("mps", "Apple M2", "Apple M2")
    assert gpu.memory_bytes == facts.system.memory_bytes == 16 * GIB
    assert facts.drivers == ()
    system = facts.system
    assert (system.system, system.machine) == ("Darwin", "arm64")
    assert (system.os_id, system.os_version, system.os_name) == ("macos", "14.5", "macOS 14.5")
    assert (system.kernel, system.cpu_model, system.cpu_count) == ("23.5.0", "Apple M2", 8)
    assert system.boot_id
    assert (system.wsl2, system.container, system.secure_boot) == (False, None, None)


@pytest.mark.parametrize(
    ("system", "architecture", "chip"),
    [
        ("Darwin", "x86_64", "Apple M2"),  # a Python under Rosetta
        ("Darwin", "x86_64", "Intel(R) Core(TM) i9-9880H CPU @ 2.30GHz"),
        ("Linux", "arm64", "Apple M2"),
        ("Darwin", "arm64", "VirtualApple @ 2.50GHz"),
    ],
)
def test_what_is_no_mac_with_mps(
    machine: Machine, system: str, architecture: str, chip: str
) -> None:
    node = machine("apple/m2")
    node.system, node.machine = system, architecture
    node.commands["/usr/sbin/sysctl -n machdep.cpu.brand_string"]["out"] = chip + "\n"
    assert Apple().find(node) == ()


def test_a_mac_that_tells_nothing_does_not_stop_the_survey(machine: Machine) -> None:
    node = machine("apple/m2")
    node.commands = {}
    facts = read(node)
    assert facts.accelerators == ()
    assert (facts.system.os_version, facts.system.memory_bytes) == ("", None)


# ---- machines of several kinds -----------------------------------------------------------------


def test_a_desktop_has_no_accelerator_and_no_vendors_driver(machine: Machine) -> None:
    facts = read(machine("cpu/desktop-integrated"))
    assert (facts.accelerators, facts.drivers) == ((), ())


@pytest.mark.parametrize(
    ("name", "held", "count"),
    [
        ("cpu/desktop-integrated", "/dev/dri/renderD128", 0),
        ("intel/max1550", "/dev/dri/renderD128", 1),
        ("amd/mi300x-x8", "/dev/kfd", 1),
    ],
)
def test_only_who_holds_an_accelerator_is_a_user_of_it(
    machine: Machine, name: str, held: str, count: int
) -> None:
    node = machine(name)
    node.write("/proc/77/cmdline", "program")
    Path(node.path("/proc/77/fd")).mkdir()
    Path(node.path("/proc/77/fd/5")).symlink_to(node.path(held))
    assert [process.pid for process in read(node).processes] == [77] * count


def test_two_vendors_in_one_machine(machine: Machine) -> None:
    facts = read(machine("nvidia/mixed-h100-mi210"))
    assert [(a.backend, a.index) for a in facts.accelerators] == [("cuda", 0), ("rocm", 0)]
    assert [a.architecture for a in facts.accelerators] == ["sm_90", "gfx90a"]
    assert [d.vendor for d in facts.drivers] == ["nvidia", "amd"]


def test_the_registrys_order() -> None:
    names = ["cuda", "rocm", "xpu", "npu", "mlu", "mps", "tpu", "cpu"]
    assert [backend.name for backend in BACKENDS] == names


@pytest.mark.parametrize(
    ("name", "kept", "bus"),
    [
        ("amd/mi300x-x8", "renderD144", "0000:46:00.0"),
        ("intel/max1550", "renderD129", "0000:3a:00.0"),
    ],
)
def test_a_container_has_the_gpus_that_were_passed_in(
    machine: Machine, name: str, kept: str, bus: str
) -> None:
    node = machine(name)
    everything = len(read(node).accelerators)
    node.write("/run/systemd/container", "podman")
    for path in node.glob("/dev/dri/renderD*"):
        if not path.endswith(kept):
            node.remove(path)
    (gpu,) = read(node).accelerators
    assert (gpu.index, gpu.bus) == (0, bus)
    node.remove("/dev/dri/" + kept)
    assert len(read(node).accelerators) == everything


# ---- what the rest of the run makes of it ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "backend"),
    [("amd/mi300x-x8", "rocm"), ("amd/mi250x", "rocm"), ("intel/max1550", "xpu"),
     ("intel/flex170-vf", "xpu"), ("apple/m2", "mps")],
)  # fmt: skip
def test_facts_travel_and_torch_has_code_for_the_parts(
    machine: Machine, name: str, backend: str
) -> None:
    facts = from_data(Facts, json.loads(json.dumps(as_data(read(machine(name))))))
    builds = [wheel for wheel in TORCH_BUILDS if wheel.backend == backend]
    for accelerator in facts.accelerators:
        assert accelerator.architecture
        assert any(
            build_runs(backend, accelerator.architecture, wheel.architectures) for wheel in builds
        )


@pytest.mark.parametrize(
    ("name", "backend", "label"),
    [
        ("amd/mi300x-x8", "rocm", "+rocm"),
        ("amd/mi250x", "rocm", "+rocm"),
        ("intel/max1550", "xpu", "+xpu"),
        ("intel/flex170-vf", "xpu", "+xpu"),
        ("apple/m2", "mps", ""),
        ("cpu/desktop-integrated", "cpu", "+cpu"),
        ("nvidia/mixed-h100-mi210", "cuda", "+cu"),
    ],
)
def test_the_machine_resolves_to_its_own_torch(
    machine: Machine, name: str, backend: str, label: str
) -> None:
    """And no driver is missing, because the machine's own one serves."""
    pythons = (PythonInterpreter("/usr/bin/python3.12", "3.12.3"),)
    facts = dataclasses.replace(read(machine(name)), pythons=pythons)
    stack = resolve(facts, policy(), LOCKS)
    assert stack.backend == backend
    assert stack.torch
    assert label in stack.torch.label
    assert [step.component for step in plan(facts, stack)] == ["python_stack"]


@pytest.mark.parametrize("name", ["amd/mi300x-x8", "intel/max1550"])
def test_a_gpu_without_its_driver_asks_for_one(machine: Machine, name: str) -> None:
    pythons = (PythonInterpreter("/usr/bin/python3.12", "3.12.3"),)
    node = machine(name)
    node.remove("/dev")
    for link in node.glob("/sys/bus/pci/devices/*/driver"):
        node.remove(link)
    facts = dataclasses.replace(read(node), pythons=pythons)
    steps = plan(facts, resolve(facts, policy(), LOCKS))
    assert steps[0].component == name.split("/")[0] + "_driver"
    assert steps[0].operator


@pytest.mark.parametrize("part", intel_parts.PARTS, ids=lambda part: str(part.name))
def test_every_intel_part_has_a_torch_build(part: intel_parts.Part) -> None:
    builds = [wheel for wheel in TORCH_BUILDS if wheel.backend == "xpu"]
    assert any(build_runs("xpu", part.architecture, wheel.architectures) for wheel in builds)


@pytest.mark.parametrize("table", [amd_parts.PARTS, intel_parts.PARTS], ids=["amd", "intel"])
def test_rows_are_in_order_and_cited(table: Sequence[amd_parts.Part]) -> None:
    ids = [part.device_id for part in table]
    assert ids == sorted(set(ids))
    assert all(part.cited and part.cited[0].url for part in table)


def test_no_part_is_also_integrated() -> None:
    assert not [part for part in intel_parts.PARTS if intel_parts.is_integrated(part.device_id)]


def test_eight_gpus_are_read_in_no_time(machine: Machine) -> None:
    """The limit is generous: a reading of a second or more is a loop gone wrong."""
    node = machine("amd/mi300x-x8")
    begun = time.perf_counter()
    for backend in BACKENDS:
        backend.driver(node, backend.find(node))
    assert time.perf_counter() - begun < 1.0
