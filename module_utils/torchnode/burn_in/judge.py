"""What was seen, judged. Pure: a Burn in, outcomes out.

The node's own outcomes first, then the same checks for each device. A device whose worker did not
finish has no passes for what it did not get to.
"""

from __future__ import annotations

from typing import Sequence

from ..outcome import Outcome, Result, worst
from . import (
    agreement,
    health,
    judge_bandwidth,
    judge_kernel_log,
    judge_links,
    judge_processes,
    judge_work,
    judge_worker,
    rates,
)
from .judging import STAGE
from .records import Burn, DeviceRun


def judge(burn: Burn) -> list[Outcome]:
    """All outcomes of one burn-in, the number of devices first."""
    outcomes = [judge_worker.devices(burn), judge_kernel_log.of_node(burn)]
    outcomes += judge_links.of_node(burn)
    for run in burn.devices:
        outcomes += of_device(burn, run)
    return outcomes


def of_device(burn: Burn, run: DeviceRun) -> list[Outcome]:
    """The outcomes of one device; somebody else on it explains all that follows."""
    return [
        judge_processes.others(burn, run),
        judge_worker.worker(run),
        judge_work.compute(run),
        judge_work.pulse(run),
        judge_work.memory(run),
        judge_bandwidth.bandwidth(burn, run),
        judge_bandwidth.host_link(burn, run),
        agreement.agreement(burn, run),
        rates.throughput(burn, run),
        *health.outcomes(burn, run),
    ]


def skipped(names: list[str], why: str) -> list[Outcome]:
    """The outcomes of a burn-in that was not run."""
    return [
        Outcome("burn_in.worker." + name, STAGE, Result.SKIPPED, observed="not run", cause=why)
        for name in names
    ]


def unknown_backend(backend: str, known: Sequence[str]) -> Outcome:
    """A backend that no worker can drive has not been burned in, which is not a pass."""
    return Outcome(
        "burn_in.devices",
        STAGE,
        Result.INCOMPLETE,
        backend,
        "one of " + ", ".join(known),
        "torchnode has no burn-in for the backend %s yet." % backend,
        "Burn these devices in with the vendor's own tool. playbooks/provision.yml proves the rest "
        "of the node without a burn-in, and its verdict says so.",
    )


def told(outcomes: Sequence[Outcome]) -> str:
    """One line for the module's msg: the worst outcome with its remedy, or that all is well."""
    first = worst(outcomes)
    if first is None or first.result in (Result.PASS, Result.SKIPPED):
        devices = [o.id.rpartition(".")[2] for o in outcomes if o.id.startswith("burn_in.worker.")]
        return "%s burned in without a fault" % ", ".join(devices)
    return "%s: %s. %s %s" % (first.id, first.observed, first.cause, first.remedy)
