"""Long work is named while it runs and says how far it is; short work is not."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from ansible.module_utils.torchnode import progress_watch
from ansible.module_utils.torchnode.heartbeat import Heartbeat
from ansible.module_utils.torchnode.progress_lines import News, Running, lines


def running(names: str, began: float = 0.0, **news: float) -> list[Running]:
    """The task 'Burn in' on these nodes; ``news`` has the percent that some told, at 100 s."""
    return [
        Running(name, "1", "Burn in", began, News(f"{news[name]:g} %", news[name]), 100.0)
        if name in news
        else Running(name, "1", "Burn in", began)
        for name in names.split()
    ]


def test_only_what_runs_long_is_named_with_its_nodes() -> None:
    both = [*running("b", 1.0), *running("a"), Running("c", "2", "Survey", 99.0)]
    assert lines(both, {}, {}, 101.0, 20.0) == {"1": ["... Burn in: 101 s so far on a, b"]}
    assert lines(both, {}, {"1": 101.0}, 103.0, 20.0) == {}, "not again before the next interval"
    assert lines(both, {}, {"1": 81.0}, 101.0, 20.0), "but then"


def test_a_large_fleet_takes_one_line() -> None:
    fleet = running(" ".join(f"n{i:02}" for i in range(50)))
    assert lines(fleet, {}, {}, 21.0, 20.0) == {
        "1": ["... Burn in: 21 s so far on n00, n01, n02, n03 and 46 more"]
    }


def test_few_nodes_have_a_line_each() -> None:
    assert lines(running("a b", a=43), {}, {}, 101.0, 20.0)["1"] == [
        "... a, 101 s: 43 %",
        "... b, 101 s: Burn in, no word of how far",
    ]


def test_many_nodes_are_folded_and_the_slowest_is_named() -> None:
    nodes = running("a b c d e", b=12, c=40)
    assert lines(nodes, {"1": 45}, {}, 101.0, 20.0)["1"] == [
        "... Burn in, 101 s: 5 nodes at work, 45 done; slowest b: 12 %"
    ]


def test_nodes_that_began_a_little_later_are_in_the_same_line() -> None:
    nodes = [*running("a b c", a=1), *running("d e", 19.0)]
    assert "5 nodes at work" in lines(nodes, {}, {}, 21.0, 20.0)["1"][0]


def test_old_news_say_their_age() -> None:
    (line,) = lines(running("a", a=43), {}, {}, 161.0, 20.0)["1"]
    assert line == "... a, 161 s: 43 % (61 s ago)"


def test_it_speaks_until_the_task_ends() -> None:
    said: list[str] = []
    spoken = threading.Event()

    def write(line: str) -> None:
        said.append(line)
        spoken.set()

    beat = Heartbeat(write)
    beat.began("node", "1", "Build")
    beat.start(0.05)
    assert spoken.wait(5)
    beat.ended("node", "1")
    beat.stop()
    assert said[0].startswith("... Build: ")


def test_news_of_another_process_reach_the_line() -> None:
    said: list[str] = []
    beat = Heartbeat(said.append)
    beat.began("node", "1", "Build")
    beat.start(0.05)
    pipe = json.loads(os.environ[progress_watch.ENVIRONMENT])["pipe"]
    child = os.fork()
    if child == 0:
        progress_watch.send(pipe, "node", "1", News("half", 0.5))
        os._exit(0)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 5
    while not any("half" in line for line in said) and time.monotonic() < deadline:
        time.sleep(0.01)
    beat.stop()
    assert any(line.endswith("s: half") for line in said)


def test_a_full_pipe_holds_nobody_up() -> None:
    pipe = progress_watch.Pipe(1.0)
    number = json.loads(os.environ[progress_watch.ENVIRONMENT])["pipe"]
    for _ in range(2000):
        progress_watch.send(number, "node", "1", News("x" * 300, 0.0))
    told = pipe.news()
    assert 0 < len(told) < 2000
    assert set(told) == {("node", "1", News("x" * 300, 0.0))}, "and no message is cut"


@pytest.mark.parametrize(("nodes", "seconds"), [(1, 10.0), (25, 10.0), (50, 20.0), (500, 200.0)])
def test_looks_together_cost_the_same_with_many_nodes(nodes: int, seconds: float) -> None:
    assert progress_watch.look_seconds(10.0, nodes) == pytest.approx(seconds)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress_watch.ENVIRONMENT, "")
