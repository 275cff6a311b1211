"""Reports as tests need them: nodes told through the same calls as the callback makes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from ansible.module_utils.torchnode import report
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Driver,
    Link,
    Reason,
    Stack,
    Step,
    System,
    TorchBuild,
    as_data,
)
from ansible.module_utils.torchnode.outcome import Outcome, Result

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "report-1.schema.json"

#: What the callback finds requested, by playbook.
SITE = ("survey", "resolve", "apply", "verify", "burn_in", "report")
VERIFY = ("survey", "resolve", "verify", "report")
BURN_IN = ("survey", "resolve", "verify", "burn_in", "report")
PLAN = ("survey", "resolve")
PROVISION = ("survey", "resolve", "apply", "report")

STACK = Stack(
    backend="cuda",
    architectures=("sm_90",),
    profile="transformers-v5",
    workload="inference",
    prefix="/opt/torchnode",
    python="/usr/bin/python3",
    python_version="3.12.3",
    torch=TorchBuild("2.13.0", "cu130", "pypi", "torch==2.13.0"),
    lock="torch-2.13.0-pypi.txt",
    digest="0123456789abcdef",
    packages=(("torch", "2.13.0"),),
    reasons=(Reason("backend", "cuda", "8 accelerators found"),),
)
STEP = Step("python_stack", "install", "none", "torch 2.13.0+cu130", "no stack is installed")
BURNED = {
    "at": "2026-11-22T18:00:00Z",
    "seconds": 20.5,
    "backend": "cuda",
    "interrupted": "",
    "injected": "",
    "torch": "2.13.0+cu130",
    "driver": None,
    "columns": ["t", "tflops"],
    "devices": [],
}


def outcome(identity: str, result: str, required: bool = True, **told: str) -> Outcome:
    """An outcome with the texts that it needs."""
    told.setdefault("observed", "this")
    told.setdefault("expected", "that")
    if result in ("fail", "warn", "incomplete"):
        told.setdefault("cause", "A cause.")
        told.setdefault("remedy", "A remedy.")
    stage = identity.partition(".")[0]
    return Outcome(identity, stage, Result(result), required=required, **told)


def facts(count: int = 8, model: str = "NVIDIA H200") -> dict:
    """The part of the survey's facts that reports show."""
    link = Link("32.0 GT/s PCIe", 16)
    parts = [
        Accelerator("cuda", "nvidia", i, model, "sm_90", pci_id="10de:2335", link=link)
        for i in range(count)
    ]
    drivers = [Driver("nvidia", loaded="580.95.05")] if count else []
    return {
        "accelerators": as_data(parts),
        "drivers": as_data(drivers),
        "system": as_data(System("Linux", "x86_64", "6.8.0")),
    }


def surveyed(name: str = "node-1", **known) -> report.NodeReport:
    """A node that was surveyed and resolved."""
    node = report.NodeReport(name)
    told = [outcome("survey.facts", "pass", required=False).as_dict()]
    node.add("survey", {"stage": "survey", "facts": facts(**known), "outcomes": told})
    told = [outcome("resolve.stack", "pass", required=False).as_dict()]
    resolved = {"stage": "resolve", "stack": as_data(STACK), "plan": [], "outcomes": told}
    node.add("survey", resolved)
    return node


def told(node: report.NodeReport, stage: str, *results: str) -> report.NodeReport:
    """The node after a stage with these results."""
    outcomes = [outcome("%s.check%d" % (stage, i), r).as_dict() for i, r in enumerate(results)]
    node.add(stage, {"stage": stage, "outcomes": outcomes})
    return node


def document(nodes, requested=SITE, status: str = "complete", **run) -> dict:
    """The report of these nodes, valid against its schema and written as JSON."""
    about = {
        "id": "20261122-180000-1",
        "playbook": "site.yml",
        "check": False,
        "requested": list(requested),
        "started": "2026-11-22T18:00:00Z",
        "ended": None if status == "running" else "2026-11-22T18:10:00Z",
        **run,
    }
    for node in nodes:
        if status != "running":
            node.finish(requested, interrupted=status == "interrupted")
    content = json.loads(json.dumps(report.document(about, nodes, status), allow_nan=False))
    validate(content)
    return content


def validate(content: dict) -> None:
    """Raises jsonschema.ValidationError for a report that breaks its schema."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)
