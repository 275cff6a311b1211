"""The CPU as a backend: every node has one, and it is no accelerator."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from ..model import Accelerator, Driver
from ..node import Node


class Cpu:
    """Nothing to find and no driver to have: nodes without accelerators resolve to this."""

    name = "cpu"
    vendor = "cpu"
    device_nodes: Tuple[str, ...] = ()

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """No accelerator: a CPU is judged by its system, not counted as a device."""
        return ()

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """None: the kernel itself is the driver."""
        return None

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """Nothing more to ask."""
        return tuple(found), None, None
