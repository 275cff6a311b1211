"""When the start signal is given, and how whoever does not end by itself is ended."""

from __future__ import annotations

import dataclasses
import signal
import threading
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
READY = {"event": "ready", "torch": "2.13.0", "visible": 1, "name": "NVIDIA H200", "uuid": None}
TWO = [{**PARAMETERS["accelerators"][0], "index": i, "uuid": "GPU-%s" % "ab"[i]} for i in range(2)]


class FakeChild:
    """Says what it is given to say, and ends when it is told to go or is killed."""

    says: ClassVar[dict[str, list[dict[str, Any]]]] = {}
    done: ClassVar[list[tuple[str, int]]] = []

    def __init__(self, python: str, entry: str, config: Any, environment: Any) -> None:
        self.entry, self.told, self.open = entry, list[str](), False
        self.index = config["wanted"]["index"] if entry == "worker" else -1
        self.process = SimpleNamespace(pid=OURS + self.index)
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

    def strike(self) -> None:
        self.done.append(("strike", self.process.pid))

    def kill(self) -> bool:
        self.done.append(("kill", self.process.pid))
        return True

    def close(self) -> None:
        pass

    def output(self) -> str:
        return ""


@pytest.fixture(autouse=True)
def a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever these tests run in: the system's own namespace is said where it is meant."""
    monkeypatch.setattr(runner, "in_first_pid_namespace", lambda: False)


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


def test_it_does_not_begin_beside_somebody_where_pids_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "in_first_pid_namespace", lambda: True)
    assert ending(burn(monkeypatch, [STRANGER])) == "in_use"


OOM = {"event": "fatal", "kind": "oom", "detail": "no room", "visible": 2}


class Full(FakeChild):
    """The first device has no room for its worker, the second has."""

    def __init__(self, python: str, entry: str, config: Any, environment: Any) -> None:
        super().__init__(python, entry, config, environment)
        if self.index == 0:
            self._events = [dict(OOM)]

    def status(self) -> int | None:
        return 5 if self.index == 0 and not self._events else super().status()


def test_nothing_is_burned_beside_work_that_kept_a_worker_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That worker is gone when the others are ready; who filled its device computes on."""
    devices = {"a": {"bus": None}, "b": {"bus": None}}
    there = {"a": [[STRANGER, "vllm", 140 << 30]], "b": [[OURS + 1, "python", 1 << 30]]}
    inventory = {"event": "inventory", "driver": "580", "devices": devices}
    says = {"worker": [READY], "sampler": [inventory, {"event": "processes", "devices": there}]}
    monkeypatch.setattr(FakeChild, "says", says)
    monkeypatch.setattr(runner, "Child", Full)
    seen = runner.run(plan.make({**PARAMETERS, "accelerators": TWO, "stages": ["compute"]}))
    first, second = (run.ending for run in seen.devices)
    assert first is not None
    assert second is not None
    assert first.detail == "cuda0 by pid 4711; the worker could not start: oom: no room"
    assert (first.kind, second.kind) == ("in_use", "in_use")
    assert second.detail == "cuda0 by pid 4711"


def test_it_begins_where_nothing_tells_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(burn(monkeypatch)) == "finished"


def test_it_begins_beside_others_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = burn(monkeypatch, [OURS, STRANGER], allow_busy=True)
    assert ending(seen) == "finished"
    assert seen.allow_busy


class Deaf(FakeChild):
    """A worker that goes on until it is killed, and says what it is given to say."""

    first_after_go: ClassVar[dict[int, list[dict[str, Any]]]] = {}
    after_go: ClassVar[dict[int, list[dict[str, Any]]]] = {}  # again and again

    def events(self) -> list[dict[str, Any]]:
        if self.entry != "worker" or "go" not in self.told:
            return super().events()
        first = self.first_after_go.pop(self.index, [])
        return [dict(event) for event in (*first, *self.after_go.get(self.index, []))]

    def status(self) -> int | None:
        return None


def stop_after(seconds: float) -> threading.Timer:
    """This process is told to stop."""
    me = threading.main_thread().ident
    assert me is not None
    timer = threading.Timer(seconds, signal.pthread_kill, (me, signal.SIGTERM))
    timer.start()
    return timer


def struck(monkeypatch: pytest.MonkeyPatch, **limits: float) -> Burn:
    """Two workers that do not end by themselves."""
    inventory = {"event": "inventory", "driver": "580", "devices": {}}
    monkeypatch.setattr(FakeChild, "says", {"worker": [READY], "sampler": [inventory], "links": []})
    monkeypatch.setattr(FakeChild, "done", [])
    monkeypatch.setattr(runner, "Child", Deaf)
    made = plan.make({**PARAMETERS, "accelerators": TWO, "stages": ["compute"], "allow_busy": True})
    made = dataclasses.replace(made, limits=dataclasses.replace(made.limits, **limits), interval=0)
    return runner.run(made)


def test_all_who_are_late_are_struck_before_one_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = struck(monkeypatch, burn=0.3, slack=0.2)
    assert [run.ending.kind for run in seen.devices if run.ending] == ["hang", "hang"]
    words = [word for word, pid in FakeChild.done if pid >= OURS]
    assert words == ["strike", "strike", "kill", "kill"]


def test_whoever_is_told_to_stop_strikes_all_before_waiting_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timer = stop_after(0.5)
    seen = struck(monkeypatch)
    timer.join()
    assert [run.ending.kind for run in seen.devices if run.ending] == ["interrupted"] * 2
    words = [word for word, pid in FakeChild.done]
    assert words[:2] == ["strike", "strike"]


def beat(stage: str) -> dict[str, Any]:
    return {"event": "progress", "stage": stage, "t": 1.0, "errors": 0}


def test_a_worker_that_falls_silent_hangs_long_before_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one goes on, and is heard."""
    began = {"event": "stage", "name": "pulse", "t": 0.1}
    monkeypatch.setattr(Deaf, "after_go", {0: [beat("compute")]})
    monkeypatch.setattr(Deaf, "first_after_go", {1: [began]})
    timer = stop_after(2.0)
    seen = struck(monkeypatch, silence=0.7)
    timer.join()
    talking, silent = (run.ending for run in seen.devices)
    assert talking is not None
    assert silent is not None
    assert (talking.kind, silent.kind) == ("interrupted", "hang")
    assert silent.detail == "no word for 0.7 s, last heard of in stage pulse after 0 s"


def test_a_worker_that_never_speaks_after_the_start_hangs_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = struck(monkeypatch, silence=0.5)
    for run in seen.devices:
        assert run.ending is not None
        assert run.ending.detail == "no word for 0.5 s, last heard of in stage compute after 0 s"


@pytest.mark.parametrize(("start", "silence"), [(120, 120), (60, 120), (600, 600)])
def test_silence_is_as_long_as_the_start_and_two_minutes_at_least(start: int, silence: int) -> None:
    assert plan.make({**PARAMETERS, "start_timeout": start}).limits.silence == silence
