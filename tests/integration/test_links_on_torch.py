"""Bandwidth and links on a real torch, on the CPU: what is right passes, each fault is named.

A CPU has no links. Its cores stand in for several devices, a sum in plain torch for NCCL, and a
CPU by another name for a device with a host link: the data is real, the rates are not. Needs an
interpreter with torch: see test_burn_in_cpu.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in import events, judge_bandwidth, judge_links
from ansible.module_utils.torchnode.burn_in.process import Child
from ansible.module_utils.torchnode.burn_in.records import Burn, DeviceRun, Ending, LinksRun
from ansible.module_utils.torchnode.outcome import Result

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("TORCHNODE_TEST_PYTHON", "")
NAMES = ("cpu0", "cpu1", "cpu2")

pytestmark = pytest.mark.skipif(
    not PYTHON,
    reason="no interpreter with torch: run `make site` once, then set "
    "TORCHNODE_TEST_PYTHON=<prefix>/current/bin/python",
)

#: What the scripts below share: argv is the package's folder and the faults, made one by one.
PREAMBLE = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from torchnode.burn_in.child import (
    all_reduce, bandwidth, device, faults, host_link, links, turn)

def each(measure):
    answers = {}
    for fault in json.loads(sys.argv[2]):
        found = []
        teller = turn.Teller(lambda event, **fields: found.append({"event": event, **fields}))
        result = measure(fault, turn.Turn(teller, "links", 0.05, 5.0))
        defects = [one for one in found if one["event"] == "defect"]
        answers[fault] = {"result": result, "found": defects}
    print(json.dumps(answers))
"""

HOST = """
class Elsewhere(device.Cpu):
    name = "stand-in"

class Hot(Elsewhere):
    settling = 0.25

    def __init__(self, *given):
        super().__init__(*given)
        self._cool = time.monotonic() + 0.2

    def stopwatch(self):
        watch = super().stopwatch()
        if time.monotonic() < self._cool:
            watch.seconds = lambda: 10.0
        return watch

class Lazy(host_link.HostLink):
    done = ()

    def _timed(self, target, source):
        if target is not self.done:  # the first copy each way is made, the next ones are not
            super()._timed(target, source)
        self.done = target
        return 0.001

class SentWrong(host_link.HostLink):
    def _take_memory(self, seed):
        pinned = super()._take_memory(seed)
        self._kept = self._kept.clone()
        self._kept[77] += 1
        self._sources = [self._kept.bitwise_not(), self._kept]
        self._to_device = lambda: (0.001, [])  # as if every later copy were right
        return pinned

kinds = {"lazy": Lazy, "sent-wrong": SentWrong}

def one_after_the_other(one_turn):
    links.BACKENDS["stand-in"] = Elsewhere
    wanted = [{"device": "first", "inject": ""}, {"device": "second", "inject": "d2h:9"}]
    members = [links.Member(torch, "stand-in", each) for each in wanted]
    return links.HostLinks(torch, members, 5).run(one_turn, 0.01)

def measure(fault, one_turn):
    if fault == "alone":
        return one_after_the_other(one_turn)
    bandwidth.HostLink = kinds.get(fault, host_link.HostLink)
    injector = faults.Injector(torch, "" if fault in (*kinds, "hot") else fault)
    where = (Hot if fault == "hot" else Elsewhere)(torch, {})
    stage = bandwidth.Bandwidth(torch, where, {"seed": 1}, injector)
    return stage.run(one_turn)

host_link.BYTES = bandwidth.GIB = 1 << 20
bandwidth.MEASURED = 0.05
each(measure)
"""

SUM = """
class Sum:
    def __init__(self, fault):
        self.fault, self.calls = fault, 0

    def why_not(self, tensors):
        return ""

    def library(self):
        return "a sum in plain torch"

    def all_reduce(self, given, sums):
        self.calls += 1
        parts = list(given)
        if self.fault == "part-missing":
            parts.pop()
        elif self.fault == "part-twice":
            parts[0] = parts[1]
        elif self.fault == "shifted":
            parts[0] = parts[0].roll(1)
        elif self.fault == "nothing-done" and self.calls == 2:
            return
        for place in sums:
            place.copy_(torch.stack(parts).sum(0))

def stale(*given, made=links._timed_copy, done=set()):
    if id(given[2]) in done:  # the first copy of each source is made, the next ones are not
        return 0.001
    done.add(id(given[2]))
    return made(*given)

def measure(fault, one_turn):
    if fault == "pair-stale":
        links._timed_copy = stale
        members = [links.Member(torch, "cpu", {"device": n, "inject": ""}) for n in ("one", "two")]
        return links.Peers(torch, members, 5).run(one_turn, 0.01)
    all_reduce.COLLECTIVES["cpu"] = lambda torch: Sum(fault)
    injected = {"cpu1": fault} if fault.startswith("reduce") else {}
    members = [
        links.Member(torch, "cpu", {"device": name, "inject": injected.get(name, "")})
        for name in ("cpu0", "cpu1", "cpu2")
    ]
    return all_reduce.AllReduce(torch, members).run(one_turn, 0.01)

each(measure)
"""


def script(text: str, *faults: str) -> dict[str, Any]:
    """By fault what a script found under the interpreter with torch."""
    command = [PYTHON, "-c", PREAMBLE + text, str(ROOT / "module_utils"), json.dumps(faults)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def drive(fault: str = "") -> LinksRun:
    """The links' process over three pretended devices, with ``fault`` on cpu1."""
    devices = [
        {"device": name, "index": i, "uuid": None, "bus": None, "inject": fault * (name == "cpu1")}
        for i, name in enumerate(NAMES)
    ]
    config = {"backend": "cpu", "devices": devices, "seconds": 0.5, "seed": 5, "grace": 5.0}
    child, run = Child(PYTHON, "links", config, dict(os.environ)), LinksRun(chosen=True)
    until, told = time.monotonic() + 60, False
    try:
        while child.status() is None and time.monotonic() < until:
            time.sleep(0.02)
            for event in child.events():
                events.take(run, event)
            if run.ready and not told:
                assert not run.results, "it measured before it was told to go"
                child.tell("go")
                told = True
        for event in child.events():
            events.take(run, event)
        run.ending = events.ending(run, child.status() or 0)
    finally:
        child.kill()
        child.close()
    return run


def burn(run: LinksRun) -> Burn:
    devices = [DeviceRun(name=name, index=i, model="a CPU") for i, name in enumerate(NAMES)]
    return Burn("cpu", devices, links=run)


@pytest.fixture(scope="module")
def sound() -> LinksRun:
    return drive()


def test_three_devices_are_measured_in_pairs(sound: LinksRun) -> None:
    assert sound.ending == Ending("finished")
    assert [result["name"] for result in sound.results] == ["host", "peers", "all_reduce"]
    [peers] = sound.of("peers")
    assert {(pair["source"], pair["target"]) for pair in peers["pairs"]} == {
        (one, other) for one in NAMES for other in NAMES if one != other
    }
    assert all(pair["gb_s"] > 0 and pair["copies"] > 1 for pair in peers["pairs"])
    copies = sum(pair["copies"] for pair in peers["pairs"])
    assert peers["bytes_verified"] == copies * peers["bytes"]
    assert not sound.defects
    assert sound.told == 0
    assert judge_links.process(burn(sound)).result is Result.PASS
    assert judge_links.peers(burn(sound)).result is not Result.FAIL


def test_without_a_library_that_adds_up_the_all_reduce_is_incomplete(sound: LinksRun) -> None:
    outcome = judge_links.all_reduce(burn(sound))
    assert outcome.result is Result.INCOMPLETE
    assert "no library" in outcome.cause


def test_a_bit_that_flips_on_the_way_to_a_device_names_the_pair() -> None:
    run = drive("peer:63")
    assert {(d["device"], d["source"]) for d in run.defects} == {("cpu1", "cpu0"), ("cpu1", "cpu2")}
    assert int(run.defects[0]["expected"], 16) ^ int(run.defects[0]["read"], 16) == 1 << 63
    outcome = judge_links.peers(burn(run))
    assert outcome.result is Result.FAIL
    assert "cpu1 from cpu0" in outcome.observed
    assert "cpu1 from cpu2" in outcome.observed


def test_every_sum_on_every_device_is_verified() -> None:
    names = ("part-missing", "part-twice", "shifted", "nothing-done")
    bits = ("reduce:0", "reduce:31", "reduce:63")
    answers = script(SUM, "", *names, *bits, "pair-stale")
    assert answers[""]["found"] == []
    result = answers[""]["result"]
    assert result["library"] == "a sum in plain torch"
    assert result["why_not"] == ""
    [size] = result["sizes"]
    assert size["bus_gb_s"] > 0
    assert size["times"] >= 3
    assert result["bytes_verified"] == size["times"] * size["bytes"] * 3
    for name in names:
        assert {defect["device"] for defect in answers[name]["found"]} == set(NAMES), name
    for bit in bits:
        assert {defect["device"] for defect in answers[bit]["found"]} == {"cpu1"}, bit
        assert {defect["wrong"] for defect in answers[bit]["found"]} == {1}, bit
    assert {defect["device"] for defect in answers["pair-stale"]["found"]} == {"one", "two"}


def test_every_copy_in_memory_and_over_the_host_link_is_verified() -> None:
    flips = {"%s:%d" % (way, bit): way for way in ("copy", "h2d", "d2h") for bit in (0, 63)}
    answers = script(HOST, "", "lazy", "sent-wrong", "alone", *flips)
    assert answers[""]["found"] == []
    result = answers[""]["result"]
    assert min(result["copy_gb_s"], result["h2d_gb_s"], result["d2h_gb_s"]) > 0
    assert result["bytes_verified"] == sum(result["copies"]) << 20
    assert result["pinned"] is False  # there is no accelerator that could lock memory
    for flip, way in flips.items():
        found = answers[flip]["found"]
        assert {defect["check"] for defect in found} == {way}
        assert found[0]["offset"] == 8
        assert found[0]["wrong"] == 1
        run = DeviceRun(name="cuda0", chosen=("bandwidth",), defects=found)
        judge = judge_bandwidth.bandwidth if way == "copy" else judge_bandwidth.host_link
        assert judge(Burn("cuda", [run]), run).result is Result.FAIL
    # A copy that does nothing is no right copy, and what was sent wrong is not the way back's.
    assert {defect["check"] for defect in answers["lazy"]["found"]} == {"h2d", "d2h"}
    [found] = answers["sent-wrong"]["found"]
    assert found["check"] == "h2d"
    assert found["offset"] == 77 * 8
    # The same by the links' process, each device alone.
    assert set(answers["alone"]["result"]["devices"]) == {"first", "second"}
    [found] = answers["alone"]["found"]
    assert found["check"] == "d2h"
    assert found["device"] == "second"


def test_copies_that_a_load_before_them_slows_are_compared_and_not_timed() -> None:
    slow = 2 * (1 << 20) * 16 / 10.0 / 1e9  # GB/s of 16 copies in the 10 s that Hot says at first
    result = script(HOST, "hot")["hot"]["result"]
    assert result["copy_gb_s"] > 10 * slow
    assert result["bytes_verified"] == sum(result["copies"]) << 20
