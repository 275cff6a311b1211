"""Which machines have NVSwitches, and what they need beside the driver. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from .data.nvidia_packages import FabricNames
from .data.nvidia_parts import BRIDGED_ARCHITECTURES, Part, lookup
from .model import Accelerator
from .policy import Conflict

#: What has versions of its own, and not the driver's.
OWN_VERSIONS = ("nvlsm", "infiniband-diags")


@dataclass(frozen=True)
class Fabric:
    """Names with '{branch}' and '{other}' still in them: what is needed, those of it that carry the
    driver's version, and what the same things are called for other branches."""

    packages: Tuple[str, ...]
    family: Tuple[str, ...]
    absent: Tuple[str, ...]


def fabric_names(
    ways: Sequence[FabricNames],
    branch: str,
    devices: Sequence[Accelerator],
    switches: Sequence[str],
    where: str,
) -> Optional[Fabric]:
    """What NVSwitches need; None for no need.

    Raises Conflict where there is a need, and ``where`` has no such packages.
    """
    parts = [part for part in map(_part, devices) if part]
    large = [part for part in parts if part.architecture in BRIDGED_ARCHITECTURES]
    # GB200 and GB300 have their switches in other chassis. A guest that is given GPUs without their
    # switches, which its host manages, has none.
    superchips = any(part.form == "superchip" for part in large)
    board = bridged(devices, switches)
    if not (switches or superchips):
        return None
    if not ways:
        raise _refused(where, "no Fabric Manager")
    way = _way(ways, branch)
    if board and not way.subnet:
        raise _refused(where, "no subnet manager for the switches of these boards")
    names: List[str] = []
    if switches:
        names += way.manager
    if board:
        names += way.subnet
    if superchips:
        names += way.imex
    family = tuple(name for name in names if name not in OWN_VERSIONS)
    return Fabric(tuple(names), family, _of_other_branches(ways, way))


def bridged(devices: Sequence[Accelerator], switches: Sequence[str]) -> bool:
    """Whether the switches are managed through InfiniBand, as those of B200 and B300 boards."""
    parts = [part for part in map(_part, devices) if part and part.form == "SXM"]
    return bool(switches) and any(p.architecture in BRIDGED_ARCHITECTURES for p in parts)


def _refused(where: str, lacking: str) -> Conflict:
    return Conflict(
        "torchnode_nvidia_source", "NVSwitches on %s" % where,
        "nvidia: the system's own packages have %s" % lacking,
        "Set torchnode_nvidia_source: nvidia.", "torchnode_nvidia_source nvidia",
    )  # fmt: skip


def _of_other_branches(ways: Sequence[FabricNames], chosen: FabricNames) -> Tuple[str, ...]:
    """Patterns of packages that are there for another branch, and cannot stay beside this one's."""
    kept = (*_names(chosen), *OWN_VERSIONS)
    found: List[str] = []
    for name in dict.fromkeys(name for way in ways for name in _names(way)):
        found += [name] if name not in kept else []
        found += [name.replace("{branch}", "{other}")] if "{branch}" in name else []
    return tuple(found)


def _names(way: FabricNames) -> Tuple[str, ...]:
    return (*way.manager, *way.subnet, *way.imex)


def _part(device: Accelerator) -> Optional[Part]:
    return lookup(int((device.pci_id or ":0").partition(":")[2], 16))


def _way(ways: Sequence[FabricNames], branch: str) -> FabricNames:
    ordered = sorted(ways, key=lambda way: -way.first_branch)
    found = (way for way in ordered if not branch or int(branch) >= way.first_branch)
    return next(found, ordered[-1])
