"""What every vendor's file provides. A backend reads hardware; it never judges it."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence, Tuple

from ..model import Accelerator, Driver
from ..node import Node


class Backend(Protocol):
    """One accelerator family. ``name`` is torch's word for it, ``vendor`` the maker's.

    ``device_nodes`` are glob patterns of the nodes that a process holds while it uses the device.
    A backend may have ``services``, names of the vendor's programs that hold them without using the
    device, and ``switches``, which finds what connects the devices.
    """

    # Properties, so that a backend may hold them as plain class constants.
    @property
    def name(self) -> str: ...

    @property
    def vendor(self) -> str: ...

    @property
    def device_nodes(self) -> Tuple[str, ...]: ...

    def find(self, node: Node) -> Tuple[Accelerator, ...]:
        """The accelerators of this family, in bus order; needs no driver, root or package."""

    def driver(self, node: Node, found: Sequence[Accelerator]) -> Optional[Driver]:
        """The driver as it stands, or None where this family needs none."""

    def refine(
        self, node: Node, found: Sequence[Accelerator], pythons: Sequence[str]
    ) -> Tuple[Tuple[Accelerator, ...], Optional[str], Optional[str]]:
        """What the vendor's own library adds: (accelerators, its version, its error).

        ``pythons`` are interpreters that may hold the vendor's Python package. Version and error
        are both None where there was nothing to ask.
        """
