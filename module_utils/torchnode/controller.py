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
from .policy import Mistake

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
        raise NoRun("%s holds no run" % ENVIRONMENT)
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
    place = "" if folder == LOCKS else str(folder)
    return [
        locks.parse(path.name, path.read_text(encoding="utf-8"), place)
        for path in sorted(folder.glob("*.txt"))
    ]


def all_locks(own: str = "") -> List[Lock]:
    """The project's locks and those in the operator's folder, which win over one of the same name.

    Raises Mistake where there is no such folder, or for a lock with a broken header.
    """
    folder = Path(own).expanduser()
    if own and not folder.is_dir():
        raise Mistake(
            "torchnode_locks_folder", "no folder %s on the controller" % own,
            "a folder with the locks that `make lock OUTPUT=...` wrote",
            "Make it, or leave the variable empty.",
        )  # fmt: skip
    try:
        found = [*read_locks(), *(read_locks(folder) if own else [])]
    except ValueError as error:
        raise Mistake("locks", str(error), "locks that can be read", "Remake it.") from None
    by_name = {lock.name: lock for lock in found}
    return [by_name[name] for name in sorted(by_name)]


def lock_path(lock: Lock) -> Path:
    """The lock's file."""
    return (Path(lock.folder) if lock.folder else LOCKS) / lock.name


def lock_text(lock: Lock) -> str:
    """A lock's text. Raises OSError where its file is gone."""
    return lock_path(lock).read_text(encoding="utf-8")


def is_fresh(lock: Lock, folder: Path = LOCKS) -> bool:
    """Whether the lock was made from the inputs as they stand today."""
    packages = (folder / "packages.in").read_text(encoding="utf-8")
    return inputs_of(lock, packages) == lock.inputs


def inputs_of(lock: Lock, packages: str) -> str:
    """The digest of today's inputs for what the lock says it is for."""
    return locks.inputs_digest(packages, requirements_of(lock_for(lock)), lock_for(lock))


def requirements_of(wanted: Mapping[str, str]) -> Tuple[str, ...]:
    """What a lock with these header fields adds to the common packages."""
    version, plugin = wanted["torch"].partition("+")[0], wanted.get("plugin", "")
    rows = [row for row in TORCH_BUILDS if row.version == version]
    vision, audio = (rows[0].torchvision, rows[0].torchaudio) if rows else ("", "")
    known = (r.plugin for r in rows if r.plugin and r.plugin.requirement == plugin)
    also = next((plugin.also for plugin in known), ())
    beside = (plugin, *also) if plugin else ()
    return locks.lock_requirements(
        wanted["torch"], wanted["source"], vision, audio, wanted["extra"], beside
    )


def lock_for(lock: Lock) -> Dict[str, str]:
    """The lock's header fields as :func:`locks.header` takes them."""
    fields = {
        "torch": lock.torch,
        "source": lock.source,
        "extra": lock.extra,
        "machines": " ".join(lock.machines),
        "pythons": " ".join(lock.pythons),
    }
    return {**fields, "plugin": lock.plugin} if lock.plugin else fields


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
