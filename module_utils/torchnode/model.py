"""The words of torchnode as frozen records. Standard library only; no behaviour beyond shape.

``as_data`` turns any record into plain dictionaries and lists (what modules return), ``from_data``
turns them back (what the controller and later modules receive).
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Optional, Tuple, TypeVar

from .package_model import HostPlan, HostSoftware

# Optional[...] and Tuple[...] rather than X | None: annotations are evaluated by from_data, on
# nodes whose Python is 3.9.

T = TypeVar("T")


@dataclass(frozen=True)
class Link:
    """A device's PCIe link as sysfs shows it: ``speed`` '32.0 GT/s PCIe', ``width`` in lanes."""

    speed: str
    width: int
    max_speed: str = ""
    max_width: int = 0


@dataclass(frozen=True)
class Accelerator:
    """One accelerator. ``architecture`` is in the backend's own terms ('sm_90', 'gfx942', 'cpu').

    ``index`` counts the node's accelerators of this backend in bus order, ``bus`` is the PCI
    address, ``pci_id`` is 'vvvv:dddd' in hex, ``memory_bytes`` is None where it cannot be read.
    """

    backend: str
    vendor: str
    index: int
    model: str
    architecture: Optional[str] = None
    bus: Optional[str] = None
    pci_id: Optional[str] = None
    uuid: Optional[str] = None
    memory_bytes: Optional[int] = None
    link: Optional[Link] = None
    numa_node: Optional[int] = None
    mig: Optional[Tuple[str, ...]] = None  # MIG devices; () is on without any, None off or not told


@dataclass(frozen=True)
class Driver:
    """One vendor's driver as it stands: versions are None where there is none to read.

    ``on_disk`` is the module that the next boot loads, ``loaded`` the one in the kernel,
    ``userspace`` the library's. ``flavour`` is 'open' or 'proprietary' of the module on disk
    (else of the loaded one), ``loaded_flavour`` of the one in the kernel.
    """

    vendor: str
    on_disk: Optional[str] = None
    loaded: Optional[str] = None
    userspace: Optional[str] = None
    flavour: Optional[str] = None
    device_nodes: Tuple[str, ...] = ()
    nvml: Optional[str] = None  # the driver's version as NVML or AMD SMI tells it, if it answers
    nvml_error: Optional[str] = None
    loaded_flavour: Optional[str] = None


@dataclass(frozen=True)
class System:
    """The operating system and the machine around it."""

    system: str  # 'Linux', 'Darwin'
    machine: str  # 'x86_64', 'aarch64'
    kernel: str
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    cpu_model: str = ""
    cpu_count: int = 1
    memory_bytes: Optional[int] = None
    secure_boot: Optional[bool] = None  # None: no EFI variable to read
    virtualization: str = "none"
    container: Optional[str] = None
    wsl2: bool = False
    boot_id: Optional[str] = None
    blocking_modules: Tuple[str, ...] = ()  # nouveau, nova_core: loaded and claiming GPUs


@dataclass(frozen=True)
class User:
    """Who the module runs as; ``data_home`` is where this user's own data belongs."""

    name: str
    uid: int
    home: str
    data_home: str


@dataclass(frozen=True)
class PythonInterpreter:
    """A Python found by running it: full ``version`` and whether it can make environments."""

    path: str
    version: str


@dataclass(frozen=True)
class InstalledStack:
    """The stack that ``current`` points to. ``damage`` lists what differs from its records."""

    digest: str
    path: str
    python: str
    python_version: Optional[str] = None
    torch: Optional[str] = None  # as torch/version.py spells it, local tag included
    packages: Tuple[Tuple[str, str], ...] = ()
    damage: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """A process that holds a device node open."""

    pid: int
    user: str
    command: str
    devices: Tuple[str, ...]


@dataclass(frozen=True)
class SoftwareItem:
    """Something installed outside the stack: a toolkit, a cuDNN, a held package."""

    name: str
    version: str
    path: str = ""


@dataclass(frozen=True)
class Place:
    """A path on the node that ``variable`` names or whose default it is.

    ``problem`` says what stands in the way of using it, '' where nothing does.
    """

    variable: str
    path: str
    problem: str = ""


@dataclass(frozen=True)
class Disk:
    """A file system: the ``folders`` that a run fills and that lie, or will lie, on it.

    ``free_bytes`` is None where it does not answer.
    """

    folders: Tuple[str, ...]
    free_bytes: Optional[int] = None


@dataclass(frozen=True)
class Facts:
    """Everything that survey reads of a node, in one record."""

    system: System
    user: User
    prefix: str
    accelerators: Tuple[Accelerator, ...] = ()
    switches: Tuple[str, ...] = ()  # PCI addresses of NVSwitches, or of what manages them
    drivers: Tuple[Driver, ...] = ()
    pythons: Tuple[PythonInterpreter, ...] = ()
    toolkits: Tuple[SoftwareItem, ...] = ()
    cudnn: Tuple[SoftwareItem, ...] = ()
    holds: Tuple[str, ...] = ()
    stack: Optional[InstalledStack] = None
    stacks: Tuple[str, ...] = ()  # folders of complete stacks under the prefix, newest first
    processes: Tuple[Process, ...] = ()
    disks: Tuple[Disk, ...] = ()
    record: Optional[dict] = None  # type: ignore[type-arg]  # the last run's record, as JSON holds it
    unfinished: Tuple[str, ...] = ()  # folders of stacks that were never finished
    python_problem: str = ""  # why the interpreter to adopt does not run; '' where none is named
    host: Optional[HostSoftware] = None  # None: no Linux, or no GPU whose driver it would be
    places: Tuple[Place, ...] = ()  # what a run writes, and what the stack's build reads


@dataclass(frozen=True)
class Reason:
    """Why the resolver chose ``value`` for ``choice``."""

    choice: str
    value: str
    why: str


@dataclass(frozen=True)
class TorchBuild:
    """A torch build: ``tag`` is the local version ('cpu', 'cu130'), ``source`` 'pypi' or 'index'.

    PyPI's files carry no local version in their metadata, so ``requirement`` differs by source.
    ``plugin`` is the pinned package beside torch that brings the backend ('torch-npu==2.14.0'),
    '' where torch itself does. ``tag`` is '' in the builds for macOS, which have no local version.
    """

    version: str
    tag: str
    source: str
    requirement: str
    plugin: str = ""

    @property
    def label(self) -> str:
        """The version as torch/version.py spells it."""
        return "%s+%s" % (self.version, self.tag) if self.tag else self.version


@dataclass(frozen=True)
class SuppliedWheel:
    """A wheel that the operator supplies: ``requirement`` pins it, ``location`` is a path on the
    node or a URL, ``sha256`` is what the file must hash to."""

    requirement: str
    location: str
    sha256: str


@dataclass(frozen=True)
class DriverChoice:
    """The driver that the stack needs: ``minimum`` is the torch build's floor."""

    vendor: str
    branch: str
    flavour: str
    minimum: str
    origin: str = ""  # 'nvidia', 'distribution', 'preinstalled'
    version: str = ""  # the exact version that the operator wants, '' for any of the branch


@dataclass(frozen=True)
class Stack:
    """What the resolver decided for one node, each choice with its reason.

    ``adopted`` stacks belong to the operator: nothing is installed and ``lock`` is empty. A stack
    that is not adopted and has no ``lock`` cannot be installed: preflight refuses it.
    """

    backend: str
    architectures: Tuple[str, ...]
    profile: str
    workload: str
    prefix: str
    python: str
    python_version: str
    torch: Optional[TorchBuild] = None
    driver: Optional[DriverChoice] = None
    toolkit: Optional[str] = None
    cudnn: Optional[str] = None
    lock: str = ""
    digest: str = ""
    packages: Tuple[Tuple[str, str], ...] = ()
    adopted: bool = False
    reasons: Tuple[Reason, ...] = ()
    supplied: Optional[SuppliedWheel] = None  # installed beside the lock's packages
    host: Optional[HostPlan] = None  # the system's packages: drivers, toolkits and what serves them

    @property
    def interpreter(self) -> str:
        """The Python that runs torch: the adopted one, or that of the node's current stack."""
        return self.python if self.adopted else self.prefix + "/current/bin/python"


@dataclass(frozen=True)
class Step:
    """One change that is missing: ``component`` is the role that makes it."""

    component: str
    action: str  # 'install', 'mend', 'activate'
    before: str
    after: str
    why: str
    disruptive: bool = False
    reboot: bool = False
    operator: bool = False  # torchnode has no role for it here: the operator has to act
    removes: Tuple[str, ...] = ()  # folders that go with it


def as_data(record: Any) -> Any:
    """A record as dictionaries, lists and scalars, ready for JSON."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: as_data(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, (list, tuple)):
        return [as_data(item) for item in record]
    return record


def from_data(kind: type[T], data: Any) -> T:
    """The record of type ``kind`` that ``as_data`` made ``data`` from.

    Raises TypeError for a missing or unknown field, naming the record.
    """
    return typing.cast(T, _build(kind, data))


def _build(kind: Any, data: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        inner = [argument for argument in arguments if argument is not type(None)]
        return None if data is None else _build(inner[0], data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(arguments[0], item) for item in data)
        return tuple(_build(argument, item) for argument, item in zip(arguments, data))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(data) - set(hints))
        if unknown:
            name = getattr(kind, "__name__", kind)
            raise TypeError("%s has no field %s" % (name, ", ".join(unknown)))
        fields = {name: _build(hints[name], value) for name, value in data.items()}
        return typing.cast(Any, kind)(**fields)
    return data
