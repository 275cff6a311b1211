"""Reports as tests need them: nodes told through the same calls as the callback makes."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import jsonschema

from ansible.module_utils.torchnode import journal, report
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Driver,
    InstalledStack,
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
INSTALLED = InstalledStack(
    STACK.digest,
    "/opt/torchnode/stacks/0123456789abcdef.1",
    STACK.interpreter,
    torch="2.13.0+cu130",
)
STEP = Step("python_stack", "install", "none", "torch 2.13.0+cu130", "no stack is installed")
BURNED = {
    "at": "2026-11-22T18:00:00Z",
    "seconds": 20.5,
    "backend": "cuda",
    "interrupted": "",
    "memory_fraction": 0.96,
    "injected": "",
    "torch": "2.13.0+cu130",
    "driver": None,
    "columns": ["t", "tflops"],
    "devices": [],
    "level": "quick",
    "stages": ["compute"],
    "links": None,
}
#: One of its devices, which did nothing.
IDLE: dict[str, object] = {
    "name": "gpu0", "model": None, "uuid": None, "ending": None, "samples": [], "spans": [],
    "totals": {}, "units": None, "work": [], "memory": {}, "bandwidth": {}, "pulse": {},
}  # fmt: skip


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
        "stack": as_data(INSTALLED),
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


#: Texts that a name, a message or a version may hold, and no file may stumble over.
HOSTILE = (
    "</script><script>hostile()</script>",
    "<!--<script>",
    "<img src=x onerror=hostile()>",
    "]]>&amp;&lt;\"'",
    "{{style}}{{nodes}}",
    'line\nbreak\r\n\ttab \\n "quoted"',
    "\x00\x07\x1b[31mred\x1b[0m",
    "\ud800 half a pair",
    "\u2028\u2029 \U0001f525 \u202e right to left",
    "__proto__",
    "a b/c?d#e%20%",
)


# ---- a whole fleet --------------------------------------------------------------------------


#: Constructed: (backend, vendor, model, architecture, per node, driver, torch tag, TFLOP/s, W).
KINDS = (
    ("cuda", "nvidia", "NVIDIA H200", "sm_90", 8, "580.159.04", "cu130", 690.0, 690.0),
    ("cuda", "nvidia", "NVIDIA A100-SXM4-80GB", "sm_80", 8, "580.159.04", "cu130", 255.0, 390.0),
    ("rocm", "amd", "AMD Instinct MI300X", "gfx942", 8, "6.14.14", "rocm7.1", 610.0, 740.0),
    ("xpu", "intel", "Intel Data Center GPU Max 1550", "pvc", 4, "1.23.10", "xpu", 310.0, 590.0),
    ("cpu", "cpu", "AMD EPYC 9654 96-Core Processor", "cpu", 1, "", "cpu", 3.1, 0.0),
)


def fleet(count: int, samples: int = 200) -> list[report.NodeReport]:
    """A constructed fleet of ``count`` nodes of every verdict: mixed parts, curves of a burn-in.

    The same for the same count: benchmarks, the page's tests and the README's picture use it.
    """
    return [_member(number, random.Random(number), samples) for number in range(count)]


def _member(number: int, chance: random.Random, samples: int) -> report.NodeReport:
    kind = KINDS[(0, 0, 1, 0, 2, 0, 1, 3, 2, 4)[number % 10]]
    node = report.NodeReport("%s-%03d" % (kind[0] if kind[0] != "cuda" else "gpu", number + 1))
    if number % 50 == 7:
        node.unreachable("survey", "ssh: connect to host %s port 22: No route to host" % node.name)
        return node
    _found(node, kind)
    _checked(node, kind, number)
    cold = number % 50 in (3, 20)
    record = {"stage": "burn_in", "burn_in": burned(kind, chance, samples, cold), "outcomes": []}
    node.add("burn_in", record)
    for check in ("compute", "memory", "telemetry", "health"):
        for device in range(kind[4]):
            identity = "burn_in.%s.%s%d" % (check, "gpu" if kind[0] != "cpu" else "cpu", device)
            bad = cold and device == 5 and check == "compute"
            node.add("burn_in", {"stage": "burn_in", "outcomes": [_burnt(identity, bad)]})
    node.add("report", {"stage": "report"})
    return node


def _burnt(identity: str, bad: bool) -> dict:
    if not bad:
        return outcome(identity, "pass", observed="every value right").as_dict()
    return outcome(
        identity, "fail", observed="3 wrong values in 2 of 18,211 products",
        expected="every value right", cause="The device computes wrong results under load.",
        remedy="Drain the node and have the device replaced; keep this report for the claim.",
    ).as_dict()  # fmt: skip


def _found(node: report.NodeReport, kind: tuple) -> None:
    backend, vendor, model, architecture, count, driver, tag, *_ = kind
    parts = [
        Accelerator(backend, vendor, i, model, architecture, "0000:%02x:00.0" % (0x18 + 16 * i),
                    pci_id="10de:2335", memory_bytes=141 * 2**30)
        for i in range(count if backend != "cpu" else 0)
    ]  # fmt: skip
    system = System(
        "Linux", "x86_64", "6.8.0-87-generic", os_name="Ubuntu 24.04.3 LTS",
        cpu_model="AMD EPYC 9654 96-Core Processor", memory_bytes=1536 * 2**30,
    )  # fmt: skip
    found = {
        "accelerators": as_data(parts),
        "drivers": as_data([Driver(vendor, loaded=driver)] if driver else []),
        "system": as_data(system),
    }
    told = outcome("survey.facts", "pass", required=False).as_dict()
    node.add("survey", {"stage": "survey", "facts": found, "outcomes": [told]})
    seen = "%d accelerators of one model" % count if parts else "no accelerator was found"
    chosen = Stack(
        backend=backend, architectures=(architecture,), profile="transformers-v5",
        workload="training", prefix="/opt/torchnode", python="/usr/bin/python3",
        python_version="3.12.3", lock="torch-2.13.0+%s.txt" % tag, digest="0123456789abcdef",
        torch=TorchBuild("2.13.0", tag, "index", "torch==2.13.0+" + tag),
        packages=(("torch", "2.13.0+" + tag), ("transformers", "5.1.0"), ("numpy", "2.3.5")),
        reasons=(
            Reason("backend", backend, seen),
            Reason("torch", "2.13.0+" + tag, "the newest build with code for " + architecture),
            Reason("python", "3.12.3", "the newest on the node that the build has a wheel for"),
        ),
    )  # fmt: skip
    resolved = {"stage": "resolve", "stack": as_data(chosen), "outcomes": [], "plan": []}
    if len(node.name) % 2:
        resolved["plan"] = [as_data(STEP)]
    node.add("survey", resolved)


def _checked(node: report.NodeReport, kind: tuple, number: int) -> None:
    """What verify told: one node in fifty has a warning, one was not measured."""
    checks = [
        outcome("verify." + check, "pass", observed="as resolved").as_dict()
        for check in ("available", "backend", "devices", "operation", "packages", "memory")
    ]
    checks.append(outcome("verify.torch_version", "pass", observed="2.13.0+" + kind[6]).as_dict())
    if number % 50 in (5, 31):
        narrow = outcome(
            "verify.pcie_link.gpu2", "warn", observed="16.0 GT/s PCIe x8",
            expected="32.0 GT/s PCIe x16", cause="The device's link trained below its best.",
            remedy="Reseat the device or its riser at the next maintenance.",
        )  # fmt: skip
        checks.append(narrow.as_dict())
    if number % 50 == 13:
        silent = outcome(
            "verify.distributed", "incomplete", observed="no answer in 60 s",
            expected="all devices add up", cause="The devices could not reach one another.",
            remedy="Look at the fabric manager's log, then run again.",
        )  # fmt: skip
        checks.append(silent.as_dict())
    node.add("verify", {"stage": "verify", "outcomes": checks})
    for stage, seconds in (("survey", 0.4), ("verify", 6.2), ("burn_in", 301.5)):
        node.took(stage, seconds + number % 7 / 10)


#: The stages of the constructed burn-in below, each with its begin and end in seconds.
STAGES = (("compute", 0.0, 240.0), ("pulse", 240.1, 258.0), ("memory", 258.1, 285.0))


def burned(kind: tuple, chance: random.Random, samples: int, throttles: bool = False) -> dict:
    """A constructed burn-in of five minutes: device 5 throttles from the middle on, if it does.

    Only the compute stage, the first four of them, has a rate.
    """
    count, rate, power = kind[4], kind[7], kind[8]
    label = "gpu" if kind[0] != "cpu" else "cpu"
    devices = []
    for i in range(count):
        offset, rows = chance.uniform(-2, 2), []
        for number in range(samples):
            t = 300 * number / max(1, samples - 1)
            warm = 1 - math.exp(-t / 45)
            slow = 0.72 if throttles and i == 5 and t > 150 else 1.0
            seen = rate * slow * (1 - 0.03 * warm) + chance.gauss(0, rate / 300)
            row = [round(t, 2), round(seen, 3) if t <= 240 else None]
            if power:
                row += [round(34 + 33 * warm + offset + (14 if slow < 1 else 0), 1),
                        round(power * slow * (0.9 + 0.1 * warm) + chance.gauss(0, 4), 1),
                        round(1980 * slow - 90 * warm + chance.gauss(0, 6), 1)]  # fmt: skip
            else:
                row += [None, None, None]
            rows.append(row)
        devices.append({
            "name": "%s%d" % (label, i), "model": kind[2], "uuid": None, "ending": "finished",
            "samples": rows, "work": [], "memory": {}, "bandwidth": {}, "pulse": {}, "units": 132,
            "spans": [[name, begin + i / 100, end] for name, begin, end in STAGES],
            "totals": {"products_checked": 18211, "bytes_checked": 2**40,
                       "errors": 3 if throttles and i == 5 else 0},
        })  # fmt: skip
    return dict(
        BURNED, seconds=301.5, backend=kind[0], torch="2.13.0+" + kind[6], driver=kind[5] or None,
        columns=["t", "tflops", "temperature", "power", "clock"], devices=devices,
        level="standard", stages=[*(name for name, _, _ in STAGES), "links"],
    )  # fmt: skip


def texts(content: dict, name: str) -> str:
    """A file beside fleet.json, as the journal would write it."""
    nodes = [report.as_json(node) for node in content["nodes"]]
    return "".join(journal.BESIDE[name](content, nodes))
