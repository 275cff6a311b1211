"""The report on disk while the run goes on: atomic, early, and cheap for large fleets."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Mapping

from . import report
from .report import NodeReport

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
        self.path.parent.mkdir(parents=True)
        self._point_latest(folder)
        self._replace(self._content())

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
        return self.write(force=True)

    def flush(self) -> None:
        """Write what was held back."""
        if self._pending:
            self.write(force=True)

    def write(self, force: bool = False) -> Dict[str, Any]:
        """Rewrite the file in one rename, unless it was rewritten a moment ago: then later.

        Never raises: a disk that fills up must not stop the run. ``problem`` then says why.
        """
        started = time.monotonic()
        if not force and started < self._next_write:
            self._pending = True
            return {}
        content = self._content()
        try:
            self._replace(content)
            self.problem = ""
        except OSError as error:
            self.problem = str(error)
        self._pending = False
        self._next_write = started + (time.monotonic() - started) / _SHARE
        return content

    def _content(self) -> Dict[str, Any]:
        return report.document(self.run, self.nodes.values(), self.status)

    def _replace(self, content: Mapping[str, Any]) -> None:
        temporary = self.path.with_suffix(".tmp")
        # allow_nan: what Python writes for NaN is no JSON, and other readers refuse the whole file.
        text = json.dumps(content, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(self.path)

    def _point_latest(self, folder: Path) -> None:
        link, temporary = folder / "latest", folder / f"latest.{os.getpid()}"
        temporary.symlink_to(self.run["id"])
        temporary.replace(link)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def message_of(result: Mapping[str, Any]) -> str:
    """A failed task's message, short enough for a report."""
    if result.get("censored"):
        return str(result["censored"])
    for key in ("msg", "stderr", "module_stderr", "exception", "stdout"):
        if result.get(key):
            return str(result[key]).strip()[:2000]
    return "no message"
