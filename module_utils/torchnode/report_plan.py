"""The plan of a run: what would be done to which nodes, why, and what is in the way. Pure.

``plan.json`` follows docs/schema/plan-1.schema.json. Nodes whose plans are equal share one entry,
so that a plan for 1,000 equal nodes is as long as that for one.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from .outcome import Result
from .report_table import accelerators

SCHEMA = "torchnode.plan/1"

_NODES_NAMED = 8
_CHOICE = ("choice", "value", "why")
_OUTCOME = ("id", "result", "observed", "expected", "cause", "remedy")
_HINDERS = (Result.FAIL.value, Result.INCOMPLETE.value)
#: What the last line counts, in its order: a state, and its words.
_STATES = (
    ("changes", "to change"),
    ("nothing", "with nothing to change"),
    ("blocked", "blocked"),
    ("unknown", "not planned"),
)


def pieces(report: Mapping[str, Any], nodes: Sequence[str]) -> Iterator[str]:
    """``plan.json`` as text; ``nodes`` are not used."""
    yield json.dumps(document(report), allow_nan=False, indent=1) + "\n"


def document(report: Mapping[str, Any]) -> Dict[str, Any]:
    """The plan of a report: one entry for each set of nodes with equal plans, largest first."""
    plans = _folded(report["nodes"])
    counts = {state: 0 for state, _ in _STATES}
    for plan in plans:
        counts[plan["state"]] += len(plan["nodes"])
    reboots = sum(len(p["nodes"]) for p in plans if p["reboot"] and p["state"] == "changes")
    summary = {"nodes": len(report["nodes"]), **counts, "reboots": reboots}
    run = {key: report["run"][key] for key in ("id", "playbook", "check")}
    return {"schema": SCHEMA, "run": run, "summary": summary, "plans": plans}


def text(report: Mapping[str, Any], width: int) -> str:
    """The plan for a terminal of ``width`` columns; its last line counts the nodes."""
    plan = document(report)
    lines: List[str] = []
    for entry in plan["plans"]:
        lines += [*_heading(entry, width), *_body(entry, width), ""]
    return "\n".join([*lines, *_wrapped(_count(plan["summary"]), width, 0)])


def _folded(entries: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    """Plans in the order of their size. What a check found may differ between nodes of one plan."""
    found: Dict[str, Dict[str, Any]] = {}
    for entry in entries:
        plan = _plan(entry)
        told = [[{**o, "observed": ""} for o in plan[key]] for key in ("blocked_by", "warnings")]
        key = json.dumps([{**plan, "nodes": [], "blocked_by": [], "warnings": []}, told])
        found.setdefault(key, plan)["nodes"] += [entry["name"]]
    return sorted(found.values(), key=lambda plan: -len(plan["nodes"]))


def _plan(entry: Mapping[str, Any]) -> Dict[str, Any]:
    hindering = [o for o in entry["outcomes"] if _hinders(o)]
    warned = [o for o in entry["outcomes"] if o["result"] == Result.WARN.value]
    stack = entry["stack"] or {}
    return {
        "nodes": [],
        "state": _state(entry, hindering),
        "accelerators": accelerators(entry),
        "torch": _resolved(stack.get("torch")) or entry["torch"],
        "reboot": any(step["reboot"] for step in entry["plan"]),
        "steps": [dict(step) for step in entry["plan"]],
        "choices": [{key: r[key] for key in _CHOICE} for r in stack.get("reasons") or []],
        "blocked_by": [{key: o[key] for key in _OUTCOME} for o in hindering],
        "warnings": [{key: o[key] for key in _OUTCOME} for o in warned],
    }


def _resolved(torch: Optional[Mapping[str, str]]) -> str:
    """The build as torch/version.py will spell it; '' for an adopted environment."""
    return "+".join(filter(None, (torch["version"], torch["tag"]))) if torch else ""


def _hinders(outcome: Mapping[str, Any]) -> bool:
    failed = outcome["result"] == Result.FAIL.value
    return failed or (outcome["required"] and outcome["result"] in _HINDERS)


def _state(entry: Mapping[str, Any], hindering: Sequence[Mapping[str, Any]]) -> str:
    if entry["stack"] is None:
        return "unknown"
    if hindering:
        return "blocked"
    return "changes" if entry["plan"] else "nothing"


# ---- as text -------------------------------------------------------------------------------------


def _heading(plan: Mapping[str, Any], width: int) -> List[str]:
    names = ", ".join(plan["nodes"][:_NODES_NAMED])
    more = len(plan["nodes"]) - _NODES_NAMED
    names += " and %d more" % more if more > 0 else ""
    counted = "%d nodes: " % len(plan["nodes"]) if len(plan["nodes"]) > 1 else ""
    return _wrapped("%s%s (accelerators: %s)" % (counted, names, plan["accelerators"]), width, 0)


def _body(plan: Mapping[str, Any], width: int) -> List[str]:
    lines = _wrapped("nothing to change", width) if plan["state"] == "nothing" else []
    for step in plan["steps"]:
        lines += _step(step, width)
    for choice in plan["choices"]:
        chosen = "%s = %s: %s" % (choice["choice"], choice["value"] or "none", choice["why"])
        lines += _wrapped(chosen, width, 8)
    for outcome in [*plan["blocked_by"], *plan["warnings"]]:
        lines += _trouble(outcome, width)
    return lines


def _step(step: Mapping[str, Any], width: int) -> List[str]:
    words = (step["action"], step["component"], step["before"], step["after"])
    notes = [step["why"]]
    notes += ["disturbs what runs on the accelerators"] if step["disruptive"] else []
    notes += ["reboots the node"] if step["reboot"] else []
    notes += ["by the operator: torchnode does not do it"] if step["operator"] else []
    lines = _wrapped("%s %s: %s -> %s" % words, width)
    lines += _wrapped("why: " + "; ".join(notes), width, 8)
    for path in step.get("removes") or []:
        lines += _wrapped("removes " + path, width, 8)
    return lines


def _trouble(outcome: Mapping[str, Any], width: int) -> List[str]:
    blocks = "blocked by " if outcome["result"] in _HINDERS else "warning: "
    found = outcome["observed"] or "nothing"
    line = "%s%s %s: found %s" % (blocks, outcome["id"], outcome["result"], found)
    line += "; expected %s." % outcome["expected"] if outcome["expected"] else "."
    lines = _wrapped(line, width)
    lines += _wrapped("cause: " + outcome["cause"], width, 8) if outcome["cause"] else []
    return lines + _wrapped("next:  " + outcome["remedy"], width, 8)


def _count(summary: Mapping[str, int]) -> str:
    parts = []
    for state, words in _STATES:
        if summary[state]:
            reboots = summary["reboots"] if state == "changes" else 0
            parts.append(
                "%d %s%s" % (summary[state], words, " (%d reboot)" % reboots if reboots else "")
            )
    total = summary["nodes"]
    return "Plan for %d node%s: %s." % (total, "" if total == 1 else "s", ", ".join(parts))


def _wrapped(line: str, width: int, indent: int = 4) -> List[str]:
    return textwrap.wrap(
        line, max(width, 60), initial_indent=" " * indent, subsequent_indent=" " * (indent + 4),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
