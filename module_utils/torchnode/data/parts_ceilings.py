"""Dense peaks of parts, for absolute gates. A part that is not here has no gate, and says so.

Names are exact, as the driver reports them: 'NVIDIA H200' is the SXM part and 'NVIDIA H200 NVL'
another one. Never fall back to a part that merely looks alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ceiling:
    """A dense peak in TFLOP/s, and the shares of it below which a part is slow.

    They hold for random normals: ``warn_below`` while the part is not at its power cap, and
    ``warn_capped`` there. ``source`` gives the peak; ``retrieved`` is an ISO date.
    """

    part: str
    precision: str
    tflops: float
    fail_below: float
    warn_capped: float
    warn_below: float
    source: str
    retrieved: str


# Vendors print the figure with 2:4 sparsity (1979); dense is half of it, and the table below lists
# dense figures. The shares: healthy H200 SXM sustain 657 to 701 of 989 on random normals at their
# 700 W cap (docs/benchmarks.md), 66% to 71%. A part's leakage alone makes as much of a difference
# again, so under 65% there is worth a look, and only under 60% a failure.
_DENSE_PEAKS = (
    "https://github.com/stas00/ml-engineering/blob/007447327a0cb851796ebf896f975566f8d97f38/"
    "compute/accelerator/README.md"
)

CEILINGS = (
    Ceiling("NVIDIA H100 80GB HBM3", "bf16", 989.0, 0.60, 0.65, 0.72, _DENSE_PEAKS, "2026-11-22"),
    Ceiling("NVIDIA H200", "bf16", 989.0, 0.60, 0.65, 0.72, _DENSE_PEAKS, "2026-11-22"),
)


def ceiling(part: str, precision: str) -> Ceiling | None:
    """The row of exactly this part and precision, or None."""
    rows = [row for row in CEILINGS if row.part == part and row.precision == precision]
    return rows[0] if rows else None
