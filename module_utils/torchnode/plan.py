"""Plan: facts against stack -> the missing steps in order, and what must hold first. Pure."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from .data.compatibility import version_key
from .model import Driver, DriverChoice, Facts, Stack, Step
from .outcome import Outcome, Result

GIB = 1 << 30

#: Disk that building a stack may take where the prefix lies: a new environment beside the old one,
#: and uv's downloads. Measured on 2026-11-22: an environment of torch 2.13.0+cpu 1.6 GiB with its
#: cache, of torch 2.13.0+cu130 with torchvision 4.7 GiB.
DISK_NEEDED_BYTES = {"cpu": 3 * GIB, "cuda": 12 * GIB}


def plan(facts: Facts, stack: Stack) -> Tuple[Step, ...]:
    """The steps that take the node from ``facts`` to ``stack``, in the order to make them."""
    steps = [_driver_step(facts, stack), _python_step(facts, stack)]
    return tuple(step for step in steps if step is not None)


def _driver_step(facts: Facts, stack: Stack) -> Optional[Step]:
    choice = stack.driver
    if choice is None:
        return None
    driver = next((d for d in facts.drivers if d.vendor == choice.vendor), None)
    problem = driver_problem(facts, driver, choice)
    if not problem:
        return None
    installed = (driver.loaded or driver.on_disk) if driver else None
    return Step(
        component="nvidia_driver",
        action="install" if not installed else "change",
        before=installed or "none",
        after="branch %s, %s kernel modules, at least %s"
        % (choice.branch, choice.flavour, choice.minimum),
        why=problem,
        disruptive=True,
        reboot=bool(driver and driver.loaded) or bool(facts.system.blocking_modules),
        operator=True,
    )  # fmt: skip


def driver_problem(facts: Facts, driver: Optional[Driver], choice: DriverChoice) -> str:
    """Why the driver cannot serve the stack, or '' where it can."""
    if facts.system.blocking_modules:
        return "%s is loaded and claims the GPUs" % " and ".join(facts.system.blocking_modules)
    if driver is None or not (driver.loaded or driver.on_disk or driver.userspace):
        return "no NVIDIA driver is installed"
    if not driver.loaded:
        return "the driver's kernel module is not loaded"
    if version_key(driver.loaded) < version_key(choice.minimum):
        return "the loaded driver %s is older than %s" % (driver.loaded, choice.minimum)
    if driver.loaded.split(".")[0] != choice.branch:
        return "the inventory asks for branch %s" % choice.branch
    if driver.flavour and driver.flavour != choice.flavour:
        return "the %s kernel modules are installed" % driver.flavour
    if driver.userspace and driver.userspace != driver.loaded:
        return "kernel module %s and library %s differ" % (driver.loaded, driver.userspace)
    return ""


def _python_step(facts: Facts, stack: Stack) -> Optional[Step]:
    if stack.adopted or stack.torch is None:
        return None
    current = facts.stack
    after = "torch %s+%s, Python %s, stack %s" % (
        stack.torch.version, stack.torch.tag, stack.python_version, stack.digest,
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
    if not steps:
        return []
    outcomes = [_operator_outcome(step) for step in steps if step.operator]
    outcomes.append(_disk_outcome(facts, stack))
    if any(step.disruptive for step in steps):
        outcomes.append(_busy_outcome(facts, allow_busy))
    return outcomes


def _operator_outcome(step: Step) -> Outcome:
    return Outcome(
        "preflight.%s" % step.component, "resolve", Result.FAIL,
        observed=step.before, expected=step.after, cause=step.why,
        remedy="Install or repair the NVIDIA driver (%s) with the distribution's or NVIDIA's "
        "packages, reboot if its module cannot be loaded, and run site.yml again: this version of "
        "torchnode does not install drivers." % step.after,
    )  # fmt: skip


def _disk_outcome(facts: Facts, stack: Stack) -> Outcome:
    needed = DISK_NEEDED_BYTES.get(stack.backend, DISK_NEEDED_BYTES["cuda"])
    free = facts.disk_free_bytes
    expected = "%.0f GiB free for %s" % (needed / GIB, facts.prefix)
    if free is None:
        return Outcome(
            "preflight.disk", "resolve", Result.INCOMPLETE, "could not be read", expected,
            cause="The file system of the prefix did not answer.",
            remedy="Check the mount that holds %s." % facts.prefix,
        )  # fmt: skip
    observed = "%.1f GiB free" % (free / GIB)
    if free >= needed:
        return Outcome("preflight.disk", "resolve", Result.PASS, observed, expected)
    return Outcome(
        "preflight.disk", "resolve", Result.FAIL, observed, expected,
        cause="The file system that holds %s is too full for the stack." % facts.prefix,
        remedy="Free space there, or point torchnode_prefix to a larger file system.",
    )  # fmt: skip


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
