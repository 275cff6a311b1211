"""Captured machines as nodes, and small machines, policies and locks made from a few words."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from ansible.module_utils.torchnode import controller
from ansible.module_utils.torchnode.data.nvidia_parts import lookup
from ansible.module_utils.torchnode.locks import Lock
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Disk,
    Driver,
    Facts,
    PythonInterpreter,
    System,
    User,
)
from ansible.module_utils.torchnode.node import Completed, Node
from ansible.module_utils.torchnode.policy import Policy

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
MACHINES = sorted(
    str(path.relative_to(FIXTURES).with_suffix("")) for path in FIXTURES.glob("*/*.json")
)

#: Every lock that ships with the project.
LOCKS = tuple(controller.read_locks())

GB = 10**9


# ---- captured machines -------------------------------------------------------------------------


class FixtureNode(Node):
    """A captured machine below a folder; ``answers`` maps a command's first word to its answer."""

    def __init__(self, root: Path, machine: str = "", uid: int = 0) -> None:
        self.answers: dict[str, Callable[[Sequence[str]], Completed]] = {}
        self.asked: list[list[str]] = []
        self.commands: dict[str, Any] = {}
        super().__init__(str(root), self._run, {"HOME": "/home/worker"}, uid, "Linux", "x86_64")
        if machine:
            self.load(json.loads((FIXTURES / (machine + ".json")).read_text(encoding="utf-8")))

    def load(self, captured: dict[str, Any]) -> None:
        """Lay the captured files, links and device nodes out below the root."""
        self.commands = captured["commands"]
        self.system = captured.get("system", self.system)
        self.machine = captured.get("machine", self.machine)
        for path in captured["nodes"]:
            # A folder among the nodes (/dev/nvidia-caps) is one that others lie in.
            if any(other.startswith(path + "/") for other in captured["nodes"]):
                continue
            self.write(path, "")
        for path, text in captured["files"].items():
            self.write(path, text)
        for path, target in captured["links"].items():
            self._link(path, target)

    def _link(self, path: str, target: str) -> None:
        """A link to the captured base name; what points to itself is the real file or folder."""
        if os.path.basename(path) != target:
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            os.symlink(target, self.path(path))
        elif "/cuda" in path:
            os.makedirs(self.path(path), exist_ok=True)
        else:
            self.write(path, "")

    def write(self, path: str, content: str | bytes) -> None:
        """Put a file on the machine."""
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink() or file.exists():
            file.unlink()
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def remove(self, path: str) -> None:
        """Take a file or a folder away."""
        target = Path(self.path(path))
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    def pci(self, address: str, device: str, device_class: str, vendor: str = "0x10de") -> str:
        """Plug a PCI device in; returns its folder."""
        base = f"/sys/bus/pci/devices/{address}"
        for name, value in (("vendor", vendor), ("device", device), ("class", device_class)):
            self.write(f"{base}/{name}", value + "\n")
        return base

    def _run(self, argv: Sequence[str]) -> Completed:
        self.asked.append(list(argv))
        if argv[0] in self.answers:
            return self.answers[argv[0]](argv)
        told = self.commands.get(" ".join(argv), {"error": "not captured"})
        if "error" in told:
            return Completed(127, "", told["error"])
        return Completed(told["rc"], told["out"], told["err"])


# ---- machines in a few words -------------------------------------------------------------------

SYSTEM = System(system="Linux", machine="x86_64", kernel="6.1.0", os_id="debian", os_version="12")
USER = User(name="root", uid=0, home="/root", data_home="/root/.local/share")

V100, A100, H100, H200, B200 = 0x1DB1, 0x20B2, 0x2330, 0x2335, 0x2901
GH200, P100, GB200, B300 = 0x2342, 0x15F8, 0x2941, 0x3182


def gpu(device_id: int, index: int = 0, **changes: Any) -> Accelerator:
    """An NVIDIA GPU of the part table (or an unknown one) as survey finds it."""
    part = lookup(device_id)
    accelerator = Accelerator(
        backend="cuda",
        vendor="nvidia",
        index=index,
        model=part.name if part else "NVIDIA device 10de:%04x" % device_id,
        architecture=part.architecture if part else None,
        bus="0000:%02x:00.0" % (0x10 + index),
        pci_id="10de:%04x" % device_id,
        memory_bytes=part.memory_bytes if part else None,
    )
    return dataclasses.replace(accelerator, **changes)


def driver(loaded: Optional[str], flavour: Optional[str] = "open", **changes: Any) -> Driver:
    """NVIDIA's driver, loaded and with its library."""
    whole = Driver("nvidia", on_disk=loaded, loaded=loaded, userspace=loaded, flavour=flavour)
    return dataclasses.replace(whole, **changes)


def machine(
    *device_ids: int,
    loaded: Optional[str] = None,
    flavour: Optional[str] = "open",
    pythons: Sequence[str] = ("3.11.2",),
    architecture: str = "x86_64",
    **changes: Any,
) -> Facts:
    """Facts of a machine with these GPUs, this driver and these Pythons."""
    facts = Facts(
        system=dataclasses.replace(SYSTEM, machine=architecture),
        user=USER,
        prefix="/opt/torchnode",
        accelerators=tuple(gpu(device_id, index) for index, device_id in enumerate(device_ids)),
        drivers=(driver(loaded, flavour),) if loaded else (),
        pythons=tuple(
            PythonInterpreter("/usr/bin/python" + ".".join(v.split(".")[:2]), v) for v in pythons
        ),
        disks=(Disk(("/opt/torchnode", "/usr", "/usr/local", "/var", "/boot"), 500 * GB),),
    )
    return dataclasses.replace(facts, **changes)


def policy(**wishes: Any) -> Policy:
    """The default policy with these wishes."""
    return Policy(**{"profile": "transformers-v5", "workload": "inference", **wishes})


def lock(
    torch: str,
    source: str = "pypi",
    extra: str = "none",
    machines: Sequence[str] = ("x86_64",),
    pythons: Sequence[str] = ("3.11", "3.12", "3.13"),
) -> Lock:
    """A lock that says it is for this."""
    name = f"torch-{torch}-{source}-{extra}-{'-'.join(pythons)}-{'-'.join(machines)}.txt"
    return Lock(name, torch, source, extra, tuple(machines), tuple(pythons), "sha256:0", name)


def find_uv() -> Optional[str]:
    """uv beside the Python that runs the tests, else on the PATH."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
