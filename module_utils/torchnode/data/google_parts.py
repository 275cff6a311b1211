"""Google's TPUs by PCI device id: version and memory. Pure data and one look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source

GIB = 2**30

_ROW = (sources.JAX_TPU_IDS, sources.TPU_INFO)

#: Devices that one chip is to PJRT, where it is not one: two cores that do not join into one.
#: Source: https://docs.jax.dev/en/latest/_autosummary/jax.experimental.pallas.tpu.ChipVersion.html
#: (cores per chip and megacore support of each version), read 2026-11-22.
DEVICES_PER_CHIP = {"v2": 2, "v3": 2, "tpu7x": 2}


@dataclass(frozen=True)
class Part:
    """One PCI function: ``architecture`` is Google's version, 'v5e'; ``memory_bytes`` its HBM.

    ``subsystem`` is the subsystem device id that tells two versions of one id apart, or None.
    """

    device_id: int
    name: str
    architecture: str
    memory_bytes: Optional[int]
    subsystem: Optional[int] = None
    cited: Tuple[Source, ...] = _ROW


#: v2 and v3 share an id. A chip that is two devices to torch has no memory here: the source does
#: not say which its figure is for. A cloud VM's network card (0042) and disks (001f) are no rows.
PARTS = (
    Part(0x0027, "TPU v2", "v2", None, 0x004E),
    Part(0x0027, "TPU v3", "v3", None, 0x004F),
    Part(0x005E, "TPU v4", "v4", 32 * GIB),
    Part(0x0062, "TPU v5p", "v5p", 95 * GIB),
    Part(0x0063, "TPU v5e", "v5e", 16 * GIB),
    Part(0x006F, "TPU v6e", "v6e", 32 * GIB),
    Part(0x0076, "TPU7x", "tpu7x", None),
)


def is_tpu(device_id: int) -> bool:
    """Whether any row has this PCI device id of vendor 1ae0."""
    return any(part.device_id == device_id for part in PARTS)


def lookup(device_id: int, subsystem: Optional[int] = None) -> Optional[Part]:
    """The part behind a PCI device id of vendor 1ae0, or None where no row tells which."""
    for part in PARTS:
        if part.device_id == device_id and part.subsystem in (None, subsystem):
            return part
    return None
