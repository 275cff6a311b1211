"""Which machines have NVSwitches, and what they need beside the driver. Pure."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from .data.nvidia_packages import FabricNames
from .data.nvidia_parts import Part, lookup
from .model import Accelerator
from .policy import Conflict

#: B200 and B300 boards hide their switches behind network cards; GB200 and GB300 have theirs in
#: other chassis. Both are told by the part.
_LARGE_BLACKWELL = ("sm_100", "sm_103")


def fabric_names(
    ways: Sequence[FabricNames],
    branch: str,
    devices: Sequence[Accelerator],
    switches: Sequence[str],
    where: str,
) -> Optional[Tuple[Tuple[str, ...], Tuple[str, ...]]]:
    """(packages, those of the driver's version), '{branch}' still in them; None for no need.

    Raises Conflict where ``ways`` is empty and there is a need: ``where`` has no such packages.
    """
    parts = [part for part in map(_part, devices) if part and part.architecture in _LARGE_BLACKWELL]
    superchips = any(part.form == "superchip" for part in parts)
    board = sum(part.form == "SXM" for part in parts) > 1
    if not (switches or board or superchips):
        return None
    if not ways:
        raise Conflict(
            "torchnode_nvidia_source", "NVSwitches on %s" % where,
            "nvidia: the system's own packages have no Fabric Manager",
            "Set torchnode_nvidia_source: nvidia.", "torchnode_nvidia_source nvidia",
        )  # fmt: skip
    way = _way(ways, branch)
    names: List[str] = []
    if switches or board:
        names += way.manager
    if board:
        names += way.subnet
    if superchips:
        names += way.imex
    # The subnet manager has versions of its own.
    return tuple(names), tuple(name for name in names if name != "nvlsm")


def _part(device: Accelerator) -> Optional[Part]:
    return lookup(int((device.pci_id or ":0").partition(":")[2], 16))


def _way(ways: Sequence[FabricNames], branch: str) -> FabricNames:
    ordered = sorted(ways, key=lambda way: -way.first_branch)
    found = (way for way in ordered if not branch or int(branch) >= way.first_branch)
    return next(found, ordered[-1])
