"""cuDNN from wheels, below ``<prefix>/cudnn``: one folder for each CUDA major.

It is ``<version>-cu<major>``; ``cu<major>`` and ``current`` (the default toolkit's) are links.
"""

from __future__ import annotations

import os
from typing import Dict, List, Tuple

from .model import Stack
from .node import Node
from .wheel_folder import Folder, Kind, name_libraries, whole


def _lay_out(folder: str) -> None:
    """include and lib out of the wheel, and the names that a linker looks for."""
    for name in ("include", "lib"):
        os.rename("%s/wheels/nvidia/cudnn/%s" % (folder, name), "%s/%s" % (folder, name))
    name_libraries(folder + "/lib")


KIND = Kind("cuDNN", "cudnn", "apply.cudnn_wheel", "torchnode_cudnn", _lay_out)


def folders(stack: Stack) -> Tuple[Folder, ...]:
    """What the resolved stack wishes for."""
    wheels = stack.host.cudnn_wheels if stack.host else ()
    return tuple(Folder(wheel.name, (wheel.file,)) for wheel in wheels)


def links(stack: Stack) -> Dict[str, str]:
    """Link name to folder: one for each CUDA major, and ``current`` for the first."""
    wheels = stack.host.cudnn_wheels if stack.host else ()
    made = {"cu%d" % wheel.cuda: wheel.name for wheel in wheels}
    return dict(made, current=wheels[0].name) if wheels else made


def base(prefix: str) -> str:
    """The folder that holds every cuDNN of a prefix."""
    return KIND.base(prefix)


def read(node: Node, prefix: str) -> List[str]:
    """Names of the complete cuDNNs ('9.10.2.21-cu12') that a link ``cu<major>`` points to."""
    found: List[str] = []
    for name in node.names(base(prefix), "cu[0-9]*"):
        target = node.link("%s/%s" % (base(prefix), name))
        if target and whole(node, "%s/%s" % (base(prefix), target)):
            found.append(target)
    return found
