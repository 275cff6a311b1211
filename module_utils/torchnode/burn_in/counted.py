"""Counters and states of one device, before a burn-in and after it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

from ..outcome import Outcome, Result
from .judging import STAGE
from .records import Burn, DeviceRun
from .telemetry import key_of, unread


@dataclass(frozen=True)
class Counted:
    """Numbers by name, before and after, and why others are absent."""

    before: dict[str, int]
    after: dict[str, int]
    absent: dict[str, str]

    def rise(self, name: str) -> int:
        """By how much a counter has risen; 0 where it is not there. One that fell was reset."""
        return max(0, self.latest(name) - self.before.get(name, 0))

    def latest(self, name: str) -> int:
        """A number as it stands after the burn-in; 0 where it is not there."""
        return self.after.get(name, 0)

    def words(self, unit: Callable[[int], str] = str) -> str:
        """'ecc_uncorrected 0 -> 1, remap_failed 0'."""
        parts = [
            "%s %s" % (name, unit(was))
            + ("" if self.after[name] == was else " -> %s" % unit(self.after[name]))
            for name, was in sorted(self.before.items())
        ]
        missing = ["%s: %s" % item for item in sorted(self.absent.items())]
        return ", ".join(parts) + ("; not measured: %s" % "; ".join(missing) if missing else "")


def of(
    burn: Burn, run: DeviceRun, identity: str, expected: str, names: Sequence[str]
) -> Counted | Outcome:
    """The named numbers of a device; the outcome instead where there are none, or no longer.

    Not supported is skipped; what answered before the burn-in and not after it is incomplete.
    """
    key = key_of(burn, run)
    device = burn.telemetry.devices.get(key, {})
    before = {n: v for n, v in (device.get("counters") or {}).items() if n in names}
    absent = dict(device.get("counters_absent") or {})
    if not before:
        # A backend's reader may know nothing of them, which is no failure to read.
        answers = [absent[name] for name in names if name in absent] or list(absent.values())
        answers = answers or ["not supported on %s" % burn.backend]
        return unread(burn, run, identity, expected, "The counters", answers)
    after = (burn.telemetry.final or {}).get(key) or {}
    gone = sorted(set(before) - set(after))
    if gone:
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="not readable after the burn-in: %s" % ", ".join(gone),
            expected=expected,
            cause="The counters answered before the burn-in and not after it (%s)."
            % (burn.telemetry.failure or "no reason given"),
            remedy="Run `nvidia-smi -q`; if it does not answer, reset the device. Then burn in "
            "again.",
        )
    kept = {name: after[name] for name in before}
    return Counted(before, kept, {n: why for n, why in absent.items() if n in names})
