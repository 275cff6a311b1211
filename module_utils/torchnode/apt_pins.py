"""Records of apt's preferences, as apt_preferences(5) has them. Pure."""

from __future__ import annotations

from typing import Sequence

#: What NVIDIA's repositories say of themselves in their Release files, in apt's words.
NVIDIA_RELEASE = "l=NVIDIA CUDA"
#: Above 1000 apt also goes back to a pinned version.
TO_THIS_ONE = 1001
NEVER = -1


def stanza(packages: Sequence[str], pin: str, priority: int) -> str:
    """One record; of several that match a version apt takes the first."""
    return "Package: %s\nPin: %s\nPin-Priority: %d" % (" ".join(packages), pin, priority)
