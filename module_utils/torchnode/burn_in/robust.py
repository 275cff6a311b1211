"""Robust statistics: the middle and the spread of figures of which some may be wrong. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any, Optional, Sequence

#: Scales the median absolute deviation to the standard deviation of normally distributed figures:
#: Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993), 1273.
NORMAL = 1.4826


@dataclass(frozen=True)
class Centre:
    """The median of ``count`` figures, and their scaled median absolute deviation from it.

    Fewer than half of the figures, however wrong, cannot carry either away.
    """

    median: float
    spread: float
    count: int


def figure(value: Any) -> Optional[float]:
    """``value`` as a rate that somebody measured: finite and not negative. None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def centre(figures: Sequence[float]) -> Centre:
    """The centre of finite figures. Raises ValueError where there are none."""
    if not figures:
        raise ValueError("found no figures, expected at least one")
    median = statistics.median(figures)
    deviation = statistics.median(abs(each - median) for each in figures)
    return Centre(median, NORMAL * deviation, len(figures))
