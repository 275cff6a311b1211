"""``junit.xml``: the report as test results, for CI servers. Pure.

One suite for each node, one case for each outcome, and a last case with the node's verdict, so that
a node about which nothing is known is red too. docs/reports.md has the mapping.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from .outcome import Result, Verdict

#: What XML 1.0 cannot hold in any spelling: https://www.w3.org/TR/xml/#charsets, read 2026-11-22.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_RED = {Verdict.FAILED.value: "failure", Verdict.UNKNOWN.value: "error"}


def pieces(report: Mapping[str, Any], _nodes: Sequence[str]) -> Iterator[str]:
    """The file's text, a suite at a time."""
    suites = [_cases(node) for node in report["nodes"]]
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    name = "torchnode " + report["run"]["playbook"]
    yield _open("testsuites", name=name, **_counts([c for cases in suites for c in cases]))
    for node, cases in zip(report["nodes"], suites):
        yield "".join(_suite(report["run"], node, cases))
    yield "</testsuites>\n"


def _cases(node: Mapping[str, Any]) -> List[Dict[str, str]]:
    """The node's cases: ``kind`` is the element inside, '' for a case that simply passed."""
    cases = [_case(node["name"], outcome) for outcome in node["outcomes"]]
    verdict, told = node["verdict"], "%s (%s)" % (node["verdict"], node["scope"])
    kind = _RED.get(verdict, "")
    last = {"classname": node["name"] + ".report", "name": "verdict", "kind": kind}
    return [*cases, {**last, "message": told, "text": told if kind else ""}]


def _case(node: str, outcome: Mapping[str, Any]) -> Dict[str, str]:
    return {
        "classname": "%s.%s" % (node, outcome["stage"]),
        "name": outcome["id"],
        "kind": _kind(outcome),
        "message": _message(outcome),
        "text": _text(outcome),
    }


def _kind(outcome: Mapping[str, Any]) -> str:
    """What was not measured and not required is no error: the verdict does not count it either."""
    result = Result(outcome["result"])
    if result is Result.INCOMPLETE:
        return "error" if outcome["required"] else "skipped"
    return {Result.FAIL: "failure", Result.SKIPPED: "skipped", Result.WARN: "system-out"}.get(
        result, ""
    )


def _message(outcome: Mapping[str, Any]) -> str:
    found = "found %s" % (outcome["observed"] or "nothing")
    return found + ("; expected %s" % outcome["expected"] if outcome["expected"] else "")


def _text(outcome: Mapping[str, Any]) -> str:
    lines = ["result: " + outcome["result"], _message(outcome)]
    lines += ["cause: " + outcome["cause"]] if outcome["cause"] else []
    lines += ["next: " + outcome["remedy"]] if outcome["remedy"] else []
    return "\n".join(lines)


def _suite(
    run: Mapping[str, Any], node: Mapping[str, Any], cases: Sequence[Mapping[str, str]]
) -> Iterator[str]:
    skipped = sum(case["kind"] == "skipped" for case in cases)
    yield _open(
        "testsuite",
        name=node["name"],
        hostname=node["name"],
        timestamp=run["started"].rstrip("Z"),  # the format knows no time zone: UTC
        time="%.3f" % sum(node["timings"].values()),
        skipped=str(skipped),
        **_counts(cases),
    )
    for case in cases:
        yield _element(case)
    yield "</testsuite>\n"


def _counts(cases: Sequence[Mapping[str, str]]) -> Dict[str, str]:
    kinds = [case["kind"] for case in cases]
    found = {"failures": kinds.count("failure"), "errors": kinds.count("error")}
    return {"tests": str(len(kinds)), **{name: str(count) for name, count in found.items()}}


def _element(case: Mapping[str, str]) -> str:
    """One case. ``time`` is left out: outcomes are not timed one by one."""
    opened, kind = _open("testcase", classname=case["classname"], name=case["name"]), case["kind"]
    if not kind:
        return opened[:-2] + "/>\n"
    told = {} if kind == "system-out" else {"message": case["message"]}
    inner = _open(kind, **told).rstrip("\n") + escape(_legal(case["text"])) + "</%s>" % kind
    return opened.rstrip("\n") + inner + "</testcase>\n"


def _open(tag: str, **attributes: str) -> str:
    told = "".join(" %s=%s" % (key, quoteattr(_legal(value))) for key, value in attributes.items())
    return "<%s%s>\n" % (tag, told)


def _legal(text: str) -> str:
    """``text`` with U+FFFD for every character that XML cannot hold."""
    return _ILLEGAL.sub("\ufffd", text)
