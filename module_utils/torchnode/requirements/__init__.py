"""The requirement profile held against what the probe saw. Pure.

``judge`` makes the outcomes of the verify stage; ``read_minima`` and ``choose`` check what the
operator gave before anything runs.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from ..data.profiles import PROBED_PACKAGES, PROFILES, STACK_PARTS, WORKLOADS, Profile, Workload
from ..model import Facts, Stack, from_data
from ..outcome import Outcome, Result, worst
from ..probe_report import ProbeReport
from .backend import judge_backend
from .devices import judge_devices
from .software import judge_software
from .subject import Subject

R = TypeVar("R")

__all__ = [
    "Subject",
    "choose",
    "headline",
    "imports",
    "judge",
    "not_yet",
    "packages",
    "read_minima",
    "read_subject",
    "summary",
]


def judge(subject: Subject) -> List[Outcome]:
    """Every outcome of the verify stage, in the order in which they build on one another."""
    return [*judge_software(subject), *judge_backend(subject), *judge_devices(subject)]


def read_subject(given: Mapping[str, Any]) -> Subject:
    """The module's parameters as a subject of which nothing has been seen yet.

    ValueError names the parameter that cannot be used, what was found and what was expected.
    """
    if given["timeout"] < 1:
        raise ValueError("timeout: found %d; expected at least 1 second." % given["timeout"])
    profile, workload = choose(given["profile"], given["workload"])
    return Subject(
        profile=profile,
        workload=workload,
        report=ProbeReport(),
        stack=_record("stack", Stack, given["stack"]),
        facts=_record("facts", Facts, given["facts"]),
        minima=read_minima(given["requirements"]),
        python=given["python"],
    )


def _record(parameter: str, kind: Type[R], given: Any) -> Optional[R]:
    try:
        return from_data(kind, given) if given else None
    except (TypeError, AttributeError, ValueError) as problem:
        raise ValueError(
            "%s: found something else than torchnode's own stage returns: %s" % (parameter, problem)
        ) from problem


def choose(profile: str, workload: str) -> Tuple[Profile, Workload]:
    """The rows of that name. ValueError names the parameter and what it may be."""
    if profile not in PROFILES:
        raise ValueError(_unknown("profile", profile, PROFILES))
    if workload not in WORKLOADS:
        raise ValueError(_unknown("workload", workload, WORKLOADS))
    return PROFILES[profile], WORKLOADS[workload]


def read_minima(given: Mapping[str, Any]) -> Dict[str, str]:
    """The operator's minima ({'torch': '>=2.20'}) as plain versions.

    ValueError names the key of an entry that is unknown or is no minimum version.
    """
    known = (*PROBED_PACKAGES, *STACK_PARTS)
    minima = {}
    for key, value in given.items():
        if key not in known:
            raise ValueError(_unknown("requirements", str(key), known))
        match = re.fullmatch(r"\s*(?:>=)?\s*(\d+(?:\.\d+)*)\s*", str(value))
        if match is None:
            raise ValueError(
                "requirements.%s: found %r; expected a minimum version such as '>=2.6'. "
                "Write one minimum; upper bounds and lists are not supported." % (key, value)
            )
        minima[key] = match.group(1)
    return minima


def packages(workload: Workload) -> Tuple[str, ...]:
    """The distributions whose versions the probe has to tell."""
    return tuple(dict.fromkeys((*PROBED_PACKAGES, *workload.packages)))


def imports(workload: Workload) -> Tuple[str, ...]:
    """The modules that the probe has to import besides torch."""
    return ("accelerate", "transformers", *workload.packages)


def headline(outcomes: Sequence[Outcome]) -> str:
    """The worst outcome with its cause and remedy, in one line."""
    first = worst(outcomes)
    if first is None:
        return "verify: nothing was checked"
    seen = "%s: %s." % (first.id, first.observed.rstrip(".") or first.result.value)
    return " ".join(part for part in (seen, first.cause, first.remedy) if part)


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many checks ended how, in one line."""
    count = Counter(outcome.result.value for outcome in outcomes)
    told = ["%d %s" % (count[r.value], r.value) for r in Result if count[r.value]]
    return "verify: " + ", ".join(told)


def not_yet(python: str) -> Outcome:
    """The one outcome of a dry run before the interpreter exists."""
    why = "%s does not exist yet: verified after apply." % python
    return Outcome("verify.environment", "verify", Result.SKIPPED, cause=why, required=False)


def _unknown(parameter: str, found: str, known: Any) -> str:
    return "%s: found %r; expected one of %s." % (parameter, found, ", ".join(sorted(known)))
