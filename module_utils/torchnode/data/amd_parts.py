"""AMD GPUs by PCI device id: product, gfx target, and which ids are discrete. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source

_CHIP = (sources.AMDGPU_PCI_IDS, sources.AMD_PCI_IDS, sources.AMDGPU_PROCESSORS)
_NEW = (sources.AMD_PCI_IDS, sources.AMD_GPU_SPECS, sources.AMDGPU_PROCESSORS)


@dataclass(frozen=True)
class Part:
    """A discrete GPU: ``architecture`` is LLVM's gfx target.

    Memory is left to the driver, which tells it exactly; before there is one, it is not known. Of
    an MI250 or MI250X each die is a device of its own, with half of the board's memory.
    """

    device_id: int
    name: str
    architecture: str
    cited: Tuple[Source, ...] = _CHIP


#: In id order. An id that several products share is named by their family or chip. MI350X and
#: MI355X have no row, as no source with their ids was read: they are found by class, and the driver
#: tells their target.
PARTS = (
    Part(0x66A0, "AMD Vega 20", "gfx906"),
    Part(0x66A1, "AMD Vega 20", "gfx906"),
    Part(0x66A7, "AMD Vega 20", "gfx906"),
    Part(0x66AF, "AMD Vega 20", "gfx906"),
    Part(0x6860, "AMD Vega 10", "gfx900"),
    Part(0x6863, "AMD Vega 10", "gfx900"),
    Part(0x687F, "AMD Vega 10", "gfx900"),
    Part(0x7388, "AMD Arcturus", "gfx908"),
    Part(0x738C, "AMD Instinct MI100", "gfx908"),
    Part(0x738E, "AMD Instinct MI100", "gfx908"),
    Part(0x7390, "AMD Arcturus", "gfx908"),
    Part(0x7408, "AMD Instinct MI250X", "gfx90a"),
    Part(0x740C, "AMD Instinct MI250X/MI250", "gfx90a"),
    Part(0x740F, "AMD Instinct MI210", "gfx90a"),
    Part(0x7410, "AMD Instinct MI200 series virtual function", "gfx90a"),
    Part(0x7448, "AMD Radeon PRO W7900", "gfx1100", _NEW),
    Part(0x744C, "AMD Radeon RX 7900 series", "gfx1100", _NEW),
    Part(0x74A0, "AMD Instinct MI300A", "gfx942", _NEW),
    Part(0x74A1, "AMD Instinct MI300X", "gfx942", _NEW),
    Part(0x74A2, "AMD Instinct MI308X", "gfx942", _NEW),
    Part(0x74A5, "AMD Instinct MI325X", "gfx942", _NEW),
    Part(0x74A9, "AMD Instinct MI300X HF", "gfx942", _NEW),
    Part(0x74B5, "AMD Instinct MI300X VF", "gfx942", _NEW),
    Part(0x74B9, "AMD Instinct MI325X VF", "gfx942", _NEW),
    Part(0x74BD, "AMD Instinct MI300X HF", "gfx942", _NEW),
    Part(0x7550, "AMD Radeon RX 9070 series", "gfx1201", _NEW),
    Part(0x7590, "AMD Radeon RX 9060 XT", "gfx1200", _NEW),
)

#: Since the first RDNA chip, 7310, every discrete chip's ids lie here, and none of an integrated
#: one: those are 11xx to 19xx. Older cards and server displays (515e) lie elsewhere.
DISCRETE_IDS = (0x7310, 0x77FF)
DISCRETE_SOURCE = sources.AMDGPU_PCI_IDS

_PART_OF = {part.device_id: part for part in PARTS}


def lookup(device_id: int) -> Optional[Part]:
    """The GPU behind a PCI device id of vendor 1002, or None where no row covers it."""
    return _PART_OF.get(device_id)


def is_discrete(device_id: int) -> bool:
    """Whether the id is that of a card, known by name or by its range only."""
    return device_id in _PART_OF or DISCRETE_IDS[0] <= device_id <= DISCRETE_IDS[1]
