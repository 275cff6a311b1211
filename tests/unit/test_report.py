"""Verdict and scope of every situation, and the table that a person reads."""

from __future__ import annotations

import pytest
from report_samples import (
    BURN_IN,
    BURNED,
    IDLE,
    PLAN,
    PROVISION,
    SITE,
    STEP,
    VERIFY,
    document,
    facts,
    outcome,
    surveyed,
    told,
)

from ansible.module_utils.torchnode import report
from ansible.module_utils.torchnode.model import as_data
from ansible.module_utils.torchnode.report_table import table


def node_after(*stages: str) -> report.NodeReport:
    """'verify:pass,warn' -> a surveyed node whose verify stage told these; 'report' -> recorded."""
    node = surveyed()
    for stage in stages:
        name, _, results = stage.partition(":")
        told(node, name, *[r for r in results.split(",") if r])
    return node


EARLIER = "report.burn_in_record"

# (requested, what happened, verdict, scope)
CASES = [
    (SITE, ["apply:pass", "verify:pass", "burn_in:pass", "report"], "READY", "verified, burned in"),
    (SITE, ["verify:pass", "burn_in:pass", "report"], "READY", "verified, burned in"),
    (SITE, ["verify:pass,warn", "burn_in:pass", "report"], "DEGRADED", "verified, burned in"),
    (SITE, ["verify:pass,fail", "report"], "FAILED", "verified, not burned in"),
    (SITE, ["verify:pass,incomplete", "report"], "UNKNOWN", "verified, not burned in"),
    (SITE, ["verify:fail,incomplete", "report"], "FAILED", "verified, not burned in"),
    (SITE, ["verify:pass", "burn_in:fail", "report"], "FAILED", "verified, burned in"),
    (SITE, ["verify:pass", "burn_in:skipped", "report"], "UNKNOWN", "verified, not burned in"),
    (SITE, ["verify:skipped", "burn_in:pass", "report"], "UNKNOWN", "not verified, burned in"),
    (SITE, ["apply:fail", "report"], "FAILED", "not verified, not burned in"),
    (SITE, ["verify:pass"], "UNKNOWN", "verified, not burned in"),
    (SITE, ["verify:pass", "burn_in:pass"], "UNKNOWN", "verified, burned in"),
    (SITE, [], "UNKNOWN", "not verified, not burned in"),
    (VERIFY, ["verify:pass", "report"], "READY", "verified, not burned in"),
    (VERIFY, ["verify:warn", "report"], "DEGRADED", "verified, not burned in"),
    (BURN_IN, ["verify:pass", "burn_in:pass", "report"], "READY", "verified, burned in"),
    (PLAN, [], "PLANNED", "planned"),
    (PLAN, ["resolve:pass"], "PLANNED", "planned"),
    (PLAN, ["resolve:fail"], "FAILED", "planned"),
    (PLAN, ["resolve:incomplete"], "UNKNOWN", "planned"),
    (PROVISION, ["apply:pass", "report"], "UNKNOWN", "provisioned, not verified"),
]


@pytest.mark.parametrize(("requested", "stages", "verdict", "scope"), CASES)
def test_verdict_and_scope(requested, stages, verdict, scope):
    """The fold of each situation, as fleet.json tells it."""
    entry = document([node_after(*stages)], requested)["nodes"][0]
    assert (entry["verdict"], entry["scope"]) == (verdict, scope)


@pytest.mark.parametrize(("requested", "stages", "verdict", "scope"), CASES)
def test_a_verdict_that_is_no_good_one_says_what_to_do(requested, stages, verdict, scope):
    """FAILED, UNKNOWN and DEGRADED carry an outcome with a remedy, unless nothing was asked."""
    content = document([node_after(*stages)], requested)
    text = table(content, 100)
    skipped = any("skipped" in stage for stage in stages)
    if verdict in ("FAILED", "UNKNOWN", "DEGRADED") and not skipped:
        assert "next:" in text
    if verdict in ("READY", "DEGRADED"):
        assert "%s (%s)" % (verdict, scope) in text
    if verdict == "PLANNED":
        assert "PLANNED" in text
        assert "(planned)" not in text


@pytest.mark.parametrize(("requested", "stages", "verdict", "scope"), CASES)
def test_while_the_run_goes_on_only_a_failure_is_final(requested, stages, verdict, scope):
    """Neither READY nor PLANNED is ever in the file of a controller that was killed."""
    entry = document([node_after(*stages)], requested, "running")["nodes"][0]
    assert entry["verdict"] == ("FAILED" if verdict == "FAILED" else "UNKNOWN")


def test_an_earlier_burn_in_is_named_with_its_date():
    """A verify run reuses a fresh record, and says so."""
    node = surveyed()
    record = outcome(EARLIER, "pass", required=False, observed="pass on 2026-11-20T10:00:00Z")
    node.add("resolve", {"stage": "resolve", "outcomes": [record.as_dict()]})
    told(told(node, "verify", "pass"), "report")
    entry = document([node], VERIFY)["nodes"][0]
    assert entry["verdict"] == "READY"
    assert entry["scope"] == "verified, burned in on 2026-11-20, record reused"


def test_an_unreachable_node_is_unknown_and_says_why():
    """Not reached at all, and lost after everything was proven."""
    never = report.NodeReport("far")
    never.unreachable("survey", "ssh: connect to host far port 22: No route to host")
    lost = node_after("verify:pass", "burn_in:pass")
    lost.unreachable("report", "Connection reset by peer")
    entries = document([never, lost])["nodes"]
    assert [entry["verdict"] for entry in entries] == ["UNKNOWN", "UNKNOWN"]
    assert entries[0]["outcomes"][0]["observed"].endswith("No route to host")
    assert entries[0]["backend"] is None
    assert entries[0]["outcomes"][0]["remedy"]


def test_a_failed_task_is_a_failure_with_its_message():
    """Stock modules fail too; their message is the observation."""
    node = surveyed()
    node.fail("apply", "Make the folder", "No space left on device")
    entry = document([node])["nodes"][0]
    assert entry["verdict"] == "FAILED"
    assert entry["outcomes"][-1]["observed"] == "Make the folder: No space left on device"


def test_an_interrupted_run_keeps_what_was_proven_and_nothing_else():
    """A node whose every stage was done keeps its verdict; the others say what is missing."""
    done = node_after("verify:pass", "burn_in:pass", "report")
    halfway = node_after("verify:pass")
    content = document([done, halfway], status="interrupted")
    assert [entry["verdict"] for entry in content["nodes"]] == ["READY", "UNKNOWN"]
    assert content["nodes"][1]["outcomes"][-1]["observed"] == "not reached: burn_in, report"


def test_credentials_and_nan_never_reach_the_report():
    """An index URL in an error message, and a measured value that is none."""
    node = surveyed()
    node.fail("apply", "Build", "error: https://bob:s3cret@pypi.example/simple: 403")
    node.unreachable("apply", "https://bob:s3cret@pypi.example/simple: 403")
    bad = outcome("verify.x", "fail", observed="http://t0ken@host/x").as_dict()
    burned = dict(BURNED, seconds=1.0, devices=[])
    samples = [[1.0, float("nan")], [2.0, float("inf")]]
    burned["devices"] = [{**IDLE, "samples": samples, "totals": {"rate": float("nan")}}]
    node.add("verify", {"stage": "verify", "outcomes": [bad], "burn_in": burned})
    content = document([node])
    assert "s3cret" not in str(content)
    assert "t0ken" not in str(content)
    assert "https://***@pypi.example/simple: 403" in str(content)
    assert content["nodes"][0]["burn_in"]["devices"][0]["samples"] == [[1.0, None], [2.0, None]]


def test_the_summary_counts_every_verdict():
    """Absent verdicts count zero."""
    nodes = [node_after("verify:pass", "burn_in:pass", "report"), node_after("verify:fail")]
    nodes[1].name = "node-2"
    summary = document(nodes)["summary"]
    assert summary == {"READY": 1, "DEGRADED": 0, "FAILED": 1, "UNKNOWN": 0, "PLANNED": 0}


# ---- the table -----------------------------------------------------------------------------------


def ready(name: str) -> report.NodeReport:
    node = node_after("verify:pass", "burn_in:pass", "report")
    node.name = name
    return node


def lines_for(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(name)]


@pytest.mark.parametrize("width", [20, 60, 80, 100, 200])
@pytest.mark.parametrize("name", ["n1", "gpu-node-0042.rack-17.cluster.example.internal"])
def test_the_table_keeps_to_the_width(width, name):
    """No line is wider than the terminal, unless one word alone is; nothing is cut off."""
    bad = node_after("verify:fail")
    bad.name = name + "-bad"
    text = table(document([ready(name), bad]), width)
    words = [word for line in text.splitlines() for word in line.split("  ")]
    for line in text.splitlines():
        assert len(line) <= max(width, 60, len("UNKNOWN") + 2 + max(map(len, words))), line
    for expected in (name, name + "-bad", "H200", "2.13.0+cu130", "580.95.05", "A remedy."):
        assert expected in text


def test_a_ready_node_takes_one_line_even_at_80_columns():
    """Fifty nodes, one of them bad: fifty lines and one explanation."""
    nodes = [ready("node-%02d" % i) for i in range(50)]
    nodes[17] = node_after("verify:fail")
    nodes[17].name = "node-17"
    text = table(document(nodes), 80)
    lines = text.splitlines()
    assert len(lines) == 1 + 50 + 3 + 2
    assert lines[-1] == "50 nodes: 49 READY, 1 FAILED"
    assert all(len(line) <= 80 for line in lines)


def test_what_many_nodes_have_in_common_is_explained_once():
    """Their own observation stays; cause and remedy stand at the first."""
    nodes = []
    for i in range(50):
        node = report.NodeReport("node-%02d" % i)
        node.unreachable("survey", "ssh: connect to host node-%02d: timed out" % i)
        nodes.append(node)
    text = table(document(nodes), 120)
    assert text.count("next:") == 1
    assert text.count("as for node-00") == 49
    assert all("host node-%02d: timed out" % i in text for i in range(50))


def test_a_plan_is_listed_and_shared_steps_are_named_once():
    """Two bare nodes and one that needs nothing."""
    nodes = [surveyed("a"), surveyed("b"), surveyed("c")]
    for node in nodes[:2]:
        node.add("resolve", {"stage": "resolve", "plan": [as_data(STEP)], "outcomes": []})
    text = table(document(nodes, PLAN), 120)
    assert text.count("install python_stack: none -> torch 2.13.0+cu130") == 1
    assert "the same steps as a" in text
    assert text.count("nothing to change") == 1


def test_other_troubles_are_counted():
    """One line names the worst; the rest is in the report."""
    text = table(document([node_after("verify:warn,fail,fail")]), 100)
    assert "verify.check1 fail: found this; expected that. 2 more in the report." in text


def test_no_node_says_how_to_name_one():
    """A run without an inventory ends with exit status 0 and must not look like success."""
    assert "-i" in table(document([]), 80)


def test_mixed_parts_and_a_node_that_was_never_surveyed():
    """Parts are counted by model; what is unknown is '?', never 'none'."""
    node = ready("mixed")
    node.facts["accelerators"] = facts(1)["accelerators"] + facts(2, "NVIDIA L4")["accelerators"]
    text = table(document([node, report.NodeReport("far")]), 200)
    assert "1 x NVIDIA H200, 2 x NVIDIA L4" in lines_for(text, "mixed")[0]
    assert lines_for(text, "far")[0].split() == ["far", "UNKNOWN", "?", "-", "-"]


def test_a_report_keeps_few_samples_of_each_device():
    """Enough for a plot; the last one, where a device may have slowed down, is among them."""
    node = surveyed()
    rows = [[float(t), 1.0] for t in range(1600)]
    burn_in = dict(BURNED, devices=[{**IDLE, "samples": rows}])
    node.add("burn_in", {"stage": "burn_in", "burn_in": burn_in, "outcomes": []})
    kept = document([node])["nodes"][0]["burn_in"]["devices"][0]["samples"]
    assert len(kept) == report.MAX_SAMPLES
    assert kept[-1] == rows[-1]


def test_the_table_shows_the_torch_that_was_seen():
    """Resolved is not installed; what verify saw wins over survey, and apply makes survey stale."""
    node = surveyed()
    assert node.torch() == "2.13.0+cu130"  # as survey found it
    node.facts["stack"] = None
    assert lines_for(table(document([node], PLAN), 120), "node-1")[0].split()[-2] == "-"
    seen = outcome("verify.torch_version", "pass", observed="2.11.0+cu126").as_dict()
    node.add("verify", {"stage": "verify", "outcomes": [seen]})
    assert node.torch() == "2.11.0+cu126"
    changed = told(surveyed(), "apply", "pass")
    assert changed.torch() == "2.13.0+cu130"
    changed.plan = [as_data(STEP)]
    assert changed.torch() is None
