"""What a node should have against what it has. Pure.

A lost accelerator is a failure, never a smaller node.
"""

from __future__ import annotations

from .model import Facts
from .outcome import Outcome, Result
from .policy import Expect, Policy, expect_of_record, meets


def expectation(facts: Facts, policy: Policy) -> Outcome:
    """What the node should have (the policy's word, else its last record) against what it has."""
    expect = policy.expect or expect_of_record(facts.record)
    if expect is None and facts.record is not None and "error" in facts.record:
        return Outcome(
            "resolve.expected_accelerators", "resolve", Result.INCOMPLETE,
            observed=str(facts.record["error"]), expected="a readable record of the last run",
            cause="What this node had before cannot be read, so a lost device would go unnoticed.",
            remedy="State what the node has in torchnode_expect, or remove the broken record.",
        )  # fmt: skip
    if expect is None:
        return Outcome(
            "resolve.expected_accelerators", "resolve", Result.SKIPPED,
            observed=describe_found(facts), expected="no torchnode_expect and no earlier record",
        )  # fmt: skip
    if policy.expect is None:  # the record counts every accelerator, whichever the stack is for
        found, counted = found_backend(facts), list(facts.accelerators)
    else:
        found = found_backend(facts, policy.backend)
        counted = [a for a in facts.accelerators if a.backend == found]
    differences = meets(expect, found, counted)
    if not differences:
        return Outcome(
            "resolve.expected_accelerators",
            "resolve",
            Result.PASS,
            describe_found(facts),
            _wanted(expect),
        )
    return Outcome(
        "resolve.expected_accelerators", "resolve", Result.FAIL,
        observed="; ".join(differences),
        expected=_wanted(expect),
        cause="The machine does not have the accelerators that %s says it has: a device may have "
        "fallen off the bus, been replaced, or be hidden from this machine." % expect.origin,
        remedy="Look for the device with lspci and in the kernel log, reseat or replace it. If the "
        "machine was changed on purpose, state what it has now in torchnode_expect.",
    )  # fmt: skip


def found_backend(facts: Facts, wished: str = "auto") -> str:
    """The backend of the accelerators that are there, 'cpu' for none.

    With several vendors in one machine the wished one, else the first in the registry's order.
    """
    backends = [a.backend for a in facts.accelerators]
    return wished if wished in backends else (backends or ["cpu"])[0]


def describe_found(facts: Facts) -> str:
    """'2 x NVIDIA H200', or 'none'."""
    models = [a.model for a in facts.accelerators]
    return ", ".join("%d x %s" % (models.count(m), m) for m in sorted(set(models))) or "none"


def _wanted(expect: Expect) -> str:
    parts = [
        "backend " + expect.backend if expect.backend else "",
        "%d accelerators" % expect.count if expect.count is not None else "",
        expect.model or " ".join(sorted(set(expect.pci_ids))),
        "%.1f GB each" % (expect.memory_bytes / 1e9) if expect.memory_bytes else "",
    ]
    return ", ".join(part for part in parts if part)
