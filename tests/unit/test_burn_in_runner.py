"""When the start signal is given: not beside other work, and not before one has looked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from ansible.module_utils.torchnode.burn_in import plan, runner
from ansible.module_utils.torchnode.burn_in.records import Burn

OURS, STRANGER = 100, 4711
PARAMETERS: dict[str, Any] = {
    "python": "/v/bin/python",
    "backend": "cuda",
    "accelerators": [{"backend": "cuda", "index": 0, "model": "NVIDIA H200", "uuid": "GPU-a"}],
    "level": "quick",
    "seconds": 20,
    "start_timeout": 120,
    "slack": 30,
    "memory_fraction": 0.9,
}
READY = {"event": "ready", "torch": "2.13.0", "visible": 1, "name": "NVIDIA H200", "uuid": "GPU-a"}


class FakeChild:
    """Says what it is given to say, and ends when it is told to go or is killed."""

    says: ClassVar[dict[str, list[dict[str, Any]]]] = {}

    def __init__(self, python: str, entry: str, config: Any, environment: Any) -> None:
        self.entry, self.told, self.open = entry, list[str](), False
        self.process = SimpleNamespace(pid=OURS if entry == "worker" else OURS + 1)
        self._events = [dict(event) for event in self.says[entry]]

    def events(self) -> list[dict[str, Any]]:
        if self.entry == "worker" and "go" in self.told:
            return [{"event": "done"}]
        return [self._events.pop(0)] if self._events else []

    def tell(self, word: str) -> None:
        self.told.append(word)
        if word == "stop":
            self._events.append({"event": "final", "counters": {}})

    def status(self) -> int | None:
        return 0 if self.entry == "worker" and "go" in self.told else None

    def kill(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def output(self) -> str:
        return ""


def burn(monkeypatch: pytest.MonkeyPatch, *looks: list[int], **change: Any) -> Burn:
    """One worker that is ready at once, and a sampler that lists these pids, look by look."""
    sampler = [{"event": "inventory", "driver": "580", "devices": {"a": {"bus": None}}}]
    for pids in looks:
        listed = [[pid, "program", 1 << 30] for pid in pids]
        sampler.append({"event": "processes", "devices": {"a": listed}})
    monkeypatch.setattr(FakeChild, "says", {"worker": [READY], "sampler": sampler})
    monkeypatch.setattr(runner, "Child", FakeChild)
    return runner.run(plan.make({**PARAMETERS, **change}))


def ending(seen: Burn) -> str:
    (device,) = seen.devices
    assert device.ending is not None
    return device.ending.kind


def test_it_begins_on_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(burn(monkeypatch, [OURS])) == "finished"


def test_it_does_not_begin_beside_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = burn(monkeypatch, [OURS, STRANGER])
    assert ending(seen) == "in_use"
    assert seen.devices[0].ending is not None
    assert seen.devices[0].ending.detail == "cuda0 by pid 4711"


def test_it_waits_for_a_look_that_sees_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which shows that pids can be told apart; until then a stranger may be a namesake."""
    assert ending(burn(monkeypatch, [STRANGER], [STRANGER, OURS])) == "in_use"


def test_it_begins_where_pids_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two looks: inside a container the driver tells the host's pids."""
    assert ending(burn(monkeypatch, [STRANGER])) == "finished"


def test_it_begins_where_nothing_tells_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(burn(monkeypatch)) == "finished"


def test_it_begins_beside_others_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = burn(monkeypatch, [OURS, STRANGER], allow_busy=True)
    assert ending(seen) == "finished"
    assert seen.allow_busy
