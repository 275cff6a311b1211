"""Survey of NVIDIA's GPUs where something hides, divides or lends them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

import pytest
from helpers import LOCKS, FixtureNode, machine, policy

from ansible.module_utils.torchnode.accelerators import nvidia
from ansible.module_utils.torchnode.data.nvidia_parts import PRODUCTS, lookup, lookup_name
from ansible.module_utils.torchnode.model import Facts, as_data, from_data
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.plan import plan, preflight
from ansible.module_utils.torchnode.policy import Conflict
from ansible.module_utils.torchnode.stack import resolve
from ansible.module_utils.torchnode.survey import survey

PYTHON = "/opt/venv/bin/python"
SMI = "/usr/lib/wsl/lib/nvidia-smi"
CAPABILITIES = "/proc/driver/nvidia/capabilities"


def read(node: FixtureNode, **given: Any) -> Facts:
    given.setdefault("own_python", "/nowhere/python3")
    return survey(node, **given)


def with_python(facts: Facts) -> Facts:
    """With a Python and free disk, which no fixture has."""
    spare = machine()
    return dataclasses.replace(facts, pythons=spare.pythons, disks=spare.disks)


# ---- plain machines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "count", "model", "architecture", "flavour"),
    [
        ("v100", 1, "Tesla V100-SXM2-16GB", "sm_70", "proprietary"),
        ("a100-x8", 8, "NVIDIA A100-SXM4-80GB", "sm_80", "open"),
        ("h100-x1", 1, "NVIDIA H100 80GB HBM3", "sm_90", "open"),
        ("b200", 8, "NVIDIA B200", "sm_100", "open"),
        ("gb200-x4", 4, "NVIDIA GB200", "sm_100", "open"),
    ],
)
def test_each_generation(
    tmp_path: Path, machine: str, count: int, model: str, architecture: str, flavour: str
) -> None:
    facts = read(FixtureNode(tmp_path, "nvidia/" + machine))
    assert len(facts.accelerators) == count
    assert {(g.model, g.architecture) for g in facts.accelerators} == {(model, architecture)}
    assert {g.mig for g in facts.accelerators} == {None}
    (driver,) = facts.drivers
    assert (driver.loaded, driver.flavour) == ("580.159.04", flavour)


def test_debians_module_has_a_name_of_its_own(tmp_path: Path) -> None:
    """`modinfo nvidia` knows nvidia-current-open.ko under no name, only modprobe.d leads to it."""
    node = FixtureNode(tmp_path, "nvidia/h100-x1")
    path = "/lib/modules/6.1.0-50-amd64/updates/dkms/nvidia-current-open.ko"
    node.write("/proc/sys/kernel/osrelease", "6.1.0-50-amd64\n")
    node.write(path, "")

    def modinfo(argv: Sequence[str]) -> Completed:
        if argv[-1] != path:
            return Completed(1, "", "modinfo: ERROR: Module nvidia not found.\n")
        return Completed(0, "license:        Dual MIT/GPL\nversion:        535.261.03\n")

    node.answers["modinfo"] = modinfo
    (driver,) = read(node).drivers
    assert (driver.on_disk, driver.flavour) == ("535.261.03", "open")


def test_nvswitches_are_switches_and_no_gpus(tmp_path: Path) -> None:
    facts = read(FixtureNode(tmp_path, "nvidia/a100-x8"))
    assert facts.switches == tuple(f"0000:c{digit}:00.0" for digit in "456789")


BRIDGES = tuple(f"0000:a5:00.{digit}" for digit in "0123")


def test_what_manages_a_b200s_switches_says_so_in_its_vital_product_data(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/b200")
    assert read(node).switches == BRIDGES
    # Only root may ask. What does not answer may be one, and what has none to read is none.
    node.remove("/sys/bus/pci/devices/0000:1a:00.0/vpd")
    (tmp_path / "sys/bus/pci/devices/0000:a5:00.0/vpd").unlink()
    (tmp_path / "sys/bus/pci/devices/0000:a5:00.0/vpd").mkdir()
    assert read(node).switches == BRIDGES
    for function in "123":
        node.write("/sys/bus/pci/devices/0000:a5:00.%s/vpd" % function, "an ordinary card")
    assert read(node).switches == BRIDGES[:1]


# ---- MIG and virtual functions -----------------------------------------------------------------


def test_mig_devices_are_told_by_the_drivers_capabilities(tmp_path: Path) -> None:
    divided, whole = read(FixtureNode(tmp_path, "nvidia/a100-mig")).accelerators
    assert divided.mig == ("gi1/ci0", "gi2/ci0")
    assert whole.mig is None


@pytest.mark.parametrize("told", [None, [], ["1g.5gb", "3g.20gb"]])
def test_nvml_tells_mig_devices_by_profile(tmp_path: Path, told: list[str] | None) -> None:
    node = FixtureNode(tmp_path, "nvidia/a100-mig")
    device = {"bus": "00000000:07:00.0", "name": "NVIDIA A100-SXM4-40GB", "uuid": "GPU-1"}
    told_all = {**device, "memory_bytes": None, "capability": [8, 0], "mig": told}
    answer = json.dumps({"driver": "580.159.04", "devices": [told_all]})
    node.answers[PYTHON] = lambda argv: Completed(0, answer)
    facts = read(node, python=PYTHON)
    assert facts.accelerators[0].mig == (None if told is None else tuple(told))
    # NVML may refuse the memory of a divided GPU to a user: the table's figure stays.
    assert facts.accelerators[0].memory_bytes == 40 * 2**30
    assert from_data(Facts, json.loads(json.dumps(as_data(facts)))) == facts


_STAND_IN = '''
"""A stand-in for nvidia-ml-py: one GPU in MIG mode with one MIG device in its second place."""
class NVMLError(Exception): pass
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 1
def nvmlSystemGetDriverVersion(): return b"580.159.04"
def nvmlDeviceGetHandleByIndex(index): return "gpu"
class _Pci: busId = b"00000000:07:00.0"
def nvmlDeviceGetPciInfo(handle): return _Pci
def nvmlDeviceGetName(handle):
    return "NVIDIA A100-SXM4-40GB" + (" MIG 3g.20gb" if handle == "mig" else "")
def nvmlDeviceGetUUID(handle): return "GPU-1"
def nvmlDeviceGetMemoryInfo(handle): raise NVMLError("Insufficient Permissions")
def nvmlDeviceGetCudaComputeCapability(handle): return (8, 0)
def nvmlDeviceGetMigMode(handle): return MIG
def nvmlDeviceGetMaxMigDeviceCount(handle): return 7
def nvmlDeviceGetMigDeviceHandleByIndex(handle, index):
    if index != 1: raise NVMLError("Not Found")
    return "mig"
'''


@pytest.mark.parametrize(("mode", "told"), [("[1, 1]", ["3g.20gb"]), ("[0, 1]", None)])
def test_the_probe_itself(tmp_path: Path, mode: str, told: list[str] | None) -> None:
    (tmp_path / "pynvml.py").write_text(_STAND_IN + "MIG = " + mode + "\n")
    done = subprocess.run(
        [sys.executable, "-c", nvidia._NVML_PROBE],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (device,) = json.loads(done.stdout)["devices"]
    assert (device["mig"], device["memory_bytes"]) == (told, None)


def test_virtual_functions_beside_their_gpu_are_not_counted(tmp_path: Path) -> None:
    (gpu,) = read(FixtureNode(tmp_path, "nvidia/h200-vf")).accelerators
    assert gpu.bus == "0000:1b:00.0"


# ---- WSL2 --------------------------------------------------------------------------------------


@pytest.fixture
def wsl(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path, "nvidia/wsl2")


def test_wsl2_lends_gpu_and_driver(wsl: FixtureNode) -> None:
    facts = read(wsl)
    (gpu,) = facts.accelerators
    assert (gpu.model, gpu.architecture) == ("NVIDIA GeForce RTX 4090", "sm_89")
    assert (gpu.bus, gpu.pci_id, gpu.memory_bytes) == ("0000:01:00.0", None, 24564 * 2**20)
    (driver,) = facts.drivers
    assert (driver.on_disk, driver.loaded, driver.nvml) == (None, None, "581.29")
    assert driver.device_nodes == ("/dev/dxg",)
    assert facts.system.wsl2


def test_wsl2_where_windows_has_no_nvidia_driver(wsl: FixtureNode) -> None:
    wsl.remove("/usr/lib/wsl/lib/libnvidia-ml.so.1")
    facts = read(wsl)
    assert (facts.accelerators, facts.drivers) == ((), ())
    assert not [argv for argv in wsl.asked if argv[0] == SMI]


def test_wsl2_whose_nvidia_smi_names_no_device(wsl: FixtureNode) -> None:
    wsl.answers[SMI] = lambda argv: Completed(6, "No devices were found\n")
    assert read(wsl).accelerators == ()


@pytest.mark.parametrize(
    "answer",
    [
        Completed(9, "", "Failed to initialize NVML: GPU access blocked by the operating system"),
        Completed(0, "a, b, c\n"),
        Completed(0, "x, y, z, 1, 8, 5\n"),
        Completed(124, "", "did not answer within 20 s"),
    ],
)
def test_wsl2_whose_nvidia_smi_fails_has_one_unknown_gpu(
    wsl: FixtureNode, answer: Completed
) -> None:
    wsl.answers[SMI] = lambda argv: answer
    facts = read(wsl)
    (gpu,) = facts.accelerators
    assert (gpu.backend, gpu.architecture) == ("cuda", None)
    assert SMI in (facts.drivers[0].nvml_error or "")


# ---- containers --------------------------------------------------------------------------------


@pytest.fixture
def container(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path, "nvidia/container-no-pci")


def test_a_container_without_pci_has_the_gpu_of_its_device_node(container: FixtureNode) -> None:
    facts = read(container)
    (gpu,) = facts.accelerators  # the host has four
    assert (gpu.model, gpu.architecture) == ("NVIDIA A100-SXM4-80GB", "sm_80")
    assert (gpu.bus, gpu.memory_bytes) == ("0000:0f:00.0", 80 * 2**30)
    assert gpu.uuid == "GPU-00000000-0000-0000-0000-000000000001"
    assert facts.drivers[0].loaded == "580.159.04"
    assert facts.system.container == "docker"


def test_a_container_with_proc_masked_too_has_an_unknown_gpu(container: FixtureNode) -> None:
    container.remove("/proc/driver")
    facts = read(container)
    (gpu,) = facts.accelerators
    assert (gpu.model, gpu.architecture, gpu.bus) == ("NVIDIA device", None, None)
    assert facts.drivers[0].device_nodes == ("/dev/nvidia1", "/dev/nvidiactl")


def test_a_container_without_devices_has_none(container: FixtureNode) -> None:
    container.remove("/dev/nvidia1")
    assert read(container).accelerators == ()


def test_a_container_that_sees_the_whole_bus_has_the_gpus_passed_in(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/a100-x8")
    node.write("/run/systemd/container", "podman")
    for index in (0, 1, 2, 3, 4, 6, 7):
        node.remove(f"/dev/nvidia{index}")
    (gpu,) = read(node).accelerators
    assert (gpu.index, gpu.bus) == (0, "0000:90:00.0")
    node.remove("/dev/nvidia5")
    assert len(read(node).accelerators) == 8


def test_outside_of_containers_a_missing_device_node_hides_no_gpu(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/a100-x8")
    node.remove("/dev/nvidia0")
    assert len(read(node).accelerators) == 8


def test_names_of_products_are_names_of_one_architecture() -> None:
    for product in PRODUCTS:
        by_name, by_id = lookup_name(product.name), lookup(product.device_id)
        assert by_name is not None
        assert by_id is not None
        assert by_name.architecture == by_id.architecture
    assert lookup_name("") is None


# ---- what resolve makes of them ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["wsl2", "container-no-pci", "a100-mig", "h200-vf", "b200"])
def test_each_gets_a_cuda_stack_and_keeps_its_driver(tmp_path: Path, name: str) -> None:
    facts = with_python(read(FixtureNode(tmp_path, "nvidia/" + name)))
    stack = resolve(facts, policy(), LOCKS)
    assert stack.backend == "cuda"
    assert stack.torch is not None
    assert stack.torch.tag.startswith("cu")
    steps = plan(facts, stack)
    assert [step.component for step in steps] == ["python_stack"]
    outcomes = preflight(facts, stack, steps, allow_busy=False)
    assert [o.id for o in outcomes if o.result.value in ("fail", "incomplete")] == []


def test_an_unknown_gpu_lent_by_windows_is_refused_by_name(wsl: FixtureNode) -> None:
    wsl.answers[SMI] = lambda argv: Completed(9, "", "Failed to initialize NVML")
    with pytest.raises(Conflict, match="NVIDIA GPU lent by Windows"):
        resolve(with_python(read(wsl)), policy(), LOCKS)
