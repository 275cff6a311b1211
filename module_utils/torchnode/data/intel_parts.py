"""Intel GPUs by PCI device id: product, device target, and which of them are integrated. Pure data.

Intel's own driver lists discrete and integrated devices side by side, so both stand here: an id in
neither list is a device that these tables do not know yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source

_RUNTIME = (sources.INTEL_COMPUTE_RUNTIME,)


@dataclass(frozen=True)
class Part:
    """A discrete GPU: ``architecture`` is Intel's name of the device target ('pvc', 'acm-g10')."""

    device_id: int
    name: str
    architecture: str
    cited: Tuple[Source, ...] = _RUNTIME


_DG2 = (sources.INTEL_COMPUTE_RUNTIME, sources.I915_PCI_IDS)

#: In id order. DG1 is left out: no torch build has code for it, and its target has no source.
PARTS = (
    Part(0x0B69, "Intel Data Center GPU Max 1450", "pvc"),
    Part(0x0B6E, "Intel Data Center GPU Max 1100C", "pvc"),
    Part(0x0BD4, "Intel Data Center GPU Max 1550VG", "pvc"),
    Part(0x0BD5, "Intel Data Center GPU Max 1550", "pvc"),
    Part(0x0BD6, "Intel Data Center GPU Max 1550", "pvc"),
    Part(0x0BD7, "Intel Data Center GPU Max 1350", "pvc"),
    Part(0x0BD8, "Intel Data Center GPU Max 1350", "pvc"),
    Part(0x0BD9, "Intel Data Center GPU Max 1100", "pvc"),
    Part(0x0BDA, "Intel Data Center GPU Max 1100", "pvc"),
    Part(0x0BDB, "Intel Data Center GPU Max 1100", "pvc"),
    Part(0x5690, "Intel Arc A770M Graphics", "acm-g10", _DG2),
    Part(0x5691, "Intel Arc A730M Graphics", "acm-g10", _DG2),
    Part(0x5692, "Intel Arc A550M Graphics", "acm-g10", _DG2),
    Part(0x5693, "Intel Arc A370M Graphics", "acm-g11", _DG2),
    Part(0x5694, "Intel Arc A350M Graphics", "acm-g11", _DG2),
    Part(0x56A0, "Intel Arc A770 Graphics", "acm-g10", _DG2),
    Part(0x56A1, "Intel Arc A750 Graphics", "acm-g10", _DG2),
    Part(0x56A2, "Intel Arc A580 Graphics", "acm-g10", _DG2),
    Part(0x56A5, "Intel Arc A380 Graphics", "acm-g11", _DG2),
    Part(0x56A6, "Intel Arc A310 LP Graphics", "acm-g11", _DG2),
    Part(0x56B0, "Intel Arc Pro A30M Graphics", "acm-g11", _DG2),
    Part(0x56B1, "Intel Arc Pro A40/A50 Graphics", "acm-g11", _DG2),
    Part(0x56BE, "Intel Arc A750E Graphics", "acm-g10", _DG2),
    Part(0x56BF, "Intel Arc A580E Graphics", "acm-g10", _DG2),
    Part(0x56C0, "Intel Data Center GPU Flex 170", "ats-m150", _DG2),
    Part(0x56C1, "Intel Data Center GPU Flex 140", "ats-m75", _DG2),
    Part(0x56C2, "Intel Data Center GPU Flex 170V", "ats-m150", _DG2),
    Part(0xE20B, "Intel Arc B580 Graphics", "bmg"),
    Part(0xE20C, "Intel Arc B570 Graphics", "bmg"),
)

#: First and last ids of chips whose graphics are part of the processor, Tiger Lake to Panther Lake.
#: Between a chip's ids lies no discrete device. Older chips are told by their slot instead.
INTEGRATED = (
    (0x4626, 0x46D4),  # Alder Lake
    (0x4C80, 0x4C9A),  # Rocket Lake
    (0x6420, 0x64B0),  # Lunar Lake
    (0x7D40, 0x7DD5),  # Meteor Lake and Arrow Lake
    (0x9A40, 0x9A78),  # Tiger Lake
    (0xA720, 0xA7AD),  # Raptor Lake
    (0xB080, 0xB0B0),  # Panther Lake
    (0xFD80, 0xFD81),  # Panther Lake
)
INTEGRATED_SOURCE = sources.INTEL_COMPUTE_RUNTIME

_PART_OF = {part.device_id: part for part in PARTS}


def lookup(device_id: int) -> Optional[Part]:
    """The discrete GPU behind a PCI device id of vendor 8086, or None where no row covers it."""
    return _PART_OF.get(device_id)


def is_integrated(device_id: int) -> bool:
    """Whether the id is that of a processor's own graphics."""
    return any(first <= device_id <= last for first, last in INTEGRATED)
