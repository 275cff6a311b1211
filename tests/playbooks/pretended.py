"""Fleets whose burn-in is pretended: what the module returns for a node is what a test says."""

from __future__ import annotations

import json
import sys
from typing import Any

from harness import ROOT, Ended, Fleet

#: A stand-in for the module burn_in: it returns what a file beside the node's prefix holds, and
#: counts how often it was asked. Without the file it hangs, as a burn-in that is killed.
PRETENDED = """#!{python}
# WANT_JSON
import json, os, sys, time
with open(sys.argv[1]) as stream:
    given = json.load(stream)
prefix = os.path.dirname(given["progress"])
with open(prefix + ".burns", "a") as stream:
    stream.write("x")
if not os.path.exists(prefix + ".burned.json"):
    time.sleep(597)
with open(prefix + ".burned.json") as stream:
    print(stream.read())
"""
STAGES = ["compute", "pulse", "bandwidth", "memory"]


def outcome(result: str = "pass", check: str = "worker.cuda0") -> dict[str, Any]:
    return {
        "id": "burn_in." + check,
        "stage": "burn_in",
        "result": result,
        "observed": "pretended",
        "expected": "pretended",
        "cause": "Pretended.",
        "remedy": "Pretended.",
        "required": True,
    }


def device(number: int, rate: float, digest: str) -> dict[str, Any]:
    job = {"precision": "bf16", "pattern": "random normals", "shape": [1, 1, 1], "products": 9}
    return {
        "name": "cuda%d" % number,
        "model": "NVIDIA H200",
        "uuid": None,
        "units": 132,
        "ending": "finished",
        "samples": [[float(t), rate, 60.0, 690.0, 1400.0] for t in range(1, 9)],
        "spans": [["compute", 0.0, 9.0]],
        "totals": {"errors": 0},
        "work": [{**job, "digest": digest}],
        "memory": {"write_gb_s": 4100.0, "read_gb_s": 4300.0},
        "bandwidth": {},
        "pulse": {},
    }


def burned(*rates: float, digest: str = "a", outcomes: tuple[Any, ...] = ()) -> dict[str, Any]:
    """What the module returns; failed where one of these outcomes is a failure."""
    part = {
        "at": "2026-11-23T06:00:00Z",
        "seconds": 36.0,
        "backend": "cuda",
        "level": "quick",
        "stages": STAGES,
        "memory_fraction": 0.96,
        "interrupted": "",
        "injected": "",
        "torch": "2.13.0+cu130",
        "driver": "580.159.04",
        "columns": ["t", "tflops", "temperature", "power", "clock"],
        "links": None,
        "devices": [device(number, rate, digest) for number, rate in enumerate(rates)],
    }
    told = list(outcomes) or [outcome()]
    failed = any(each["result"] == "fail" for each in told)
    result = {"stage": "burn_in", "outcomes": told, "burn_in": part}
    return {"changed": False, "failed": failed, "msg": "pretended", "torchnode": result}


class Pretended:
    """A fleet whose nodes burn in as it is told."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        library = fleet.folder / "library"
        library.mkdir()
        # Ansible takes the modules beside the playbook first.
        (library / "burn_in.py").write_text(PRETENDED.format(python=sys.executable))
        self.playbook = fleet.folder / "site.yml"
        self.playbook.write_text(f"- import_playbook: {ROOT / 'site.yml'}\n")
        self.python = fleet.python("adopted")

    def add(self, name: str, *rates: float, **told: Any) -> None:
        """A node with a device for each rate."""
        self.fleet.add(name, torchnode_python=self.python)
        self.say(name, *rates, **told)

    def say(self, name: str, *rates: float, **told: Any) -> None:
        """What the node's next burn-in returns."""
        said = self.fleet.prefix(name).with_suffix(".burned.json")
        said.write_text(json.dumps(burned(*rates, **told)))

    def burns(self, name: str) -> int:
        """How often the node has burned in."""
        count = self.fleet.prefix(name).with_suffix(".burns")
        return len(count.read_text()) if count.exists() else 0

    def record(self, name: str) -> dict[str, Any]:
        """The burn-in part of the node's record."""
        record = json.loads((self.fleet.prefix(name) / "record.json").read_text("utf-8"))
        part: dict[str, Any] = record["burn_in"]
        return part

    def play(self, *arguments: str) -> Ended:
        """The burn-in alone."""
        return self.fleet.play(str(self.playbook), "--tags", "burn_in", *arguments)
