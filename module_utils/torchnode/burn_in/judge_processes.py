"""Who else computed on a device during its burn-in, judged. Pure."""

from __future__ import annotations

from typing import Any

from ..outcome import Outcome, Result
from .judging import STAGE, ended
from .records import Burn, DeviceRun, Ending
from .telemetry import key_of, unread

_REMEDY = (
    "End it, or keep the scheduler from placing work here while the node is proven; then burn in "
    "again: beside other work neither rates nor memory are the device's own."
)
_REMEDY_REFUSED = (
    "Drain the node and burn in again, or run with -e torchnode_allow_busy=true to burn in beside "
    "them: then neither rates nor memory are the device's own."
)


def strangers(burn: Burn, run: DeviceRun) -> dict[int, dict[str, Any]]:
    """Who computes on the device and is none of the burn-in's own processes, by pid.

    Empty where the pids that the driver tells may be another namespace's: then ours cannot be told
    from others'.
    """
    found = burn.telemetry.processes.get(key_of(burn, run), {})
    if not _told_apart(burn):
        return {}
    return {pid: told for pid, told in found.items() if pid not in burn.pids}


def _told_apart(burn: Burn) -> bool:
    """Whether the driver's pids are this system's: by the kernel's word, or because one is ours."""
    every = {pid for found in burn.telemetry.processes.values() for pid in found}
    return burn.first_namespace or bool(every & set(burn.pids))


def used_by(burn: Burn, run: DeviceRun) -> str:
    """'cuda0 by pid 4711', or '' where nobody else is on the device."""
    pids = sorted(strangers(burn, run))
    return "%s by pid %s" % (run.name, ", ".join(map(str, pids))) if pids else ""


def explained(burn: Burn, run: DeviceRun) -> Ending | None:
    """The worker's ending; of one that could not start where somebody else was, that it was so.

    On a device that is full, or lent to one process alone, torch runs out of memory or is refused.
    """
    ending = run.ending
    if ending is None or ending.kind not in ("oom", "exception") or burn.allow_busy:
        return ending
    if not _kept_out(run, strangers(burn, run)):
        return ending
    detail = "%s; the worker could not start: %s" % (used_by(burn, run), ended(run))
    return Ending("in_use", detail, ending.output)


def _kept_out(run: DeviceRun, seen: dict[int, dict[str, Any]]) -> bool:
    """Whether the worker never got ready on a device that was somebody else's before the start."""
    return not run.ready and any(told["since"] < 0 for told in seen.values())


def listed(burn: Burn, run: DeviceRun) -> bool:
    """Whether a look at the device has seen the burn-in's own processes, if anything looks."""
    if burn.backend == "cpu" or burn.telemetry.failure:
        return True
    return bool(set(burn.telemetry.processes.get(key_of(burn, run), {})) & set(burn.pids))


def others(burn: Burn, run: DeviceRun) -> Outcome:
    """Processes on the device that are not the burn-in's own, by pid and name.

    For one that was there before the start signal nothing is burned; where that was allowed it
    warns, because rates and memory under test are less than the device's own. One that came later
    fails, because what it did is not known.
    """
    identity, expected = "burn_in.other_processes." + run.name, "nobody else on the device"
    key = key_of(burn, run)
    if key not in burn.telemetry.processes:
        told = "not supported: the device does not tell who computes on it"
        answers = [] if burn.telemetry.failure else [told]
        return unread(burn, run, identity, expected, "Who else is on the device", answers)
    found = burn.telemetry.processes[key]
    if found and not _told_apart(burn):
        cause = "The driver tells other pids than this system does (a container's own numbers)."
        observed = "%d process(es), none with a pid of this system" % len(found)
        return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause)
    seen = strangers(burn, run)
    if not seen:
        return Outcome(identity, STAGE, Result.PASS, "nobody else", expected)
    observed = "; ".join(_words(pid, told) for pid, told in sorted(seen.items()))
    if (run.ending and run.ending.kind == "in_use") or _kept_out(run, seen):
        cause = "%s is in use, so the burn-in was not begun." % run.name
        return Outcome(
            identity, STAGE, Result.INCOMPLETE, observed, expected, cause, _REMEDY_REFUSED
        )
    came = any(told["since"] >= 0 for told in seen.values())
    who = "A process that came in the middle" if came else "Another process"
    cause = "%s used %s during its burn-in." % (who, run.name)
    result = Result.WARN if burn.allow_busy and not came else Result.FAIL
    return Outcome(identity, STAGE, result, observed, expected, cause, _REMEDY)


def _words(pid: int, told: dict[str, Any]) -> str:
    when = "from %g s on" % told["since"] if told["since"] >= 0 else "from the start"
    return "pid %d (%s), %d MiB, %s" % (pid, told["name"] or "?", told["bytes"] >> 20, when)
