"""How a device is set up, as far as that bears on what a burn-in proves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping

from ..outcome import Outcome, Result
from .judging import STAGE
from .records import Burn, DeviceRun
from .telemetry import key_of, samples_of, unread

#: Watts by which the enforced limit may be below the part's default: both are told in whole ones.
POWER_MARGIN = 1.0


@dataclass(frozen=True)
class Rule:
    """One setting: it warns where ``bad``, which is asked only when all ``fields`` are known."""

    fields: tuple[str, ...]
    bad: Callable[[Mapping[str, Any]], bool]
    when: str  # the condition, for the page of rules
    cause: str
    remedy: str


#: A damaged InfoROM is a warning to DCGM too: modules/health/DcgmHealthWatch.cpp in
#: https://github.com/NVIDIA/DCGM at 72fa3fe, 2026-11-29.
RULES = (
    Rule(
        ("inforom",), lambda seen: not seen["inforom"],
        "the InfoROM's checksum is wrong",
        "The device's InfoROM is damaged: its settings and its error counts cannot be trusted.",
        "Hand the output of nvidia-bug-report.sh to the vendor: the InfoROM is to be written anew, "
        "or the device replaced.",
    ),
    Rule(
        ("ecc",), lambda seen: not seen["ecc"],
        "ECC is off",
        "ECC is switched off: memory errors are neither corrected nor counted.",
        "Switch it on (`nvidia-smi -i N -e 1`), restart the node and burn in again.",
    ),
    Rule(
        ("mig",), lambda seen: bool(seen["mig"]),
        "the device is divided (MIG)",
        "The device is divided (MIG), and a program sees one of its parts: the rest was not "
        "burned in.",
        "Switch MIG off (`nvidia-smi -i N -mig 0` with nothing running) and burn in again.",
    ),
    Rule(
        ("power_limit", "power_default"),
        lambda seen: seen["power_limit"] < seen["power_default"] - POWER_MARGIN,
        "the enforced power limit is below the part's default",
        "The device may not use the power that it is made for, so its full load was not proven.",
        "If nobody wants this, give it back (`nvidia-smi -i N -pl` with the default), look for a "
        "power cap in the firmware or a supply that is missing, and burn in again.",
    ),
)  # fmt: skip


def settings(burn: Burn, run: DeviceRun) -> Outcome:
    """ECC, InfoROM, MIG and the power limit; what the device does not tell is named."""
    identity = "burn_in.settings." + run.name
    expected = "; ".join("not: " + rule.when for rule in RULES)
    seen = _seen(burn, run)
    asked = [rule for rule in RULES if all(name in seen for name in rule.fields)]
    if not asked:
        answers = _answers(burn, run) or ["not supported on %s" % burn.backend]
        return unread(burn, run, identity, expected, "How the device is set up", answers)
    observed = ", ".join("%s %g" % item for item in sorted(seen.items()))
    absent = sorted({name for rule in RULES for name in rule.fields} - set(seen))
    observed += "; not told: %s" % ", ".join(absent) if absent else ""
    bad = [rule for rule in asked if rule.bad(seen)]
    if not bad:
        return Outcome(identity, STAGE, Result.PASS, observed, expected)
    cause, remedy = (" ".join(words) for words in zip(*((r.cause, r.remedy) for r in bad)))
    return Outcome(identity, STAGE, Result.WARN, observed, expected, cause, remedy)


def _answers(burn: Burn, run: DeviceRun) -> list[str]:
    """Why the device does not tell what is asked."""
    absent = burn.telemetry.devices.get(key_of(burn, run), {}).get("fixed_absent") or {}
    return [absent[name] for rule in RULES for name in rule.fields if name in absent]


def _seen(burn: Burn, run: DeviceRun) -> dict[str, Any]:
    device = burn.telemetry.devices.get(key_of(burn, run), {})
    names = {name for rule in RULES for name in rule.fields} | {"persistence"}
    seen = {name: device[name] for name in names if device.get(name) is not None}
    limits = [s["power_limit"] for s in samples_of(burn, run) if "power_limit" in s]
    return {**seen, **({"power_limit": min(limits)} if limits else {})}
