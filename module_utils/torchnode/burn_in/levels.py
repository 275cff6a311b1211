"""Levels and stages of a burn-in: what is done, in which order, and for how long. Pure data.

Each worker takes its stages one after the other, on all devices at once; ``links`` is one process
that drives all devices, after every worker has ended. A level's time is the work alone: the start
of torch comes on top (about 10 s on a warm disk).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

#: What each stage does, in the order in which they are run.
STAGES: Mapping[str, str] = {
    "compute": "products of every precision that the device has, every bit of each checked",
    "pulse": "the load swings between idle and full power",
    "bandwidth": "copies in the device's memory and over the host link, their data checked",
    "memory": "patterns and addresses over all free memory, written and read back",
    "links": "copies between all pairs of devices, and an all-reduce over all of them",
}
TOGETHER = "links"  # the one stage that needs two devices or more


@dataclass(frozen=True)
class Level:
    """``seconds`` of work; ``shares`` of them by stage; rounds of at most ``round_seconds``."""

    seconds: int
    shares: Mapping[str, float]
    round_seconds: int
    what_for: str


LEVELS: Mapping[str, Level] = {
    "quick": Level(
        36,
        {"compute": 0.5, "pulse": 0.08, "bandwidth": 0.1, "memory": 0.2, "links": 0.12},
        1200,
        "the gate of onboarding: every check once, within a minute",
    ),
    "standard": Level(
        480,
        {"compute": 0.5, "pulse": 0.1, "bandwidth": 0.05, "memory": 0.25, "links": 0.1},
        1200,
        "after repairs, and for a node that quick has passed: heat that has settled",
    ),
    "soak": Level(
        4 * 3600,
        {"compute": 0.55, "pulse": 0.1, "bandwidth": 0.02, "memory": 0.28, "links": 0.05},
        1200,
        "hours, in rounds of all stages: what shows only after a long time",
    ),
}


@dataclass(frozen=True)
class Turn:
    """One stage of one round: its share of the time, in seconds."""

    name: str
    round: int
    seconds: float


def order(chosen: Sequence[str], devices: int) -> tuple[str, ...]:
    """The stages to run: those chosen, or all; ``links`` only with two devices or more."""
    wanted = [stage for stage in STAGES if not chosen or stage in chosen]
    return tuple(stage for stage in wanted if stage != TOGETHER or devices > 1)


def turns(level: Level, stages: Sequence[str], seconds: float) -> tuple[Turn, ...]:
    """Who works when: rounds of the stages until ``seconds`` are shared out, ``links`` last.

    ``links`` is run once, in the last round's place, because it has to wait for every worker.
    """
    own = [stage for stage in stages if stage != TOGETHER]
    whole = sum(level.shares[stage] for stage in stages)
    together = seconds * level.shares[TOGETHER] / whole if TOGETHER in stages else 0.0
    rounds = max(1, round((seconds - together) / level.round_seconds))
    share = sum(level.shares[stage] for stage in own)
    result = [
        Turn(stage, number, (seconds - together) * level.shares[stage] / share / rounds)
        for number in range(1, rounds + 1)
        for stage in own
    ]
    last = (Turn(TOGETHER, 1, together),) if TOGETHER in stages else ()
    return (*result, *last)
