"""What must hold before a node's system packages are touched. Pure."""

from __future__ import annotations

import re
from typing import List, Sequence

from . import nvidia_packages
from .data.compatibility import SIGNS_SINCE
from .data.nvidia_packages import NVIDIA_REPOSITORIES
from .host_plan import DRIVER, driver_wish
from .model import Facts, Stack, Step
from .outcome import Outcome, Result
from .package_model import HostPlan, HostSoftware
from .package_versions import upstream


def host_preflight(facts: Facts, stack: Stack, steps: Sequence[Step]) -> List[Outcome]:
    """Outcomes about the system's packages; nothing to touch needs nothing."""
    own = [step for step in steps if step.component in _components(stack) and not step.operator]
    if not own or stack.host is None:
        return []
    outcomes = [_root_outcome(facts)]
    if any(step.component == DRIVER for step in own):
        outcomes += [*_dkms_outcomes(facts, stack), *_signing_outcomes(facts, stack.host)]
    return outcomes


def _dkms_outcomes(facts: Facts, stack: Stack) -> List[Outcome]:
    """Enterprise Linux itself has no dkms, which builds the modules, and EPEL is never added."""
    wish, host = driver_wish(stack), facts.host or HostSoftware()
    row = nvidia_packages.package_system(facts.system)
    if not row.dkms_minimum or wish is None or not any(map(_builds, wish.packages)):
        return []
    expected = "dkms %s or later, installed or in an enabled source" % row.dkms_minimum
    there = [version for version in (upstream(host.dkms), host.dkms_offered) if version]
    if any(_numbers(version) >= _numbers(row.dkms_minimum) for version in there):
        return [Outcome("preflight.dkms", "resolve", Result.PASS, ", ".join(there), expected)]
    found = " and ".join(there) or "none"
    unknown = _why_unknown(stack, host)
    if unknown:
        return [Outcome(
            "preflight.dkms", "resolve", Result.SKIPPED, "%s; %s" % (found, unknown), expected,
            remedy="The transaction is tried before anything changes, and shows it.",
            required=False,
        )]  # fmt: skip
    return [Outcome(
        "preflight.dkms", "resolve", Result.FAIL, found, expected,
        cause="dkms builds the driver's kernel modules, and no source that is enabled has it.",
        remedy="%s torchnode adds no repository but NVIDIA's." % row.dkms_from,
    )]  # fmt: skip


def _why_unknown(stack: Stack, host: HostSoftware) -> str:
    """Why nobody knows yet whether dkms is to be had, '' where it is known."""
    if host.dkms_offered is None:
        return "dnf did not say what its sources have"
    sources = stack.host.sources if stack.host else ()
    mirrors = [s.uri for s in sources if s.uri and not s.uri.startswith(NVIDIA_REPOSITORIES)]
    return "%s may have it" % mirrors[0] if mirrors else ""


def _builds(package: str) -> bool:
    return package.endswith("-dkms")


def _numbers(version: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _signing_outcomes(facts: Facts, plan: HostPlan) -> List[Outcome]:
    """Where Secure Boot is on, a module that DKMS built loads only when it is signed."""
    signs = bool(plan.signing_key and plan.signing_certificate)
    found = [_dkms_that_signs(facts)] if signs else []
    if not facts.system.secure_boot:
        return found
    return [*found, *(_enrolled(facts, plan) if signs else [_no_key()])]


_KEY_EXPECTED = "a key that signs the modules, enrolled on this machine"
_ENROL = (
    "Enrol the certificate with `mokutil --import` and a reboot at the console, where the firmware "
    "asks for the password that was given then."
)


def _no_key() -> Outcome:
    return Outcome(
        "preflight.secure_boot", "resolve", Result.FAIL, "Secure Boot is on, and no key is named",
        _KEY_EXPECTED,
        cause="The kernel refuses modules that are not signed: the driver would not load.",
        remedy="Make a key (openssl req -new -x509 -newkey rsa:2048 -nodes -outform DER) and name "
        "it and its certificate in torchnode_secure_boot_key and "
        "torchnode_secure_boot_certificate. %s Or turn Secure Boot off in the firmware. On Ubuntu "
        "the distribution's own signed modules (`ubuntu-drivers install --gpgpu`) need no key: "
        "torchnode leaves such a driver as it is." % _ENROL,
    )  # fmt: skip


def _enrolled(facts: Facts, plan: HostPlan) -> List[Outcome]:
    host = facts.host or HostSoftware()
    named = "Secure Boot is on, modules are signed with %s" % plan.signing_key
    outcome = Outcome("preflight.secure_boot", "resolve", Result.PASS, named, _KEY_EXPECTED)
    if host.enrolled is False:
        outcome = Outcome(
            "preflight.secure_boot", "resolve", Result.FAIL,
            "%s is not enrolled" % plan.signing_certificate, _KEY_EXPECTED,
            cause="The firmware does not know the certificate yet: the driver would not load.",
            remedy=_ENROL,
        )  # fmt: skip
    elif host.enrolled is None:
        outcome = Outcome(
            "preflight.secure_boot", "resolve", Result.SKIPPED,
            named + "; whether it is enrolled could not be asked", _KEY_EXPECTED,
            cause="mokutil is not there, or gave no answer.",
            remedy="Install mokutil. Whether the module loads is judged after it is built.",
            required=False,
        )  # fmt: skip
    return [outcome]


def _dkms_that_signs(facts: Facts) -> Outcome:
    """DKMS takes the key that signs from its settings since 3.0.4."""
    host, row = facts.host or HostSoftware(), nvidia_packages.package_system(facts.system)
    # Where it is not there yet, the system's own comes with the driver.
    found = upstream(host.dkms) or (host.dkms_offered or "") or row.dkms
    least = ".".join(str(number) for number in SIGNS_SINCE)
    expected = "dkms %s or later, which takes the key from its settings" % least
    if not found:
        return Outcome(
            "preflight.dkms_signs", "resolve", Result.SKIPPED, "no dkms yet", expected,
            required=False,
        )  # fmt: skip
    if tuple(_numbers(found)[: len(SIGNS_SINCE)]) >= SIGNS_SINCE:
        return Outcome("preflight.dkms_signs", "resolve", Result.PASS, found, expected)
    return Outcome(
        "preflight.dkms_signs", "resolve", Result.FAIL, "dkms " + found, expected,
        cause="This dkms signs with a key of its own, which no firmware knows.",
        remedy="Install a newer dkms; or leave torchnode_secure_boot_key empty, and install the "
        "distribution's own signed modules (on Ubuntu `ubuntu-drivers install --gpgpu`), which "
        "torchnode leaves as they are.",
    )  # fmt: skip


def _components(stack: Stack) -> List[str]:
    return [wish.component for wish in stack.host.wishes] if stack.host else []


def _root_outcome(facts: Facts) -> Outcome:
    expected = "root, who may install packages"
    if facts.user.uid == 0:
        return Outcome("preflight.root", "resolve", Result.PASS, facts.user.name, expected)
    return Outcome(
        "preflight.root", "resolve", Result.FAIL, facts.user.name, expected,
        cause="The plan installs packages of the system, and this user may not.",
        remedy="Set become: true for this node (in group_vars: ansible_become: true), or leave the "
        "driver as it is with torchnode_nvidia_source: preinstalled.",
    )  # fmt: skip
