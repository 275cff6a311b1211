"""The kernel's log during a burn-in, judged: Xids of each device, and what concerns the node. Pure.

A log that may not be read is skipped with its reason: the other checks stand by themselves. One
that was not read to the burn-in's end, because the sampler failed, is incomplete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..data import xid
from ..outcome import Outcome, Result
from .child.device import short_bus
from .judging import STAGE
from .records import Burn, DeviceRun
from .telemetry import key_of

XID = re.compile(r"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)")

#: What else of the log concerns the whole node: (pattern, result, cause, remedy).
NODE = (
    (
        re.compile(r"Out of memory: Killed|oom-kill:"), Result.FAIL,
        "The kernel killed a process because the host's memory ran out.",
        "Give the node more memory, or end what else uses it; then burn in again.",
    ),
    (
        re.compile(r"mce:|Hardware Error|EDAC.*(?:UE|uncorrect)", re.IGNORECASE), Result.FAIL,
        "The host's processor or memory told of a hardware error.",
        "Read the whole of it with `dmesg` or `ras-mc-ctl --errors`, and have the part replaced.",
    ),
    (
        re.compile(r"AER:.*(?:Fatal|Uncorrect)|severity=Uncorrected", re.IGNORECASE), Result.FAIL,
        "A PCIe link had an error that could not be corrected.",
        "Look which device the line names, at its seat and riser, and burn in again.",
    ),
    (
        re.compile(r"AER:|PCIe Bus Error"), Result.WARN,
        "A PCIe link had errors that were corrected.",
        "Look which device the line names; if their number grows, at its seat and riser.",
    ),
    (
        re.compile(r"hung_task|blocked for more than"), Result.WARN,
        "A process hung in the kernel.",
        "Read the stack in `dmesg`: if it is in the accelerator's driver, reset the device.",
    ),
    (
        re.compile(r"amdgpu.*(?:reset|timeout|RAS)"), Result.FAIL,
        "The amdgpu driver lost a device or told of a memory error of it.",
        "Read `dmesg` for its PCI address, reset the device or restart the node, burn in again.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One Xid: at which PCI address, which number, and its line."""

    bus: str
    number: int
    line: str


def of_device(burn: Burn, run: DeviceRun) -> Outcome:
    """The Xids of one device."""
    identity, expected = "burn_in.kernel_log." + run.name, "no Xid during the burn-in"
    if burn.backend != "cuda" or burn.telemetry.kernel_log_absent:
        return _not_read(identity, burn, expected)
    return _if_whole(burn, _of_device(burn, run, identity, expected))


def _of_device(burn: Burn, run: DeviceRun, identity: str, expected: str) -> Outcome:
    mine = [event for event in _events(burn) if event.bus == _bus(burn, run)]
    if not mine:
        return Outcome(identity, STAGE, Result.PASS, "no Xid", expected)
    return _told(identity, expected, mine)


def of_node(burn: Burn) -> Outcome:
    """What the log tells of the host, and Xids of no device that was burned."""
    identity, expected = "burn_in.kernel_log", "no word of a fault during the burn-in"
    if burn.telemetry.kernel_log_absent:
        return _not_read(identity, burn, expected)
    return _if_whole(burn, _of_node(burn, identity, expected))


def _of_node(burn: Burn, identity: str, expected: str) -> Outcome:
    known = {_bus(burn, run) for run in burn.devices}
    others = [event for event in _events(burn) if event.bus not in known]
    if others:
        return _told(identity, expected, others)
    for pattern, result, cause, remedy in NODE:
        found = [line for line in burn.telemetry.kernel_log if pattern.search(line)]
        if found:
            observed = "%d line(s), the first: %s" % (len(found), found[0][:300])
            return Outcome(identity, STAGE, result, observed, expected, cause, remedy)
    return Outcome(identity, STAGE, Result.PASS, "nothing told", expected)


def _if_whole(burn: Burn, judged: Outcome) -> Outcome:
    """A log that was not read to the end proves no more than the fault that it has told of."""
    if burn.telemetry.kernel_log_whole or judged.result is Result.FAIL:
        return judged
    return Outcome(
        judged.id,
        STAGE,
        Result.INCOMPLETE,
        observed="%s, as far as it was read" % judged.observed,
        expected=judged.expected,
        cause="The kernel's log was not read to the burn-in's end: %s."
        % (burn.telemetry.failure or "the sampler did not say so"),
        remedy="Read `dmesg` of that time for 'NVRM', 'Xid' and hardware errors; then burn in "
        "again.",
    )


def _told(identity: str, expected: str, events: list[Event]) -> Outcome:
    """The gravest of several Xids gives the words, all are shown."""
    gravest = max(events, key=lambda event: xid.action_of(event.number).fails)
    action = xid.action_of(gravest.number)
    numbers = ", ".join(str(number) for number in sorted({event.number for event in events}))
    remedy = action.remedy
    if gravest.number in xid.REPEATS:
        remedy += " If it comes back after that, the lines are evidence for a replacement."
    return Outcome(
        identity,
        STAGE,
        Result.FAIL if action.fails else Result.WARN,
        observed="Xid %s: %s" % (numbers, gravest.line[:300]),
        expected=expected,
        cause=action.cause,
        remedy=remedy,
    )


def _events(burn: Burn) -> list[Event]:
    found = [(XID.search(line), line) for line in burn.telemetry.kernel_log]
    return [Event(short_bus(m.group(1)), int(m.group(2)), line) for m, line in found if m]


def _bus(burn: Burn, run: DeviceRun) -> str:
    told = burn.telemetry.devices.get(key_of(burn, run), {}).get("bus")
    return str(told or run.ready.get("bus") or "")


def _not_read(identity: str, burn: Burn, expected: str) -> Outcome:
    why = burn.telemetry.kernel_log_absent
    cause = "The kernel's log cannot be read here (%s)." % why if why else (
        "Only NVIDIA's driver names its devices by Xid; see burn_in.kernel_log for the node."
    )  # fmt: skip
    return Outcome(identity, STAGE, Result.SKIPPED, "not read", expected, cause)
