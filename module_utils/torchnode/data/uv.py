"""The one uv that torchnode brings to nodes: static binaries, so that any Linux runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

VERSION = "0.13.9"
SOURCE = "https://pypi.org/simple/uv/"
RETRIEVED = "2026-11-22"


@dataclass(frozen=True)
class UvWheel:
    """A wheel that carries the binary as ``uv-<version>.data/scripts/uv``."""

    filename: str
    sha256: str


#: By (operating system, machine) as platform.system() and platform.machine() name them.
WHEELS: Dict[Tuple[str, str], UvWheel] = {
    ("Linux", "x86_64"): UvWheel(
        "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    ),
    ("Linux", "aarch64"): UvWheel(
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("Darwin", "arm64"): UvWheel(
        "uv-0.13.9-py3-none-macosx_11_0_arm64.whl",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
}
