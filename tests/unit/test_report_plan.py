"""The plan as people and programs read it."""

from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest
from helpers import ROOT
from report_samples import PLAN, STACK, STEP, document, surveyed

from ansible.module_utils.torchnode import report, report_plan
from ansible.module_utils.torchnode.model import Step, TorchBuild, as_data
from ansible.module_utils.torchnode.outcome import Outcome, Result

SCHEMA = json.loads((ROOT / "docs" / "schema" / "plan-1.schema.json").read_text("utf-8"))


def planned(name, steps=(STEP,), outcomes=()):
    """A node that was resolved to these steps."""
    node = surveyed(name)
    node.add("survey", {"stage": "resolve", "stack": as_data(STACK), "plan": as_data(list(steps)),
                        "outcomes": [o.as_dict() for o in outcomes]})  # fmt: skip
    return node


def plan_of(nodes):
    """The plan, valid against its schema, and its text."""
    content = document(nodes, PLAN)
    plan = json.loads("".join(report_plan.pieces(content, [])))
    jsonschema.Draft202012Validator(SCHEMA).validate(plan)
    return plan, report_plan.text(content, 100)


DRIVER = Step(
    "nvidia_driver", "change", "535.1", "branch 580", "it is older than 580.65", True, True
)


def test_a_thousand_equal_nodes_read_like_one():
    """One entry, a few lines, and every name in the JSON."""
    plan, text = plan_of([planned("n%d" % i) for i in range(1000)])
    assert [len(p["nodes"]) for p in plan["plans"]] == [1000]
    assert len(text.splitlines()) < 12
    assert "1000 nodes: n0, n1" in text
    assert "install python_stack: none -> torch 2.13.0+cu130" in text
    assert "why: no stack is installed" in text
    assert "backend = cuda: 8 accelerators found" in text
    assert text.splitlines()[-1] == "Plan for 1000 nodes: 1000 to change."


def test_every_state_is_counted_and_says_why():
    """To change with a reboot, nothing to do, blocked with its remedy, never resolved."""
    told = ("12 GiB", "The disk is full.", "Free space.")
    full = [Outcome("preflight.disk", "resolve", Result.FAIL, "%d GiB" % n, *told) for n in (1, 2)]
    lost = report.NodeReport("lost")
    lost.unreachable("survey", "no route to host")
    nodes = [planned("boot", [DRIVER, STEP]), planned("done", []), lost]
    nodes += [planned("full%d" % n, outcomes=[o]) for n, o in enumerate(full)]
    plan, text = plan_of(nodes)
    assert plan["summary"] == {
        "nodes": 5, "changes": 1, "nothing": 1, "blocked": 2, "unknown": 1, "reboots": 1,
    }  # fmt: skip
    assert plan["plans"][0]["nodes"] == ["full0", "full1"], "what was observed does not unfold"
    assert "blocked by preflight.disk fail: found 1 GiB" in text
    assert "next:  Free space." in text
    assert "disturbs what runs on the accelerators; reboots the node" in text
    assert "nothing to change" in text
    assert "survey.reachable incomplete: found no route to host" in text
    assert " ".join(text.split()).endswith(
        "Plan for 5 nodes: 1 to change (1 reboot), 1 with nothing to change, 2 blocked, "
        "1 not planned."
    )


def test_what_goes_is_shown():
    """Removing is as much a change as installing."""
    step = dataclasses.replace(STEP, removes=("/opt/torchnode/stacks/old.1",))
    plan, text = plan_of([planned("a", [step])])
    assert plan["plans"][0]["steps"][0]["removes"] == ["/opt/torchnode/stacks/old.1"]
    assert "removes /opt/torchnode/stacks/old.1" in text


@pytest.mark.parametrize("width", [20, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """Narrower than 60 columns the terminal folds by itself."""
    text = report_plan.text(document([planned("a", [DRIVER, STEP])], PLAN), width)
    assert max(map(len, text.splitlines())) <= max(width, 60)


def test_the_plan_names_the_torch_that_was_resolved():
    """Also where nothing is installed yet; the builds for macOS have no local version."""
    node = planned("mac")
    node.facts["stack"] = None
    assert plan_of([node])[0]["plans"][0]["torch"] == "2.13.0+cu130"
    mac = TorchBuild("2.13.0", "", "pypi", "torch==2.13.0")
    node.stack = as_data(dataclasses.replace(STACK, torch=mac))
    assert plan_of([node])[0]["plans"][0]["torch"] == "2.13.0"
    node.stack = as_data(dataclasses.replace(STACK, torch=None, adopted=True))
    assert plan_of([node])[0]["plans"][0]["torch"] is None
