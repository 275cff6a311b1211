"""Cambricon MLUs: found on the PCI bus; torch_mlu and CNToolkit are the operator's."""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

from ..data.cambricon_parts import lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0xCABC
_MODULE = "cambricon_drv"


class Cambricon:
    """The mlu backend."""

    name = "mlu"
    vendor = "cambricon"
    device_nodes = ("/dev/cambricon_dev[0-9]*",)

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """MLUs by PCI id, and by class what no row knows; shares for guests are not counted."""
        mlus = [
            device
            for device in pci.devices(node, VENDOR_ID)
            if (lookup(device.device) or device.device_class == pci.CLASS_PROCESSING_ACCELERATOR)
            and not device.is_virtual_function
        ]
        return tuple(_accelerator(index, device) for index, device in enumerate(mlus))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """Module on disk and loaded, and the device nodes, each read for itself."""
        on_disk = node.run(["modinfo", "-F", "version", _MODULE]) if found else None
        driver = Driver(
            vendor=self.vendor,
            on_disk=_version(on_disk.out) if on_disk and on_disk.rc == 0 else None,
            loaded=node.read("/sys/module/%s/version" % _MODULE),
            device_nodes=tuple(node.glob(self.device_nodes[0])),
        )
        return driver if found or driver.loaded or driver.device_nodes else None

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Nothing more to ask: no sample of cnmon's output is public to be read by."""
        return tuple(found), None, None


def _accelerator(index: int, device: pci.PciDevice) -> Accelerator:
    part = lookup(device.device)
    return Accelerator(
        backend="mlu",
        vendor="cambricon",
        index=index,
        model=part.name if part else "Cambricon device " + device.pci_id,
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=device.pci_id,
        link=device.link,
        numa_node=device.numa_node,
    )


def _version(text: str) -> Optional[str]:
    match = re.match(r"v?(\d+(?:\.\d+)+\S*)\s*$", text)
    return match.group(1) if match else None
