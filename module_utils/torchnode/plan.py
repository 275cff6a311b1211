"""Plan: facts against stack -> the missing steps in order, and what must hold first. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from .causes import explain
from .data.vendor_drivers import VENDOR_DRIVERS
from .device_fit import instance_outcomes
from .disk_fit import disk_outcomes
from .driver_choice import present_version
from .host_plan import host_steps
from .host_preflight import host_preflight
from .model import Facts, Stack, Step
from .outcome import Outcome, Result
from .place_fit import place_outcomes
from .requirements.backends.toolkit import cause_values, too_old
from .retention import superseded


def plan(facts: Facts, stack: Stack, keep: int = 2) -> Tuple[Step, ...]:
    """The steps that take the node from ``facts`` to ``stack``, in the order to make them.

    ``keep`` complete stacks stay on the node, the new one included.
    """
    python = _python_step(facts, stack)
    python = replace(python, removes=_removed(facts, stack, keep)) if python else None
    steps = [*host_steps(facts, stack), *_vendor_steps(facts, stack), python]
    return tuple(step for step in steps if step is not None)


def _removed(facts: Facts, stack: Stack, keep: int) -> Tuple[str, ...]:
    """The folders that go when ``stack`` is current. One of its digest is taken as it stands."""
    before = facts.stack
    damaged = [before.path] if before and before.damage else []
    name = "%s/stacks/%s." % (facts.prefix, stack.digest)
    there = [path for path in facts.stacks if path.startswith(name) and path not in damaged]
    new = there[0] if there else ""
    return tuple(superseded(facts.stacks, facts.unfinished, damaged, new, keep))


def _vendor_steps(facts: Facts, stack: Stack) -> List[Step]:
    """What a vendor other than NVIDIA has to have on the node, and is not there."""
    need = VENDOR_DRIVERS.get(stack.backend)
    if need is None:
        return []
    driver = next((d for d in facts.drivers if d.vendor == need.vendor), None)
    steps = []
    if driver is None or not (driver.loaded or driver.device_nodes):
        installed = (driver.on_disk or driver.userspace) if driver else None
        steps.append(Step(
            need.component, "install", installed or "none", need.what,
            "no driver of %s serves its devices" % need.vendor, operator=True,
        ))  # fmt: skip
    if need.toolkit and need.toolkit not in [item.name for item in facts.toolkits]:
        steps.append(Step(
            need.toolkit, "install", "none", "the %s toolkit" % need.toolkit.upper(),
            "torch's plugin for the %s backend is built on it" % stack.backend, operator=True,
        ))  # fmt: skip
    return steps


def _python_step(facts: Facts, stack: Stack) -> Optional[Step]:
    if stack.adopted or stack.torch is None:
        return None
    current = facts.stack
    plugin = ", " + stack.torch.plugin.replace("==", " ") if stack.torch.plugin else ""
    after = "torch %s%s, Python %s, stack %s" % (
        stack.torch.label, plugin, stack.python_version, stack.digest or "without a lock",
    )  # fmt: skip
    if current is None:
        return Step("python_stack", "install", "none", after, "no stack is installed")
    before = "torch %s, stack %s" % (current.torch or "none", current.digest or "unfinished")
    if current.damage:
        why = "%d differences from its records: %s" % (len(current.damage), current.damage[0])
        return Step("python_stack", "mend", before, after, why)
    if current.digest != stack.digest:
        return Step("python_stack", "change", before, after, "the resolved stack is another one")
    return None


# ---- preflight ---------------------------------------------------------------------------------


def preflight(facts: Facts, stack: Stack, steps: Sequence[Step], allow_busy: bool) -> List[Outcome]:
    """What must hold before the first change; nothing to change needs nothing."""
    standing = [*_windows_outcomes(facts, stack), *instance_outcomes(facts, stack.backend)]
    if not steps:
        return standing
    outcomes = standing + [_operator_outcome(step, stack) for step in steps if step.operator]
    outcomes += host_preflight(facts, stack, steps)
    outcomes += _toolkit_outcomes(facts, stack)
    outcomes += _lock_outcomes(stack, steps)
    outcomes += place_outcomes(facts, steps)
    outcomes += disk_outcomes(facts, stack, steps)
    if any(step.disruptive for step in steps):
        outcomes.append(_busy_outcome(facts, allow_busy))
    return outcomes


def _operator_outcome(step: Step, stack: Stack) -> Outcome:
    return Outcome(
        "preflight.%s" % step.component, "resolve", Result.FAIL,
        observed=step.before, expected=step.after, cause=_sentence(step.why),
        remedy=_operator_remedy(step, stack)
        + " Then run site.yml again: this version of torchnode does not install it.",
    )  # fmt: skip


def _operator_remedy(step: Step, stack: Stack) -> str:
    need = VENDOR_DRIVERS.get(stack.backend)
    if need is not None:
        return need.toolkit_remedy if step.component == need.toolkit else need.remedy
    return (
        "Install or repair the NVIDIA driver (%s) with the distribution's or NVIDIA's packages, "
        "and reboot if its module cannot be loaded." % step.after
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _lock_outcomes(stack: Stack, steps: Sequence[Step]) -> List[Outcome]:
    """No lock, no install: what is not hash-locked is planned and shown, and never fetched."""
    if not any(step.component == "python_stack" for step in steps) or stack.torch is None:
        return []
    expected = "a hash lock for torch %s with Python %s" % (
        stack.torch.label, ".".join(stack.python_version.split(".")[:2]),
    )  # fmt: skip
    if stack.lock:
        return [Outcome("preflight.lock", "resolve", Result.PASS, stack.lock, expected)]
    why = next(reason.why for reason in stack.reasons if reason.choice == "lock")
    return [Outcome(
        "preflight.lock", "resolve", Result.FAIL, "none", expected,
        cause="No lock, no install: nothing says which files this stack may consist of.",
        remedy=_sentence(why),
    )]  # fmt: skip


def _toolkit_outcomes(facts: Facts, stack: Stack) -> List[Outcome]:
    """A warning, because a toolkit older than the vendor's table may do: verify shows it."""
    found = too_old(facts, stack.torch.plugin) if stack.torch else None
    if found is None:
        return []
    version, floor = found
    cause, remedy = explain("%s_too_old" % floor.toolkit, **cause_values(version, floor))
    return [Outcome(
        "preflight.%s_version" % floor.toolkit, "resolve", Result.WARN, version,
        ">= " + floor.minimum, cause, remedy,
    )]  # fmt: skip


def _windows_outcomes(facts: Facts, stack: Stack) -> List[Outcome]:
    """Under WSL2 the driver is Windows': it has to be there, and is never installed from here."""
    if stack.driver is None or not facts.system.wsl2:
        return []
    expected = "NVIDIA's driver for Windows, at least %s" % stack.driver.minimum
    present = present_version(facts)
    if present is None:
        return [Outcome(
            "preflight.windows_driver", "resolve", Result.FAIL, "none seen", expected,
            cause="Under WSL2 the GPU is served by the driver of Windows, and none answers here.",
            remedy="Install or update the NVIDIA driver in Windows, then run `wsl --shutdown` "
            "there. Never install a Linux driver inside WSL2.",
        )]  # fmt: skip
    return [Outcome("preflight.windows_driver", "resolve", Result.PASS, present, expected)]


def _busy_outcome(facts: Facts, allow_busy: bool) -> Outcome:
    holders = ", ".join("pid %d (%s: %s)" % (p.pid, p.user, p.command) for p in facts.processes)
    expected = "no process holds an accelerator"
    if not facts.processes:
        return Outcome("preflight.in_use", "resolve", Result.PASS, "none seen", expected)
    if allow_busy:
        return Outcome(
            "preflight.in_use", "resolve", Result.WARN, holders, expected,
            cause="The node is in use.", remedy="Allowed by torchnode_allow_busy.",
        )  # fmt: skip
    return Outcome(
        "preflight.in_use", "resolve", Result.FAIL, holders, expected,
        cause="The node is in use, and the plan would disturb these processes.",
        remedy="Drain the node, or run with -e torchnode_allow_busy=true to disturb them.",
    )  # fmt: skip
