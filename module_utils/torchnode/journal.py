"""The report on disk while the run goes on: atomic, early, and cheap for large fleets.

``fleet.json`` is rewritten with each result. The files for people and other programs beside it
(``BESIDE``) are made from it once, when the run is over.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from . import report, report_html, report_junit, report_plan, report_prometheus
from .report import NodeReport

#: Makes a file's text in pieces, from the report and from its nodes as JSON.
Writer = Callable[[Mapping[str, Any], Sequence[str]], Iterator[str]]

#: What stands beside fleet.json when the run is over; docs/reports.md tells what each holds.
BESIDE: Mapping[str, Writer] = {
    "fleet.html": report_html.pieces,
    "junit.xml": report_junit.pieces,
    "plan.json": report_plan.pieces,
    "torchnode.prom": report_prometheus.pieces,
}

#: Rewriting may take this share of the time at most: a large report is rewritten less often.
_SHARE = 0.1


class Journal:
    """``reports/<run>/fleet.json``, rewritten with each result, and ``reports/latest`` to it."""

    def __init__(self, folder: Path, run: Dict[str, Any]) -> None:
        """Make the run's folder. Raises OSError where it cannot be written."""
        self.run = dict(run, started=_now(), ended=None)
        self.nodes: Dict[str, NodeReport] = {}
        self.status = "running"
        self.path = folder / run["id"] / "fleet.json"
        self.problem = ""
        self._next_write = 0.0
        self._pending = False
        self._encoded: Dict[str, Tuple[int, str, str]] = {}
        self.path.parent.mkdir(parents=True)
        self._point_latest(folder)
        self._rewrite()

    def node(self, name: str) -> NodeReport:
        """The node's entry, made when it is first named."""
        if name not in self.nodes:
            self.nodes[name] = NodeReport(name)
        return self.nodes[name]

    def finish(self) -> Dict[str, Any]:
        """The playbook ended by itself: every verdict is final."""
        return self._close("complete")

    def interrupt(self) -> Dict[str, Any]:
        """The playbook was stopped: a node with a stage that was not reached is UNKNOWN."""
        return self._close("interrupted")

    def _close(self, status: str) -> Dict[str, Any]:
        self.status = status
        for node in self.nodes.values():
            node.finish(self.run["requested"], interrupted=status == "interrupted")
        self.run["ended"] = _now()
        content = report.document(self.run, self.nodes.values(), status)
        nodes = [report.as_json(entry) for entry in content["nodes"]]
        problems = self._try(self.path, report.as_text(content, nodes))
        for name, pieces in BESIDE.items():
            problems += self._try(self.path.with_name(name), pieces(content, nodes))
        self.problem = "; ".join(problems)
        return content

    def flush(self) -> None:
        """Write what was held back."""
        if self._pending:
            self.write(force=True)

    def write(self, force: bool = False) -> None:
        """Rewrite the file in one rename, unless it was rewritten a moment ago: then later.

        Never raises: a disk that fills up must not stop the run. ``problem`` then says why.
        """
        started = time.monotonic()
        if not force and started < self._next_write:
            self._pending = True
            return
        try:
            self._rewrite()
            self.problem = ""
        except OSError as error:
            self.problem = str(error)
        self._pending = False
        self._next_write = started + (time.monotonic() - started) / _SHARE

    def _rewrite(self) -> None:
        """The report as it stands. Raises OSError."""
        told = [self._told(node) for node in list(self.nodes.values())]
        head = report.head(self.run, self.status, [verdict for _, verdict, _ in told])
        _replace(self.path, report.as_text(head, [text for _, _, text in told]))

    def _told(self, node: NodeReport) -> Tuple[int, str, str]:
        """A node's revision, verdict and JSON, made anew only when something was added to it."""
        told = self._encoded.get(node.name)
        if told is None or told[0] != node.revision:
            entry = node.entry(self.run["requested"], over=False)
            told = (node.revision, str(entry["verdict"]), report.as_json(entry))
            self._encoded[node.name] = told
        return told

    def _try(self, path: Path, pieces: Iterable[str]) -> List[str]:
        """Write one file of the finished report; what went wrong, if anything did.

        A report is made of what nodes and other programs said. Whatever one of these texts does to
        one of the files, the other files and the run's own result must stand.
        """
        try:
            _replace(path, pieces)
        except Exception as error:
            return ["%s: %s" % (path.name, error or type(error).__name__)]
        return []

    def _point_latest(self, folder: Path) -> None:
        link, temporary = folder / "latest", folder / f"latest.{os.getpid()}"
        temporary.symlink_to(self.run["id"])
        temporary.replace(link)


def _replace(path: Path, pieces: Iterable[str]) -> None:
    """Write a file in one rename: readers see the old one or the new one, whole."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # half of it, where the disk is full


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def message_of(result: Mapping[str, Any]) -> str:
    """A failed task's message, short enough for a report."""
    if result.get("censored"):
        return str(result["censored"])
    if result.get("module_stderr"):  # msg then speaks of Ansible's own protocol
        return "the module gave no answer: %s" % str(result["module_stderr"]).strip()[:2000]
    for key in ("msg", "stderr", "exception", "stdout"):
        if result.get(key):
            return str(result[key]).strip()[:2000]
    return "no message"
