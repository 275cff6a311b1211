"""Survey: everything that is true of a node, read once, changed never."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .accelerators import BACKENDS
from .disks import read_disks
from .host_survey import read_host
from .model import Accelerator, Driver, Facts, Process, User
from .node import Node
from .node_files import RECORD
from .places import Files, read_places
from .software import read_cudnn, read_holds, read_processes, read_toolkits
from .system import python_problem, read_pythons, read_system, read_user
from .venv import read_current, read_stacks, read_unfinished

SYSTEM_PREFIX = "/opt/torchnode"


def default_prefix(user: User) -> str:
    """Where the stack goes: one folder in /opt for root, the user's own data folder otherwise."""
    return SYSTEM_PREFIX if user.uid == 0 else user.data_home + "/torchnode"


def survey(
    node: Node,
    prefix: str = "",
    python: str = "",
    hashes: bool = False,
    own_python: str = os.path.realpath(sys.executable),
    facts_folder: str = "",
    find_links: Sequence[str] = (),
    ca_bundle: str = "",
    signing: Tuple[str, str] = ("", ""),
) -> Facts:
    """Read the machine. An empty ``prefix`` means the default; ``python`` is adopted.

    ``facts_folder``, ``find_links`` and ``ca_bundle`` are the operator's variables of that name;
    ``signing`` are the key and the certificate that are to sign kernel modules.
    """
    user = read_user(node)
    prefix = os.path.normpath(prefix) if prefix else default_prefix(user)
    current = read_current(node, prefix, hashes)
    asked = tuple(p for p in (python, current.python if current else "", own_python) if p)
    accelerators, drivers = _read_accelerators(node, asked)
    return Facts(
        system=read_system(node),
        user=user,
        prefix=prefix,
        accelerators=accelerators,
        switches=tuple(s for b in BACKENDS for s in getattr(b, "switches", lambda _: ())(node)),
        drivers=drivers,
        pythons=read_pythons(node, user, own_python),
        toolkits=read_toolkits(node, prefix),
        cudnn=read_cudnn(node, prefix),
        holds=read_holds(node),
        stack=current,
        stacks=read_stacks(node, prefix),
        unfinished=read_unfinished(node, prefix),
        processes=_users(node, accelerators),
        disks=read_disks(node, prefix),
        record=read_record(node, prefix),
        python_problem=python_problem(node, python),
        host=(
            read_host(node, signing[1]) if any(a.backend == "cuda" for a in accelerators) else None
        ),
        places=read_places(
            node,
            user,
            written=(prefix, facts_folder),
            find_links=find_links,
            files=Files(ca_bundle, *signing),
        ),
    )


def read_record(node: Node, prefix: str) -> Optional[Dict[str, Any]]:
    """The last run's record; None where there is none. A broken one says so in ``error``."""
    text = node.read("%s/%s" % (prefix, RECORD))
    if text is None:
        return None
    try:
        record = json.loads(text)
    except ValueError as error:
        return {"error": "%s/%s is not JSON: %s" % (prefix, RECORD, error)}
    return record if isinstance(record, dict) else {"error": "not a JSON object"}


def _read_accelerators(
    node: Node, pythons: Tuple[str, ...]
) -> Tuple[Tuple[Accelerator, ...], Tuple[Driver, ...]]:
    found: List[Accelerator] = []
    drivers: List[Driver] = []
    for backend in BACKENDS:
        accelerators = backend.find(node)
        driver = backend.driver(node, accelerators)
        if driver is not None and (driver.loaded or driver.device_nodes):
            # Asking a library about a driver that does not serve can only fail, slowly. Containers
            # and WSL2 hide the module and show the nodes.
            accelerators, version, error = backend.refine(node, accelerators, pythons)
            driver = dataclasses.replace(driver, nvml=version, nvml_error=error)
        found += accelerators
        drivers += [driver] if driver is not None else []
    return tuple(found), tuple(drivers)


def _users(node: Node, accelerators: Sequence[Accelerator]) -> Tuple[Process, ...]:
    """Who holds the nodes of what is here, and of nothing else, but for the vendors' services.

    A desktop's programs hold the render node of its processor, and a host of virtual machines
    holds /dev/vfio: neither uses an accelerator.
    """
    names = {accelerator.backend for accelerator in accelerators}
    here = [backend for backend in BACKENDS if backend.name in names]
    held = read_processes(node, [pattern for b in here for pattern in b.device_nodes])
    services = {name for b in here for name in getattr(b, "services", ())}
    return tuple(process for process in held if process.command.split(" ")[0] not in services)
