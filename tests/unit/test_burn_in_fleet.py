"""Devices held against their likes on other nodes: rates and bits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible.module_utils.torchnode.burn_in import fleet, robust
from ansible.module_utils.torchnode.outcome import Outcome, Result

H200 = "NVIDIA H200"
CPU = "AMD EPYC 9454"


def device(name: str = "cuda0", rate: Any = 650.0, **change: Any) -> dict[str, Any]:
    """A device's part of a summary, as the burn-in module returns it."""
    return {
        "name": name,
        "model": H200,
        "units": 132,
        "ending": "finished",
        "samples": [[float(t), rate, 60.0, 690.0, 1400.0] for t in range(1, 12)],
        "work": [job("exact integers", "i"), job("random normals", "n")],
        "memory": {"write_gb_s": 4100.0, "read_gb_s": 4300.0},
        "bandwidth": {"copy_gb_s": 4300.0, "h2d_gb_s": 55.0, "d2h_gb_s": 55.0},
        **change,
    }


def job(pattern: str, digest: str, **change: Any) -> dict[str, Any]:
    return {
        "precision": "bf16",
        "pattern": pattern,
        "shape": [16384, 16384, 16384],
        "products": 100,
        "digest": digest,
        **change,
    }


def summary(*devices: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "backend": "cuda",
        "torch": "2.13.0+cu130",
        "stages": ["compute", "bandwidth", "memory"],
        "devices": list(devices) or [device()],
        **change,
    }


def likes(count: int = 11, **change: Any) -> dict[str, dict[str, Any]]:
    """Good nodes with one device each, whose rates differ by a percent as real ones do."""
    return {
        "good%d" % n: summary(device(rate=650.0 * (1 + 0.005 * (n % 3 - 1)), **change))
        for n in range(count)
    }


def judged(nodes: dict[str, dict[str, Any]], node: str, check: str = "fleet") -> Outcome:
    found = fleet.judge(nodes, dict.fromkeys(nodes, CPU))
    return next(o for o in found[node] if o.id.startswith("burn_in.%s." % check))


def test_a_fleet_of_equals_passes() -> None:
    found = fleet.judge(likes(), {})
    assert {o.result for outcomes in found.values() for o in outcomes} == {Result.PASS}
    assert sorted(o.id for o in found["good0"]) == [
        "burn_in.fleet.cuda0",
        "burn_in.fleet_agreement.cuda0",
    ]


@pytest.mark.parametrize(
    ("share", "result"),
    [(0.98, "pass"), (0.92, "warn"), (0.85, "fail"), (0.0, "fail"), (1.3, "pass")],
)
def test_a_slow_device_is_found_though_it_passes_alone(share: float, result: str) -> None:
    told = judged({**likes(), "slow": summary(device(rate=650.0 * share))}, "slow")
    assert told.result is Result(result)
    assert "against the median 650 of 12" in told.observed
    if result in ("warn", "fail"):
        assert "slow/cuda0" in told.cause
        assert told.remedy


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("memory", "write_gb_s"),
        ("memory", "read_gb_s"),
        ("bandwidth", "copy_gb_s"),
        ("bandwidth", "h2d_gb_s"),
        ("bandwidth", "d2h_gb_s"),
    ],
)
def test_each_figure_is_compared(stage: str, key: str) -> None:
    slow = device()
    slow[stage] = {**slow[stage], key: slow[stage][key] * 0.8}
    told = judged({**likes(), "slow": summary(slow)}, "slow")
    assert told.result is Result.FAIL
    assert told.cause.count("median") == 1, "only the figure that is low is named as the cause"


def test_a_rate_from_before_the_warm_up_is_not_compared() -> None:
    cold = device(rate=400.0)
    cold["samples"] = cold["samples"][:2]
    told = judged({**likes(), "cold": summary(cold)}, "cold")
    assert "throughput not measured" in told.observed
    assert told.result is Result.PASS


@pytest.mark.parametrize("lie", [1e12, 0.0, math.nan, math.inf, -5.0, None, "fast", True])
def test_one_liar_changes_nothing_for_the_others(lie: Any) -> None:
    nodes = {**likes(), "liar": summary(device(rate=lie, memory={"write_gb_s": lie}))}
    assert judged(nodes, "good0").result is Result.PASS


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -5.0, "fast", True])
def test_a_figure_that_is_no_rate_is_no_pass(nonsense: Any) -> None:
    nodes = {**likes(), "liar": summary(device(memory={"write_gb_s": nonsense}))}
    told = judged(nodes, "liar")
    assert told.result is Result.INCOMPLETE
    assert "memory write reads" in told.cause
    assert told.remedy


def test_a_stage_that_was_not_run_is_not_compared() -> None:
    nodes = {n: summary(*s["devices"], stages=["compute"]) for n, s in likes().items()}
    assert "memory" not in judged(nodes, "good0").observed
    none = {n: summary(*s["devices"], stages=["pulse"]) for n, s in likes().items()}
    assert judged(none, "good0").result is Result.SKIPPED


@pytest.mark.parametrize(
    "nodes",
    [
        likes(4),
        {"one": summary(*[device("cuda%d" % n) for n in range(8)])},
        {**likes(3), "other": summary(device(model="NVIDIA H100 80GB HBM3"))},
    ],
    ids=["four", "one node", "other parts"],
)
def test_few_devices_are_recorded_and_not_judged(nodes: dict[str, dict[str, Any]]) -> None:
    told = judged(nodes, sorted(nodes)[-1])
    assert told.result is Result.SKIPPED
    assert "memory write 4100 GB/s, not judged" in told.observed
    assert "Fewer than 5" in told.cause


@pytest.mark.parametrize(
    "change",
    [
        {"model": "NVIDIA H200 NVL"},
        {"units": 114},
        {"work": [job("random normals", "n", shape=[8192, 8192, 8192])]},
        {"work": [job("random normals", "n", precision="fp16")]},
    ],
    ids=["model", "units", "shape", "precision"],
)
def test_only_what_is_comparable_is_compared(change: dict[str, Any]) -> None:
    nodes = {**likes(), "other": summary(device(rate=300.0, **change))}
    told = judged(nodes, "other")
    assert "throughput 300 TFLOP/s, not judged (1 of its kind)" in told.observed


def test_another_torch_is_another_fleet() -> None:
    nodes = {**likes(), "other": summary(device(rate=300.0), torch="2.12.0+cu126")}
    assert judged(nodes, "other").result is Result.SKIPPED


def test_what_varies_by_its_nature_is_not_called_slow() -> None:
    """A wide spread among all widens what one of them may be behind."""
    rates = [550.0 + 20.0 * n for n in range(11)]
    nodes = {"n%d" % n: summary(device(rate=rate)) for n, rate in enumerate(rates)}
    assert judged(nodes, "n0").result is Result.PASS
    nodes["far"] = summary(device(rate=450.0))
    assert judged(nodes, "far").result is Result.FAIL, "but there is an end to it"


def test_host_links_are_compared_on_equal_hosts_only() -> None:
    old = device(bandwidth={"copy_gb_s": 4300.0, "h2d_gb_s": 27.0, "d2h_gb_s": 27.0})
    nodes = {**likes(), "old": summary(old)}
    assert judged(nodes, "old").result is Result.FAIL
    told = fleet.judge(nodes, {**dict.fromkeys(nodes, CPU), "old": "another"})["old"][0]
    assert told.result is Result.PASS
    assert "host to device 27 GB/s, not judged (1 of its kind)" in told.observed


def pair(**slow: Any) -> dict[str, Any]:
    """A node with two devices, and what their links do together."""
    rates = {"host": 55.0, "peer": 390.0, "all_reduce": 340.0, "crowded": 50.0, **slow}
    host = {"h2d_gb_s": rates["host"], "d2h_gb_s": 55.0, "pinned": True, "local": True, **slow}
    shared = {"copy_gb_s": 4300.0, "h2d_gb_s": rates["crowded"], "d2h_gb_s": 50.0}
    both = [device(name, bandwidth=shared) for name in ("cuda0", "cuda1")]
    links = {
        "host": {"devices": {"cuda0": host, "cuda1": {**host, "h2d_gb_s": 55.0}}},
        "peers": {
            "pairs": [
                {"source": "cuda0", "target": "cuda1", "gb_s": 390.0},
                {"source": "cuda1", "target": "cuda0", "gb_s": rates["peer"]},
            ]
        },
        "all_reduce": {
            "sizes": [{"bus_gb_s": 9.0}, {"bus_gb_s": rates["all_reduce"]}],
        },
    }
    stages = ["compute", "bandwidth", "memory", "links"]
    return summary(*both, links=links, stages=stages)


@pytest.mark.parametrize(
    ("slow", "result", "of"),
    [
        ({}, Result.PASS, ""),
        ({"host": 40.0}, Result.FAIL, "host to device 40"),
        ({"peer": 200.0}, Result.FAIL, "slowest copy between devices 200"),
        ({"all_reduce": 310.0}, Result.WARN, "all-reduce 310"),
        ({"all_reduce": 200.0}, Result.FAIL, "all-reduce 200"),
        # One switch above several devices makes them slow together: no defect of any.
        ({"crowded": 20.0}, Result.PASS, ""),
        ({"host": 40.0, "local": False}, Result.PASS, ""),  # memory of another socket
        ({"host": 40.0, "pinned": False}, Result.PASS, ""),  # the node's own judges say so
    ],
)
def test_links_are_compared_as_they_are_alone(
    slow: dict[str, Any], result: Result, of: str
) -> None:
    nodes = {**{"good%d" % n: pair() for n in range(4)}, "slow": pair(**slow)}
    told = judged(nodes, "slow")
    assert told.result is result
    assert of in told.cause
    recorded = {n: fleet.essence(nodes[n]) for n in nodes if n != "slow"}
    cpus = dict.fromkeys(nodes, CPU)
    assert fleet.judge({"slow": nodes["slow"]}, cpus, recorded)["slow"][0] == told


def test_a_crowded_host_link_alone_is_a_warning_at_most() -> None:
    def node(rate: float) -> dict[str, Any]:
        shared = {"copy_gb_s": 4300.0, "h2d_gb_s": rate, "d2h_gb_s": 50.0}
        return summary(*(device(name, bandwidth=shared) for name in ("cuda0", "cuda1")))

    nodes = {**{"good%d" % n: node(50.0) for n in range(4)}, "slow": node(10.0)}
    assert judged(nodes, "slow").result is Result.WARN
    assert "host to device, all devices at once 10" in judged(nodes, "slow").cause
    alone = {**nodes, "slow": summary(device(bandwidth={"copy_gb_s": 4300.0, "h2d_gb_s": 10.0}))}
    assert judged(alone, "slow").result is Result.PASS, "no other node has one device"


def test_another_level_is_another_heat() -> None:
    nodes = {n: {**s, "level": "quick"} for n, s in likes().items()}
    long = summary(device(rate=600.0), level="soak")
    assert judged({**nodes, "long": long}, "long").result is Result.PASS
    assert judged({**nodes, "long": {**long, "level": "quick"}}, "long").result is Result.WARN


def test_cpus_are_compared_by_model_and_leniently() -> None:
    nodes = {
        n: summary(device("cpu", rate, model="", units=16), backend="cpu")
        for n, rate in (("a", 1.0), ("b", 1.0), ("c", 1.05), ("d", 0.95), ("e", 0.8), ("f", 0.1))
    }
    assert judged(nodes, "e").result is Result.PASS
    assert judged(nodes, "f").result is Result.FAIL
    assert fleet.judge(nodes, {})["f"][0].result is Result.SKIPPED, "an unknown CPU has no likes"


def test_a_device_that_did_not_finish_takes_no_part() -> None:
    dead = summary(device(ending="hang", rate=1.0), device("cuda1"))
    nodes = {**likes(), "dead": dead}
    assert [o.id for o in fleet.judge(nodes, {})["dead"]] == [
        "burn_in.fleet.cuda1",
        "burn_in.fleet_agreement.cuda1",
    ]


def test_a_fleet_that_reads_zero_is_no_measure() -> None:
    nodes = {n: summary(device(rate=0.0)) for n in "abcdef"}
    told = judged(nodes, "a")
    assert told.result is Result.INCOMPLETE
    assert "reads 0" in told.observed


@pytest.mark.parametrize("nothing", [{}, {"devices": None}, {"backend": "cuda", "devices": []}])
def test_a_node_without_devices_has_no_outcome(nothing: dict[str, Any]) -> None:
    assert fleet.judge({**likes(), "empty": nothing}, {})["empty"] == []


# ---- bits --------------------------------------------------------------------------------------


def test_the_one_that_computes_otherwise_is_found() -> None:
    wrong = summary(device(work=[job("exact integers", "i"), job("random normals", "x")]))
    nodes = {**likes(3), "wrong": wrong}
    assert judged(nodes, "wrong", "fleet_agreement").result is Result.FAIL
    assert judged(nodes, "good0", "fleet_agreement").result is Result.PASS


def test_a_device_with_errors_of_its_own_accuses_no_other_node() -> None:
    broken = device(work=[job("random normals", "x")], totals={"errors": 3})
    nodes = {"broken": summary(broken), "sound": summary(device())}
    assert judged(nodes, "sound", "fleet_agreement").result is Result.SKIPPED


# ---- records -----------------------------------------------------------------------------------


def test_a_new_node_is_held_against_the_records_of_the_others() -> None:
    """They say what their samples said, count as likes, and have no outcome of their own."""
    nodes = likes()
    recorded = {name: fleet.essence(told) for name, told in nodes.items()}
    assert "samples" not in recorded["good0"]["devices"][0]
    new = {"new": summary(device(rate=500.0, work=[job("random normals", "x")]))}
    whole, least = fleet.judge({**nodes, **new}, {}), fleet.judge(new, {}, recorded)
    assert least == {"new": whole["new"]}
    assert [outcome.result for outcome in least["new"]] == [Result.FAIL] * 2


def test_a_record_without_figures_is_none() -> None:
    assert fleet.judge({"a": summary()}, {}, {"b": {}})["a"][0].result is Result.SKIPPED


# ---- statistics --------------------------------------------------------------------------------

RATES = st.floats(min_value=1.0, max_value=1e6)


@given(st.lists(RATES, min_size=1), st.data())
def test_a_minority_cannot_carry_the_middle_away(good: list[float], data: st.DataObject) -> None:
    lies = data.draw(st.lists(st.floats(0, 1e300), max_size=len(good) - 1))
    middle = robust.centre([*good, *lies])
    assert min(good) <= middle.median <= max(good)
    assert middle.spread <= robust.NORMAL * (max(good) - min(good)) + 1e-6 * max(good)


@given(st.lists(RATES, min_size=5, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_nodes_does_not_matter(rates: list[float], random: Any) -> None:
    nodes = {"n%d" % n: summary(device(rate=rate)) for n, rate in enumerate(rates)}
    names = list(nodes)
    random.shuffle(names)
    assert fleet.judge({n: nodes[n] for n in names}, {}) == fleet.judge(nodes, {})


@given(st.floats(min_value=0.0, max_value=1.0), st.floats(min_value=0.0, max_value=1.0))
def test_slower_is_never_better(one: float, other: float) -> None:
    order = [Result.FAIL, Result.WARN, Result.PASS]
    slow, fast = sorted((one, other))
    told = [judged({**likes(), "x": summary(device(rate=650.0 * s))}, "x") for s in (slow, fast)]
    assert order.index(told[0].result) <= order.index(told[1].result)


def test_no_figures_have_no_middle() -> None:
    with pytest.raises(ValueError, match="found no figures"):
        robust.centre([])
