"""What a burn-in leaves in the node's record, and when it counts in a later run.

Pure: the clock is an argument. The part of ``record.json`` says what was burned, with which
result, and until when it counts; the samples lie in ``burn_in.json`` beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .burn_in import fleet
from .burn_in.levels import LEVELS, order
from .outcome import Outcome, Result, Stage, fold, worst
from .records import REUSED, REUSED_BY_VERIFY, TASK_FAILED, differing, seconds_of, timestamp

_GOOD = (Result.PASS.value, Result.WARN.value)


@dataclass(frozen=True)
class Wanted:
    """The burn-in that a run asks for: ``seconds`` of work, ``stages`` in their order.

    ``memory_fraction``: the share of the free memory that the memory stage tests.
    """

    level: str
    seconds: float
    stages: Tuple[str, ...]
    memory_fraction: float


def wanted(
    level: str, seconds: float, stages: Sequence[str], devices: int, memory_fraction: float
) -> Optional[Wanted]:
    """What the variables ask for on a node with so many devices; None for an unknown level."""
    known = LEVELS.get(level)
    if known is None:
        return None
    own_seconds = float(seconds or known.seconds)
    return Wanted(level, own_seconds, order(stages, devices), memory_fraction)


def part(
    outcomes: Sequence[Outcome],
    burned: Optional[Mapping[str, Any]],
    asked: Optional[Mapping[str, Any]],
    previous: Optional[Mapping[str, Any]],
    of: Mapping[str, Any],
    now: float,
    days: float,
) -> Optional[Dict[str, Any]]:  # fmt: skip
    """The record's burn-in part: this run's, or where nothing was burned what an earlier one left.

    ``burned`` is the module's summary, ``asked`` a :class:`Wanted` as data. A burn-in that began
    and could not measure replaces an earlier one: a device that is getting worse looks like this.
    """
    if not burned or burned.get("injected"):
        earlier = (previous or {}).get("burn_in")
        return dict(earlier) if isinstance(earlier, Mapping) else None
    told = _measured(outcomes)
    first = worst(told)
    bad = first is not None and first.result is not Result.PASS
    return {
        "at": timestamp(now),
        "expires": timestamp(now + days * 86400),
        "result": fold(told).value,
        "reason": "%s: %s" % (first.id, first.observed) if first and bad else "",
        "of": dict(of),
        "level": burned.get("level"),
        "seconds": (asked or {}).get("seconds"),
        "stages": list(burned.get("stages") or ()),
        "memory_fraction": burned.get("memory_fraction"),
        "torch": burned.get("torch"),
        "driver": burned.get("driver"),
        "figures": fleet.essence(burned),
    }


def _measured(outcomes: Sequence[Outcome]) -> List[Outcome]:
    """What the burn-in itself has to say; not what failed around it, nor what it left out."""
    own = [o for o in outcomes if o.stage == Stage.BURN_IN.value]
    return [o for o in own if o.id != TASK_FAILED and o.result is not Result.SKIPPED]


def stale(given: Any, of: Mapping[str, Any], now: float) -> str:
    """Why a burn-in record says nothing about this node as it is now, or ''."""
    if not isinstance(given, Mapping) or not {"at", "result"} <= set(given):
        return "never burned in"
    if given["result"] == Result.INCOMPLETE.value:
        return "the burn-in of %s did not measure all: %s" % (given["at"], given.get("reason"))
    then = given.get("of")
    if not isinstance(then, Mapping) or differing(then, of):
        return "burned in with another driver, stack or hardware"
    try:
        expired = now > seconds_of(str(given.get("expires")))
    except ValueError:
        return "its expiry is unreadable"
    return "expired on %s" % given["expires"] if expired else ""


def insufficient(
    given: Any, of: Mapping[str, Any], asked: Optional[Wanted], torch: str, now: float
) -> str:
    """Why a record does not stand for the burn-in that is asked for, or ''.

    ``torch`` is the version that answered in this run, '' where none was asked: an adopted
    environment may have changed under the same path.
    """
    why = stale(given, of, now)
    if why or asked is None:
        return why or "its level is not known"
    if given["result"] not in _GOOD:
        return "the burn-in of %s failed: %s" % (given["at"], given.get("reason"))
    if torch and given.get("torch") != torch:
        return "burned in with torch %s, not %s" % (given.get("torch"), torch)
    return _less(given, asked)


def _less(given: Mapping[str, Any], asked: Wanted) -> str:
    """How the recorded burn-in was less than the one that is asked for, or ''."""
    levels, level = list(LEVELS), given.get("level")
    if level not in levels or levels.index(level) < levels.index(asked.level):
        return "burned in at level %s, not %s" % (level, asked.level)
    missing = [stage for stage in asked.stages if stage not in (given.get("stages") or ())]
    if missing:
        return "burned in without %s" % ", ".join(missing)
    seconds = given.get("seconds") or 0
    if seconds < asked.seconds:
        return "burned in for %g s, not %g s" % (seconds, asked.seconds)
    share = given.get("memory_fraction") or 0
    if "memory" in asked.stages and share < asked.memory_fraction:
        words = "burned in with %g %% of the free memory, not %g %%"
        return words % (100 * share, 100 * asked.memory_fraction)
    return ""


def reused(given: Mapping[str, Any]) -> Outcome:
    """A record that stands for this run's burn-in."""
    warned = given["result"] == Result.WARN.value
    return Outcome(
        REUSED, Stage.BURN_IN.value, Result.WARN if warned else Result.PASS,
        observed="burned in on %s, record reused: level %s, %g s of %s"
        % (given["at"], given["level"], given["seconds"], ", ".join(_stages(given))),
        expected="a burn-in, or a fresh record of one",
        cause="That burn-in passed with a warning: %s." % given.get("reason") if warned else "",
        remedy=_FORCE if warned else "",
    )  # fmt: skip


def _stages(given: Mapping[str, Any]) -> List[str]:
    """The recorded stages; memory with how much of it, where that was recorded."""
    share = given.get("memory_fraction")
    if not share:
        return list(given["stages"])
    how_much = {"memory": "memory (at most %g %% of what was free)" % (100 * share)}
    return [how_much.get(stage, stage) for stage in given["stages"]]


_FORCE = (
    "Mend what it warned of, then burn in anew: playbooks/burn_in.yml, or site.yml with "
    "-e torchnode_burn_in_force=true."
)


def not_reused(why: str) -> Outcome:
    """Why the node is burned in anew."""
    return Outcome(
        REUSED, Stage.BURN_IN.value, Result.SKIPPED,
        observed=why, expected="a fresh record of a burn-in like the one asked for",
        cause="No record stands for this run's burn-in, so the node is burned in.",
        required=False,
    )  # fmt: skip


def of_verify(given: Any, of: Mapping[str, Any], now: float) -> Outcome:
    """What an earlier burn-in still says in a run without one; skipped where it says nothing."""
    why = stale(given, of, now)
    if why:
        return Outcome(
            REUSED_BY_VERIFY, "report", Result.SKIPPED, observed=why,
            expected="a fresh burn-in record", required=False,
        )  # fmt: skip
    result = Result(given["result"])
    cause, remedy = "", ""
    if result is Result.FAIL:
        cause = "The last burn-in of this hardware with this stack did not pass."
        remedy = "Run playbooks/burn_in.yml after the hardware was repaired."
    elif result is Result.WARN:
        cause = "The last burn-in of this hardware passed with a warning: %s." % given.get("reason")
        remedy = _FORCE
    return Outcome(
        REUSED_BY_VERIFY, "report", result,
        observed="%s on %s" % (given["result"], given["at"]),
        expected="a fresh burn-in record that passed",
        cause=cause, remedy=remedy, required=False,
    )  # fmt: skip
