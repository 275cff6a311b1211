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
        self._next_write = 0.0
        self.path.parent.mkdir(parents=True)
        self._point_latest(folder)
        self.write(force=True)

    def node(self, name: str) -> NodeReport:
        """The node's entry, made when it is first named."""
        if name not in self.nodes:
            self.nodes[name] = NodeReport(name)
        return self.nodes[name]

    def finish(self) -> Dict[str, Any]:
        """The playbook ended by itself: every verdict is final."""
        self.status = "complete"
        for node in self.nodes.values():
            node.finish(self.run["requested"])
        return self._close()

    def interrupt(self) -> Dict[str, Any]:
        """The playbook was stopped: what was not proven stays UNKNOWN."""
        self.status = "interrupted"
        return self._close()

    def _close(self) -> Dict[str, Any]:
        self.run["ended"] = _now()
        return self.write(force=True)

    def write(self, force: bool = False) -> Dict[str, Any]:
        """Rewrite the file in one rename, unless it was rewritten a moment ago."""
        started = time.monotonic()
        if not force and started < self._next_write:
            return {}
        content = report.document(self.run, self.nodes.values(), self.status)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.path)
        took = time.monotonic() - started
        self._next_write = started + took / _SHARE
        return content

    def _point_latest(self, folder: Path) -> None:
        link, temporary = folder / "latest", folder / f"latest.{os.getpid()}"
        temporary.symlink_to(self.run["id"])
        temporary.replace(link)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def message_of(result: Mapping[str, Any]) -> str:
    """A failed task's message, short enough for a report."""
    for key in ("msg", "stderr", "module_stderr", "exception", "stdout"):
        if result.get(key):
            return str(result[key]).strip()[:2000]
    return "no message"
