"""A worker's time: what one turn takes too much the next has less, over all rounds of a day."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in import plan
from ansible.module_utils.torchnode.burn_in.child import pulse, turn

DAY = 24 * 3600
PARAMETERS: dict[str, Any] = {
    "python": "/v/bin/python",
    "backend": "cuda",
    "accelerators": [{"backend": "cuda", "index": 0, "model": "NVIDIA H200", "uuid": "GPU-a"}],
    "level": "soak",
    "seconds": DAY,
    "start_timeout": 120,
    "slack": 60,
    "memory_fraction": 0.9,
}


class Clock:
    """Passes only when something takes time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turn, "time", made)
    monkeypatch.setattr(pulse, "time", made)
    return made


def teller() -> turn.Teller:
    return turn.Teller(lambda event, **fields: None)


class Mill:
    """Batches of 0.12 s, and a look at the whole ring at the end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def burn(self, job: Any, go_on: Any, tell: Any) -> None:
        self._clock.sleep(0.12)
        while go_on():
            self._clock.sleep(0.12)
        self._clock.sleep(0.05)


def pulsed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> pulse.Pulse:
    monkeypatch.setattr(pulse, "products", SimpleNamespace(summary=lambda job: {}))
    compute = SimpleNamespace(
        heat_job=lambda: (Mill(clock), SimpleNamespace(products=1), []),
    )
    device = SimpleNamespace(synchronize=lambda: None, release=lambda: None)
    return pulse.Pulse(compute, device, SimpleNamespace(pulsed=lambda: None))  # type: ignore[arg-type]  # stand-ins


def test_a_day_of_72_rounds_ends_when_it_was_planned_to(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage takes too long each time, memory with all of its grace."""
    made = plan.make(PARAMETERS)
    swinging, began = pulsed(clock, monkeypatch), clock.now
    for _, one in turn.turns(teller(), made.worker["turns"], made.worker["grace"]):
        if one.stage == "pulse":
            swinging.run(one)
        elif one.stage == "memory":
            while not one.grace_over():
                clock.sleep(0.3)
        else:
            while not one.over():
                clock.sleep(0.7)
            clock.sleep(1.5)
    assert len(made.worker["turns"]) == 72 * 4
    late = clock.now - began - made.limits.burn
    assert 0 < late < 1.8 * made.worker["grace"] + 1 < made.limits.slack


@pytest.mark.parametrize(
    ("taken", "seconds"),
    [
        ([10.0, 5.0, 10.0], [10.0, 5.0, 10.0]),  # to the second
        ([12.0, 3.0, 10.0], [10.0, 3.0, 10.0]),  # the next one has less
        ([17.0, 0.0, 8.0], [10.0, 0.0, 8.0]),  # and the one after that
        ([4.0, 5.0, 10.0], [10.0, 5.0, 10.0]),  # what is left over is no longer turn's
    ],
)
def test_what_one_takes_too_much_the_next_has_less(
    clock: Clock, taken: list[float], seconds: list[float]
) -> None:
    planned: list[list[Any]] = [["compute", 1, 10.0], ["pulse", 1, 5.0], ["memory", 1, 10.0]]
    given = []
    for took, (_, one) in zip(taken, turn.turns(teller(), planned, 30.0)):
        given.append(one.seconds)
        clock.sleep(took)
    assert given == seconds


@pytest.mark.parametrize(
    ("compute", "grace"),
    [
        (10.0, 40.0),  # on time: its ten seconds and the grace
        (25.0, 30.0),  # its time is gone, and its grace is not: a slow machine's memory is tested
        (60.0, 14.0),  # as far as the parent waits
        (80.0, 0.0),
    ],
)
def test_a_late_turn_has_its_grace_as_far_as_the_parent_waits(
    clock: Clock, compute: float, grace: float
) -> None:
    planned: list[list[Any]] = [["compute", 1, 10.0], ["memory", 1, 10.0]]
    turns = turn.turns(teller(), planned, 30.0)
    next(turns)
    clock.sleep(compute)
    _, memory = next(turns)
    if grace:
        clock.sleep(grace - 0.5)
        assert not memory.grace_over()
        clock.sleep(0.5)
    assert memory.grace_over()


@pytest.mark.parametrize(("seconds", "swings"), [(0.0, 3), (0.9, 3), (3.0, 5)])
def test_the_pulsed_load_looks_at_the_clock_at_every_swing(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float, swings: int
) -> None:
    done = pulsed(clock, monkeypatch).run(turn.Turn(teller(), "pulse", seconds, 30.0))
    assert done["swings"] == swings


def test_one_device_s_flood_of_findings_leaves_room_for_another_s() -> None:
    sent: list[dict[str, Any]] = []
    made = turn.Teller(lambda event, **fields: sent.append(fields))
    wrong = {"stage": "links", "check": "all_reduce"}
    for _ in range(100):
        made.tell([{**wrong, "device": "cuda0"}])
    made.tell([{**wrong, "device": "cuda1"}])
    assert [one["device"] for one in sent] == ["cuda0"] * turn.MAX_DEFECTS + ["cuda1"]
    assert made.told == 101
