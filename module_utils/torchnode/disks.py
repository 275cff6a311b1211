"""The file systems of a node that a run fills, each once, with what is free on it."""

from __future__ import annotations

import os
from typing import Dict, List, Sequence, Tuple

from .model import Disk
from .node import Node

#: Where packages are unpacked, NVIDIA's toolkits lie, archives and DKMS's builds go, and kernels.
SYSTEM_FOLDERS = ("/usr", "/usr/local", "/var", "/boot")


def read_disks(node: Node, prefix: str) -> Tuple[Disk, ...]:
    """The file systems of ``prefix`` and, on Linux, of the system's folders, in this order."""
    folders = [prefix, *(SYSTEM_FOLDERS if node.system == "Linux" else ())]
    found: Dict[int, List[str]] = {}
    silent = []
    for folder in folders:
        try:
            found.setdefault(os.stat(_there(node, folder)).st_dev, []).append(folder)
        except OSError:
            silent.append(Disk((folder,)))
    return (*(_disk(node, lying) for lying in found.values()), *silent)


def _there(node: Node, folder: str) -> str:
    """The folder, or the nearest above it: what will be made lies on the same file system."""
    while folder != "/" and not node.exists(folder):
        folder = os.path.dirname(folder)
    return node.path(folder)


def _disk(node: Node, folders: Sequence[str]) -> Disk:
    """What is free is free for this user."""
    try:
        state = os.statvfs(_there(node, folders[0]))
    except OSError:
        return Disk(tuple(folders))
    return Disk(tuple(folders), state.f_bavail * state.f_frsize)
