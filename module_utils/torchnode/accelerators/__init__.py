"""The registry: one line per backend. Order is the order of preference on a mixed machine."""

from __future__ import annotations

from typing import Tuple

from .base import Backend
from .cpu import Cpu
from .nvidia import Nvidia

BACKENDS: Tuple[Backend, ...] = (
    Nvidia(),
    Cpu(),
)
