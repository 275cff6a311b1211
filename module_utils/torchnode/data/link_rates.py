"""What memory and links of a part must carry, for absolute gates. Pure data and one look-up.

Names are exact, as the driver reports them: 'NVIDIA H100 80GB HBM3' is the SXM part. Parts whose
links depend on the machine (a bridge that may be there or not) have no row for them. A part or
number of devices without a row has no gate, and the outcome says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import sources
from .sources import Source


@dataclass(frozen=True)
class LinkRate:
    """A rate in GB/s (10^9 bytes) and the shares of it below which it fails or warns.

    ``link``: 'memory' (a copy within it, bytes read and written), 'host' (each way, alone), 'peer'
    (one pair, one way, alone) or 'all_reduce' (bus bandwidth). ``devices`` is the number of
    devices that it holds for; 0: any.
    """

    part: str
    link: str
    gb_s: float
    fail_below: float
    warn_below: float
    cited: Source
    devices: int = 0


_H100, _H200 = "NVIDIA H100 80GB HBM3", "NVIDIA H200"
_A100_40, _A100_80 = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"
_MI300X = "AMD Instinct MI300X"

# memory: the peak of the data sheet. A copy reaches 90 % of it on an H200 (4306 GB/s measured); a
# part on which none was measured has more room below.
# host: where Azure takes a node out is a warning here, because hosts differ; a fifth below it is
# a failure, and a link one generation lower or half as wide is below that.
# peer: where Azure takes a node out, of about 390 GB/s that two H200s reached over NVLink 4.
# all_reduce on H100 and H200: without multicast in the NVSwitch NCCL gets 370 GB/s: 8 devices that
# get no more than that are slow by a setting and warn; links that do not carry it fail. At 4 GiB
# two H200s had 2 % less than at 8 GiB, and Azure's figures are for 8 and 16: hence 0.95. Two had
# 340 to 343 GB/s (docs/benchmarks.md), 0.92 of the ring's rate: hence 0.88.
LINK_RATES = (
    LinkRate(_H200, "memory", 4800.0, 0.80, 0.85, sources.ACCELERATOR_TABLE),
    LinkRate(_H100, "memory", 3350.0, 0.80, 0.85, sources.ACCELERATOR_TABLE),
    LinkRate(_A100_80, "memory", 2000.0, 0.75, 0.80, sources.ACCELERATOR_TABLE),
    LinkRate(_H200, "host", 48.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_H100, "host", 48.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_A100_40, "host", 21.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_A100_80, "host", 21.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_MI300X, "host", 48.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_H200, "peer", 335.0, 1.0, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_H100, "peer", 335.0, 1.0, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_A100_40, "peer", 235.0, 1.0, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_A100_80, "peer", 238.0, 1.0, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_MI300X, "peer", 44.0, 0.80, 1.0, sources.AZURE_HEALTH_CHECKS),
    LinkRate(_H200, "all_reduce", 370.0, 0.80, 0.88, sources.NCCL_RING_RATE),
    LinkRate(_H200, "all_reduce", 431.0, 0.69, 0.95, sources.AZURE_HEALTH_CHECKS, 8),
    LinkRate(_H100, "all_reduce", 370.0, 0.80, 0.88, sources.NCCL_RING_RATE),
    LinkRate(_H100, "all_reduce", 460.0, 0.65, 0.95, sources.AZURE_HEALTH_CHECKS, 8),
    LinkRate(_A100_40, "all_reduce", 228.0, 0.80, 0.95, sources.AZURE_HEALTH_CHECKS, 8),
    LinkRate(_A100_80, "all_reduce", 228.0, 0.80, 0.95, sources.AZURE_HEALTH_CHECKS, 8),
    LinkRate(_MI300X, "all_reduce", 314.0, 0.80, 0.95, sources.AZURE_HEALTH_CHECKS, 8),
)


def link_rate(part: str, link: str, devices: int = 0) -> LinkRate | None:
    """The row of exactly this part and link: that for this number of devices, else for any."""
    rows = [row for row in LINK_RATES if (row.part, row.link) == (part, link)]
    for number in (devices, 0):
        for row in rows:
            if row.devices == number:
                return row
    return None
