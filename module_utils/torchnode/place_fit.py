"""The node's paths that a plan needs, judged before the first change. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Mapping, Sequence

from .model import Facts, Place, Step
from .outcome import Outcome, Result


@dataclass(frozen=True)
class _Need:
    """What a variable's path has to be, why, and what to do where it is not.

    ``component`` is the one whose step needs it, '' where every step does.
    """

    check: str
    expected: str
    cause: str
    remedy: str
    component: str = ""


_NEEDS: Mapping[str, _Need] = {
    "torchnode_prefix": _Need(
        "prefix",
        "a folder that this user may write, or can make",
        "The stack, the node's lock and its record lie below torchnode_prefix.",
        "Point torchnode_prefix to a folder that this user may write, or run as a user who may "
        "write there (become).",
    ),
    "torchnode_facts_folder": _Need(
        "facts_folder",
        "a folder that this user may write, or can make",
        "The node's verdict is written into torchnode_facts_folder, for Ansible to read as a "
        "local fact.",
        "Point torchnode_facts_folder to a folder that this user may write, or run as a user who "
        "may write there (become).",
    ),
    "torchnode_find_links": _Need(
        "find_links",
        "folders on the node that this user may read",
        "The stack's wheels are to come from torchnode_find_links, which names folders on the "
        "node, not on the controller.",
        "Put the folder there or mount it, or correct torchnode_find_links.",
        "python_stack",
    ),
    "torchnode_ca_bundle": _Need(
        "ca_bundle",
        "a file on the node that this user may read",
        "Without the CA bundle that torchnode_ca_bundle names, no certificate of an index can be "
        "checked. It is a path on the node, not on the controller.",
        "Put the file there, or correct torchnode_ca_bundle.",
        "python_stack",
    ),
    "torchnode_secure_boot_key": _Need(
        "secure_boot_key",
        "a file on the node that root may read",
        "DKMS signs kernel modules with this key on the node; from a path that is not there it "
        "would make a key of its own, which no firmware knows.",
        "Bring the key to the node, readable by root alone, or correct torchnode_secure_boot_key.",
        "nvidia_driver",
    ),
    "torchnode_secure_boot_certificate": _Need(
        "secure_boot_certificate",
        "a file on the node that root may read",
        "DKMS signs kernel modules with the key of this certificate on the node.",
        "Bring the certificate to the node, or correct torchnode_secure_boot_certificate.",
        "nvidia_driver",
    ),
}


def place_outcomes(facts: Facts, steps: Sequence[Step]) -> List[Outcome]:
    """One outcome for each variable whose paths one of the steps needs."""
    components = {step.component for step in steps}
    outcomes = []
    for variable, need in _NEEDS.items():
        places = [place for place in facts.places if place.variable == variable]
        if places and (need.component in components if need.component else steps):
            outcomes.append(_outcome(variable, need, places))
    return outcomes


def _outcome(variable: str, need: _Need, places: Sequence[Place]) -> Outcome:
    check = "preflight." + need.check
    problems = "; ".join(place.problem for place in places if place.problem)
    if problems:
        return Outcome(
            check, "resolve", Result.FAIL, "%s: %s" % (variable, problems), need.expected,
            need.cause, need.remedy,
        )  # fmt: skip
    observed = ", ".join(place.path for place in places)
    return Outcome(check, "resolve", Result.PASS, observed, need.expected)
