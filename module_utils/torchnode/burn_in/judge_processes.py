"""Who else computed on a device during its burn-in, judged. Pure."""

from __future__ import annotations

from typing import Any

from ..outcome import Outcome, Result
from .judging import STAGE
from .records import Burn, DeviceRun
from .telemetry import key_of

_REMEDY = (
    "End it, or keep the scheduler from placing work here while the node is proven; then burn in "
    "again: beside other work neither rates nor memory are the device's own."
)


def others(burn: Burn, run: DeviceRun) -> Outcome:
    """Processes on the device that are not the burn-in's own, by pid and name.

    One that was there before the start signal warns: rates and memory under test are less than the
    device's own. One that came in the middle fails, because what it did is not known.
    """
    identity, expected = "burn_in.other_processes." + run.name, "nobody else on the device"
    key = key_of(burn, run)
    if key not in burn.telemetry.processes:
        why = burn.telemetry.failure or "the device does not tell who computes on it"
        cause = "Who else is on the device cannot be read: %s." % why
        return Outcome(identity, STAGE, Result.SKIPPED, "not measured", expected, cause)
    found = burn.telemetry.processes[key]
    if set(found) and not set(found) & set(burn.pids):
        # Inside a container the driver tells pids of the host: ours cannot be told from others'.
        cause = "The driver tells other pids than this system does (a container's own numbers)."
        observed = "%d process(es), none with a pid of this system" % len(found)
        return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause)
    strangers = {pid: told for pid, told in found.items() if pid not in burn.pids}
    if not strangers:
        return Outcome(identity, STAGE, Result.PASS, "nobody else", expected)
    came = {pid: told for pid, told in strangers.items() if told["since"] >= 0}
    return Outcome(
        identity,
        STAGE,
        Result.FAIL if came else Result.WARN,
        observed="; ".join(_words(pid, told) for pid, told in sorted(strangers.items())),
        expected=expected,
        cause="%s used %s during its burn-in."
        % ("A process that came in the middle" if came else "Another process", run.name),
        remedy=_REMEDY,
    )


def _words(pid: int, told: dict[str, Any]) -> str:
    when = "from %g s on" % told["since"] if told["since"] >= 0 else "from the start"
    return "pid %d (%s), %d MiB, %s" % (pid, told["name"] or "?", told["bytes"] >> 20, when)
