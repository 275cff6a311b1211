"""What a child's events mean, and how its end is told. Pure."""

from __future__ import annotations

import signal
from typing import Any

from .levels import TOGETHER
from .records import ChildRun, DeviceRun, Ending


def take(run: ChildRun, event: dict[str, Any]) -> None:
    """Take one event of a child. Raises ValueError for one that has not the agreed shape."""
    kind = event.pop("event")
    try:
        if kind == "ready":
            _ready(run, event)
        elif kind == "stage":
            _spans(run).append([str(event["name"]), float(event["t"]), None])
        elif kind == "sample":
            _samples(run).append({key: float(event[key]) for key in ("t", "tflops")})
        elif kind == "defect":
            run.defects.append(event)
            run.told += 1
        elif kind == "progress":
            run.progress = event
            run.told = max(run.told, int(event["errors"]))
        elif kind == "result":
            _result(run, event)
        elif kind == "done":
            run.done = True
        elif kind == "fatal":
            if isinstance(run, DeviceRun):
                run.visible = event.get("visible", run.visible)
            run.progress = {**run.progress, "fatal": [event["kind"], event["detail"]]}
        else:
            raise ValueError("the event %r instead of a result" % kind)
    except (KeyError, TypeError) as error:
        raise ValueError("a %s event without %s" % (kind, error)) from None


def ending(run: ChildRun, status: int) -> Ending:
    """How a child ended that left with ``status`` (negative: a signal)."""
    fatal = run.progress.get("fatal")
    if fatal:
        return Ending(fatal[0], fatal[1])
    if status < 0:
        return Ending("signal", "killed by %s" % _signal_name(-status))
    if status or not run.done:
        return Ending("exit", "exit status %d" % status)
    return Ending("finished")


def stage_of(run: ChildRun) -> str:
    """The stage that a child was last in, or was to begin with."""
    if isinstance(run, DeviceRun):
        chosen = [stage for stage in run.chosen if stage != TOGETHER]
        return str(run.spans[-1][0]) if run.spans else "".join(chosen[:1]) or "start"
    return TOGETHER


def _ready(run: ChildRun, event: dict[str, Any]) -> None:
    run.ready = event
    if isinstance(run, DeviceRun):
        run.torch, run.visible = event["torch"], event["visible"]
        run.model, run.uuid = event["name"] or run.model, event["uuid"] or run.uuid


def _result(run: ChildRun, event: dict[str, Any]) -> None:
    str(event["name"])
    run.results.append(event)
    run.told = max(run.told, int(event.get("errors", 0)))
    if isinstance(run, DeviceRun) and run.spans:
        run.spans[-1][2] = float(event["t"])


def _spans(run: ChildRun) -> list[list[Any]]:
    return run.spans if isinstance(run, DeviceRun) else []


def _samples(run: ChildRun) -> list[dict[str, float]]:
    return run.samples if isinstance(run, DeviceRun) else []


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
