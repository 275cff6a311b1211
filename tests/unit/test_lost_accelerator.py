"""A node that lost an accelerator fails on every run until someone says what it should have."""

from __future__ import annotations

import dataclasses

from ansible.module_utils.torchnode import records
from ansible.module_utils.torchnode.expectation import expectation
from ansible.module_utils.torchnode.model import Accelerator, Facts, System, User
from ansible.module_utils.torchnode.outcome import Result, Verdict
from ansible.module_utils.torchnode.policy import Expect, Policy

GPUS = tuple(
    Accelerator("cuda", "nvidia", i, "NVIDIA H200", "sm_90", pci_id="10de:2335") for i in range(2)
)
WHOLE = Facts(
    system=System("Linux", "x86_64", "6.1"), user=User("root", 0, "/root", "/root"),
    prefix="/opt/torchnode", accelerators=GPUS,
)  # fmt: skip
POLICY = Policy(profile="transformers-v5", workload="inference")


def after(facts: Facts, verdict: Verdict) -> Facts:
    """The same machine on its next run, with the record that this run leaves."""
    had = records.had_after(facts, facts.record, verdict)
    return dataclasses.replace(facts, record={"had": had, "at": "2026-11-22T00:00:00Z"})


def test_a_lost_gpu_fails_on_the_next_run_and_on_the_one_after_it() -> None:
    proven = after(WHOLE, Verdict.READY)
    lost = dataclasses.replace(proven, accelerators=GPUS[:1])
    assert expectation(lost, POLICY).result is Result.FAIL
    assert expectation(after(lost, Verdict.FAILED), POLICY).result is Result.FAIL


def test_losing_every_gpu_never_makes_a_cpu_node() -> None:
    proven = after(WHOLE, Verdict.READY)
    bare = dataclasses.replace(proven, accelerators=())
    outcome = expectation(after(bare, Verdict.FAILED), POLICY)
    assert outcome.result is Result.FAIL
    assert "backend cpu instead of cuda" in outcome.observed


def test_a_stated_expectation_lets_the_smaller_machine_become_the_record() -> None:
    lost = dataclasses.replace(after(WHOLE, Verdict.READY), accelerators=GPUS[:1])
    stated = dataclasses.replace(POLICY, expect=Expect(backend="cuda", count=1))
    assert expectation(lost, stated).result is Result.PASS
    assert expectation(after(lost, Verdict.READY), POLICY).result is Result.PASS
