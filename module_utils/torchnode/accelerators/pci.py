"""PCI devices as sysfs shows them, for every vendor's file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from ..model import Accelerator, Link
from ..node import Node
from ..system import read_container

DEVICES = "/sys/bus/pci/devices"

CLASS_VGA = 0x0300
CLASS_3D = 0x0302
CLASS_DISPLAY = 0x0380
CLASS_BRIDGE_OTHER = 0x0680
CLASS_PROCESSING_ACCELERATOR = 0x1200
DISPLAY_CLASSES = (CLASS_VGA, CLASS_3D, CLASS_DISPLAY)


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

    @property
    def path(self) -> str:
        """The device's folder in sysfs."""
        return "%s/%s" % (DEVICES, self.address)

    @property
    def pci_id(self) -> str:
        """'10de:2330': vendor and device in hex."""
        return "%04x:%04x" % (self.vendor, self.device)


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


def serving_driver(
    node: Node, found: Sequence[Accelerator], modules: Sequence[str]
) -> Optional[str]:
    """The first of ``modules`` that is bound to one of these devices, None where none is.

    A device that is bound to vfio-pci belongs to a guest and is served by no driver here.
    """
    bound = {node.link_name("%s/%s/driver" % (DEVICES, a.bus)) for a in found}
    return next((module for module in modules if module in bound), None)


def module_version(node: Node, module: str) -> Optional[str]:
    """The loaded module's version; the kernel's for a module of its own, which has none."""
    if not node.exists("/sys/module/" + module):
        return None
    return node.read("/sys/module/%s/version" % module) or node.read("/proc/sys/kernel/osrelease")


def module_on_disk(node: Node, module: str) -> Optional[str]:
    """The version of the module that the next boot loads, as :func:`module_version` tells it."""
    done = node.run(["modinfo", "-F", "version", module])
    if done.rc != 0:
        return None
    return done.out.strip() or node.read("/proc/sys/kernel/osrelease")


def render_nodes(node: Node, found: Sequence[Accelerator]) -> Tuple[str, ...]:
    """The DRM render nodes of exactly these devices that are there, in the devices' order."""
    return tuple(path for a in found for path in _render_nodes(node, a.bus or ""))


def passed_in(node: Node, gpus: List[PciDevice]) -> List[PciDevice]:
    """The GPUs whose render node is there, where this is a container; all of them elsewhere.

    A container sees the host's whole bus. Where no GPU has a node, all stay: then the container was
    started without its devices, and verify has to say so.
    """
    if read_container(node) is None:
        return gpus
    return [gpu for gpu in gpus if _render_nodes(node, gpu.address)] or gpus


def _render_nodes(node: Node, address: str) -> List[str]:
    names = node.names("%s/%s/drm" % (DEVICES, address), "renderD*")
    return [path for path in ("/dev/dri/" + name for name in names) if node.exists(path)]


def library_version(node: Node, soname: str) -> Optional[str]:
    """The version that the file behind ``soname`` carries in its name, None where there is none."""
    for folder in ("/usr/lib/*-linux-gnu", "/usr/lib64"):
        for path in node.glob("%s/%s" % (folder, soname)):
            match = re.search(r"\.so\.(\d+(?:\.\d+)+)$", node.link_name(path) or "")
            if match:
                return match.group(1)
    return None
