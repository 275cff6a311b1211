"""The report of a run: one entry per node, from what tasks returned. Pure.

``fleet.json`` follows docs/schema/report-1.schema.json. A node is UNKNOWN until the run has proven
something about it, and stays in the report whatever happens to it.
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from . import records, task_failures
from .burn_in.summary import thin
from .outcome import PROVING_STAGES, Outcome, Result, Stage, Verdict, verdict
from .redaction import redacted

SCHEMA = "torchnode.report/1"

_ENDED_EARLY = (
    "The run ended before this node's stages were done.",
    "Mend the nodes that failed, if any did, and run again: the next run finishes the work.",
)
_INTERRUPTED = (
    "The run was interrupted before this node's stages were done.",
    "Run again: the next run finishes the work.",
)
#: Stages that a node must have reached for a final verdict, where they were asked for. Apply is
#: none of them: a converged node has nothing to apply.
_NEEDED = (Stage.SURVEY, Stage.RESOLVE, *PROVING_STAGES, Stage.REPORT)

#: Samples of a device that a report keeps: enough for a plot, and 8,000 devices fit into a file.
MAX_SAMPLES = 120


class NodeReport:
    """What is known about one node so far. ``revision`` counts what was added."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.revision = 0
        self.facts: Dict[str, Any] = {}
        self.stack: Optional[Dict[str, Any]] = None
        self.plan: List[Dict[str, Any]] = []
        self.outcomes: List[Outcome] = []
        self.timings: Dict[str, float] = {}
        self.stages: List[str] = []
        self.burn_in: Optional[Dict[str, Any]] = None

    def add(self, stage: str, returned: Mapping[str, Any]) -> None:
        """Take over what a torchnode module returned under ``torchnode``."""
        returned = clean(returned)
        self.facts = returned.get("facts") or self.facts
        self.stack = returned.get("stack") or self.stack
        self.plan = list(returned["plan"] or []) if "plan" in returned else self.plan
        self.burn_in = _thinned(returned.get("burn_in")) or self.burn_in
        self.outcomes += [Outcome.from_dict(dict(o)) for o in returned.get("outcomes") or []]
        self._mark(str(returned.get("stage") or stage))

    def fail(self, stage: str, task: str, message: str) -> None:
        """A task that is none of torchnode's modules failed."""
        slip = task_failures.of_variables(task, message)
        if slip:
            observed, cause, remedy = slip
            expected = "variables of the types and values in docs/variables.md"
            self._note("variables", stage, Result.FAIL, observed, expected, cause, remedy)
            return
        cause, remedy = task_failures.explain(message)
        self._note(
            "task",
            stage,
            Result.FAIL,
            "%s: %s" % (task, message),
            "the task succeeds",
            cause,
            remedy,
        )

    def unreachable(self, stage: str, message: str) -> None:
        """The connection to the node failed."""
        cause, remedy = task_failures.explain(message, unreachable=True)
        self._note(
            "reachable", stage, Result.INCOMPLETE, message, "the node answers", cause, remedy
        )

    def took(self, stage: str, seconds: float) -> None:
        """Add to the time that a stage took on this node."""
        self.revision += 1
        self.timings[stage] = round(self.timings.get(stage, 0.0) + seconds, 3)

    def _mark(self, stage: str) -> None:
        self.revision += 1
        if stage not in self.stages:
            self.stages.append(stage)

    def _note(
        self,
        check: str,
        stage: str,
        result: Result,
        observed: str,
        expected: str,
        cause: str,
        remedy: str,
    ) -> None:
        found = "%s.%s" % (stage, check)
        told = clean(observed)
        self.outcomes.append(Outcome(found, stage, result, told, expected, cause, remedy))
        self.revision += 1

    def finish(self, requested: Sequence[str], interrupted: bool = False) -> None:
        """The run is over: a requested stage that was not reached leaves the node unproven."""
        self.revision += 1
        unproven = records.unproven_outcome(requested)
        self.outcomes += [unproven] if unproven else []
        blocked = any(
            o.result in (Result.FAIL, Result.INCOMPLETE) and o.required for o in self.outcomes
        )
        missing = [s.value for s in _NEEDED if s.value in requested and s.value not in self.stages]
        if missing and not blocked:
            cause, remedy = _INTERRUPTED if interrupted else _ENDED_EARLY
            observed = "not reached: " + ", ".join(missing)
            self._note(
                "completed", missing[0], Result.INCOMPLETE, observed, "every stage", cause, remedy
            )

    def verdict(self, requested: Sequence[str], over: bool) -> Verdict:
        """FAILED as soon as anything failed; anything else only when the run is over."""
        found = verdict(self.outcomes, requested)
        return found if over or found is Verdict.FAILED else Verdict.UNKNOWN

    def entry(self, requested: Sequence[str], over: bool) -> Dict[str, Any]:
        """The node as ``fleet.json`` holds it."""
        facts = self.facts
        return {
            "name": self.name,
            "verdict": self.verdict(requested, over).value,
            "scope": records.scope(self.outcomes, requested),
            "backend": self.backend(),
            "accelerators": facts.get("accelerators") or [],
            "drivers": facts.get("drivers") or [],
            "system": facts.get("system"),
            "stack": self.stack,
            "torch": self.torch(),
            "plan": self.plan,
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
            "burn_in": self.burn_in,
            "timings": self.timings,
        }

    def backend(self) -> Optional[str]:
        """The resolved backend, else that of what was found; None before survey."""
        if self.stack:
            return str(self.stack["backend"])
        accelerators = self.facts.get("accelerators")
        return str(accelerators[0]["backend"]) if accelerators else ("cpu" if self.facts else None)

    def torch(self) -> Optional[str]:
        """torch as it answered, else as survey found it installed; None where none was seen."""
        observed = [o.observed for o in self.outcomes if o.id == "verify.torch_version"]
        if observed and observed[-1]:
            return observed[-1]
        changed = any(step["component"] == "python_stack" for step in self.plan)
        if changed and Stage.APPLY.value in self.stages:
            return None  # what survey found has been replaced
        installed = self.facts.get("stack") or {}
        return installed.get("torch") or None


def document(run: Mapping[str, Any], nodes: Iterable[NodeReport], status: str) -> Dict[str, Any]:
    """The whole report; ``status`` is 'running', 'complete' or 'interrupted'."""
    entries = [node.entry(run["requested"], status != "running") for node in nodes]
    return {**head(run, status, [entry["verdict"] for entry in entries]), "nodes": entries}


def head(run: Mapping[str, Any], status: str, verdicts: Sequence[str]) -> Dict[str, Any]:
    """All of the report but its nodes; ``verdicts`` are theirs."""
    keys = ("id", "playbook", "check", "requested", "started", "ended")
    return {
        "schema": SCHEMA,
        "run": {key: run.get(key) for key in keys},
        "status": status,
        "summary": {v.value: verdicts.count(v.value) for v in Verdict},
    }


def as_json(value: Any) -> str:
    """``value`` in one line. Raises ValueError for NaN, which other readers of JSON refuse."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def as_text(report: Mapping[str, Any], nodes: Sequence[str]) -> Iterator[str]:
    """The report as JSON in pieces, a line for each node.

    ``nodes`` are JSON already; what ``report`` itself has of them is not looked at.
    """
    yield as_json({key: part for key, part in report.items() if key != "nodes"})[:-1]
    yield ',\n"nodes":['
    for number, node in enumerate(nodes):
        yield ("," if number else "") + "\n" + node
    yield "\n]}\n"


def _thinned(burn_in: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """A burn-in's record with at most MAX_SAMPLES samples for each device."""
    if not burn_in:
        return None
    devices = [dict(d, samples=thin(d["samples"], MAX_SAMPLES)) for d in burn_in["devices"]]
    return dict(burn_in, devices=devices)


def clean(value: Any) -> Any:
    """``value`` as JSON can hold it: no NaN or infinity (null instead), no URL's credentials."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
