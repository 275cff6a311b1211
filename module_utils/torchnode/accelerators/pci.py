"""PCI devices as sysfs shows them, for every vendor's file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..model import Link
from ..node import Node

DEVICES = "/sys/bus/pci/devices"

CLASS_VGA = 0x0300
CLASS_3D = 0x0302
CLASS_DISPLAY = 0x0380
CLASS_BRIDGE_OTHER = 0x0680
CLASS_PROCESSING_ACCELERATOR = 0x1200


@dataclass(frozen=True)
class PciDevice:
    """One device: numbers as integers, ``device_class`` without the programming interface."""

    address: str
    vendor: int
    device: int
    device_class: int
    link: Optional[Link]
    numa_node: Optional[int]
    driver: Optional[str]
    is_virtual_function: bool


def devices(node: Node, vendor: int) -> List[PciDevice]:
    """The machine's PCI devices of ``vendor``, in address order; unreadable ones are left out."""
    found = []
    for address in node.names(DEVICES):
        base = "%s/%s" % (DEVICES, address)
        if _number(node, base + "/vendor") == vendor:
            found.append(_device(node, base, address, vendor))
    return [device for device in found if device is not None]


def _device(node: Node, base: str, address: str, vendor: int) -> Optional[PciDevice]:
    device, device_class = _number(node, base + "/device"), _number(node, base + "/class")
    if device is None or device_class is None:
        return None
    numa = node.read(base + "/numa_node")
    return PciDevice(
        address=address,
        vendor=vendor,
        device=device,
        device_class=device_class >> 8,
        link=_link(node, base),
        # The kernel writes -1 where the firmware names no node.
        numa_node=int(numa) if numa and numa.lstrip("-").isdigit() and int(numa) >= 0 else None,
        driver=node.link_name(base + "/driver"),
        is_virtual_function=node.link_name(base + "/physfn") is not None,
    )


def _link(node: Node, base: str) -> Optional[Link]:
    speed, width = node.read(base + "/current_link_speed"), node.read(base + "/current_link_width")
    if not speed or not (width or "").isdigit():
        return None
    max_width = node.read(base + "/max_link_width") or ""
    return Link(
        speed=speed,
        width=int(width or 0),
        max_speed=node.read(base + "/max_link_speed") or "",
        max_width=int(max_width) if max_width.isdigit() else 0,
    )


def _number(node: Node, path: str) -> Optional[int]:
    text = node.read(path)
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None
