"""torchnode.prom: read back with Prometheus' own parser."""

from __future__ import annotations

import math

import pytest
from helpers import ROOT
from prometheus_client.parser import text_string_to_metric_families
from report_samples import HOSTILE, document, fleet, surveyed, texts, told

from ansible.module_utils.torchnode import report
from ansible.module_utils.torchnode.outcome import Verdict


def families(nodes, status="complete") -> dict:
    """The file's metric families by name."""
    text = texts(document(nodes, status=status), "torchnode.prom")
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(family, **labels) -> float:
    """The one sample that has these labels."""
    (found,) = [s for s in family.samples if labels.items() <= s.labels.items()]
    return found.value


def test_every_family_is_explained_and_a_gauge():
    """And none of them is there without a sample."""
    for family in families(fleet(20, samples=4)).values():
        assert family.documentation
        assert family.type == "gauge"
        assert family.samples


def test_no_series_is_there_twice():
    """The collector would refuse the whole file."""
    for family in families(fleet(60, samples=4)).values():
        series = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(series) == len(set(series)), family.name


def test_no_sample_has_a_timestamp():
    """node_exporter's textfile collector refuses them."""
    for family in families(fleet(3, samples=4)).values():
        assert all(sample.timestamp is None for sample in family.samples)


def test_exactly_one_verdict_of_a_node_is_1():
    """A state set: an alert needs no join."""
    content = document(fleet(20, samples=4))
    found = families(fleet(20, samples=4))["torchnode_node_verdict"]
    for node in content["nodes"]:
        states = {v.value: value(found, node=node["name"], verdict=v.value) for v in Verdict}
        assert states == {v.value: float(v.value == node["verdict"]) for v in Verdict}


def test_outcomes_are_counted_by_result():
    """Zeros too, so that a rate or an alert finds its series."""
    node = told(surveyed("n"), "verify", "pass", "warn", "warn")
    found = families([told(node, "report")])["torchnode_node_outcomes"]
    assert value(found, node="n", result="warn") == 2
    assert value(found, node="n", result="fail") == 0


def test_the_figures_of_a_burn_in_are_in_base_units():
    """Hertz and operations per second, from the samples of the report."""
    content = document(fleet(1, samples=4))
    found, (node,) = families(fleet(1, samples=4)), content["nodes"]
    device, at = node["burn_in"]["devices"][0], node["burn_in"]["columns"].index("clock")
    about = {"node": node["name"], "device": device["name"]}
    under_load = [row for row in device["samples"] if row[1] is not None]
    assert len(under_load) == 3, "the fourth is of a stage without a rate"
    lowest = min(row[at] for row in under_load)
    assert math.isclose(
        value(found["torchnode_burn_in_device_clock_min_hertz"], **about), lowest * 1e6
    )
    assert value(found["torchnode_burn_in_device_errors"], **about) == 0
    rate = value(found["torchnode_burn_in_device_throughput_median_flops"], **about)
    assert 600e12 < rate < 700e12


def test_rests_between_the_loads_are_no_part_of_a_mean():
    """A device that idles after its heat; its highest temperature counts whenever it was."""
    nodes = fleet(1, samples=4)
    device = document(nodes)["nodes"][0]["burn_in"]["devices"][0]
    (node,) = nodes
    for row in node.burn_in["devices"][0]["samples"]:
        row[2:4] = [99.0, 100.0] if row[1] is None else [50.0, 700.0]
    about = {"node": node.name, "device": device["name"]}
    found = families(nodes)
    assert value(found["torchnode_burn_in_device_power_mean_watts"], **about) == 700
    assert value(found["torchnode_burn_in_device_temperature_max_celsius"], **about) == 99


def test_what_was_not_measured_is_absent():
    """A CPU without telemetry has no power of 0 W."""
    nodes = [node for node in fleet(10, samples=4) if node.name.startswith("cpu")]
    found = families(nodes)
    assert "torchnode_burn_in_device_throughput_min_flops" in found
    assert not [name for name in found if "power" in name or "clock" in name]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_node_breaks_the_file(text):
    """The label reads back as it was, but for half a surrogate pair, which is no character."""
    found = families([report.NodeReport("a" + text)], status="interrupted")
    assert {s.labels["node"] for s in found["torchnode_node_info"].samples} == {
        ("a" + text).replace("\ud800", "?")
    }


def test_the_page_names_every_metric():
    """docs/reports.md is where an alert's author looks."""
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    assert [name for name in families(fleet(10, samples=4)) if "`%s`" % name not in page] == []
