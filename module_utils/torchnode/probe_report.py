"""What a probe run left behind, as a record. Pure."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional

#: Characters of each of the probe's output streams that a report keeps.
TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class ProbeReport:
    """One run of the probe.

    ``sections`` holds the data of each section that ended well, ``errors`` the exception text of
    each that did not, ``unfinished`` the one that had started when the probe ended. Exactly one
    of ``exit_status`` and ``signal`` is set once the probe has ended; neither when it could not
    be started (``start_error``); ``missing`` is True where nothing of the interpreter's name is
    there, not even a broken link. ``complete`` is True when the probe reached its own end.
    """

    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    unfinished: Optional[str] = None
    complete: bool = False
    exit_status: Optional[int] = None
    signal: Optional[int] = None
    timed_out: bool = False
    seconds: float = 0.0
    start_error: Optional[str] = None
    missing: bool = False
    stdout_tail: str = ""
    stderr_tail: str = ""

    def ending(self) -> str:
        """How the probe ended, as a clause: 'it was ended by SIGABRT while in torch_import'."""
        if self.start_error is not None:
            return "it could not be started: %s" % self.start_error
        where = " while in %s" % self.unfinished if self.unfinished else ""
        if self.timed_out:
            return "it had not ended after %.0f s%s" % (self.seconds, where)
        if self.signal is not None:
            return "it was ended by %s%s" % (signal_name(self.signal), where)
        if self.complete:
            return "it ran to its end"
        return "it exited with status %s%s" % (self.exit_status, where)


def signal_name(number: int) -> str:
    """'SIGABRT' for 6; 'signal 99' for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


@dataclass(frozen=True)
class Told:
    """The parsed lines of the probe's channel."""

    sections: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, str]
    unfinished: Optional[str]
    complete: bool


def parse(text: str) -> Told:
    """Read the channel's lines. What is not a record of the probe is passed over: torch may find
    the descriptor and write to it, and a killed probe leaves half a line."""
    sections: Dict[str, Mapping[str, Any]] = {}
    errors: Dict[str, str] = {}
    unfinished: Optional[str] = None
    complete = False
    for line in text.splitlines():
        record = _record(line)
        name = record.get("section")
        if record.get("end") is True:
            complete = True
        elif not isinstance(name, str):
            continue
        elif isinstance(record.get("data"), dict):
            sections[name], unfinished = record["data"], None
        elif isinstance(record.get("error"), str):
            errors[name], unfinished = record["error"], None
        else:
            unfinished = name
    return Told(sections, errors, unfinished, complete)


def _record(line: str) -> Dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
