"""How an Apple system on a chip is told from another processor. Pure data.

torch has one build for all of them, so there is no table of chips: the name that macOS gives is the
model and the architecture.
"""

from __future__ import annotations

from . import sources

#: What the name of the processor begins with where its GPU is Apple's: 'Apple M2 Max'.
CHIP_PREFIX = "Apple "
CHIP_SOURCE = sources.MACOS_SYSCTL
