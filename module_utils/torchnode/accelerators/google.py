"""Google TPUs: found on the PCI bus of a TPU VM; torch-xla and libtpu come with the stack."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from ..data.google_parts import is_tpu, lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0x1AE0


class Google:
    """The tpu backend."""

    name = "tpu"
    vendor = "google"
    #: /dev/accel<n> on older images, /dev/vfio/<group> on newer ones. /dev/vfio/vfio is no device,
    #: and the kernel's own accelerator class (/dev/accel/accel0) belongs to other makers.
    device_nodes = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """TPUs by PCI id, and by class what no row knows: Google's NICs and disks are neither."""
        tpus = [
            device
            for device in pci.devices(node, VENDOR_ID)
            if is_tpu(device.device) or device.device_class == pci.CLASS_PROCESSING_ACCELERATOR
        ]
        return tuple(_accelerator(node, index, device) for index, device in enumerate(tpus))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """The device nodes: that is all that the image provides below libtpu."""
        if not found:
            return None  # /dev/vfio serves every kind of device that is passed through
        nodes = [path for pattern in self.device_nodes for path in node.glob(pattern)]
        return Driver(vendor=self.vendor, device_nodes=tuple(nodes))

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Nothing more to ask: libtpu answers only to the process that takes the chip."""
        return tuple(found), None, None


def _accelerator(node: Node, index: int, device: pci.PciDevice) -> Accelerator:
    subsystem = node.read(device.path + "/subsystem_device")
    part = lookup(device.device, _hexadecimal(subsystem))
    return Accelerator(
        backend="tpu",
        vendor="google",
        index=index,
        model=part.name if part else "Google TPU " + device.pci_id,
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=device.pci_id,
        memory_bytes=part.memory_bytes if part else None,
        link=device.link,
        numa_node=device.numa_node,
    )


def _hexadecimal(text: Optional[str]) -> Optional[int]:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None
