"""The registry: one line per backend. Order is the order of preference on a mixed machine."""

from __future__ import annotations

from typing import Tuple

from .amd import Amd
from .apple import Apple
from .base import Backend
from .cambricon import Cambricon
from .cpu import Cpu
from .google import Google
from .huawei import Huawei
from .intel import Intel
from .nvidia import Nvidia

BACKENDS: Tuple[Backend, ...] = (
    Nvidia(),
    Amd(),
    Intel(),
    Huawei(),
    Cambricon(),
    Apple(),
    Google(),
    Cpu(),
)
