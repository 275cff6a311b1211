"""The registry of the backends that the verify stage can judge. Pure.

One file per backend. What has no file here is not verified, which leaves a node UNKNOWN.
"""

from __future__ import annotations

from typing import Mapping

from .base import Backend
from .cuda import CUDA
from .mlu import MLU
from .mps import MPS
from .npu import NPU
from .rocm import ROCM
from .tpu import TPU
from .xpu import XPU

BACKENDS: Mapping[str, Backend] = {
    backend.name: backend for backend in (CUDA, ROCM, XPU, NPU, MLU, MPS, TPU)
}
