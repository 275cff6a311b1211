"""The links between devices: what the judges say, and the arithmetic of the process's figures."""

from __future__ import annotations

import json
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from burn_in_samples import burn as node
from burn_in_samples import device

from ansible.module_utils.torchnode.burn_in import child, judge, judge_links, summary
from ansible.module_utils.torchnode.burn_in.child import all_reduce, links
from ansible.module_utils.torchnode.burn_in.records import Burn, DeviceRun, Ending, LinksRun
from ansible.module_utils.torchnode.outcome import Outcome, Result

H200 = "NVIDIA H200"
STAGES = ("compute", "links")


def peers(many: int, rate: float = 390.0, **slow: float) -> dict[str, Any]:
    """A result of the pairs; ``slow`` by target and source, as in cuda1_cuda0=200.0."""
    names = ["cuda%d" % index for index in range(many)]
    pairs = [
        {
            "source": source,
            "target": target,
            "gb_s": slow.get("%s_%s" % (target, source), rate),
            "copies": 5,
            "direct": True,
        }
        for target, source in permutations(names, 2)
    ]
    return {"name": "peers", "round": 1, "bytes": 1 << 30, "pairs": pairs}


def reduced(many: int, rate: float, **change: Any) -> dict[str, Any]:
    sizes = [
        {"bytes": 64 << 20, "bus_gb_s": rate / 3, "times": 50},
        {"bytes": 4 << 30, "bus_gb_s": rate, "times": 20},
    ]
    found = {"why_not": "", "library": "NCCL 2.29.3", "devices": many, "sizes": sizes}
    return {"name": "all_reduce", "round": 1, **found, **change}


def burn(*results: dict[str, Any], many: int = 2, model: str = H200) -> Burn:
    devices = [DeviceRun(name="cuda%d" % i, index=i, model=model) for i in range(many)]
    run = LinksRun(chosen=True, ready={"torch": "2.13.0"}, done=True, ending=Ending("finished"))
    run.results = list(results)
    return Burn("cuda", devices, links=run, stages=STAGES)


def defect(check: str, device: str, **more: Any) -> dict[str, Any]:
    words = {"wrong": 1, "offset": 8, "expected": "0x00", "read": "0x01"}
    return {"stage": "links", "check": check, "device": device, **words, **more}


def test_a_single_device_has_no_links() -> None:
    assert judge_links.of_node(burn(many=1)) == []


def test_clean_links_pass_in_everything() -> None:
    outcomes = judge_links.of_node(burn(peers(2), reduced(2, 350.0)))
    assert [(outcome.id, outcome.result) for outcome in outcomes] == [
        ("burn_in.links", Result.PASS),
        ("burn_in.peers", Result.PASS),
        ("burn_in.all_reduce", Result.PASS),
    ]


def test_links_alone_are_judged_and_what_else_there_is_was_not_asked_for() -> None:
    devices = [
        device(index, chosen=("links",), results=[], samples=[], visible=2) for index in range(2)
    ]
    seen = node(*devices, links=burn(peers(2), reduced(2, 350.0)).links, stages=("links",))
    found = judge.judge(seen)
    assert not {o.result for o in found} & {Result.FAIL, Result.WARN, Result.INCOMPLETE}
    passed = {o.id for o in found if o.result is Result.PASS}
    assert {"burn_in.devices", "burn_in.links", "burn_in.peers", "burn_in.all_reduce"} <= passed
    assert {"burn_in.worker.cuda0", "burn_in.worker.cuda1"} <= passed
    told = {o.id: o.cause for o in found if o.result is Result.SKIPPED}
    for check in ("compute", "pulse", "memory", "bandwidth", "throughput"):
        assert told["burn_in.%s.cuda1" % check] == "The stage is not among those asked for: links."
    assert summary.summary(seen)["devices"][0]["work"] == []


def test_what_was_not_asked_for_is_skipped() -> None:
    made = burn()
    made.links.chosen, made.stages = False, ("compute",)
    assert {outcome.result for outcome in judge_links.of_node(made)} == {Result.SKIPPED}


def test_wrong_data_names_target_and_source() -> None:
    made = burn(peers(3), reduced(3, 350.0), many=3)
    made.links.defects = [defect("peer", "cuda2", source="cuda0")]
    outcome = judge_links.peers(made)
    assert outcome.result is Result.FAIL
    assert outcome.observed.startswith("cuda2 from cuda0: 1 wrong element(s)")
    assert judge_links.all_reduce(made).result is Result.PASS


def test_wrong_data_fails_without_a_result_too() -> None:
    made = burn()
    made.links.ending = Ending("signal", "killed by SIGKILL")
    made.links.defects = [defect("peer", "cuda1", source="cuda0"), defect("all_reduce", "cuda0")]
    assert {outcome.result for outcome in judge_links.of_node(made)} == {Result.FAIL}


def test_a_wrong_sum_names_the_devices() -> None:
    made = burn(peers(2), reduced(2, 350.0))
    made.links.defects = [defect("all_reduce", "cuda1")]
    outcome = judge_links.all_reduce(made)
    assert outcome.result is Result.FAIL
    assert "cuda1" in outcome.cause
    assert "cuda0" not in outcome.cause


@pytest.mark.parametrize(
    ("kind", "found"), [("hang", Result.FAIL), ("oom", Result.INCOMPLETE), ("exit", Result.FAIL)]
)
def test_a_process_that_did_not_end_well(kind: str, found: Result) -> None:
    made = burn(peers(2))
    made.links.ending = Ending(kind, "what happened")
    outcomes = judge_links.of_node(made)
    assert [outcome.result for outcome in outcomes] == [found, Result.PASS, Result.INCOMPLETE]
    assert "what happened" in outcomes[2].cause


def test_links_that_were_not_given_the_start_are_incomplete_and_say_why() -> None:
    made = burn()
    made.links.why_not = "cuda1 did not come to the end of its own stages"
    made.links.ending = Ending("interrupted", made.links.why_not)
    for outcome in judge_links.of_node(made):
        assert outcome.result is Result.INCOMPLETE
        assert "cuda1 did not come to the end" in outcome.cause


@pytest.mark.parametrize(
    ("rate", "found"), [(335.0, Result.PASS), (334.0, Result.FAIL), (0.0, Result.FAIL)]
)
def test_all_pairs_of_a_known_part_have_a_gate(rate: float, found: Result) -> None:
    assert judge_links.peers(burn(peers(2, rate))).result is found


@pytest.mark.parametrize(
    ("rate", "found"), [(388.0, Result.PASS), (365.0, Result.WARN), (345.0, Result.FAIL)]
)
def test_a_pair_of_a_known_part_is_compared_with_all_others(rate: float, found: Result) -> None:
    outcome = judge_links.peers(burn(peers(4, cuda1_cuda0=rate), many=4))
    assert outcome.result is found
    assert found is Result.PASS or "cuda1 from cuda0" in outcome.cause


def test_pairs_of_an_unknown_part_may_be_linked_differently() -> None:
    """Two bridged pairs beside pairs over PCIe are a design, not a fault."""
    bridged = {"cuda0_cuda1": 240.0, "cuda1_cuda0": 240.0}
    outcome = judge_links.peers(burn(peers(4, 25.0, **bridged), many=4, model="Foo 1"))
    assert outcome.result is Result.PASS


def test_a_pair_of_an_unknown_part_is_compared_with_its_own_way_back() -> None:
    outcome = judge_links.peers(burn(peers(2, 25.0, cuda0_cuda1=12.0), model="Foo 1"))
    assert outcome.result is Result.WARN
    assert "cuda0 from cuda1" in outcome.cause


def test_a_fabric_that_is_down_is_told_in_a_few_lines() -> None:
    outcome = judge_links.peers(burn(peers(8, 30.0), many=8))
    assert outcome.result is Result.FAIL
    assert "50 more such findings" in outcome.cause
    assert len(outcome.cause) < 700


def test_what_goes_by_way_of_the_host_is_said() -> None:
    result = peers(2)
    result["pairs"][0]["direct"] = False
    assert "1 by way of the host" in judge_links.peers(burn(result)).observed


@pytest.mark.parametrize(
    ("many", "rate", "found"),
    [
        (2, 344.0, Result.PASS),
        (2, 320.0, Result.WARN),
        (2, 250.0, Result.FAIL),
        (8, 478.0, Result.PASS),
        (8, 365.0, Result.WARN),  # without multicast in the NVSwitch: a setting, not a fault
        (8, 280.0, Result.FAIL),
    ],
)
def test_the_bus_bandwidth_of_a_known_part(many: int, rate: float, found: Result) -> None:
    outcome = judge_links.all_reduce(burn(reduced(many, rate), many=many))
    assert outcome.result is found
    assert "4096 MiB" in outcome.observed


def test_the_bus_bandwidth_of_an_unknown_part_is_recorded_and_not_judged() -> None:
    outcome = judge_links.all_reduce(burn(reduced(2, 9.0), model="Foo 1"))
    assert outcome.result is Result.SKIPPED
    assert "every sum compared" in outcome.observed


def test_without_nccl_the_all_reduce_is_incomplete() -> None:
    result = reduced(2, 0.0, why_not="this build of torch has no NCCL", sizes=[])
    outcome = judge_links.all_reduce(burn(result))
    assert outcome.result is Result.INCOMPLETE
    assert "this build of torch has no NCCL" in outcome.cause


@pytest.mark.parametrize("check", ["peers", "all_reduce"])
def test_nothing_moved_is_no_pass(check: str) -> None:
    empty = {**peers(2, 0.0), "bytes": 0}
    sizes = [{"bytes": 0, "bus_gb_s": 0.0, "times": 3}]
    made = burn(empty, reduced(2, 0.0, sizes=sizes))
    judged: dict[str, Outcome] = {
        "peers": judge_links.peers(made),
        "all_reduce": judge_links.all_reduce(made),
    }
    assert judged[check].result is Result.INCOMPLETE


def test_outcomes_survive_json() -> None:
    made = burn(peers(8), reduced(8, 478.0), many=8)
    for outcome in judge_links.of_node(made):
        assert json.loads(json.dumps(outcome.as_dict()))["id"] == outcome.id
        assert len(outcome.observed) < 600


def test_bus_bandwidth_as_nccl_tests_defines_it() -> None:
    # https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md
    assert all_reduce.bus_rate(10**9, 2, [0.01]) == pytest.approx(100.0)
    assert all_reduce.bus_rate(10**9, 8, [0.01, 0.01, 9.0]) == pytest.approx(175.0)
    assert all_reduce.bus_rate(10**9, 8, []) == 0.0


def test_the_sums_of_255_devices_are_exact_in_float32() -> None:
    many = 255
    greatest = ((1 << all_reduce.BITS) - 1) * many + many * (many + 1) // 2
    assert greatest < 1 << 24


def test_the_buffer_is_that_of_the_device_with_the_least_room() -> None:
    members: Any = [
        SimpleNamespace(device=SimpleNamespace(name="cuda", free_bytes=lambda free=free: free))
        for free in (100 << 30, (8 << 20) + 7)
    ]
    assert links.buffer_bytes(members, 1 << 30) == 1 << 20
    assert links.buffer_bytes(members[:1], 1 << 30) == 1 << 30


def test_the_child_is_sent_all_that_it_imports() -> None:
    sent = [name for name, _ in json.loads(child.payload())]
    assert sent.index("host_link") < sent.index("bandwidth")
    assert sent.index("worker") < sent.index("links")
    assert sent.index("all_reduce") < sent.index("links")
