"""What NVIDIA's driver means by its lines in the kernel's log, and what to do about them.

Actions by number as the catalog's "resolution bucket" has them for Ampere and later; numbers that
are not here are told with a link to it. ``repeats`` are those that, seen again after a reset, are
evidence for a replacement: https://docs.nvidia.com/deploy/gpu-debug-guidelines/, 2026-11-23.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Mapping, Pattern

SOURCE = "https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html"
RETRIEVED = "2026-11-23"


@dataclass(frozen=True)
class Action:
    """What an Xid asks for: ``fails`` a node or only warns, and the words for it."""

    name: str
    fails: bool
    cause: str
    remedy: str


IGNORE = Action(
    "ignore", False,
    "The driver tells of a repair or of an action that another Xid asks for.",
    "Nothing by itself: look at the other lines and at burn_in.error_counters of the device.",
)  # fmt: skip
RESTART = Action(
    "restart the application", False,
    "A program's work on the device was ended, most often by its own fault.",
    "Look which pid the line names. If it was the burn-in's own, burn in again; if it comes back, "
    "treat it as a fault of the device.",
)  # fmt: skip
RESET = Action(
    "reset the device", True,
    "The device is in a state that only a reset ends.",
    "Drain the node, reset the device (`nvidia-smi -r -i N` with nothing running, or a restart of "
    "the node) and burn in again.",
)  # fmt: skip
RESTART_NODE = Action(
    "restart the node", True,
    "The device has fallen off the bus: it no longer answers.",
    "Restart the node with its power cut, look at its seat, power cables and riser, and burn in "
    "again.",
)  # fmt: skip
SUPPORT = Action(
    "contact support", True,
    "The device tells of errors beyond what it should.",
    "Take the node out of service and hand this line to the vendor.",
)  # fmt: skip
DECODE = Action(
    "decode", True,
    "A memory or NVLink error whose meaning lies in the numbers of the line.",
    "Drain the node, decode the line with NVIDIA's catalog (%s), reset the device and burn in "
    "again." % SOURCE,
)  # fmt: skip

ACTIONS: Mapping[int, Action] = {
    **dict.fromkeys((63, 154), IGNORE),
    **dict.fromkeys((13, 31, 43, 45, 69, 94), RESTART),
    **dict.fromkeys((46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158), RESET),
    79: RESTART_NODE,
    **dict.fromkeys((92, 121, 157), SUPPORT),
    **dict.fromkeys((48, 74, *range(144, 151)), DECODE),
}
UNKNOWN = Action(
    "look it up", False,
    "The driver told of an event that this table does not know.",
    "Look the number up in %s and act on it." % SOURCE,
)  # fmt: skip

#: Seen again after a reset, these are evidence for a replacement.
REPEATS = frozenset({48, 62, 74, 79, 119, 140, 143})


@dataclass(frozen=True)
class Line:
    """A line that is no Xid, and what it asks for: its ``action`` is what the line is called by."""

    pattern: Pattern[str]
    action: Action


#: What the driver says of a device without an Xid, and NVSwitches by SXid; the first that fits.
#: 'nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate', to
#: Hopper, https://docs.nvidia.com/deploy/xid-errors/introduction.html; 'NVRM: GPU 0000:98:00.0:
#: RmInitAdapter failed! (0x62:0x65:1792)', https://github.com/NVIDIA/open-gpu-kernel-modules/issues/789;
#: 'NVRM: The NVIDIA GPU 0000:b3:00.0 ... NVRM: fallen off the bus and is not responding to
#: commands.' with no Xid, https://github.com/NVIDIA/NVSentinel/issues/155. All read 2026-11-30.
LINES = (
    Line(
        re.compile(r"SXid \([^)]*\): \d+, Fatal"),
        Action(
            "SXid, fatal", True,
            "An NVSwitch had a fatal error: the links of all devices behind it are broken.",
            "Drain the node, restart it (a reset of all its devices and switches), start "
            "nvidia-fabricmanager and burn in again; hand the line to the vendor if it comes back.",
        ),
    ),
    Line(
        re.compile(r"SXid"),
        Action(
            "SXid, not fatal", False,
            "An NVSwitch told of an error that it went on after.",
            "Look the number up in the Fabric Manager User Guide; look at `nvidia-smi nvlink -e` "
            "and the log of nvidia-fabricmanager; have the switch looked at if it comes back.",
        ),
    ),
    Line(re.compile(r"NVRM.*fallen off the bus"), replace(RESTART_NODE, name="fallen off the bus")),
    Line(
        re.compile(r"NVRM.*(?:RmInitAdapter|rm_init_adapter)(?! succeeded)"),
        Action(
            "the driver could not start the device", True,
            "The driver could not start the device, so no program can use it.",
            "Restart the node with its power cut. If it comes back, look at the device's seat and "
            "power, at the driver's version, and hand the lines to the vendor.",
        ),
    ),
    Line(
        re.compile(r"NVRM:"),
        Action(
            "another line of the driver", False,
            "NVIDIA's driver, which is silent while all is well, wrote a line of unknown meaning.",
            "Read the lines around it with `dmesg`; search NVIDIA's notes for the driver's release "
            "for it, and burn in again.",
        ),
    ),
)  # fmt: skip

#: What a sound driver writes: at its load, and before the first Xid of a device.
HARMLESS = re.compile(
    r"NVRM: (?:loading NVIDIA UNIX|GPU at PCI:|GPU Board Serial Number|Persistence mode is|"
    r".*RmInitAdapter succeeded)"
)


def action_of(xid: int) -> Action:
    """The action for an Xid; UNKNOWN for a number that the table does not have."""
    return ACTIONS.get(xid, UNKNOWN)
