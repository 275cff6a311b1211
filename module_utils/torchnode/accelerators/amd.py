"""AMD GPUs: found on the PCI bus, refined by the kernel driver's sysfs and by AMD SMI."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Dict, Optional, Sequence, Tuple

from ..data.amd_parts import is_discrete, lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0x1002

_UNNAMED = "AMD device "
_KFD_NODES = "/sys/class/kfd/kfd/topology/nodes/*/properties"

# amdsmi is the library; this only carries its answers out of the interpreter that has it.
_AMDSMI_PROBE = """
import json, amdsmi
amdsmi.amdsmi_init()
devices = [
    {
        "bus": amdsmi.amdsmi_get_gpu_device_bdf(handle),
        "name": amdsmi.amdsmi_get_gpu_asic_info(handle)["market_name"],
        "uuid": amdsmi.amdsmi_get_gpu_device_uuid(handle),
        "driver": amdsmi.amdsmi_get_gpu_driver_info(handle)["driver_version"],
    }
    for handle in amdsmi.amdsmi_get_processor_handles()
]
print(json.dumps(devices))
"""


class Amd:
    """The rocm backend."""

    name = "rocm"
    vendor = "amd"
    device_nodes = ("/dev/kfd",)

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """Processing accelerators, and display devices whose id is a card's.

        Graphics in a processor and the displays of servers are none. A virtual function beside its
        physical one is a share for a guest; the guest that it is passed to counts it.
        """
        targets = _kfd_targets(node)
        gpus = [device for device in pci.devices(node, VENDOR_ID) if _is_gpu(device)]
        gpus = pci.passed_in(node, gpus)
        return tuple(_accelerator(node, index, gpu, targets) for index, gpu in enumerate(gpus))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """amdgpu where it serves these GPUs, ROCm's user space, and the device nodes.

        None without a GPU: amdgpu also serves integrated graphics, so that it is loaded says
        nothing by itself.
        """
        if not found:
            return None
        serving = pci.serving_driver(node, found, ("amdgpu",))
        return Driver(
            vendor=self.vendor,
            on_disk=pci.module_on_disk(node, "amdgpu"),
            loaded=pci.module_version(node, serving) if serving else None,
            userspace=node.read("/opt/rocm/.info/version") or None,
            device_nodes=tuple(node.glob("/dev/kfd")) + pci.render_nodes(node, found),
        )

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """AMD SMI's word that it reaches the GPUs, and the names that sysfs did not tell.

        Asked through the first interpreter that has its Python package.
        """
        error: Optional[str] = None
        for python in pythons if found else ():
            done = node.run([python, "-c", _AMDSMI_PROBE])
            if done.rc == 0:
                try:
                    refined, version = _merged(found, json.loads(done.out))
                except (ValueError, KeyError, TypeError) as problem:
                    error = error or "unreadable answer of %s: %r" % (python, problem)
                    continue
                return refined, version, None
            # An interpreter that is not there, or lacks the package, says nothing about the GPUs.
            if done.rc != 127 and "No module named 'amdsmi'" not in done.err:
                error = error or (done.err.strip() or "no answer").splitlines()[-1]
        return tuple(found), None, error


def _is_gpu(device: pci.PciDevice) -> bool:
    if device.is_virtual_function:
        return False
    if device.device_class == pci.CLASS_PROCESSING_ACCELERATOR:
        return True
    return device.device_class in pci.DISPLAY_CLASSES and is_discrete(device.device)


def _accelerator(
    node: Node, index: int, device: pci.PciDevice, targets: Dict[str, str]
) -> Accelerator:
    part = lookup(device.device)
    memory = node.read(device.path + "/mem_info_vram_total") or ""
    return Accelerator(
        backend="rocm",
        vendor="amd",
        index=index,
        model=_model(node, device, part.name if part else None),
        # The driver reads the target off the chip; the table only stands in before there is one.
        architecture=targets.get(device.address) or (part.architecture if part else None),
        bus=device.address,
        pci_id=device.pci_id,
        uuid=node.read(device.path + "/unique_id") or None,
        memory_bytes=int(memory) if memory.isdigit() else None,
        link=device.link,
        numa_node=device.numa_node,
    )


def _model(node: Node, device: pci.PciDevice, known: Optional[str]) -> str:
    """The board's own name where the driver can read it (server boards), else the table's."""
    return node.read(device.path + "/product_name") or known or _UNNAMED + device.pci_id


def _kfd_targets(node: Node) -> Dict[str, str]:
    """The gfx target by PCI address, for each GPU that the kernel's compute driver serves.

    A GPU in several partitions is several nodes with one address and one target.
    """
    targets = {}
    for path in node.glob(_KFD_NODES):
        lines = (line.split() for line in (node.read(path) or "").splitlines())
        told = {w[0]: int(w[1]) for w in lines if len(w) == 2 and w[1].isdigit()}
        version, location = told.get("gfx_target_version", 0), told.get("location_id", 0)
        if version and told.get("simd_count"):
            slot = (told.get("domain", 0), location >> 8, location >> 3 & 0x1F, location & 7)
            targets["%04x:%02x:%02x.%d" % slot] = _target_name(version)
    return targets


def _target_name(version: int) -> str:
    """90402 is gfx942, 90010 gfx90a: the last two places are written in hex."""
    return "gfx%d%x%x" % (version // 10000, version // 100 % 100, version % 100)


def _merged(found: Sequence[Accelerator], answer: Any) -> Tuple[Tuple[Accelerator, ...], str]:
    """The accelerators with AMD SMI's words, matched by bus address, and the driver's version.

    Raises ValueError, KeyError or TypeError for what is not the probe's answer.
    """
    by_bus = {str(device["bus"]).lower(): device for device in answer}
    if not by_bus:
        raise ValueError("no GPU in the answer")
    return tuple(_refined(a, by_bus.get(a.bus or "")) for a in found), str(answer[0]["driver"])


def _refined(accelerator: Accelerator, answer: Optional[Dict[str, Any]]) -> Accelerator:
    """Only what is missing: a name must not change because a package was installed meanwhile."""
    if answer is None:
        return accelerator
    unnamed = accelerator.model == _UNNAMED + str(accelerator.pci_id)
    return dataclasses.replace(
        accelerator,
        model=answer["name"] if unnamed else accelerator.model,
        uuid=accelerator.uuid or answer["uuid"],
    )
