"""NVIDIA GPUs: found on the PCI bus without a driver, refined by NVML where it answers.

Two kinds of machine show no GPU on the bus: WSL2, where Windows lends its driver, and containers
whose /sys is masked. There the driver itself is asked.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..data.nvidia_parts import (
    BRIDGE_ID,
    BRIDGE_MARK,
    BRIDGE_VENDOR,
    BRIDGED_ARCHITECTURES,
    NVSWITCH_IDS,
    chip_of,
    lookup,
    lookup_name,
)
from ..host_survey import loaded_flavour, read_module
from ..model import Accelerator, Driver
from ..node import Node
from ..system import read_container
from . import pci

VENDOR_ID = 0x10DE

# nvidia-ml-py is the library; this only carries its answers out of the interpreter that has it.
_NVML_PROBE = """
import json, pynvml
pynvml.nvmlInit()
text = lambda value: value.decode() if isinstance(value, bytes) else value
def attempt(ask):
    # A container that holds one MIG device may not ask its GPU everything.
    try:
        return ask()
    except pynvml.NVMLError:
        return None
def mig(handle):
    if not (attempt(lambda: pynvml.nvmlDeviceGetMigMode(handle)) or [0])[0]:
        return None
    count = pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    parts = [
        attempt(lambda: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
        for index in range(count)
    ]
    return [text(pynvml.nvmlDeviceGetName(part)).split(" MIG ")[-1] for part in parts if part]
devices = []
for index in range(pynvml.nvmlDeviceGetCount()):
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    devices.append({
        "bus": text(pynvml.nvmlDeviceGetPciInfo(handle).busId),
        "name": text(pynvml.nvmlDeviceGetName(handle)),
        "uuid": text(pynvml.nvmlDeviceGetUUID(handle)),
        "memory_bytes": attempt(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).total),
        "capability": list(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "mig": mig(handle),
    })
print(json.dumps({"driver": text(pynvml.nvmlSystemGetDriverVersion()), "devices": devices}))
"""


class Nvidia:
    """The cuda backend."""

    name = "cuda"
    vendor = "nvidia"
    device_nodes = ("/dev/nvidia[0-9]*",)
    #: They ride on the driver, are stopped and started with it, and compute nothing. The first is
    #: there to hold the nodes: https://docs.nvidia.com/deploy/driver-persistence/persistence-daemon.html
    services = (
        "nvidia-persistenced",
        "nv-fabricmanager",
        "nv-hostengine",
        "nvidia-imex",
        "dcgm-exporter",
        "nvidia-device-plugin",
    )

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
        if not gpus:
            return _off_the_bus(node)
        gpus = _passed_in(node, gpus) if read_container(node) else gpus
        return tuple(_accelerator(node, index, device) for index, device in enumerate(gpus))

    def switches(self, node: Node) -> Tuple[str, ...]:
        """PCI addresses of NVSwitches, or of the functions that manage them: where one is, Fabric
        Manager is needed."""
        own = pci.devices(node, VENDOR_ID)
        switches = [
            device.address
            for device in own
            if device.device_class == pci.CLASS_BRIDGE_OTHER and device.device in NVSWITCH_IDS
        ]
        chips = [chip_of(device.device) for device in own]
        bridged = any(chip and chip.architecture in BRIDGED_ARCHITECTURES for chip in chips)
        return (*switches, *(_bridges(node) if bridged else ()))

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """Module on disk, module loaded, library and device nodes, each read for itself."""
        on_disk, flavour = _on_disk(node)
        driver = Driver(
            vendor=self.vendor,
            on_disk=on_disk,
            loaded=_loaded_version(node),
            userspace=_library_version(node),
            flavour=flavour or loaded_flavour(node),
            device_nodes=_device_nodes(node),
            loaded_flavour=loaded_flavour(node),
        )
        nothing = not (driver.on_disk or driver.loaded or driver.userspace or driver.device_nodes)
        return None if nothing and not found else driver

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Memory, UUID and exact name from NVML, by the first interpreter that has nvidia-ml-py."""
        on_bus = all(gpu.pci_id for gpu in found)
        if not found or (on_bus and not _loaded_version(node)):
            # Device nodes outlive the module, and asking for a driver that is gone is slow.
            return tuple(found), None, None
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
        if _has_windows_driver(node):
            # A fresh WSL2 has no nvidia-ml-py, and no module whose version could be read.
            rows, why = _ask_smi(node)
            return tuple(found), rows[0].driver if rows else None, why
        return tuple(found), None, error


def _bridges(node: Node) -> List[str]:
    """The network functions that manage switches. Only root may ask: to others any may be one."""
    found = []
    for device in pci.devices(node, BRIDGE_VENDOR):
        vital = device.path + "/vpd"
        if device.device == BRIDGE_ID and node.exists(vital):
            told = node.read_bytes(vital)
            found += [device.address] if told is None or BRIDGE_MARK in told else []
    return found


def _accelerator(node: Node, index: int, device: pci.PciDevice) -> Accelerator:
    part = lookup(device.device)
    information = _driver_information(node, device.address)
    return Accelerator(
        backend="cuda",
        vendor="nvidia",
        index=index,
        model=information.get("Model") or (part.name if part else "NVIDIA device " + device.pci_id),
        architecture=part.architecture if part else None,
        bus=device.address,
        pci_id=device.pci_id,
        uuid=information.get("GPU UUID"),
        memory_bytes=part.memory_bytes if part else None,
        link=device.link,
        numa_node=device.numa_node,
        mig=_mig_devices(node, information),
    )


def _passed_in(node: Node, gpus: List[pci.PciDevice]) -> List[pci.PciDevice]:
    """A container sees the host's whole bus: its own GPUs are those with a device node.

    Where none has one, all stay: then the container was started without its devices, and verify
    says so.
    """
    told = {gpu.address: _driver_information(node, gpu.address) for gpu in gpus}
    minors = {address: fields.get("Device Minor") for address, fields in told.items()}
    mine = [g for g in gpus if node.exists("/dev/nvidia%s" % (minors[g.address] or "?"))]
    return mine or gpus


def _mig_devices(node: Node, information: Dict[str, str]) -> Optional[Tuple[str, ...]]:
    """MIG devices as the driver's capabilities name them ('gi1/ci0'), None where there is none.

    That MIG is on while nothing is divided yet, only NVML can tell.
    """
    folder = "/proc/driver/nvidia/capabilities/gpu%s/mig" % information.get("Device Minor", "?")
    made = [path[len(folder) + 1 :] for path in node.glob(folder + "/gi[0-9]*/ci[0-9]*")]
    return tuple(made) or None


# ---- machines whose bus shows no GPU -----------------------------------------------------------

_WSL = "/usr/lib/wsl/lib"
_SMI_FIELDS = "pci.bus_id,name,uuid,memory.total,compute_cap,driver_version"


@dataclasses.dataclass(frozen=True)
class _SmiRow:
    bus: str
    name: str
    uuid: str
    memory_bytes: int
    architecture: str
    driver: str


def _off_the_bus(node: Node) -> Tuple[Accelerator, ...]:
    if _has_windows_driver(node):
        return _lent_by_windows(node)
    # A bus that shows other devices and no GPU is believed: that GPU is lost, not hidden.
    return () if node.names(pci.DEVICES) else _without_pci(node)


def _has_windows_driver(node: Node) -> bool:
    """Whether Windows lends an NVIDIA driver: /dev/dxg alone may be another maker's GPU."""
    return node.exists("/dev/dxg") and node.exists(_WSL + "/libnvidia-ml.so.1")


def _device_nodes(node: Node) -> Tuple[str, ...]:
    nodes = node.glob("/dev/nvidia[0-9]*") + node.glob("/dev/nvidiactl")
    return tuple(nodes + (["/dev/dxg"] if _has_windows_driver(node) else []))


def _lent_by_windows(node: Node) -> Tuple[Accelerator, ...]:
    """The GPUs that Windows' nvidia-smi names; one unknown GPU where it does not answer."""
    rows, problem = _ask_smi(node)
    if problem is not None:
        return (Accelerator("cuda", "nvidia", 0, "NVIDIA GPU lent by Windows"),)
    return tuple(
        Accelerator(
            backend="cuda",
            vendor="nvidia",
            index=index,
            model=row.name,
            architecture=row.architecture,
            bus=row.bus,
            uuid=row.uuid,
            memory_bytes=row.memory_bytes,
        )
        for index, row in enumerate(rows)
    )


def _ask_smi(node: Node) -> Tuple[List[_SmiRow], Optional[str]]:
    """(a row for each GPU in bus order, why there is no answer)."""
    query = ["--query-gpu=" + _SMI_FIELDS, "--format=csv,noheader,nounits"]
    done = node.run([_WSL + "/nvidia-smi", *query])
    if "No devices were found" in done.out + done.err:
        return [], None
    try:
        rows = [_smi_row(line) for line in done.out.splitlines() if line.strip()]
    except ValueError:
        rows = []
    if done.rc == 0 and rows:
        return sorted(rows, key=lambda row: row.bus), None
    last = (done.err.strip() or done.out.strip() or "no answer").splitlines()[-1]
    return [], "%s/nvidia-smi: %s" % (_WSL, last)


def _smi_row(line: str) -> _SmiRow:
    """One line of the query; memory comes in MiB. Raises ValueError for anything else."""
    bus, name, uuid, memory, capability, driver = (part.strip() for part in line.split(","))
    major, minor = capability.split(".")
    return _SmiRow(
        bus="%04x:%s" % (int(bus.split(":")[0], 16), bus.lower().split(":", 1)[1]),
        name=name,
        uuid=uuid,
        memory_bytes=int(memory) * 2**20,
        architecture="sm_%d%d" % (int(major), int(minor)),
        driver=driver,
    )


def _without_pci(node: Node) -> Tuple[Accelerator, ...]:
    """GPUs by device node, where /sys is masked; who they are, the driver's /proc tells.

    /proc names all GPUs of the host: those without a device node were not passed in.
    """
    told = {}
    for address in node.names("/proc/driver/nvidia/gpus"):
        information = _driver_information(node, address)
        told["/dev/nvidia" + information.get("Device Minor", "?")] = (address, information)
    nodes = [path for path in node.glob("/dev/nvidia[0-9]*") if path[11:].isdigit()]
    gpus = sorted((told.get(path, ("", {})) for path in nodes), key=lambda gpu: gpu[0])
    return tuple(_from_proc(node, index, *gpu) for index, gpu in enumerate(gpus))


def _from_proc(node: Node, index: int, address: str, information: Dict[str, str]) -> Accelerator:
    name = information.get("Model", "")
    part = lookup_name(name)
    return Accelerator(
        backend="cuda",
        vendor="nvidia",
        index=index,
        model=name or "NVIDIA device",
        architecture=part.architecture if part else None,
        bus=address or None,
        uuid=information.get("GPU UUID"),
        memory_bytes=part.memory_bytes if part else None,
        mig=_mig_devices(node, information),
    )


# ---- what the driver says ----------------------------------------------------------------------


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
        memory_bytes=answer["memory_bytes"] or accelerator.memory_bytes,
        architecture="sm_%d%d" % (major, minor),
        mig=None if answer.get("mig") is None else tuple(answer["mig"]),
    )


def _bus(address: str) -> str:
    """NVML writes an eight-digit domain, sysfs a four-digit one."""
    domain, _, rest = address.lower().partition(":")
    return "%x:%s" % (int(domain or "0", 16), rest)


def _loaded_version(node: Node) -> Optional[str]:
    banner = node.read("/proc/driver/nvidia/version") or ""
    return node.read("/sys/module/nvidia/version") or _banner_version(banner)


def _banner_version(banner: str) -> Optional[str]:
    match = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", banner)
    return match.group(1) if match else None


def _on_disk(node: Node) -> Tuple[Optional[str], Optional[str]]:
    """(version, flavour) of the module for the kernel that runs, None for no module.

    Debian names the file nvidia-current or nvidia-current-open, which modinfo does not find by
    the module's name: there its file is looked for.
    """
    version = node.run(["modinfo", "-F", "version", "nvidia"])
    if version.rc != 0 or not version.out.strip():
        version_of, flavour = read_module(node, node.read("/proc/sys/kernel/osrelease") or "")
        return version_of or None, flavour or None
    licence = node.run(["modinfo", "-F", "license", "nvidia"])
    return version.out.strip(), _flavour(licence.out if licence.rc == 0 else "")


def _flavour(licence: str) -> Optional[str]:
    """Open modules are licensed 'Dual MIT/GPL', proprietary ones 'NVIDIA'."""
    if "MIT" in licence:
        return "open"
    return "proprietary" if "NVIDIA" in licence else None


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
