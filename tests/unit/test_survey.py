"""Survey on captured machines, and on machines with something missing or broken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Sequence

import pytest
from helpers import MACHINES, FixtureNode

from ansible.module_utils.torchnode.model import Facts, Link, as_data, from_data
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.survey import default_prefix, survey
from ansible.module_utils.torchnode.system import read_user

GPU = "/sys/bus/pci/devices/0000:00:06.0"
PYTHON = "/opt/venv/bin/python"


def read(node: FixtureNode, **given: Any) -> Facts:
    given.setdefault("own_python", "/nowhere/python3")
    return survey(node, **given)


@pytest.fixture
def h200(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path, "nvidia/h200-x1")


@pytest.fixture
def vm(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path, "cpu/debian12-vm")


# ---- captured machines -------------------------------------------------------------------------


@pytest.mark.parametrize(("machine", "count"), [("nvidia/h200-x1", 1), ("nvidia/h200-x2", 2)])
def test_h200(tmp_path: Path, machine: str, count: int) -> None:
    facts = read(FixtureNode(tmp_path, machine))
    assert len(facts.accelerators) == count
    for index, gpu in enumerate(facts.accelerators):
        assert (gpu.model, gpu.architecture) == ("NVIDIA H200", "sm_90")
        assert (gpu.backend, gpu.vendor, gpu.index) == ("cuda", "nvidia", index)
        assert (gpu.pci_id, gpu.bus) == ("10de:2335", "0000:00:%02x.0" % (6 + index))
        assert gpu.link == Link("32.0 GT/s PCIe", 16, "32.0 GT/s PCIe", 16)
        assert gpu.numa_node is None  # the kernel says -1
        assert (gpu.uuid or "").startswith("GPU-")
        assert (gpu.memory_bytes or 0) > 140e9
    (driver,) = facts.drivers
    assert (driver.loaded, driver.userspace) == ("580.159.04", "580.159.04")
    assert (driver.flavour, driver.on_disk) == ("open", None)
    nodes = ["/dev/nvidia%d" % index for index in range(count)]
    assert driver.device_nodes == (*nodes, "/dev/nvidiactl")
    assert {item.version for item in facts.cudnn} == {"9.14.0"}
    assert [(item.version, item.path) for item in facts.toolkits] == [
        ("13.0", "/usr/local/cuda-13")
    ]
    assert "libcudnn9-cuda-13" in facts.holds
    assert (facts.system.os_id, facts.system.os_version) == ("ubuntu", "24.04")
    assert facts.system.container == "docker"
    assert facts.system.cpu_model.startswith("Intel(R) Xeon(R)")
    assert facts.prefix == "/opt/torchnode"
    assert facts.switches == ()


def test_debian_vm_has_no_accelerator(vm: FixtureNode) -> None:
    facts = read(vm)
    assert facts.accelerators == ()
    assert facts.drivers == ()
    assert (facts.system.os_id, facts.system.os_version) == ("debian", "12")
    assert facts.system.virtualization == "vm"
    assert facts.system.secure_boot is None
    assert facts.system.memory_bytes == 24684084 * 1024
    assert not facts.system.wsl2
    assert (facts.stack, facts.stacks, facts.record) == (None, (), None)


@pytest.mark.parametrize("machine", MACHINES)
def test_facts_travel_as_json(tmp_path: Path, machine: str) -> None:
    facts = read(FixtureNode(tmp_path, machine))
    assert from_data(Facts, json.loads(json.dumps(as_data(facts)))) == facts


# ---- NVML --------------------------------------------------------------------------------------


def nvml(*buses: str, **changes: Any) -> Completed:
    """What the probe prints for GPUs at these addresses."""
    devices = [
        {"bus": bus, "name": "NVIDIA H200 NVL", "uuid": "GPU-" + bus, "memory_bytes": 150 * 10**9}
        for bus in buses
    ]
    answer = {"driver": "580.159.04", "devices": [{**d, "capability": [9, 0]} for d in devices]}
    return Completed(0, json.dumps({**answer, **changes}))


def test_nvml_is_merged_by_bus_address(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/h200-x2")
    # NVML's domains have eight digits, its hex digits are capitals, and its order is its own.
    node.answers[PYTHON] = lambda argv: nvml("00000000:00:07.0", "00000000:00:06.0")
    first, second = read(node, python=PYTHON).accelerators
    assert (first.uuid, second.uuid) == ("GPU-00000000:00:06.0", "GPU-00000000:00:07.0")
    assert {first.model, second.model} == {"NVIDIA H200 NVL"}
    assert first.memory_bytes == 150 * 10**9


def test_a_domain_beyond_four_digits_is_another_device(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/h200-x1")
    node.answers[PYTHON] = lambda argv: nvml("00010000:00:06.0")
    (gpu,) = read(node, python=PYTHON).accelerators
    assert gpu.model == "NVIDIA H200"


def test_a_gpu_that_nvml_has_lost_keeps_what_the_bus_says(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "nvidia/h200-x2")
    node.answers[PYTHON] = lambda argv: nvml("00000000:00:06.0")
    first, second = read(node, python=PYTHON).accelerators
    assert (first.model, second.model) == ("NVIDIA H200 NVL", "NVIDIA H200")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            Completed(1, "", "Traceback\nNVMLError: Driver Not Loaded"),
            "NVMLError: Driver Not Loaded",
        ),
        (Completed(124, "", "python did not answer within 20 s"), "did not answer within 20 s"),
        (Completed(0, "a banner before\n{}"), "unreadable answer"),
        (Completed(0, '{"driver": "580", "devices": [{"bus": "x"}]}'), "unreadable answer"),
        (Completed(0, "[]"), "unreadable answer"),
        (Completed(1, "", ""), "no answer"),
        (Completed(1, "", "ModuleNotFoundError: No module named 'pynvml'"), None),
    ],
)
def test_nvml_that_does_not_answer(h200: FixtureNode, answer: Completed, error: str | None) -> None:
    h200.answers[PYTHON] = lambda argv: answer
    facts = read(h200, python=PYTHON)
    assert [gpu.model for gpu in facts.accelerators] == ["NVIDIA H200"]
    assert facts.drivers[0].nvml is None
    told = facts.drivers[0].nvml_error
    assert told is None if error is None else error in str(told)


def test_nvml_is_not_asked_without_a_loaded_driver(h200: FixtureNode) -> None:
    h200.remove("/sys/module/nvidia/version")
    h200.remove("/proc/driver/nvidia/version")
    facts = read(h200, python=PYTHON)
    assert not [argv for argv in h200.asked if argv[0] == PYTHON and "pynvml" in argv[-1]]
    assert facts.drivers[0].loaded is None
    assert facts.drivers[0].userspace == "580.159.04"


# ---- what is a GPU of this node ----------------------------------------------------------------


def test_a_switch_is_no_gpu(h200: FixtureNode) -> None:
    h200.pci("0000:07:00.0", "0x22a3", "0x068000")
    facts = read(h200)
    assert len(facts.accelerators) == 1
    assert facts.switches == ("0000:07:00.0",)


@pytest.mark.parametrize(
    ("device", "device_class"), [("0x22ba", "0x040300"), ("0x1ad8", "0x0c8000")]
)
def test_a_gpus_audio_and_usb_functions_are_no_gpu(
    h200: FixtureNode, device: str, device_class: str
) -> None:
    h200.pci("0000:00:06.1", device, device_class)
    assert len(read(h200).accelerators) == 1


def test_a_virtual_function_beside_its_physical_one_is_no_gpu(h200: FixtureNode) -> None:
    base = h200.pci("0000:00:06.4", "0x2335", "0x030200")
    os.symlink("../0000:00:06.0", h200.path(base + "/physfn"))
    assert [gpu.bus for gpu in read(h200).accelerators] == ["0000:00:06.0"]


def test_a_virtual_function_passed_to_a_guest_is_a_gpu(vm: FixtureNode) -> None:
    vm.pci("0000:00:08.0", "0x2335", "0x030200")
    assert [gpu.architecture for gpu in read(vm).accelerators] == ["sm_90"]


def test_other_vendors_are_left_to_their_backend(vm: FixtureNode) -> None:
    vm.pci("0000:00:08.0", "0x1020", "0x120000", vendor="0x1da3")
    assert read(vm).accelerators == ()


def test_an_unknown_part_is_found_without_an_architecture(vm: FixtureNode) -> None:
    vm.pci("0000:00:08.0", "0xfffe", "0x030200")
    (gpu,) = read(vm).accelerators
    assert (gpu.model, gpu.architecture) == ("NVIDIA device 10de:fffe", None)


def test_a_gpu_without_any_driver_has_a_driver_record(vm: FixtureNode) -> None:
    vm.pci("0000:00:08.0", "0x2330", "0x030200")
    (driver,) = read(vm).drivers
    assert (driver.loaded, driver.on_disk, driver.userspace, driver.flavour) == (None,) * 4


@pytest.mark.parametrize(
    ("licence", "flavour"), [("Dual MIT/GPL\n", "open"), ("NVIDIA\n", "proprietary")]
)
def test_the_module_on_disk_names_its_flavour(vm: FixtureNode, licence: str, flavour: str) -> None:
    said = {"version": "570.133.20\n", "license": licence}
    vm.answers["modinfo"] = lambda argv: Completed(0, said[argv[2]])
    (driver,) = read(vm).drivers
    assert (driver.on_disk, driver.loaded, driver.flavour) == ("570.133.20", None, flavour)


# ---- broken and missing things -----------------------------------------------------------------


def test_numa_node_is_read_where_the_firmware_names_one(h200: FixtureNode) -> None:
    h200.write(GPU + "/numa_node", "1\n")
    assert read(h200).accelerators[0].numa_node == 1


@pytest.mark.parametrize("name", ["numa_node", "current_link_speed", "current_link_width"])
@pytest.mark.parametrize("text", [None, "", "unknown\n", "\udcff", "-\n"])
def test_a_gpu_with_a_broken_property_is_still_found(
    h200: FixtureNode, name: str, text: str | None
) -> None:
    if text is None:
        h200.remove(f"{GPU}/{name}")
    else:
        h200.write(f"{GPU}/{name}", text.encode("utf-8", "surrogateescape"))
    (gpu,) = read(h200).accelerators
    assert gpu.numa_node is None
    if name == "current_link_width" or not text:
        assert gpu.link is None or name == "numa_node"


@pytest.mark.parametrize("name", ["vendor", "device", "class"])
def test_a_device_that_does_not_say_what_it_is_is_left_out(h200: FixtureNode, name: str) -> None:
    h200.write(f"{GPU}/{name}", "garbage\n")
    assert read(h200).accelerators == ()


def test_a_gpu_that_fell_off_the_bus_is_none(h200: FixtureNode) -> None:
    """Configuration space of a dead device reads as ones; class and vendor are gone with it."""
    for name in ("vendor", "device", "class"):
        h200.write(f"{GPU}/{name}", "0xffffffff\n")
    assert read(h200).accelerators == ()


def test_files_of_the_node_that_hold_nonsense_never_raise(h200: FixtureNode) -> None:
    h200.write("/etc/os-release", 'NAME="unbalanced\nID=odd\nno equals sign\n=\n')
    h200.write("/proc/meminfo", "MemTotal: lots\n")
    h200.write("/proc/cpuinfo", b"\xff\xfe\x00")
    h200.write("/usr/local/cuda-13.0/version.json", "{")
    h200.write("/usr/include/x86_64-linux-gnu/cudnn_version.h", "#define CUDNN_MAJOR nine\n")
    h200.write("/usr/include/x86_64-linux-gnu/cudnn_version_v9.h", "")
    h200.write("/proc/driver/nvidia/version", "")
    h200.write("/proc/driver/nvidia/gpus/0000:00:06.0/information", "Model: ???\n:::\n")
    h200.write("/opt/torchnode/record.json", "[1, 2]")
    facts = read(h200)
    assert facts.system.os_id == "odd"
    assert facts.system.memory_bytes is None
    assert [item.version for item in facts.toolkits] == ["unreadable version.json"]
    assert facts.cudnn == ()
    assert facts.accelerators[0].model == "NVIDIA H200"
    assert facts.record == {"error": "not a JSON object"}


def test_an_empty_machine(tmp_path: Path) -> None:
    facts = read(FixtureNode(tmp_path))
    assert facts.accelerators == ()
    assert facts.drivers == ()
    assert facts.holds == ()
    assert facts.system.virtualization == "none"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_never_raise(h200: FixtureNode) -> None:
    for folder, _, files in os.walk(h200.root):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0)
    assert read(h200).accelerators == ()


def test_folders_where_files_are_expected_never_raise(h200: FixtureNode) -> None:
    for path in (
        "/etc/os-release",
        "/proc/meminfo",
        GPU + "/numa_node",
        "/proc/driver/nvidia/version",
    ):
        h200.remove(path)
        os.makedirs(h200.path(path + "/folder"))
    facts = read(h200)
    assert len(facts.accelerators) == 1
    assert facts.system.os_id == ""


# ---- paths that a run needs --------------------------------------------------------------------


def problems(node: FixtureNode, **given: Any) -> dict[str, str]:
    return {place.path: place.problem for place in read(node, **given).places}


def test_where_the_run_writes(vm: FixtureNode) -> None:
    """The nearest parent that is there decides; a link to nothing is in the way too."""
    vm.write("/srv/file", "")
    os.symlink("/nowhere", vm.path("/srv/link"))
    os.makedirs(vm.path("/etc"), exist_ok=True)
    assert problems(vm, prefix="/srv/new/deep") == {
        "/srv/new/deep": "",
        "/etc/ansible/facts.d": "",
    }
    assert problems(vm, prefix="/srv/file")["/srv/file"] == "/srv/file is not a folder"
    assert problems(vm, prefix="/srv/file/a")["/srv/file/a"] == "/srv/file is not a folder"
    assert problems(vm, prefix="/srv/link")["/srv/link"] == "/srv/link is not a folder"
    facts = problems(vm, facts_folder="/srv/file/facts.d")
    assert facts["/srv/file/facts.d"] == "/srv/file is not a folder"


def test_a_folder_of_somebody_else_is_not_written(
    vm: FixtureNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the kernel's answer, because root may write everywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    vm.write("/srv/file", "")
    vm.write("/wheels/x.whl", "")
    vm.write("/ca.pem", "")
    found = problems(vm, prefix="/srv/t", find_links=["/wheels"], ca_bundle="/ca.pem")
    assert found["/srv/t"].endswith("may not write into /srv")
    assert found["/wheels"].endswith("may not read /wheels")
    assert found["/ca.pem"].endswith("may not read /ca.pem")


def test_what_the_build_reads(vm: FixtureNode) -> None:
    """Other machines' URLs are none of the node's paths."""
    vm.write("/wheels here/x.whl", "")
    links = ["/wheels here", "file:///wheels%20here", "/no", "file:///no", "https://h/w"]
    found = read(vm, find_links=[*links, "/wheels here/x.whl"], ca_bundle="/no.pem").places[2:]
    assert [(p.variable[len("torchnode_") :], p.path, p.problem) for p in found] == [
        ("find_links", "/wheels here", ""),
        ("find_links", "/wheels here", ""),
        ("find_links", "/no", "/no is not there"),
        ("find_links", "/no", "/no is not there"),
        ("find_links", "/wheels here/x.whl", "/wheels here/x.whl is not a folder"),
        ("ca_bundle", "/no.pem", "/no.pem is not there"),
    ]
    vm.write("/folder/ca.pem", "")
    assert problems(vm, ca_bundle="/folder")["/folder"] == "/folder is not a file"
    assert problems(vm, ca_bundle="/folder/ca.pem")["/folder/ca.pem"] == ""
    keys = problems(vm, signing=("/no.priv", "/folder/ca.pem"))
    assert (keys["/no.priv"], keys["/folder/ca.pem"]) == ("/no.priv is not there", "")
    assert "pkcs11:token=x" not in problems(vm, signing=("pkcs11:token=x", ""))


# ---- the machine around it ---------------------------------------------------------------------

EFI = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@pytest.mark.parametrize(
    ("variable", "known"),
    [
        (b"\x06\x00\x00\x00\x01", True),
        (b"\x06\x00\x00\x00\x00", False),
        (b"\x06\x00\x00\x00", None),
        (b"", None),
    ],
)
def test_secure_boot(vm: FixtureNode, variable: bytes, known: bool | None) -> None:
    vm.write(EFI, variable)
    assert read(vm).system.secure_boot is known


def test_secure_boot_is_unknown_where_the_variable_is_hidden(vm: FixtureNode) -> None:
    os.makedirs(vm.path("/sys/firmware/efi"))
    assert read(vm).system.secure_boot is None


def test_wsl2(vm: FixtureNode) -> None:
    vm.write("/proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n")
    assert not read(vm).system.wsl2  # a WSL2 kernel without the GPU's node
    vm.write("/dev/dxg", "")
    assert read(vm).system.wsl2


@pytest.mark.parametrize(
    ("path", "text", "container"),
    [
        ("/run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("/run/.containerenv", "", "podman"),
        ("/.dockerenv", "", "docker"),
        ("/proc/1/environ", "PATH=/bin\0container=lxc\0", "lxc"),
        ("/etc/hostname", "bare\n", None),
    ],
)
def test_container(tmp_path: Path, path: str, text: str, container: str | None) -> None:
    node = FixtureNode(tmp_path)
    node.write(path, text)
    assert read(node).system.container == container


@pytest.mark.parametrize(
    ("vendor", "product", "found"),
    [
        ("QEMU", "Standard PC", "kvm"),
        ("Microsoft Corporation", "Virtual Machine", "hyperv"),
        ("VMware, Inc.", "VMware20,1", "vmware"),
        ("Dell Inc.", "PowerEdge XE9680", "none"),
    ],
)
def test_virtualization(tmp_path: Path, vendor: str, product: str, found: str) -> None:
    node = FixtureNode(tmp_path)
    node.write("/sys/class/dmi/id/sys_vendor", vendor + "\n")
    node.write("/sys/class/dmi/id/product_name", product + "\n")
    assert read(node).system.virtualization == found


def test_blocking_modules(h200: FixtureNode) -> None:
    h200.write("/sys/module/nouveau/refcnt", "1\n")
    assert read(h200).system.blocking_modules == ("nouveau",)


def test_processes_that_hold_a_gpu_are_named(h200: FixtureNode) -> None:
    gpu = os.path.realpath(h200.path("/dev/nvidia0"))
    for pid, target in ((4711, gpu), (4712, "/dev/null")):
        h200.write(f"/proc/{pid}/cmdline", "/usr/bin/python\0train.py\0--token=secret\0")
        os.makedirs(h200.path(f"/proc/{pid}/fd"))
        os.symlink(target, h200.path(f"/proc/{pid}/fd/3"))
        Path(h200.path(f"/proc/{pid}/fd/4")).write_text("closed before it could be read")
    (process,) = read(h200).processes
    assert (process.pid, process.command, process.devices) == (4711, "python train.py", (gpu,))


@pytest.mark.parametrize(
    ("command", "uses"),
    [
        ("/usr/bin/nvidia-persistenced\0--user\0nvpd\0", False),
        ("/usr/bin/nv-hostengine\0-n\0--service-account\0nvidia-dcgm\0", False),
        ("/usr/bin/nv-fabricmanager\0-c\0/usr/share/nvidia/nvswitch/fabricmanager.cfg\0", False),
        ("/home/me/nvidia-persistenced-test\0", True),
        ("nvidia-cuda-mps-server\0", True),
    ],
)
def test_services_of_the_driver_do_not_use_the_gpu(
    h200: FixtureNode, command: str, uses: bool
) -> None:
    """The first of them holds every GPU of every node that is as torchnode wants it."""
    h200.write("/proc/4711/cmdline", command)
    os.makedirs(h200.path("/proc/4711/fd"))
    os.symlink(os.path.realpath(h200.path("/dev/nvidia0")), h200.path("/proc/4711/fd/3"))
    assert bool(read(h200).processes) is uses


# ---- user, prefix and Pythons ------------------------------------------------------------------


def test_an_ordinary_user_gets_a_prefix_of_its_own(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path, "cpu/debian12-vm", uid=1234567)
    assert read(node).prefix == "/home/worker/.local/share/torchnode"
    node.environ["XDG_DATA_HOME"] = "/data/worker"
    assert read(node).prefix == "/data/worker/torchnode"
    node.environ["XDG_DATA_HOME"] = "relative"  # the specification says: ignore it
    assert default_prefix(read_user(node)) == "/home/worker/.local/share/torchnode"


def answering(version: str) -> Any:
    def answer(argv: Sequence[str]) -> Completed:
        return Completed(0, version + "\n")

    return answer


def put_python(node: FixtureNode, path: str, version: str | None) -> None:
    node.write(path, "#!/bin/sh\n")
    os.chmod(node.path(path), 0o755)
    if version is not None:
        node.answers[path] = answering(version)


def test_pythons_are_found_by_running_them(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    put_python(node, "/usr/bin/python3.11", "3.11.2")
    put_python(node, "/usr/bin/python3.11-config", "a script")
    put_python(node, "/usr/bin/python3.12", None)  # is there and does not answer
    put_python(node, "/home/worker/.pyenv/versions/3.13.0/bin/python3", "3.13.0")
    put_python(node, "/opt/ansible/bin/python3", "3.10.4")
    os.symlink("python3.11", node.path("/usr/bin/python3"))
    node.answers["/usr/bin/python3"] = answering("3.11.2")
    node.uid = 2**31 - 7  # a number without a name: HOME says where the user lives
    found = read(node, own_python="/opt/ansible/bin/python3").pythons
    assert [(p.path, p.version) for p in found] == [
        ("/usr/bin/python3", "3.11.2"),
        ("/home/worker/.pyenv/versions/3.13.0/bin/python3", "3.13.0"),
        ("/opt/ansible/bin/python3", "3.10.4"),
    ]


def test_a_record_that_is_broken_says_so(vm: FixtureNode) -> None:
    vm.write("/opt/torchnode/record.json", '{"run": ')
    assert "/opt/torchnode/record.json is not JSON" in str((read(vm).record or {}).get("error"))
    vm.write("/opt/torchnode/record.json", '{"run": "1"}')
    assert read(vm).record == {"run": "1"}
