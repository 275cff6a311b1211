"""The controller's own side: the run's identity, and the locks that ship with the project.

Runs only beside ansible-core (it imports ``packaging``, which ansible-core requires).
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from packaging.markers import Marker

from . import locks
from .data.compatibility import TORCH_BUILDS
from .locks import Lock
from .node import Node

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = PROJECT / "locks"

#: The callback describes the run here, for the forked workers of the same ansible-playbook.
ENVIRONMENT = "TORCHNODE_RUN"


class NoRun(Exception):
    """A torchnode action ran without the report callback, so the run has no identity."""


def start_run(name: str, requested: List[str]) -> Dict[str, Any]:
    """Give this ansible-playbook process its identity, for the actions that it forks."""
    run = {
        "id": name,
        "requested": requested,
        "controller": {
            "host": socket.gethostname(),
            "boot_id": Node().read("/proc/sys/kernel/random/boot_id") or "",
            "pid": os.getpid(),
            "start": process_start(os.getpid()),
        },
    }
    os.environ[ENVIRONMENT] = json.dumps(run)
    return run


def refuse_run(why: str) -> None:
    """Make every torchnode action of this process fail, because the run cannot be reported."""
    os.environ[ENVIRONMENT] = json.dumps({"refused": why})


def current_run() -> Dict[str, Any]:
    """The run that the callback described. Raises NoRun with what to do when there is none."""
    text = os.environ.get(ENVIRONMENT)
    if not text:
        raise NoRun(
            "the callback plugin torchnode_report is not loaded: run ansible-playbook from "
            "the project's folder, or with ANSIBLE_CONFIG=%s/ansible.cfg" % PROJECT
        )
    run = json.loads(text)
    if not isinstance(run, dict) or "id" not in run:
        raise NoRun(str(run["refused"]) if "refused" in run else "%s holds no run" % ENVIRONMENT)
    return run


def process_start(pid: int) -> Optional[str]:
    """When a process of this machine started, in clock ticks since boot; None if it is gone."""
    stat = Node().read("/proc/%d/stat" % pid)
    # The second field is the command in parentheses and may hold spaces: count after the last ')'.
    fields = stat.rpartition(")")[2].split() if stat else []
    if not fields or fields[0] in ("Z", "X"):
        return None
    return fields[19]


def controller_is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether the controller that holds a lock ran on this machine and certainly runs no more."""
    controller = holder.get("controller")
    if not isinstance(controller, Mapping):
        return False
    boot_id = Node().read("/proc/sys/kernel/random/boot_id")
    if controller.get("host") != socket.gethostname() or not boot_id:
        return False  # another machine's processes cannot be seen from here
    if controller.get("boot_id") != boot_id:
        return True
    pid = controller.get("pid")
    return not isinstance(pid, int) or process_start(pid) != controller.get("start")


def read_locks(folder: Path = LOCKS) -> List[Lock]:
    """Every lock in ``folder``. Raises ValueError naming the file for a broken header."""
    return [
        locks.parse(p.name, p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.txt"))
    ]


def lock_text(name: str, folder: Path = LOCKS) -> str:
    """A lock's text. Raises OSError where there is none of that name."""
    return (folder / name).read_text(encoding="utf-8")


def is_fresh(lock: Lock, folder: Path = LOCKS) -> bool:
    """Whether the lock was made from the inputs as they stand today."""
    packages = (folder / "packages.in").read_text(encoding="utf-8")
    return inputs_of(lock, packages) == lock.inputs


def inputs_of(lock: Lock, packages: str) -> str:
    """The digest of today's inputs for what the lock says it is for."""
    version = lock.torch.partition("+")[0]
    row = next((r for r in TORCH_BUILDS if r.version == version), None)
    vision, audio = (row.torchvision, row.torchaudio) if row else ("", "")
    requirements = locks.lock_requirements(lock.torch, lock.source, vision, audio, lock.extra)
    return locks.inputs_digest(packages, requirements, lock_for(lock))


def lock_for(lock: Lock) -> Dict[str, str]:
    """The lock's header fields as :func:`locks.header` takes them."""
    return {
        "torch": lock.torch,
        "source": lock.source,
        "extra": lock.extra,
        "machines": " ".join(lock.machines),
        "pythons": " ".join(lock.pythons),
    }


def lock_packages(
    text: str, python_version: str, system: str, machine: str
) -> Tuple[Tuple[str, str], ...]:
    """The (name, version) pairs that a lock installs on one node, its markers evaluated."""
    environment = {
        "python_version": ".".join(python_version.split(".")[:2]),
        "python_full_version": python_version,
        "sys_platform": {"Linux": "linux", "Darwin": "darwin"}.get(system, system.lower()),
        "platform_system": system,
        "platform_machine": machine,
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found = []
    for name, version, marker in locks.pinned(text):
        if not marker or Marker(marker).evaluate(environment):
            found.append((name.lower().replace("_", "-").replace(".", "-"), version))
    return tuple(sorted(found))


def new_run_name() -> str:
    """'20261122-184501-12345': when, and which process."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-%d" % os.getpid()
