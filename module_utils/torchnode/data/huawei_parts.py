"""Huawei's Ascend NPUs by PCI device id. Pure data and one look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source


@dataclass(frozen=True)
class Part:
    """A chip: ``architecture`` is CANN's name for its family ('Ascend910B').

    Memory is no column: one id stands for boards of 32 and 64 GB, so only npu-smi can say.
    """

    device_id: int
    name: str
    architecture: str
    cited: Tuple[Source, ...] = (sources.ASCEND_LOG_SCRIPT,)


#: The server's BMC (1711) and the network cards (1822, a22x, 0222) of the same vendor are no rows.
PARTS = (
    Part(0xD100, "Ascend 310", "Ascend310"),
    Part(0xD500, "Ascend 310P", "Ascend310P"),
    Part(0xD801, "Ascend 910", "Ascend910"),
    Part(0xD802, "Ascend 910B", "Ascend910B"),
    Part(0xD803, "Ascend 910 A3", "Ascend910_93"),
    Part(0xD806, "Ascend 910_95", "Ascend910_95"),
)


def lookup(device_id: int) -> Optional[Part]:
    """The chip behind a PCI device id of vendor 19e5, or None where no source names the id."""
    return next((part for part in PARTS if part.device_id == device_id), None)
