"""Why torch cannot use the devices, as far as hardware, driver and torch tell it apart. Pure."""

from __future__ import annotations

from typing import Sequence, Tuple

from .evidence import Rule, Values, gather
from .subject import Subject


def diagnose(subject: Subject, nodes: str, rules: Sequence[Rule]) -> Tuple[str, Values]:
    """(cause id, its values) for a torch that cannot use its devices.

    The first rule that applies names the cause; a rule's name is the cause's id. ``rules`` stand in
    the order in which a repair has to be made: hardware, wheel, driver, rights, environment.
    ``nodes`` is the form of the backend's device nodes.
    """
    evidence = gather(subject, nodes)
    for rule in rules:
        values = rule(evidence)
        if values is not None:
            return rule.__name__, values
    told, errors = subject.section("backend"), subject.report.errors
    said = [
        told.get("init_error"),
        *told.get("warnings", []),
        errors.get("plugin"),
        errors.get("backend"),
    ]
    return "unavailable_unknown", {"text": "; ".join(s for s in said if s) or "nothing"}
