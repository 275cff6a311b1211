"""Huawei Ascend NPUs: found on the PCI bus, refined by npu-smi where the driver answers."""

from __future__ import annotations

import dataclasses
import re
from typing import Dict, Optional, Sequence, Tuple

from ..data.huawei_parts import lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0x19E5
DRIVER_PACKAGE = "/usr/local/Ascend/driver"
_MIB = 2**20

#: npu-smi writes two rows a chip: '| 0  910B3 | OK | ...', '| 0 | 0000:C1:00.0 | ... 4 / 65536 |'.
_NAME_ROW = re.compile(r"\|\s*\d+\s+(?P<name>\S+)\s*\|\s*\S+\s*\|[^|]*\|\s*$")
_BUS_ROW = re.compile(
    r"\|\s*\d+(?:\s+\d+)?\s*\|\s*(?P<bus>[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d)\s*\|"
    r"[^|]*/\s*(?P<mib>\d+)\s*\|\s*$"
)
_VERSION = re.compile(r"npu-smi\s+\S+\s+Version:\s*(\S+)")


class Huawei:
    """The npu backend."""

    name = "npu"
    vendor = "huawei"
    #: Not davinci_manager: it is there without any NPU that serves.
    device_nodes = ("/dev/davinci[0-9]*",)

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """NPUs by PCI class: the vendor alone also makes BMCs, network cards and disks."""
        npus = [
            device
            for device in pci.devices(node, VENDOR_ID)
            if device.device_class == pci.CLASS_PROCESSING_ACCELERATOR
            and not device.is_virtual_function
        ]
        return tuple(_accelerator(index, device) for index, device in enumerate(npus))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """The driver package's version, the loaded module's, and the device nodes.

        The package installs modules and libraries together, so its version is that of both.
        """
        fields = _fields(node.read(DRIVER_PACKAGE + "/version.info") or "")
        driver = Driver(
            vendor=self.vendor,
            on_disk=fields.get("version"),
            loaded=node.read("/sys/module/drv_pcie_host/version"),
            userspace=fields.get("version"),
            device_nodes=tuple(node.glob(self.device_nodes[0])),
        )
        return driver if found or driver.on_disk or driver.device_nodes else None

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Exact name and memory from npu-smi, which comes with the driver."""
        if not found:
            return (), None, None
        done = node.run(["npu-smi", "info"])
        if done.rc == 127:
            return tuple(found), None, None
        version, chips = _VERSION.search(done.out), _chips(done.out)
        if done.rc != 0 or version is None or not chips:
            last = (done.err.strip() or done.out.strip() or "no answer").splitlines()[-1]
            return tuple(found), None, "npu-smi info: " + last
        return tuple(_refined(npu, chips) for npu in found), version.group(1), None


def _accelerator(index: int, device: pci.PciDevice) -> Accelerator:
    part = lookup(device.device)
    return Accelerator(
        backend="npu",
        vendor="huawei",
        index=index,
        model=part.name if part else "Huawei device " + device.pci_id,
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=device.pci_id,
        link=device.link,
        numa_node=device.numa_node,
    )


def _refined(npu: Accelerator, chips: Dict[str, Tuple[str, int]]) -> Accelerator:
    told = chips.get((npu.bus or "").lower())
    if told is None:
        return npu
    return dataclasses.replace(npu, model="Ascend " + told[0], memory_bytes=told[1] or None)


def _chips(table: str) -> Dict[str, Tuple[str, int]]:
    """npu-smi's table as {PCI address: (name, memory in bytes)}; a row pair per chip.

    The last column of the second row is the memory that models use: HBM where the chip has it.
    """
    chips: Dict[str, Tuple[str, int]] = {}
    name = ""
    for line in table.splitlines():
        bus_row = _BUS_ROW.match(line)
        name_row = _NAME_ROW.match(line)
        if bus_row and name:
            chips[bus_row.group("bus").lower()] = (name, int(bus_row.group("mib")) * _MIB)
        name = name_row.group("name") if name_row and not bus_row else ""
    return chips


def _fields(text: str) -> Dict[str, str]:
    """'Version=25.5.1' lines by lower-case key."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs if value.strip()}
