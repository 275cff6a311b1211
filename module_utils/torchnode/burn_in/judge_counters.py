"""Memory errors, links and the driver's own advice, before against after, judged. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..outcome import Outcome, Result
from . import counted
from .counted import Counted
from .judging import STAGE
from .records import Burn, DeviceRun

ERRORS = (
    "ecc_uncorrected", "ecc_corrected", "sram_uncorrected", "sram_threshold",
    "remapped_correctable", "remapped_uncorrectable", "remap_pending", "remap_failed",
    "retired_pending",
)  # fmt: skip
LINKS = ("links_up", "link_errors", "pcie_replays", "fabric_state", "fabric_status",
         "fabric_health")  # fmt: skip

#: More uncorrectable errors in SRAM than this over a part's life are evidence for a replacement:
#: https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/, 2026-11-23.
SRAM_LIFETIME = 4

#: PCIe replays a minute above which a link is bad: DCGM's DCGM_LIMIT_MAX_PCIREPLAY_RATE,
#: https://github.com/NVIDIA/DCGM, 2026-11-23.
REPLAYS_A_MINUTE = 8


@dataclass(frozen=True)
class Violation:
    """A limit that held the clock down: its time counter, ns, and the ``share`` that warns."""

    name: str
    limit: str
    share: float  # of the burn-in's time
    cause: str
    remedy: str


#: Time that a limit held the clocks below those that programs may ask for, which counters see
#: between two samples: https://docs.nvidia.com/deploy/nvml-api/api/structnvmlViolationTime__t.html,
#: 2026-11-30. The share is a second in a hundred: torchnode's own, above chance and short peaks.
#: At the power cap a sound part is most of the time, so its counter is shown and not judged.
VIOLATIONS = (
    Violation(
        "violation_thermal", "heat", 0.01,
        "Heat held the clock down for %s of the burn-in's %g s.",
        "Check fans, air flow or coolant and the heat sink's seat; then burn in again.",
    ),
    Violation(
        "violation_board_limit", "the board's own limit", 0.01,
        "The board's own limit held the clock down for %s of the burn-in's %g s.",
        "Look at the power cables, the supplies and the limits of slot and chassis; then burn in "
        "again. If neighbours of the same part do not show it, have the board looked at.",
    ),
)  # fmt: skip
SHOWN = ("violation_power", *(rule.name for rule in VIOLATIONS))

_EVIDENCE = (
    "Take the node out of service. This outcome is evidence for a replacement: hand it in with the "
    "output of nvidia-bug-report.sh."
)
_RESET = (
    "Take the node out of service, reset the device and burn in again; have it replaced if the "
    "errors come back."
)

#: What the driver says should be done, by NVML_GPU_RECOVERY_ACTION_*.
RECOVERY = {
    1: "reset the device (`nvidia-smi -r -i N`)",
    2: "restart the node",
    3: "end what uses its links to other devices",
    4: "drain the node, then reset the device",
    5: "recover the IMEX domain",
    6: "reset the device's bus",
    7: "restart the whole system",
}

#: Two bits each of the fabric's health mask, 1 for true: NVML_GPU_FABRIC_HEALTH_MASK_*.
FABRIC_HEALTH = {
    0: (Result.FAIL, "its bandwidth is degraded"),
    2: (Result.WARN, "its routes are being recovered"),
    4: (Result.FAIL, "its routes are unhealthy"),
    6: (Result.WARN, "it recovers from an access timeout"),
}


def errors(burn: Burn, run: DeviceRun) -> Outcome:
    """ECC errors, remapped rows and retired pages."""
    identity = "burn_in.error_counters." + run.name
    expected = "no uncorrected error, no failed or pending repair"
    seen = counted.of(burn, run, identity, expected, ERRORS)
    if isinstance(seen, Outcome):
        return seen
    for found, result, cause, remedy in _errors(seen):
        if found:
            return Outcome(identity, STAGE, result, seen.words(), expected, cause, remedy)
    return Outcome(identity, STAGE, Result.PASS, seen.words(), expected)


def _errors(seen: Counted) -> list[tuple[int, Result, str, str]]:
    """(how many, result, cause, remedy), the gravest first."""
    uncorrected = seen.rise("ecc_uncorrected") or seen.rise("remapped_uncorrectable")
    return [
        (seen.latest("remap_failed"), Result.FAIL,
         "The device has no spare rows left to replace a bad one.", _EVIDENCE),
        (seen.latest("sram_threshold"), Result.FAIL,
         "The device says that its on-chip memory has had more errors than it should.", _EVIDENCE),
        (seen.latest("sram_uncorrected") > SRAM_LIFETIME, Result.FAIL,
         "The on-chip memory has had more than %d uncorrectable errors." % SRAM_LIFETIME,
         _EVIDENCE),
        (uncorrected or seen.rise("sram_uncorrected"), Result.FAIL,
         "The device's memory had uncorrectable errors during the burn-in.", _RESET),
        (seen.latest("remap_pending") or seen.latest("retired_pending"), Result.WARN,
         "A bad part of the memory will be replaced by a spare one at the next reset.",
         "Reset the device (`nvidia-smi -r` with nothing running) or restart the node."),
        (seen.latest("ecc_uncorrected"), Result.WARN,
         "The device had uncorrectable memory errors before this burn-in.",
         "Reset the device (`nvidia-smi -r` with nothing running) or restart the node."),
    ]  # fmt: skip


def links(burn: Burn, run: DeviceRun) -> Outcome:
    """NVLinks, the fabric behind them, and the PCIe link: up as before, and without errors."""
    identity = "burn_in.link_errors." + run.name
    expected = "every link up as before, no errors on it, the fabric ready"
    seen = counted.of(burn, run, identity, expected, LINKS)
    if isinstance(seen, Outcome):
        return seen
    for found, result, cause, remedy in _links(burn, seen):
        if found:
            return Outcome(identity, STAGE, result, seen.words(), expected, cause, remedy)
    return Outcome(identity, STAGE, Result.PASS, seen.words(), expected)


def _links(burn: Burn, seen: Counted) -> list[tuple[bool, Result, str, str]]:
    lost = seen.before.get("links_up", 0) - seen.latest("links_up")
    state, minutes = seen.latest("fabric_state"), max(1.0, burn.seconds / 60)
    health = [
        (seen.latest("fabric_health") >> shift & 3 == 1, result,
         "Of the NVLink fabric: %s." % words,
         "Read the fabric manager's log on the NVSwitch system, and `nvidia-smi -q -d FABRIC`.")
        for shift, (result, words) in FABRIC_HEALTH.items()
    ]  # fmt: skip
    return [
        (lost > 0, Result.FAIL, "%d NVLink(s) went down during the burn-in." % lost,
         "Read `nvidia-smi nvlink --status` and `dmesg` for Xid 74; reset the device, and have "
         "board or device replaced if a link goes down again."),
        (state in (1, 2), Result.FAIL, "The device is not registered with the NVLink fabric.",
         "Start nvidia-fabricmanager of the driver's own version and look at its log."),
        (state == 3 and seen.latest("fabric_status") != 0, Result.FAIL,
         "The NVLink fabric refused the device (NVML status %d)." % seen.latest("fabric_status"),
         "Read the log of nvidia-fabricmanager, and `nvidia-smi -q -d FABRIC`."),
        *health,
        (seen.rise("link_errors") > 0, Result.WARN,
         "NVLinks had %d errors that they corrected." % seen.rise("link_errors"),
         "Burn in again; if they come back, have the link's board or device looked at."),
        (seen.rise("pcie_replays") > REPLAYS_A_MINUTE * minutes, Result.WARN,
         "The PCIe link had to send again %d times, more than %d a minute."
         % (seen.rise("pcie_replays"), REPLAYS_A_MINUTE),
         "Look at the device's seat, riser and slot, and burn in again."),
    ]  # fmt: skip


def recovery(burn: Burn, run: DeviceRun) -> Outcome:
    """What the driver says should be done about the device."""
    identity, expected = "burn_in.recovery_action." + run.name, "nothing to be done"
    seen = counted.of(burn, run, identity, expected, ("recovery_action",))
    if isinstance(seen, Outcome):
        return seen
    action = seen.latest("recovery_action")
    if not action:
        return Outcome(identity, STAGE, Result.PASS, "none", expected)
    words = RECOVERY.get(action, "action %d of NVML's list" % action)
    return Outcome(
        identity,
        STAGE,
        Result.FAIL,
        observed=words,
        expected=expected,
        cause="The driver says that the device has to be recovered.",
        remedy="Drain the node and %s; then burn in again." % words,
    )


def violations(burn: Burn, run: DeviceRun) -> Outcome:
    """For how long limits held the clock down; a limit whose counter is not there is named."""
    identity = "burn_in.violations." + run.name
    listed = ("%s for at most %g %%" % (r.limit, 100 * r.share) for r in VIOLATIONS)
    expected = "clock held down by %s of the time" % ", by ".join(listed)
    seen = counted.of(burn, run, identity, expected, SHOWN)
    if isinstance(seen, Outcome):
        return seen
    observed = seen.words(_seconds)
    for rule in VIOLATIONS:
        if seen.rise(rule.name) > rule.share * burn.seconds * 1e9:
            cause = rule.cause % (_seconds(seen.rise(rule.name)), burn.seconds)
            return Outcome(identity, STAGE, Result.WARN, observed, expected, cause, rule.remedy)
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _seconds(nanoseconds: int) -> str:
    return "%.3f s" % (nanoseconds / 1e9)
