"""Survey of NPUs, MLUs and TPUs, and of what the same vendors make beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode.model import Facts, SoftwareItem
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.survey import survey

HUAWEI, CAMBRICON, GOOGLE = "0x19e5", "0xcabc", "0x1ae0"
CLASS_ACCELERATOR = "0x120000"


def read(node: FixtureNode) -> Facts:
    return survey(node, own_python="/nowhere/python3")


@pytest.fixture
def ascend(tmp_path: Path) -> FixtureNode:
    return FixtureNode(tmp_path, "huawei/910b-x8")


# ---- Huawei ------------------------------------------------------------------------------------


def test_eight_npus_and_no_bmc_or_network_card(ascend: FixtureNode) -> None:
    facts = read(ascend)
    assert len(facts.accelerators) == 8
    for index, npu in enumerate(facts.accelerators):
        assert (npu.backend, npu.vendor, npu.index) == ("npu", "huawei", index)
        assert (npu.model, npu.architecture) == ("Ascend 910B3", "Ascend910B")
        assert (npu.pci_id, npu.memory_bytes) == ("19e5:d802", 65536 * 2**20)
    (driver,) = facts.drivers
    assert (driver.vendor, driver.on_disk, driver.userspace) == ("huawei", "25.5.1", "25.5.1")
    assert (driver.nvml, driver.nvml_error) == ("25.5.1", None)
    assert driver.device_nodes == tuple(f"/dev/davinci{index}" for index in range(8))


def test_a_server_with_huaweis_bmc_and_network_card_only(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:06:00.0", "0x1711", "0x030000", HUAWEI)
    node.pci("0000:35:00.0", "0xa222", "0x020000", HUAWEI)
    facts = read(node)
    assert (facts.accelerators, facts.drivers) == ((), ())


def test_npus_without_a_driver_are_found_by_the_bus(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:01:00.0", "0xd802", CLASS_ACCELERATOR, HUAWEI)
    facts = read(node)
    (npu,) = facts.accelerators
    assert (npu.model, npu.architecture, npu.memory_bytes) == ("Ascend 910B", "Ascend910B", None)
    assert not facts.drivers[0].loaded
    assert not facts.drivers[0].device_nodes
    assert ["npu-smi", "info"] not in node.asked


def test_an_unknown_npu_is_found_without_an_architecture(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:01:00.0", "0xd8ff", CLASS_ACCELERATOR, HUAWEI)
    (npu,) = read(node).accelerators
    assert (npu.model, npu.architecture) == ("Huawei device 19e5:d8ff", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Completed(1, "", "dcmi module initialize failed. ret is -8005"), "ret is -8005"),
        (Completed(124, "", "npu-smi did not answer within 20 s"), "did not answer"),
        (Completed(0, "nonsense"), "nonsense"),
        (Completed(0, ""), "no answer"),
    ],
)
def test_npu_smi_that_does_not_answer(ascend: FixtureNode, answer: Completed, error: str) -> None:
    ascend.answers["npu-smi"] = lambda argv: answer
    facts = read(ascend)
    assert {npu.model for npu in facts.accelerators} == {"Ascend 910B"}
    assert {npu.memory_bytes for npu in facts.accelerators} == {None}
    assert error in (facts.drivers[0].nvml_error or "")


def test_a_310p_row_has_a_device_column_and_no_hbm(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:84:00.0", "0xd500", CLASS_ACCELERATOR, HUAWEI)
    node.write("/dev/davinci0", "")
    rows = (
        "| npu-smi 25.3.rc1                                 Version: 25.3.rc1            |\n"
        "| 6       310P3                 | OK              | NA        50          0   / 0 |\n"
        "| 0       0                     | 0000:84:00.0    | 0            1839 / 21525          |\n"
    )
    node.answers["npu-smi"] = lambda argv: Completed(0, rows)
    facts = read(node)
    (npu,) = facts.accelerators
    assert (npu.model, npu.architecture) == ("Ascend 310P3", "Ascend310P")
    assert npu.memory_bytes == 21525 * 2**20
    assert facts.drivers[0].nvml == "25.3.rc1"


def test_cann_is_a_toolkit_and_counted_once(ascend: FixtureNode) -> None:
    text = "version=9.0.0\n"
    link = ascend.path("/usr/local/Ascend/cann-9.0.0")
    Path(link).symlink_to("cann")
    ascend.write("/home/worker/Ascend/ascend-toolkit/8.1.RC1/aarch64-linux/"
                 "ascend_toolkit_install.info", text.replace("9.0.0", "8.1.RC1"))  # fmt: skip
    assert read(ascend).toolkits == (
        SoftwareItem("cann", "9.0.0", "/usr/local/Ascend/cann"),
        SoftwareItem("cann", "8.1.RC1", "/home/worker/Ascend/ascend-toolkit/8.1.RC1"),
    )


def test_a_virtual_npu_beside_its_own_is_a_guests(ascend: FixtureNode) -> None:
    folder = ascend.pci("0000:01:00.1", "0xd802", CLASS_ACCELERATOR, HUAWEI)
    ascend._link(folder + "/physfn", "0000:01:00.0")
    assert len(read(ascend).accelerators) == 8


# ---- Cambricon ---------------------------------------------------------------------------------


def test_mlus(tmp_path: Path) -> None:
    facts = read(FixtureNode(tmp_path, "cambricon/mlu370"))
    assert [mlu.index for mlu in facts.accelerators] == [0, 1]
    for mlu in facts.accelerators:
        assert (mlu.backend, mlu.vendor) == ("mlu", "cambricon")
        assert (mlu.model, mlu.architecture) == ("Cambricon MLU370", "mlu370")
    (driver,) = facts.drivers
    assert driver.on_disk == "6.2.29"
    assert driver.device_nodes == ("/dev/cambricon_dev0", "/dev/cambricon_dev1")


def test_a_virtual_mlu_is_an_mlu_of_the_guest_only(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    folder = node.pci("0000:4f:00.1", "0x0371", CLASS_ACCELERATOR, CAMBRICON)
    assert [mlu.architecture for mlu in read(node).accelerators] == ["mlu370"]
    node._link(folder + "/physfn", "0000:4f:00.0")
    assert read(node).accelerators == ()


def test_an_unknown_mlu_is_found_without_an_architecture(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:4f:00.0", "0x0690", CLASS_ACCELERATOR, CAMBRICON)
    (mlu,) = read(node).accelerators
    assert (mlu.model, mlu.architecture) == ("Cambricon device cabc:0690", None)


# ---- Google ------------------------------------------------------------------------------------


def test_tpus_and_neither_network_card_nor_disk(tmp_path: Path) -> None:
    facts = read(FixtureNode(tmp_path, "google/v5e"))
    assert len(facts.accelerators) == 8
    assert {(t.backend, t.model, t.architecture) for t in facts.accelerators} == {
        ("tpu", "TPU v5e", "v5e")
    }
    assert {tpu.memory_bytes for tpu in facts.accelerators} == {16 * 2**30}
    (driver,) = facts.drivers
    assert driver.device_nodes == tuple(f"/dev/vfio/{index}" for index in range(8))
    assert facts.system.virtualization == "kvm"


def test_a_cloud_vm_with_googles_network_card_and_disk_has_none(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:00:04.0", "0x0042", "0x020000", GOOGLE)
    node.pci("0000:00:05.0", "0x001f", "0x010802", GOOGLE)
    node.write("/dev/vfio/12", "")  # some other device is passed through
    facts = read(node)
    assert (facts.accelerators, facts.drivers) == ((), ())


@pytest.mark.parametrize(
    ("subsystem", "told"),
    [
        ("0x004e", ("TPU v2", "v2")),
        ("0x004f", ("TPU v3", "v3")),
        ("0x9999", ("Google TPU 1ae0:0027", None)),
        ("garbage", ("Google TPU 1ae0:0027", None)),
    ],
)
def test_v2_and_v3_are_told_apart_by_the_subsystem(
    tmp_path: Path, subsystem: str, told: tuple[str, str | None]
) -> None:
    node = FixtureNode(tmp_path)
    folder = node.pci("0000:00:04.0", "0x0027", "0xff0000", GOOGLE)
    node.write(folder + "/subsystem_device", subsystem)
    (tpu,) = read(node).accelerators
    assert (tpu.model, tpu.architecture) == told


def test_older_tpus_have_accel_nodes(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:00:04.0", "0x005e", "0xff0000", GOOGLE)
    node.write("/dev/accel0", "")
    node.write("/dev/accel/accel0", "")  # another maker's, in the kernel's own class
    assert read(node).drivers[0].device_nodes == ("/dev/accel0",)


def test_an_unknown_tpu_is_found_by_its_class(tmp_path: Path) -> None:
    node = FixtureNode(tmp_path)
    node.pci("0000:00:04.0", "0x00ff", CLASS_ACCELERATOR, GOOGLE)
    (tpu,) = read(node).accelerators
    assert (tpu.model, tpu.architecture) == ("Google TPU 1ae0:00ff", None)
