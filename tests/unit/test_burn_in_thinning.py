"""A day's telemetry in bounded memory: what each field is judged by is not lost."""

from __future__ import annotations

from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in import thinning
from ansible.module_utils.torchnode.burn_in.records import Telemetry
from ansible.module_utils.torchnode.burn_in.telemetry import masks, take


def day(seconds: int, most: int, **peaks: dict[int, float]) -> list[dict[str, float]]:
    """One sample a second, as the runner collects them; ``peaks``: field -> second -> value."""
    kept: list[dict[str, float]] = []
    for t in range(seconds):
        sample = {"t": float(t), "temperature": 60.0, "margin": 20.0, "reasons": 0}
        sample.update({name: at[t] for name, at in peaks.items() if t in at})
        thinning.keep(kept, sample, most)
    return kept


@pytest.mark.parametrize("t", [0, 1, 2, 777, 43_210, 86_398, 86_399])
def test_no_peak_and_no_reason_of_a_day_is_lost(t: int) -> None:
    kept = day(86_400, 400, temperature={t: 91.0}, margin={t: -1.0}, reasons={t: 0x40, 5: 0x4})
    assert len(kept) < 400
    assert max(sample["temperature"] for sample in kept) == 91.0
    assert min(sample["margin"] for sample in kept) == -1.0
    assert max(sample["margin"] for sample in kept) == 20.0
    assert masks(kept) == 0x44


def test_they_stay_in_order_and_are_spread_over_the_whole_time() -> None:
    times = [sample["t"] for sample in day(86_400, 400)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0.0, 86_399.0)
    assert max(after - before for before, after in zip(times, times[1:])) <= 86_400 / 100


@pytest.mark.parametrize(
    ("given", "slices", "left"),
    [
        ([0.0, 1.0, 2.0, 3.0], 2, [0.0, 1.0, 2.0, 3.0]),  # two a slice: as they are
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 2, [0.0, 2.0, 3.0, 5.0]),
        ([1.0, 1.0, 1.0], 4, [1.0, 1.0]),  # at the same time
        ([1.0], 4, [1.0]),
    ],
)
def test_each_slice_of_time_leaves_its_two_ends(
    given: list[float], slices: int, left: list[float]
) -> None:
    merged = thinning.merged([{"t": t} for t in given], slices)
    assert [sample["t"] for sample in merged] == left


def test_a_field_that_was_not_always_read_is_no_zero() -> None:
    given: list[dict[str, float]] = [{"t": 0.0}, {"t": 1.0, "power": 5.0}, {"t": 2.0}]
    assert [sample["power"] for sample in thinning.merged(given, 1)] == [5.0, 5.0]
    assert "reasons" not in thinning.merged(given, 1)[0]


def test_the_runner_collects_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning.keep, "__defaults__", (40,))
    telemetry = Telemetry()
    for t in range(1000):
        event: dict[str, Any] = {"event": "telemetry", "devices": {"a": {"power": float(t)}}}
        take(telemetry, event, float(t))
    assert len(telemetry.samples["a"]) < 40
    assert max(sample["power"] for sample in telemetry.samples["a"]) == 999.0
