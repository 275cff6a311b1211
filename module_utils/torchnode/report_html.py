"""``fleet.html``: the report as one page that opens offline, made from the files in report_page/.

The page holds a row for each node as JSON, and each node's whole entry as JSON that the script
reads when the node is opened. Its policy allows the one script and the one style that it carries,
by their hashes, and no request: text from a node cannot become a script even if it got into markup.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Sequence

from . import report_table
from .outcome import Outcome, Result, worst
from .report import as_json

_PAGE = Path(__file__).resolve().parent / "report_page"
_GOOD = (Result.PASS, Result.SKIPPED)


def pieces(report: Mapping[str, Any], nodes: Sequence[str]) -> Iterator[str]:
    """The page in pieces; ``nodes`` are the report's nodes as JSON."""
    style, script = _read("page.css"), _read("page.js")
    head = {key: report[key] for key in ("run", "status", "summary")}
    fleet = {**head, "nodes": [_row(node) for node in report["nodes"]]}
    values = {
        "policy": _policy(style, script),
        "style": style,
        "fleet": _embedded(as_json(fleet)),
        "script": script,
    }
    # Split, not replaced: what stands in one value is never taken for another's placeholder.
    for part in _read("page.html").split("{{"):
        name, closed, rest = part.partition("}}")
        if not closed:
            yield part
        elif name == "nodes":
            yield from _nodes(nodes)
            yield rest
        else:
            yield values[name] + rest


def _nodes(nodes: Sequence[str]) -> Iterator[str]:
    for number, node in enumerate(nodes):
        yield '<script type="application/json" id="node-data-%d">' % number
        yield _embedded(node)
        yield "</script>\n"


def _row(node: Mapping[str, Any]) -> Dict[str, Any]:
    """What the table shows and sorts by."""
    return {
        "name": node["name"],
        "verdict": node["verdict"],
        "scope": node["scope"],
        "backend": node["backend"],
        "accelerators": report_table.accelerators(node),
        "torch": node["torch"] or "",
        "driver": report_table.drivers(node),
        "trouble": _trouble(node),
        "seconds": round(sum(node["timings"].values()), 3),
    }


def _trouble(node: Mapping[str, Any]) -> str:
    first = worst([Outcome.from_dict(dict(outcome)) for outcome in node["outcomes"]])
    if first is None or first.result in _GOOD:
        return ""
    observed = first.observed.strip().partition("\n")[0]
    return "%s: %s" % (first.id, observed if len(observed) <= 160 else observed[:159] + "…")


def _policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: https://www.w3.org/TR/CSP3/, read 2026-11-22."""
    allowed = "default-src 'none'; img-src data:; style-src '%s'; script-src '%s'"
    return (allowed + "; base-uri 'none'; form-action 'none'") % (_hash(style), _hash(script))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


def _embedded(text: str) -> str:
    """JSON that cannot end the element that it stands in: ``<`` occurs in its strings only."""
    return text.replace("<", "\\u003c")


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")
