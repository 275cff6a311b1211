"""Long work is named while it runs, and short work is not."""

from __future__ import annotations

import threading

from ansible.module_utils.torchnode.heartbeat import Heartbeat, lines


def test_only_what_runs_long_is_named_with_its_nodes() -> None:
    running = {
        ("b", "1"): ("Burn in", 1.0),
        ("a", "1"): ("Burn in", 0.0),
        ("c", "2"): ("Survey", 99.0),
    }
    assert lines(running, 101.0, 99.0, 20.0) == ["... Burn in: 101 s so far on a, b"]
    assert lines(running, 103.0, 101.0, 20.0) == [], "and not again before the next interval"


def test_a_large_fleet_takes_one_line() -> None:
    running = {("n%02d" % i, "1"): ("Burn in", 0.0) for i in range(50)}
    assert lines(running, 21.0, 19.0, 20.0) == [
        "... Burn in: 21 s so far on n00, n01, n02, n03 and 46 more"
    ]


def test_it_speaks_until_the_task_ends() -> None:
    said: list[str] = []
    spoken = threading.Event()

    def write(line: str) -> None:
        said.append(line)
        spoken.set()

    beat = Heartbeat(0.05, write)
    beat.began("node", "1", "Build")
    beat.start()
    assert spoken.wait(5)
    beat.ended("node", "1")
    beat.stop()
    assert said[0].startswith("... Build: ")
