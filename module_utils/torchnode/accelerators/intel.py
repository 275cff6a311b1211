"""Intel's discrete GPUs: found on the PCI bus; memory and driver as sysfs shows them."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from ..data.intel_parts import is_integrated, lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0x8086

#: A processor's own graphics are device 2 on bus 0, whatever the model.
_PROCESSOR_SLOT = "0000:00:02.0"
_DRIVERS = ("xe", "i915")


class Intel:
    """The xpu backend."""

    name = "xpu"
    vendor = "intel"
    device_nodes = ("/dev/dri/renderD*",)

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """Discrete GPUs of any display class; a processor's own graphics are none.

        A virtual function beside its physical one is a share for a guest, no GPU of this node; the
        guest that it is passed to sees no physical function and counts it.
        """
        gpus = [device for device in pci.devices(node, VENDOR_ID) if _is_discrete_gpu(device)]
        gpus = pci.passed_in(node, gpus)
        return tuple(_accelerator(node, index, device) for index, device in enumerate(gpus))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """The kernel driver that serves these GPUs (xe or i915), Level Zero, and render nodes.

        None without a GPU: both modules also serve integrated graphics, so that one is loaded says
        nothing by itself.
        """
        if not found:
            return None
        serving = pci.serving_driver(node, found, _DRIVERS)
        return Driver(
            vendor=self.vendor,
            on_disk=pci.module_on_disk(node, serving or _DRIVERS[0]),
            loaded=pci.module_version(node, serving) if serving else None,
            userspace=pci.library_version(node, "libze_intel_gpu.so.1"),
            device_nodes=pci.render_nodes(node, found),
        )

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Nothing more to ask: what the driver tells is in sysfs, and ``find`` has read it."""
        return tuple(found), None, None


def _is_discrete_gpu(device: pci.PciDevice) -> bool:
    # Class 0x1200 is left out: that is a processor's NPU, which torch does not drive.
    if device.device_class not in pci.DISPLAY_CLASSES or device.is_virtual_function:
        return False
    if lookup(device.device) is not None:
        return True
    return device.address != _PROCESSOR_SLOT and not is_integrated(device.device)


def _accelerator(node: Node, index: int, device: pci.PciDevice) -> Accelerator:
    part = lookup(device.device)
    return Accelerator(
        backend="xpu",
        vendor="intel",
        index=index,
        model=part.name if part else "Intel device " + device.pci_id,
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=device.pci_id,
        memory_bytes=_memory_bytes(node, device),
        link=device.link,
        numa_node=device.numa_node,
    )


def _memory_bytes(node: Node, device: pci.PciDevice) -> Optional[int]:
    """xe tells each tile's memory, Intel's packaged i915 the card's, the kernel's own i915 none."""
    tiles = node.glob(device.path + "/tile[0-9]*/physical_vram_size_bytes")
    cards = node.glob(device.path + "/drm/card[0-9]*/lmem_total_bytes")
    sizes = [node.read(path) or "" for path in tiles or cards[:1]]
    # A tile that cannot be read would make the sum too small: then nothing is known.
    return sum(map(int, sizes)) if sizes and all(size.isdigit() for size in sizes) else None
