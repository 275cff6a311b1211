"""A bounded number of telemetry samples, from which no peak and no reason is lost. Pure.

Eight devices sampled once a second for a day would be half a gigabyte in the module.
"""

from __future__ import annotations

from typing import Callable, Sequence

Sample = dict[str, float]

#: Samples of a device, of about 800 bytes each; nothing is merged in the first five hours. Of a day
#: a quarter as many slices are shorter than its shortest stage, which is judged by its own samples.
MOST = 20_000


def keep(samples: list[Sample], sample: Sample, most: int = MOST) -> None:
    """Add one sample; where that makes ``most``, all are merged to half as many or fewer."""
    samples.append(sample)
    if len(samples) >= most:
        samples[:] = merged(samples, most // 4)


def merged(samples: Sequence[Sample], slices: int) -> list[Sample]:
    """At most two samples for each of so many equal slices of the time: its least and its most.

    By time and not by number, because the older ones have been merged before.
    """
    began = samples[0]["t"]
    width = (samples[-1]["t"] - began) / slices
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        place = int((sample["t"] - began) / width) if width > 0 else 0
        groups.setdefault(min(place, slices - 1), []).append(sample)
    return [one for group in groups.values() for one in _extremes(group)]


def _extremes(group: list[Sample]) -> list[Sample]:
    """Two samples that show the least and the most of every field; both show every reason."""
    if len(group) <= 2:
        return group
    ends = ((min, group[0]), (max, group[-1]))
    return [{**_each(group, choose), "t": end["t"]} for choose, end in ends]


def _each(group: list[Sample], choose: Callable[[list[float]], float]) -> Sample:
    names = dict.fromkeys(name for sample in group for name in sample)
    values = {name: [sample[name] for sample in group if name in sample] for name in names}
    return {
        name: _union(seen) if name == "reasons" else choose(seen) for name, seen in values.items()
    }


def _union(masks: list[float]) -> int:
    mask = 0
    for one in masks:
        mask |= int(one)
    return mask
