"""CUDA toolkits from wheels, below ``<prefix>/cuda``: a folder for each release, as in /usr/local.

``current`` is a link to the first. They hold the pieces that data/cuda_wheels.py names.
"""

from __future__ import annotations

import os
from typing import Dict, List, Tuple

from .model import Stack
from .node import Node
from .wheel_folder import Folder, Kind, name_libraries, whole


def _lay_out(folder: str) -> None:
    """bin, include, lib and nvvm out of the wheels, as nvcc's own profile looks for them."""
    for name in ("bin", "include", "lib", "nvvm"):
        os.rename("%s/wheels/nvidia/cu13/%s" % (folder, name), "%s/%s" % (folder, name))
    os.symlink("lib", folder + "/lib64")
    name_libraries(folder + "/lib")


KIND = Kind("CUDA", "cuda", "apply.cuda_toolkit_wheel", "torchnode_cuda_toolkits", _lay_out)


def folders(stack: Stack) -> Tuple[Folder, ...]:
    """What the resolved stack wishes for."""
    wishes = stack.host.toolkit_wheels if stack.host else ()
    return tuple(Folder(wish.cuda, wish.files) for wish in wishes)


def links(stack: Stack) -> Dict[str, str]:
    """``current``, for the first."""
    wishes = stack.host.toolkit_wheels if stack.host else ()
    return {"current": wishes[0].cuda} if wishes else {}


def base(prefix: str) -> str:
    """The folder that holds every toolkit of a prefix."""
    return KIND.base(prefix)


def read(node: Node, prefix: str) -> List[str]:
    """The releases ('13.0') of the complete toolkits, that of ``current`` first; else none."""
    top = base(prefix)
    names = [n for n in node.names(top, "[0-9]*.[0-9]*") if whole(node, "%s/%s" % (top, n))]
    default = node.link(top + "/current")
    return sorted(names, key=lambda name: name != default) if default in names else []
