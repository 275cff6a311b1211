"""Whether a node has to boot again before its driver can serve, and whether it may. Pure."""

from __future__ import annotations

import re
from typing import List, Tuple

from .driver_choice import cuda_driver
from .host_plan import driver_wish
from .model import Facts, Stack
from .outcome import Outcome, Result
from .package_model import HostSoftware

NEVER, WHEN_NEEDED = "never", "when_needed"


def reason(facts: Facts, stack: Stack) -> str:
    """Why only another boot can bring the driver that is installed, '' where none is needed.

    A module that is on disk and not loaded needs none: loading it was tried, and what stands in its
    way (no device that answers, a signature) would be there after a boot as well. Only a driver of
    torchnode's and a GPU of this machine's own kernel give one: a container's kernel is its host's,
    and a machine without a GPU loads no module.
    """
    gpus = [gpu for gpu in facts.accelerators if gpu.backend == "cuda"]
    if driver_wish(stack) is None or not gpus or facts.system.container or facts.system.wsl2:
        return ""
    blocking = facts.system.blocking_modules
    if blocking:
        return "%s is loaded and claims the GPUs" % " and ".join(blocking)
    driver = cuda_driver(facts)
    loaded = driver.loaded if driver else None
    on_disk, flavour = _on_disk(facts)
    if not on_disk:
        return _of_another_kernel(facts)
    if loaded is not None and loaded != on_disk:
        return "module %s is loaded, and %s is on disk" % (loaded, on_disk)
    loaded_flavour = driver.loaded_flavour if driver else None
    if loaded_flavour and flavour and loaded_flavour != flavour:
        return "the %s module is loaded, and the %s one is on disk" % (loaded_flavour, flavour)
    return ""


def _on_disk(facts: Facts) -> Tuple[str, str]:
    """(version, flavour) of the module for the kernel that runs."""
    host = facts.host or HostSoftware()
    running = [kernel for kernel in host.kernels if kernel.release == facts.system.kernel]
    return (running[0].module, running[0].flavour) if running else ("", "")


def _of_another_kernel(facts: Facts) -> str:
    """A newer kernel is what the next boot takes. An older one with a module is no reason: the
    check of the driver says what is missing for the one that runs."""
    host = facts.host or HostSoftware()
    running = facts.system.kernel
    newer = [
        kernel.release for kernel in host.kernels
        if kernel.module and _age(kernel.release) > _age(running)
    ]  # fmt: skip
    if not newer:
        return ""
    return "kernel %s runs without a module, and %s has one" % (running, ", ".join(newer))


def _age(release: str) -> List[int]:
    """The numbers of a kernel's release in order: [6, 1, 0, 56] of '6.1.0-56-amd64'."""
    return [int(number) for number in re.findall(r"\d+", release.partition("_")[0])]


def gate(facts: Facts, stack: Stack, allowed: str, allow_busy: bool) -> List[Outcome]:
    """One outcome about the reboot, none where none is needed. A pass means: boot now."""
    why = reason(facts, stack)
    if not why:
        return []
    expected = "the running kernel has the driver that is installed"
    if allowed != WHEN_NEEDED:
        return [Outcome(
            "apply.reboot", "apply", Result.FAIL, why, expected,
            cause="A reboot is required: a module in use cannot be replaced while the kernel runs.",
            remedy="Reboot the node and run again, or let this run do it with "
            "-e torchnode_reboot=when_needed.",
        )]  # fmt: skip
    if facts.processes and not allow_busy:
        holders = ", ".join("pid %d (%s: %s)" % (p.pid, p.user, p.command) for p in facts.processes)
        return [Outcome(
            "apply.reboot", "apply", Result.FAIL, "%s; in use by %s" % (why, holders), expected,
            cause="A reboot is required, and the node is in use: it was not rebooted.",
            remedy="Drain the node and run again, or run with -e torchnode_allow_busy=true.",
        )]  # fmt: skip
    return [Outcome("apply.reboot", "apply", Result.PASS, why, expected, required=False)]
