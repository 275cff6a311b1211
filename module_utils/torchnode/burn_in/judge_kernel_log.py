"""The kernel's log during a burn-in, judged: of each device, and what concerns the node. Pure.

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

#: A PCI address in any other line of the driver.
ADDRESS = re.compile(r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\b(?:\.\d)?")

#: What else of the log concerns the whole node; the first that fits a line.
NODE = (
    xid.Line(
        re.compile(r"Out of memory: Killed|oom-kill:"),
        xid.Action(
            "the memory killer", True,
            "The kernel killed a process because the host's memory ran out.",
            "Give the node more memory, or end what else uses it; then burn in again.",
        ),
    ),
    xid.Line(
        re.compile(r"mce:|Hardware Error|EDAC.*(?:UE|uncorrect)", re.IGNORECASE),
        xid.Action(
            "hardware error", True,
            "The host's processor or memory told of a hardware error.",
            "Read the whole of it with `dmesg` or `ras-mc-ctl --errors`, and have the part "
            "replaced.",
        ),
    ),
    xid.Line(
        re.compile(r"AER:.*(?:Fatal|Uncorrect)|severity=Uncorrected", re.IGNORECASE),
        xid.Action(
            "PCIe error, uncorrected", True,
            "A PCIe link had an error that could not be corrected.",
            "Look which device the line names, at its seat and riser, and burn in again.",
        ),
    ),
    xid.Line(
        re.compile(r"AER:|PCIe Bus Error"),
        xid.Action(
            "PCIe error, corrected", False,
            "A PCIe link had errors that were corrected.",
            "Look which device the line names; if their number grows, at its seat and riser.",
        ),
    ),
    xid.Line(
        re.compile(r"hung_task|blocked for more than"),
        xid.Action(
            "hung process", False,
            "A process hung in the kernel.",
            "Read the stack in `dmesg`: if it is in the accelerator's driver, reset the device.",
        ),
    ),
    xid.Line(
        re.compile(r"amdgpu.*(?:reset|timeout|RAS)"),
        xid.Action(
            "amdgpu", True,
            "The amdgpu driver lost a device or told of a memory error of it.",
            "Read `dmesg` for its PCI address, reset the device or restart the node, burn in "
            "again.",
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """A line that tells of a fault: at which PCI address ('' for none), and what it asks for."""

    bus: str
    name: str
    action: xid.Action
    line: str
    repeats: bool = False  # coming back after a reset, it is evidence for a replacement


def of_device(burn: Burn, run: DeviceRun) -> Outcome:
    """What NVIDIA's driver told of one device."""
    identity, expected = "burn_in.kernel_log." + run.name, "no word of a fault of this device"
    if burn.backend != "cuda" or burn.telemetry.kernel_log_absent:
        return _not_read(identity, burn, expected)
    mine = [event for event in _events(burn) if event.bus == _bus(burn, run)]
    return _if_whole(burn, _told(identity, expected, mine))


def of_node(burn: Burn) -> Outcome:
    """What the log tells of the host, of switches, and of no device that was burned."""
    identity, expected = "burn_in.kernel_log", "no word of a fault during the burn-in"
    if burn.telemetry.kernel_log_absent:
        return _not_read(identity, burn, expected)
    known = {_bus(burn, run) for run in burn.devices if burn.backend == "cuda"} - {""}
    others = [event for event in _events(burn) if event.bus not in known]
    return _if_whole(burn, _told(identity, expected, others))


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
    """The gravest of several lines gives the words, all are named."""
    if not events:
        return Outcome(identity, STAGE, Result.PASS, "nothing told", expected)
    gravest = max(events, key=lambda event: event.action.fails)
    names = ", ".join(sorted({event.name for event in events}))
    remedy = gravest.action.remedy
    if gravest.repeats:
        remedy += " If it comes back after that, the lines are evidence for a replacement."
    return Outcome(
        identity,
        STAGE,
        Result.FAIL if gravest.action.fails else Result.WARN,
        observed="%d line(s) (%s): %s" % (len(events), names, gravest.line[:300]),
        expected=expected,
        cause=gravest.action.cause,
        remedy=remedy,
    )


def _events(burn: Burn) -> list[Event]:
    found = [_event(line) for line in burn.telemetry.kernel_log]
    return [event for event in found if event]


def _event(line: str) -> Event | None:
    told = XID.search(line)
    if told:
        number = int(told.group(2))
        repeats = number in xid.REPEATS
        action = xid.action_of(number)
        return Event(short_bus(told.group(1)), "Xid %d" % number, action, line, repeats)
    if xid.HARMLESS.search(line):
        return None
    for rule in (*xid.LINES, *NODE):
        if rule.pattern.search(line):
            address = ADDRESS.search(line) if rule in xid.LINES else None
            bus = short_bus(address.group(0)) if address else ""
            return Event(bus, rule.action.name, rule.action, line)
    return None


def _bus(burn: Burn, run: DeviceRun) -> str:
    told = burn.telemetry.devices.get(key_of(burn, run), {}).get("bus")
    return str(told or run.ready.get("bus") or "")


def _not_read(identity: str, burn: Burn, expected: str) -> Outcome:
    why = burn.telemetry.kernel_log_absent
    cause = "The kernel's log cannot be read here (%s)." % why if why else (
        "Only NVIDIA's driver names its devices by Xid; see burn_in.kernel_log for the node."
    )  # fmt: skip
    return Outcome(identity, STAGE, Result.SKIPPED, "not read", expected, cause)
