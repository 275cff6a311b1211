"""The table that ends a run: a row per node, and under it what is wrong and what to do. Pure."""

from __future__ import annotations

import textwrap
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .outcome import Outcome, Result, Verdict, worst

_HEAD = ("NODE", "VERDICT", "ACCELERATOR", "TORCH", "DRIVER")
_NARROWEST = 60  # columns; a narrower terminal folds the lines itself
_VENDORS = ("NVIDIA ", "AMD Instinct ", "AMD ", "Intel ")
_TROUBLE = (Result.FAIL, Result.INCOMPLETE, Result.WARN)

#: What was explained already, by cause and remedy: the first node that has it.
_Told = Dict[Tuple[str, ...], str]


def table(report: Mapping[str, Any], width: int) -> str:
    """The report as text for a terminal of ``width`` columns.

    A node without trouble takes one line where the width allows it. A cause that several nodes
    have in common is explained at the first of them. The last line counts the verdicts.
    """
    entries: Sequence[Mapping[str, Any]] = report["nodes"]
    if not entries:
        return (
            "No node: the inventory names none for this run. Name one with -i, such as the "
            "project's inventory/local for this machine."
        )
    width = max(width, _NARROWEST)
    rows = _rows(entries, width)
    lines, told = list(rows[0]), {}  # type: List[str], _Told
    for entry, row in zip(entries, rows[1:]):
        lines += row
        lines += _explanation(entry, width, told)
        lines += _planned(entry, width, told)
    return "\n".join([*lines, "", _count(report["summary"], len(entries))])


def _rows(entries: Sequence[Mapping[str, Any]], width: int) -> List[List[str]]:
    """The heading and every node's row as lines: one line each, or more where that is too wide."""
    for short in (False, True):
        cells = [_HEAD, *(_cells(entry, short) for entry in entries)]
        sizes = [max(len(row[i]) for row in cells) for i in range(len(_HEAD))]
        if sum(sizes) + 2 * (len(sizes) - 1) <= width:
            return [[_line(row, sizes)] for row in cells]
    return [_folded(row, width) for row in cells]


def _cells(entry: Mapping[str, Any], short: bool) -> Tuple[str, ...]:
    proven = entry["verdict"] in (Verdict.READY.value, Verdict.DEGRADED.value)
    return (
        entry["name"],
        "%s (%s)" % (entry["verdict"], entry["scope"]) if proven else entry["verdict"],
        accelerators(entry, short),
        entry["torch"] or "-",
        drivers(entry) or "-",
    )


def accelerators(entry: Mapping[str, Any], short: bool = False) -> str:
    """A node's accelerators in words: '8 x NVIDIA H200'; ``short`` leaves out the vendor."""
    models = [a["model"] for a in entry["accelerators"]]
    parts = [
        "%d x %s" % (models.count(m), _shortened(m) if short else m) for m in sorted(set(models))
    ]
    return ", ".join(parts) or ("none" if entry["backend"] else "?")


def drivers(entry: Mapping[str, Any]) -> str:
    """Versions of a node's drivers: those in the kernel, else those that the next boot loads."""
    versions = [d.get("loaded") or d.get("on_disk") for d in entry["drivers"]]
    return ", ".join(version for version in versions if version)


def _shortened(model: str) -> str:
    vendor = next((word for word in _VENDORS if model.startswith(word)), "")
    return model[len(vendor) :]


def _line(cells: Sequence[str], sizes: Sequence[int]) -> str:
    return "  ".join(cell.ljust(size) for cell, size in zip(cells, sizes)).rstrip()


def _folded(cells: Sequence[str], width: int) -> List[str]:
    """A row without columns: a cell that does not fit goes on to the next line, indented."""
    lines = [cells[0]]
    for cell in cells[1:]:
        if len(lines[-1]) + 2 + len(cell) <= width:
            lines[-1] += "  " + cell
        else:
            lines.append("    " + cell)
    return lines


def _explanation(entry: Mapping[str, Any], width: int, told: _Told) -> List[str]:
    outcomes = [Outcome.from_dict(dict(o)) for o in entry["outcomes"]]
    shown = [o for o in outcomes if o.required or o.result is not Result.INCOMPLETE]
    first = worst(shown)
    if first is None or first.result not in _TROUBLE:
        return []
    others = sum(o.result in _TROUBLE for o in shown) - 1
    text = "%s %s: found %s" % (first.id, first.result.value, first.observed or "nothing")
    text += "; expected %s." % first.expected if first.expected else "."
    text += " %d more in the report." % others if others else ""
    found = _wrapped(text, width)
    before = told.setdefault((first.cause, first.remedy), entry["name"])
    if before != entry["name"]:
        return [*found, *_wrapped("cause and remedy: as for %s" % before, width)]
    cause = _wrapped("cause: " + first.cause, width) if first.cause else []
    return [*found, *cause, *_wrapped("next:  " + first.remedy, width)]


def _planned(entry: Mapping[str, Any], width: int, told: _Told) -> List[str]:
    """The steps of a node that was only planned."""
    if entry["verdict"] != Verdict.PLANNED.value:
        return []
    steps = tuple(_step(step) for step in entry["plan"]) or ("nothing to change",)
    before = told.setdefault(steps, entry["name"])
    if before != entry["name"] and entry["plan"]:
        steps = ("the same steps as %s" % before,)
    return [line for step in steps for line in _wrapped(step, width)]


def _step(step: Mapping[str, Any]) -> str:
    reboot = "; needs a reboot" if step["reboot"] else ""
    return "%s %s: %s -> %s (%s%s)" % (
        step["action"], step["component"], step["before"], step["after"], step["why"], reboot,
    )  # fmt: skip


def _wrapped(text: str, width: int) -> List[str]:
    """Whole words; a path or an address longer than the line is never broken."""
    return textwrap.wrap(
        text, width, initial_indent="    ", subsequent_indent="           ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _count(summary: Mapping[str, int], nodes: int) -> str:
    counts = ", ".join("%d %s" % (summary[v.value], v.value) for v in Verdict if summary[v.value])
    return "%d node%s: %s" % (nodes, "" if nodes == 1 else "s", counts)
