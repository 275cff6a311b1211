"""One decision per node: what fails before a change, and what earlier runs still say."""

from __future__ import annotations

import dataclasses

import pytest
from helpers import H200, LOCKS, machine
from report_samples import PLAN, SITE, VERIFY

from ansible.module_utils.torchnode import controller, decide
from ansible.module_utils.torchnode.burn_in.levels import STAGES
from ansible.module_utils.torchnode.model import InstalledStack
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.records import identity, timestamp

WISHES = {"profile": "transformers-v5", "workload": "inference", "backend": "auto"}
NOW = 1_790_000_000.0


def decided(facts=None, variables=(), requested=SITE, urls=None, stated=None, **wishes):
    """The decision for a machine (by default one without an accelerator)."""
    return decide.decide(
        facts=facts if facts is not None else machine(),
        wishes={**WISHES, **wishes},
        allow_busy=False,
        variables=variables,
        known=decide.known_variables(controller.PROJECT / "roles"),
        locks=LOCKS,
        now=NOW,
        requested=requested,
        urls=urls or {},
        stated=stated or {},
    )


def test_a_bare_machine_gets_a_stack_and_a_step():
    """Both groups: for having any step, and for the component."""
    decision = decided()
    assert not decision.failed
    assert decision.stack is not None
    assert dict(decision.stack.packages)["torch"].startswith("2.")
    assert decision.groups == ["python_stack", "changes"]
    assert "install python_stack" in decision.summary


FAILS = [
    ({"variables": ["torchnode_workloat"]}, "torchnode_workload"),
    ({"variables": ["torchnode_"]}, "torchnode_"),
    ({"workload": "poetry"}, "poetry"),
    ({"expect": {"count": 8, "backend": "cuda"}}, "8"),
    ({"expect": {"gpus": 8}}, "gpus"),
    ({"torch_version": "1.0"}, "1.0"),
    ({"urls": {"torchnode_proxy": "http://bob:s3cret@proxy:3128"}}, "torchnode_proxy"),
    ({"urls": {"torchnode_find_links": ["/wheels", "http://bob:s3cret@h/"]}}, "netrc"),
    (
        {"urls": {"torchnode_index_url": "ftp://x"}},
        "found torchnode_index_url: 'ftp://x'; expected",
    ),
    ({"urls": {"torchnode_torch_index_url": "http:/host/whl"}}, "https://"),
    ({"urls": {"torchnode_extra_index_urls": ["/mirror", "mirror"]}}, "'mirror'"),
    ({"urls": {"torchnode_find_links": ["/wheels", "wheels"]}}, "torchnode_find_links: 'wheels'"),
    ({"stated": {"torchnode_burn_in_seconds": -1}}, "from 0 to 1209600"),
    (
        {"stated": {"torchnode_requirements": {"torch": "newest"}}},
        "found torchnode_requirements.torch: 'newest'; expected a minimum version",
    ),
    ({"profile": "transformers-v99"}, "transformers-v99"),
    ({"stated": {"torchnode_burn_in_seconds": -5}}, "torchnode_burn_in_seconds"),
    ({"stated": {"torchnode_keep_stacks": 0}}, "torchnode_keep_stacks"),
    ({"stated": {"torchnode_burn_in_memory_fraction": "much"}}, "much"),
    ({"stated": {"torchnode_burn_in_stages": ["compute", "ram"]}}, "'ram'"),
    ({"stated": {"torchnode_prefix": "here"}}, "an absolute path"),
    ({"stated": {"torchnode_requirements": {"torhc": ">=2"}}}, "torchnode_requirements"),
    ({"stated": {"torchnode_requirements": {"torch": ">=99"}}}, "torchnode_requirements.torch"),
]


@pytest.mark.parametrize("url", ["", "https://h/simple", "http://h", "file:///mirror", "/mirror"])
def test_an_index_may_be_a_url_or_a_folder(url):
    assert not decided(urls={"torchnode_index_url": url}).failed


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_of_the_burn_in_may_be_asked_for_alone(stage):
    assert not decided(stated={"torchnode_burn_in_stages": [stage]}).failed


@pytest.mark.parametrize(("wishes", "word"), FAILS)
def test_what_cannot_be_met_fails_before_any_step(wishes, word):
    """No stack, no step, and one line that says why and what to do."""
    decision = decided(**wishes)
    assert decision.failed
    assert decision.stack is None
    assert decision.steps == ()
    assert decision.groups == []
    assert word in decision.summary
    assert "s3cret" not in str(decision)
    assert next(o for o in decision.outcomes if o.result is Result.FAIL).remedy


def test_numbers_that_yaml_reads_are_words():
    """torchnode_python_version: 3.11 is a float in YAML."""
    assert decided(python_version=3.11).stack is not None


def record(of, days: float, result: str = "pass"):
    """What an earlier burn-in left."""
    had = {"backend": "cpu", "count": 0, "pci_ids": [], "models": []}
    expires = timestamp(NOW + days * 86400)
    part = {"at": timestamp(NOW - 86400), "expires": expires, "result": result, "of": of}
    return {"had": had, "burn_in": part}


@pytest.mark.parametrize(
    ("requested", "days", "result", "expected"),
    [
        (VERIFY, 3, "pass", Result.PASS),
        (VERIFY, 3, "fail", Result.FAIL),
        (VERIFY, -1, "pass", Result.SKIPPED),
        (SITE, 3, "pass", None),
        (PLAN, 3, "pass", None),
    ],
)
def test_an_earlier_burn_in_counts_only_for_a_run_that_verifies(requested, days, result, expected):
    """Fresh and of the same stack; a run that burns in itself needs none."""
    of = identity(machine(), decided().stack)
    decision = decided(machine(record=record(of, days, result)), requested=requested)
    found = [o.result for o in decision.outcomes if o.id == "report.burn_in_record"]
    assert found == ([] if expected is None else [expected])
    assert not decision.failed


def test_a_lost_accelerator_is_a_failure_and_not_a_cpu_node():
    """The last record is what the node should have."""
    had = {"backend": "cuda", "count": 1, "pci_ids": ["10de:2335"], "models": ["NVIDIA H200"]}
    decision = decided(machine(record={"had": had}))
    assert decision.failed
    assert "resolve.expected_accelerators" in decision.summary


def test_a_missing_driver_stops_before_anything_is_installed():
    """A step that only the operator can make fails the preflight."""
    decision = decided(machine(H200))
    assert decision.failed
    assert "driver" in decision.summary


@pytest.mark.parametrize("requested", [VERIFY, ["survey", "resolve", "burn_in", "report"]])
def test_a_damaged_stack_is_no_ready_node_where_nothing_is_applied(requested):
    """A run that proves and does not mend must say that there was something to mend."""
    fresh = decided()
    assert fresh.stack is not None
    there = InstalledStack(fresh.stack.digest, "/p", "/p/bin/python", damage=("idna: is missing",))
    damaged = decided(dataclasses.replace(machine(), stack=there), requested=requested)
    assert damaged.failed
    assert any(o.id == "verify.stack_as_resolved" for o in damaged.outcomes)
    assert not decided(dataclasses.replace(machine(), stack=there)).failed, "site.yml mends it"
    other = dataclasses.replace(there, digest="another", damage=())
    warned = decided(dataclasses.replace(machine(), stack=other), requested=requested)
    assert not warned.failed
    assert [o.result for o in warned.outcomes if o.id == "verify.stack_as_resolved"] == [
        Result.WARN
    ]


@pytest.mark.parametrize(
    ("wishes", "cause"),
    [
        ({"variables": ["torchnode_workloat"]}, "wrong by itself"),
        ({"profile": "transformers-v99"}, "wrong by itself"),
        ({"expect": {"gpus": 8}}, "wrong by itself"),
        ({"stated": {"torchnode_keep_stacks": 0}}, "wrong by itself"),
        ({"urls": {"torchnode_proxy": "http://h/?token=s3cret"}}, "wrong by itself"),
        ({"torch_version": "1.0"}, "No stack satisfies the inventory on this machine."),
        ({"backend": "cuda"}, "No stack satisfies the inventory on this machine."),
    ],
)
def test_a_slip_is_not_blamed_on_the_machine(wishes, cause):
    """Who misspelt a variable need not look at the node."""
    (outcome,) = [o for o in decided(**wishes).outcomes if o.id == "resolve.stack"]
    assert cause in outcome.cause


def test_an_interpreter_to_adopt_that_does_not_run_is_refused():
    """Before anything is recorded, not by a verify that cannot start."""
    bare = dataclasses.replace(machine(), python_problem="it is not there")
    decision = decided(bare, python="/no/such/python")
    (outcome,) = [o for o in decision.outcomes if o.id == "resolve.stack"]
    assert outcome.observed == "torchnode_python: /no/such/python: it is not there"
    assert "environment to adopt" in outcome.cause
