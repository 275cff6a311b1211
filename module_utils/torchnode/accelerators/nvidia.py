"""NVIDIA GPUs: found on the PCI bus without a driver, refined by NVML where it answers."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..data.nvidia_parts import NVSWITCH_IDS, lookup
from ..model import Accelerator, Driver
from ..node import Node
from . import pci

VENDOR_ID = 0x10DE

# nvidia-ml-py is the library; this only carries its answers out of the interpreter that has it.
_NVML_PROBE = """
import json, pynvml
pynvml.nvmlInit()
text = lambda value: value.decode() if isinstance(value, bytes) else value
devices = []
for index in range(pynvml.nvmlDeviceGetCount()):
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    devices.append({
        "bus": text(pynvml.nvmlDeviceGetPciInfo(handle).busId),
        "name": text(pynvml.nvmlDeviceGetName(handle)),
        "uuid": text(pynvml.nvmlDeviceGetUUID(handle)),
        "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
        "capability": list(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
    })
print(json.dumps({"driver": text(pynvml.nvmlSystemGetDriverVersion()), "devices": devices}))
"""


class Nvidia:
    """The cuda backend."""

    name = "cuda"
    vendor = "nvidia"
    device_nodes = ("/dev/nvidia[0-9]*",)

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """GPUs by PCI class (VGA and 3D controllers); names from the part table or the driver.

        A virtual function beside its physical one is a share for a guest, no GPU of this node; the
        guest that it is passed to sees no physical function and counts it.
        """
        gpus = [
            device
            for device in pci.devices(node, VENDOR_ID)
            if device.device_class in (pci.CLASS_VGA, pci.CLASS_3D)
            and not device.is_virtual_function
        ]
        return tuple(_accelerator(node, index, device) for index, device in enumerate(gpus))

    def switches(self, node: Node) -> Tuple[str, ...]:
        """PCI addresses of NVSwitches: where one is, Fabric Manager is needed."""
        return tuple(
            device.address
            for device in pci.devices(node, VENDOR_ID)
            if device.device_class == pci.CLASS_BRIDGE_OTHER and device.device in NVSWITCH_IDS
        )

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """Module on disk, module loaded, library and device nodes, each read for itself."""
        banner = node.read("/proc/driver/nvidia/version") or ""
        on_disk = node.run(["modinfo", "-F", "version", "nvidia"])
        licence = node.run(["modinfo", "-F", "license", "nvidia"])
        driver = Driver(
            vendor=self.vendor,
            on_disk=on_disk.out.strip() or None if on_disk.rc == 0 else None,
            loaded=node.read("/sys/module/nvidia/version") or _banner_version(banner),
            userspace=_library_version(node),
            flavour=_flavour(licence.out if licence.rc == 0 else "", banner),
            device_nodes=tuple(node.glob("/dev/nvidia[0-9]*") + node.glob("/dev/nvidiactl")),
        )
        nothing = (driver.on_disk, driver.loaded, driver.userspace) == (None, None, None)
        return None if nothing and not found else driver

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Memory, UUID and exact name from NVML, by the first interpreter that has nvidia-ml-py."""
        if not found:
            return (), None, None
        error: Optional[str] = None
        for python in pythons:
            done = node.run([python, "-c", _NVML_PROBE])
            if done.rc == 0:
                try:
                    refined, version = _merged(found, json.loads(done.out))
                except (ValueError, KeyError, TypeError) as problem:
                    error = error or "unreadable answer of %s: %r" % (python, problem)
                    continue
                return refined, version, None
            # An interpreter that is not there, or lacks the package, says nothing about NVML.
            if done.rc != 127 and "No module named 'pynvml'" not in done.err:
                error = error or (done.err.strip() or "no answer").splitlines()[-1]
        return tuple(found), None, error


def _accelerator(node: Node, index: int, device: pci.PciDevice) -> Accelerator:
    part = lookup(device.device)
    information = _driver_information(node, device.address)
    pci_id = "%04x:%04x" % (device.vendor, device.device)
    return Accelerator(
        backend="cuda",
        vendor="nvidia",
        index=index,
        model=information.get("Model") or (part.name if part else "NVIDIA device " + pci_id),
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=pci_id,
        uuid=information.get("GPU UUID"),
        memory_bytes=part.memory_bytes if part else None,
        link=device.link,
        numa_node=device.numa_node,
    )


def _driver_information(node: Node, address: str) -> Dict[str, str]:
    text = node.read("/proc/driver/nvidia/gpus/%s/information" % address) or ""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in pairs}
    # A UUID of question marks means that the driver has not initialised the device yet.
    return {key: value for key, value in fields.items() if value and "?" not in value}


def _merged(found: Sequence[Accelerator], answer: Any) -> Tuple[Tuple[Accelerator, ...], str]:
    """The accelerators with NVML's words, matched by bus address, and the driver's version.

    Raises ValueError, KeyError or TypeError for what is not the probe's answer.
    """
    by_bus = {_bus(device["bus"]): device for device in answer["devices"]}
    refined = tuple(_refined(a, by_bus.get(_bus(a.bus or ""))) for a in found)
    return refined, str(answer["driver"])


def _refined(accelerator: Accelerator, answer: Optional[Dict[str, Any]]) -> Accelerator:
    if answer is None:
        return accelerator
    major, minor = answer["capability"]
    return dataclasses.replace(
        accelerator,
        model=answer["name"],
        uuid=answer["uuid"],
        memory_bytes=answer["memory_bytes"],
        architecture="sm_%d%d" % (major, minor),
    )


def _bus(address: str) -> str:
    """NVML writes an eight-digit domain, sysfs a four-digit one."""
    domain, _, rest = address.lower().partition(":")
    return "%x:%s" % (int(domain or "0", 16), rest)


def _banner_version(banner: str) -> Optional[str]:
    match = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", banner)
    return match.group(1) if match else None


def _flavour(licence: str, banner: str) -> Optional[str]:
    """Open modules are licensed 'Dual MIT/GPL', proprietary ones 'NVIDIA'."""
    if "MIT" in licence or "Open Kernel Module" in banner:
        return "open"
    if "NVIDIA" in licence or "Kernel Module" in banner:
        return "proprietary"
    return None


_LIBRARY_FOLDERS = (
    "/usr/lib/*-linux-gnu",
    "/usr/lib/*-linux-gnu/nvidia/current",
    "/usr/lib64",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
)


def _library_version(node: Node) -> Optional[str]:
    """The driver's user-space version, from the file name of libnvidia-ml."""
    names: List[str] = []
    for folder in _LIBRARY_FOLDERS:
        names += node.glob(folder + "/libnvidia-ml.so.*")
    versions = [re.search(r"\.so\.(\d{3}\.\d+(?:\.\d+)?)$", name) for name in names]
    found = [match.group(1) for match in versions if match]
    return found[0] if found else None
