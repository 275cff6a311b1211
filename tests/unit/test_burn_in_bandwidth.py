"""Memory copies and the host link: the figures' rows, and what their judges say."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in import judge_bandwidth, link_gates
from ansible.module_utils.torchnode.burn_in.child import host_link
from ansible.module_utils.torchnode.burn_in.records import Burn, DeviceRun, Ending, LinksRun
from ansible.module_utils.torchnode.data import nvidia_parts
from ansible.module_utils.torchnode.data.link_rates import LINK_RATES, LinkRate, link_rate
from ansible.module_utils.torchnode.data.sources import Source
from ansible.module_utils.torchnode.outcome import Outcome, Result

H200 = "NVIDIA H200"
FLIPPED = {"wrong": 1, "offset": 8, "expected": "0x00", "read": "0x01"}


def result(**change: Any) -> dict[str, Any]:
    return {
        "name": "bandwidth",
        "round": 1,
        "copy_gb_s": 4300.0,
        "copy_bytes": 1 << 30,
        "h2d_gb_s": 55.4,
        "d2h_gb_s": 55.3,
        "copies": [160, 200, 40],
        "bytes_verified": 1 << 40,
        "pinned": True,
        "local": True,
        "seconds": 3.6,
        **change,
    }


def device(index: int = 0, model: str = H200, **change: Any) -> DeviceRun:
    run = DeviceRun(name="cuda%d" % index, index=index, model=model, uuid="GPU-%d" % index)
    run.chosen, run.ending, run.done = ("bandwidth",), Ending("finished"), True
    run.results = [result(**change)]
    run.spans = [["bandwidth", 10.0, 14.0]]
    return run


def burn(*devices: DeviceRun, **alone: dict[str, Any]) -> Burn:
    """A burn with a link of generation 5 and 16 lanes; ``alone`` is the links' own measurement."""
    made = Burn("cuda", list(devices) or [device()])
    for run in made.devices:
        key = str(run.index)
        made.telemetry.devices[key] = {"pcie_gen_max": 5, "pcie_width_max": 16}
        made.telemetry.samples[key] = [
            {"t": 1.0, "pcie_gen": 1, "pcie_width": 16},
            {"t": 12.0, "pcie_gen": 5, "pcie_width": 16},
        ]
    if alone:
        made.links = LinksRun(chosen=True)
        made.links.results = [{"name": "host", "round": 1, "devices": alone}]
    return made


def bandwidth(made: Burn, index: int = 0) -> Outcome:
    return judge_bandwidth.bandwidth(made, made.devices[index])


def host(made: Burn, index: int = 0) -> Outcome:
    return judge_bandwidth.host_link(made, made.devices[index])


@pytest.mark.parametrize("row", LINK_RATES, ids=lambda row: "%s-%s" % (row.part, row.link))
def test_a_row_has_a_source_and_a_gate_that_can_fail(row: LinkRate) -> None:
    assert isinstance(row.cited, Source)
    assert row.link in ("memory", "host", "peer", "all_reduce")
    assert 0.5 < row.fail_below <= row.warn_below <= 1.0
    names = {product.name for product in nvidia_parts.PRODUCTS}
    assert row.part in names or row.part.startswith("AMD Instinct")


def test_a_row_is_found_by_the_exact_name_alone() -> None:
    assert link_rate("NVIDIA H200 NVL", "peer") is None
    assert link_rate("NVIDIA GB200", "memory") is None
    assert link_rate("", "memory") is None


def test_the_row_for_a_number_of_devices_comes_before_that_for_any() -> None:
    eight, two = link_rate(H200, "all_reduce", 8), link_rate(H200, "all_reduce", 2)
    assert eight is not None
    assert eight.devices == 8
    assert two is not None
    assert two.devices == 0
    assert link_rate("NVIDIA A100-SXM4-80GB", "all_reduce", 4) is None


def test_one_row_for_each_part_link_and_number() -> None:
    keys = [(row.part, row.link, row.devices) for row in LINK_RATES]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("part", [row.part for row in LINK_RATES if row.link == "host"])
def test_half_of_the_link_is_a_failure(part: str) -> None:
    # A lane of PCIe 3, 4, 5 carries 8, 16, 32 GT/s with 128 of 130 bits used.
    whole = {4: 16 * 16, 5: 32 * 16}[4 if "A100" in part else 5] * 128 / 130 / 8
    assert link_gates.by_part(whole / 2, part, "host").result is Result.FAIL
    assert link_gates.by_part(whole * 0.87, part, "host").result is Result.PASS


@pytest.mark.parametrize(
    ("rate", "found"),
    [(4300.0, Result.PASS), (4000.0, Result.WARN), (3800.0, Result.FAIL), (0.0, Result.INCOMPLETE)],
)
def test_the_memory_rate_of_a_known_part(rate: float, found: Result) -> None:
    outcome = bandwidth(burn(device(copy_gb_s=rate)))
    assert outcome.result is found
    assert outcome.id == "burn_in.bandwidth.cuda0"


@pytest.mark.parametrize(
    ("rate", "found"), [(990.0, Result.PASS), (940.0, Result.WARN), (890.0, Result.FAIL)]
)
def test_an_unknown_part_is_compared_with_its_neighbours(rate: float, found: Result) -> None:
    others = [device(index, "Foo 1", copy_gb_s=1000.0) for index in (1, 2)]
    outcome = bandwidth(burn(device(0, "Foo 1", copy_gb_s=rate), *others))
    assert outcome.result is found
    assert "no figure known for Foo 1" in outcome.observed


def test_a_neighbour_of_another_model_is_no_measure() -> None:
    outcome = bandwidth(burn(device(0, "Foo 1", copy_gb_s=10.0), device(1)))
    assert outcome.result is Result.SKIPPED
    assert "nothing to compare" in outcome.cause


def test_a_wrong_copy_is_a_failure_whatever_the_rate() -> None:
    run = device()
    run.defects = [{"stage": "bandwidth", "check": "copy", **FLIPPED}] * 3
    outcome = bandwidth(burn(run))
    assert outcome.result is Result.FAIL
    assert "cuda0: 1 wrong" in outcome.observed
    assert "2 more such copies" in outcome.observed
    assert host(burn(run)).result is Result.PASS


@pytest.mark.parametrize("judge", [bandwidth, host])
def test_without_a_result_there_is_no_pass(judge: Any) -> None:
    run = device()
    run.results, run.ending = [], Ending("hang", "no end after 90 s")
    assert judge(burn(run)).result is Result.INCOMPLETE
    run.chosen = ("compute",)
    assert judge(burn(run)).result is Result.SKIPPED


def test_a_good_host_link_passes() -> None:
    outcome = host(burn())
    assert outcome.result is Result.PASS
    assert "55.4 GB/s to the device, 55.3 from the device alone" in outcome.observed
    assert "PCIe generation 5" in outcome.observed
    assert "PCIe lanes 16" in outcome.observed


@pytest.mark.parametrize(
    ("slow", "found"),
    [({"h2d_gb_s": 27.0}, Result.FAIL), ({"d2h_gb_s": 45.0}, Result.WARN)],
)
def test_each_way_of_the_host_link_counts(slow: dict[str, Any], found: Result) -> None:
    assert host(burn(device(**slow))).result is found


@pytest.mark.parametrize("way", ["h2d", "d2h"])
@pytest.mark.parametrize("where", ["worker", "links"])
def test_wrong_data_on_the_host_link_names_device_and_way(way: str, where: str) -> None:
    made = burn(device(0), device(1))
    defect = {"stage": "bandwidth", "check": way, "device": "cuda1", **FLIPPED}
    owner = made.devices[1] if where == "worker" else made.links
    owner.defects = [defect]
    outcome = host(made, 1)
    assert outcome.result is Result.FAIL
    assert "cuda1, %s the device" % ("to" if way == "h2d" else "from") in outcome.observed
    assert host(made, 0).result is not Result.FAIL


def test_while_all_copy_at_once_the_part_has_no_gate() -> None:
    made = burn(device(0, h2d_gb_s=20.0), device(1, h2d_gb_s=20.0))
    made.telemetry.devices.clear()
    assert "48" not in host(made).observed
    assert host(made).result is Result.PASS  # like its neighbour
    lonely = burn(device(0, h2d_gb_s=20.0), device(1, "Foo 1"))
    lonely.telemetry.devices.clear()
    assert host(lonely).result is Result.SKIPPED


def test_while_all_copy_at_once_a_slow_one_is_no_more_than_a_warning() -> None:
    outcome = host(burn(device(0, h2d_gb_s=20.0), device(1)))
    assert outcome.result is Result.WARN
    assert "all devices copied at once" in outcome.cause


def test_the_rate_measured_alone_is_the_one_judged() -> None:
    devices = [device(index, h2d_gb_s=20.0, d2h_gb_s=20.0) for index in (0, 1)]
    good = result()
    assert host(burn(*devices, cuda0=good, cuda1=good)).result is Result.PASS
    slow = result(h2d_gb_s=27.0)
    assert host(burn(*devices, cuda0=slow, cuda1=good)).result is Result.FAIL


def test_memory_of_another_socket_cannot_make_it_a_failure() -> None:
    outcome = host(burn(device(h2d_gb_s=27.0, local=False)))
    assert outcome.result is Result.WARN
    assert "another socket" in outcome.cause


def test_memory_that_is_not_locked_measures_nothing() -> None:
    outcome = host(burn(device(pinned=False, h2d_gb_s=11.0)))
    assert outcome.result is Result.INCOMPLETE
    assert "page-locked" in outcome.cause


def test_of_several_rounds_the_slowest_counts() -> None:
    run = device()
    run.results = [result(), result(copy_gb_s=3000.0, d2h_gb_s=20.0), result()]
    assert bandwidth(burn(run)).result is Result.FAIL
    assert host(burn(run)).result is Result.FAIL


def test_a_cpu_has_no_link_to_itself() -> None:
    outcome = host(burn(device(h2d_gb_s=None, d2h_gb_s=None, pinned=None, local=None)))
    assert outcome.result is Result.SKIPPED


@pytest.mark.parametrize("field", ["pcie_gen", "pcie_width"])
def test_a_link_trained_low_under_load_fails(field: str) -> None:
    made = burn(device(model="Foo 1"))
    for sample in made.telemetry.samples["0"]:
        sample[field] = 4
    outcome = host(made)
    assert outcome.result is Result.FAIL
    assert "4 under load" in outcome.cause


def test_a_link_that_says_it_is_low_and_is_not_only_warns() -> None:
    made = burn()
    made.telemetry.samples["0"][1]["pcie_width"] = 8
    made.telemetry.samples["0"][0]["pcie_width"] = 8
    assert host(made).result is Result.WARN


def test_links_alone_judge_the_host_link_too() -> None:
    rates = {"h2d_gb_s": 55.0, "d2h_gb_s": 55.0, "pinned": True, "local": True}
    made = burn(device(0), device(1), cuda0=rates, cuda1={**rates, "d2h_gb_s": 20.0})
    for run in made.devices:
        run.chosen, run.results, run.spans = (), [], []
    assert host(made, 0).result is Result.PASS
    assert host(made, 1).result is Result.FAIL
    made.links.results = []
    assert host(made, 0).result is Result.SKIPPED
    made.devices[0].chosen = ("bandwidth",)  # asked for, and it has no result
    assert host(made, 0).result is Result.INCOMPLETE


def test_neighbours_that_are_just_as_bad_prove_nothing() -> None:
    slow = {
        name: {"h2d_gb_s": 1.5, "d2h_gb_s": 1.5, "pinned": True, "local": True}
        for name in ("cuda0", "cuda1")
    }
    made = burn(device(0, model="Foo 1"), device(1, model="Foo 1"), **slow)
    for samples in made.telemetry.samples.values():
        samples[1]["pcie_gen"] = 1
    assert host(made).result is Result.FAIL


def test_a_link_whose_training_is_not_told_is_judged_by_its_rate() -> None:
    made = burn()
    made.telemetry.devices["0"] = {"fixed_absent": {"pcie_gen_max": "Not Supported"}}
    outcome = host(made)
    assert outcome.result is Result.PASS
    assert "PCIe generation not measured (Not Supported)" in outcome.observed


def test_only_samples_under_load_count() -> None:
    made = burn(device(model="Foo 1"))
    made.telemetry.samples["0"] = [
        {"t": 1.0, "pcie_gen": 5, "pcie_width": 16},
        {"t": 12.0, "pcie_gen": 3, "pcie_width": 16},
    ]
    assert host(made).result is Result.FAIL


def test_the_kernels_list_of_cores() -> None:
    assert host_link.local_cores("0-2,8\n") == {0, 1, 2, 8}
    assert host_link.local_cores("") == set()
    assert host_link.local_cores("a-b") == set()


@pytest.mark.parametrize(
    ("listed", "mine", "local", "meanwhile"),
    [
        ("0-3\n", {0, 1, 8, 9}, True, {0, 1}),
        ("4-7\n", {0, 1, 8, 9}, False, {0, 1, 8, 9}),  # none of the device's cores is ours
        ("", {0, 1}, None, {0, 1}),
    ],
)
def test_the_hosts_memory_is_taken_near_the_device(
    monkeypatch: pytest.MonkeyPatch,
    listed: str,
    mine: set[int],
    local: bool | None,
    meanwhile: set[int],
) -> None:
    cores = set(mine)

    def move(pid: int, wanted: set[int]) -> None:
        cores.clear()
        cores.update(wanted)

    monkeypatch.setattr(host_link, "_local_cpulist", lambda bus: listed)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(cores))
    monkeypatch.setattr(os, "sched_setaffinity", move)
    with host_link.near("0000:19:00") as answer:
        assert answer is local
        assert cores == meanwhile
    assert cores == mine


def test_nothing_is_asked_about_a_device_without_an_address() -> None:
    with host_link.near(None) as answer:
        assert answer is None
