"""Cambricon's MLUs by PCI device id. Pure data and one look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source


@dataclass(frozen=True)
class Part:
    """A chip: ``architecture`` is 'mlu370', ``virtual_id`` the id of its virtual functions.

    Boards with one id differ in memory, so memory is no column.
    """

    device_id: int
    virtual_id: Optional[int]
    architecture: str
    cited: Tuple[Source, ...] = (sources.CAMBRICON_DRIVER,)

    @property
    def name(self) -> str:
        """'Cambricon MLU370'."""
        return "Cambricon " + self.architecture.upper()


PARTS = (
    Part(0x0220, None, "mlu220"),
    Part(0x0270, 0x0271, "mlu270"),
    Part(0x0290, 0x0291, "mlu290"),
    Part(0x0365, 0x0366, "mlu365"),
    Part(0x0370, 0x0371, "mlu370"),
    Part(0x0560, 0x0561, "mlu560"),
    Part(0x0570, 0x0571, "mlu570"),
    Part(0x0580, 0x0581, "mlu580"),
    Part(0x0585, 0x0586, "mlu585"),
    Part(0x0590, 0x0591, "mlu590"),
)


def lookup(device_id: int) -> Optional[Part]:
    """The chip behind a PCI device id of vendor cabc, or None where no source names the id.

    In a guest, the virtual function that it was given is its MLU.
    """
    return next((p for p in PARTS if device_id in (p.device_id, p.virtual_id)), None)
