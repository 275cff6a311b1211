"""Telemetry: what the sampler's events mean, and which of them belong to which device. Pure."""

from __future__ import annotations

import re
from typing import Any, Sequence

from ..outcome import Outcome, Result
from . import thinning
from .child.device import bare_uuid
from .judging import STAGE
from .records import Burn, DeviceRun, Telemetry

#: Clocks-event reasons, a bit mask (NVML, nvmlClocksEventReasons):
#: https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
POWER_CAP = 0x4
HARDWARE_SLOWDOWN = 0x8
SOFTWARE_THERMAL = 0x20
HARDWARE_THERMAL = 0x40
POWER_BRAKE = 0x80

#: Reasons that mean a cooling or supply defect, not a policy.
DEFECT_REASONS = HARDWARE_SLOWDOWN | HARDWARE_THERMAL | POWER_BRAKE

REASONS = {
    POWER_CAP: "power cap",
    HARDWARE_SLOWDOWN: "hardware slowdown",
    SOFTWARE_THERMAL: "software thermal slowdown",
    HARDWARE_THERMAL: "hardware thermal slowdown",
    POWER_BRAKE: "power brake from outside",
}

#: Fields of a sample and their units.
UNITS = {
    "temperature": "C",
    "margin": "C to the limit",
    "memory_temperature": "C",
    "power": "W",
    "power_limit": "W",
    "clock": "MHz",
    "memory_clock": "MHz",
    "pcie_gen": "",
    "pcie_width": "lanes",
    "reasons": "bit mask",
}

#: Backends whose devices tell of themselves. There only an answer that says so is no answer: what
#: a library or the sampler failed to bring is not known.
TELLING = ("cuda", "rocm")

#: How a library says that part, driver or itself does not have a thing, or not for this user:
#: NVML's texts (pynvml.py, nvidia-ml-py 13; an older driver calls a field that it does not know an
#: invalid argument), AMD's status names, and a key or value that is absent.
HAS_NOT = re.compile(
    r"not.supported|not.yet.implemented|function not found|no attribute|permission|argument|"
    r"\bN/A\b|^'",
    re.IGNORECASE,
)


def take(telemetry: Telemetry, event: dict[str, Any], t: float) -> None:
    """Take one event of the sampler, heard ``t`` seconds after the start signal (< 0: before it).

    Raises ValueError for one that has not the agreed shape.
    """
    kind = event["event"]
    try:
        if kind == "inventory":
            telemetry.driver, telemetry.devices = event["driver"], dict(event["devices"])
        elif kind == "telemetry" and t >= 0:
            for key, values in event["devices"].items():
                kept = telemetry.samples.setdefault(key, [])
                thinning.keep(kept, {"t": round(t, 2), **values})
        elif kind == "processes":
            _take_processes(telemetry, event["devices"], t)
        elif kind == "kernel_log":
            telemetry.kernel_log += [str(line) for line in event["lines"]]
            telemetry.kernel_log_absent = telemetry.kernel_log_absent or str(event["absent"])
            telemetry.kernel_log_whole = telemetry.kernel_log_whole or bool(event["whole"])
        elif kind == "final":
            telemetry.final = dict(event["counters"])
        elif kind == "fatal":
            telemetry.failure = str(event["detail"])
            telemetry.no_library = event["kind"] == "library"
        elif kind != "telemetry":
            raise ValueError("the event %r instead of a sample" % kind)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("a %s event without %s" % (kind, error)) from None


def _take_processes(telemetry: Telemetry, devices: dict[str, Any], t: float) -> None:
    """Each process once, with the most memory it was seen to hold and when it came."""
    for key, listed in devices.items():
        known = telemetry.processes.setdefault(key, {})
        for pid, name, used in listed:
            first = known.setdefault(int(pid), {"name": name, "bytes": 0, "since": round(t, 2)})
            first["bytes"] = max(first["bytes"], used or 0)
            first["name"] = first["name"] or name


def key_of(burn: Burn, run: DeviceRun) -> str:
    """The sampler's key of a device: its bare UUID, found by PCI address where torch tells none."""
    if burn.backend == "cpu":
        return "cpu"
    uuid = bare_uuid(run.uuid or "")
    if uuid in burn.telemetry.devices:
        return uuid
    bus = run.ready.get("bus")
    return next((k for k, d in burn.telemetry.devices.items() if bus and d.get("bus") == bus), "")


def samples_of(burn: Burn, run: DeviceRun) -> list[dict[str, float]]:
    """One device's telemetry samples."""
    return burn.telemetry.samples.get(key_of(burn, run), [])


def unread(
    burn: Burn, run: DeviceRun, identity: str, expected: str, what: str, answers: Sequence[str]
) -> Outcome:
    """The outcome of ``what``, which telemetry did not bring. ``answers``: why, by the device.

    Skipped where the device says that it has none of it, and without the library, which
    burn_in.telemetry warns of. A sampler that failed, hung or was silent is never skipped.
    """
    known = key_of(burn, run) in burn.telemetry.devices
    why = "; ".join(sorted(set(answers))) if known else ""
    has_none = bool(why) and all(HAS_NOT.search(answer) for answer in answers)
    why = why or burn.telemetry.failure or _silence(known)
    cause = "%s cannot be read: %s." % (what, why)
    if has_none or burn.telemetry.no_library or burn.backend not in TELLING:
        return Outcome(identity, STAGE, Result.SKIPPED, "not measured", expected, cause)
    remedy = (
        "Look whether the vendor's tool answers (`nvidia-smi -q`, `amd-smi metric`), and at "
        "`dmesg` for the driver's errors; mend that and burn in again."
    )
    return Outcome(identity, STAGE, Result.INCOMPLETE, "not measured", expected, cause, remedy)


def _silence(known: bool) -> str:
    return (
        "the burn-in ended before a sample"
        if known
        else "the device is not among those that telemetry shows"
    )


def reason_names(mask: int) -> str:
    """The set bits in words; bits that this table does not know in hex."""
    names = [name for bit, name in REASONS.items() if mask & bit]
    rest = mask & ~sum(REASONS)
    return ", ".join([*names, *(["0x%x" % rest] if rest else [])]) or "none"


def masks(samples: list[dict[str, float]]) -> int:
    """All clocks-event reasons that any sample showed, as one mask."""
    mask = 0
    for sample in samples:
        mask |= int(sample.get("reasons", 0))
    return mask
