"""Apple's GPU in a Mac of its own making: a part of the chip, told by the chip's name."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from ..data.apple_parts import CHIP_PREFIX
from ..model import Accelerator, Driver
from ..node import Node


class Apple:
    """The mps backend."""

    name = "mps"
    vendor = "apple"
    device_nodes: Tuple[str, ...] = ()

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """One GPU where macOS runs on Apple's own processor; its memory is the machine's.

        Under Rosetta the machine looks like x86_64, and torch would be one without mps: none.
        """
        if (node.system, node.machine) != ("Darwin", "arm64"):
            return ()
        chip = node.sysctl("machdep.cpu.brand_string") or ""
        if not chip.startswith(CHIP_PREFIX):
            return ()
        memory = node.sysctl("hw.memsize") or ""
        return (
            Accelerator(
                backend=self.name,
                vendor=self.vendor,
                index=0,
                model=chip,
                architecture=chip,
                memory_bytes=int(memory) if memory.isdigit() else None,
            ),
        )

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """None: the driver is a part of macOS and has no version of its own."""
        return None

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Nothing more to ask."""
        return tuple(found), None, None
