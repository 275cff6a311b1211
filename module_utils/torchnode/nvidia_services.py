"""Services beside the driver: started where there is hardware for them, quiet where there is none.

And the CDI specification, by which container engines find the GPUs. Each function looks first and
changes only what differs. ``run`` executes one command to its end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Optional, Tuple

from . import manifest
from .node import Completed, Node, Run

CDI_FILE = "/etc/cdi/nvidia.yaml"
#: Where the toolkit's own service, since 1.18, writes it at every boot and driver change (its
#: documentation, "Support for Container Device Interface", read 2026-11-23).
CDI_SERVICE, CDI_SERVICE_FILE = "nvidia-cdi-refresh.service", "/var/run/cdi/nvidia.yaml"
_LOG_LINES = 6


@dataclass(eq=False)
class Problem(Exception):
    """What did not hold: what was seen, and a cause and a next step as sentences."""

    observed: str
    cause: str
    remedy: str


@dataclass(frozen=True)
class Settled:
    """``waits`` says why what is wanted is not there yet, '' where it is."""

    changed: bool
    observed: str
    waits: str = ""


@dataclass(frozen=True)
class Wish:
    """A service, whether its hardware is there, and a file of modules-load.d with what it needs."""

    unit: str
    wanted: bool = True
    modules_file: str = ""


# ---- services ----------------------------------------------------------------------------------


def service(node: Node, run: Run, wish: Wish, pretend: bool) -> Settled:
    """Enable and start the unit where it is wanted, else disable and stop it. Raises Problem.

    Before the reboot that loads the driver it is enabled only.
    """
    unit, wanted = wish.unit, wish.wanted
    if not node.exists("/run/systemd/system"):
        return Settled(False, "no systemd runs here", "No service is started without systemd.")
    enabled, active = _state(run, unit)
    if not enabled:
        return _absent(unit, wanted, pretend)
    loaded = node.read("/sys/module/nvidia/version")
    orders = _orders(enabled, active, wanted, bool(loaded))
    if pretend or not orders:
        return Settled(bool(orders), _words(unit, enabled, active), _waits(wanted, active, loaded))
    if wanted and loaded:
        _load(node, run, wish.modules_file)
    for order in orders:
        _demand(run, unit, run(["systemctl", order, unit]), order)
    enabled, active = _state(run, unit)
    if wanted and loaded and active != "active":
        raise _stopped(run, unit, active)
    return Settled(True, _words(unit, enabled, active), _waits(wanted, active, loaded))


def _load(node: Node, run: Run, file: str) -> None:
    """Load the modules that a file lists. One that is built into the kernel is there as well."""
    for line in (node.read(file) or "").splitlines() if file else ():
        name = line.strip()
        if name and name[0] not in "#;" and not node.exists("/sys/module/" + name):
            run(["modprobe", name])  # what it lacks is the service's to say


def _state(run: Run, unit: str) -> Tuple[str, str]:
    """('enabled', 'active') and the like; ('', ...) for a unit that is not there."""
    enabled = run(["systemctl", "is-enabled", unit]).out.strip().splitlines()
    active = run(["systemctl", "is-active", unit]).out.strip()
    known = enabled[-1] if enabled and enabled[-1] != "not-found" else ""
    return ("" if known.startswith("Failed") else known), active


def _absent(unit: str, wanted: bool, pretend: bool) -> Settled:
    if not wanted:
        return Settled(False, "%s is not there, and not needed" % unit)
    if pretend:
        return Settled(True, "%s comes with its package" % unit, "Nothing is started in check mode")
    raise Problem(
        "%s is not there" % unit, "The package that brings this service has no such unit.",
        "Reinstall the package, and look with `systemctl list-unit-files 'nvidia*'` for its name.",
    )  # fmt: skip


def _orders(enabled: str, active: str, wanted: bool, loaded: bool) -> List[str]:
    if not wanted:
        stop = ["stop"] if active in ("active", "activating") else []
        return [*stop, *(["disable"] if enabled == "enabled" else [])]
    # A service that failed before the driver was there has used up its starts.
    start = (["reset-failed", "restart"] if active == "failed" else ["start"]) if loaded else []
    return [
        *(["enable"] if enabled == "disabled" else []), *(start if active != "active" else []),
    ]  # fmt: skip


def _words(unit: str, enabled: str, active: str) -> str:
    return "%s is %s, %s" % (unit, enabled, active)


def _waits(wanted: bool, active: str, loaded: Optional[str]) -> str:
    starts = wanted and not loaded and active != "active"
    return "It starts when the driver is loaded." if starts else ""


def _demand(run: Run, unit: str, done: Completed, order: str) -> None:
    if done.rc != 0 and order in ("enable", "disable", "stop"):
        raise Problem(
            "systemctl %s %s: %s" % (order, unit, (done.err or done.out).strip()[-400:]),
            "systemd refused it.", "Read `systemctl status %s`." % unit,
        )  # fmt: skip


def _stopped(run: Run, unit: str, active: str) -> Problem:
    log = run(["journalctl", "--unit", unit, "--lines", str(_LOG_LINES), "--output", "cat"]).out
    said = " | ".join(line.strip() for line in log.splitlines() if line.strip())
    return Problem(
        "%s is %s: %s" % (unit, active or "unknown", said or "its journal is empty"),
        "The service was started and does not run.",
        "Read `journalctl -u %s`. Fabric Manager and DCGM refuse a driver of another version than "
        "they were built for." % unit,
    )


# ---- CDI ---------------------------------------------------------------------------------------


def cdi(node: Node, run: Run, prefix: str, pretend: bool) -> Settled:
    """Have a CDI specification for the driver that is loaded. Raises Problem.

    The toolkit's own service writes it where there is one; a second file would grow stale.
    """
    loaded = node.read("/sys/module/nvidia/version")
    if not loaded or not node.glob("/dev/nvidia[0-9]*"):
        return Settled(False, "no GPU that a driver serves", "It is written where there is one.")
    served = run(["systemctl", "is-enabled", CDI_SERVICE]).out.strip() == "enabled"
    path = CDI_SERVICE_FILE if served else CDI_FILE
    if loaded in (node.read(path) or ""):
        return Settled(False, "%s is of driver %s" % (path, loaded))
    if pretend:
        return Settled(True, "%s would be written for driver %s" % (path, loaded))
    done = run(["systemctl", "restart", CDI_SERVICE]) if served else _generate(node, run, prefix)
    if done.rc != 0 or loaded not in (node.read(path) or ""):
        raise Problem(
            "%s is not of driver %s: %s" % (path, loaded, (done.err or done.out).strip()[-400:]),
            "The CDI specification could not be written.",
            "Run `nvidia-ctk cdi generate` on the node and read what it says; nvidia-smi has to "
            "work first.",
        )
    return Settled(True, "%s was written for driver %s" % (path, loaded))


def _generate(node: Node, run: Run, prefix: str) -> Completed:
    made = manifest.make_folder(node, os.path.dirname(CDI_FILE))
    if prefix:
        manifest.add(node, prefix, [*made, (CDI_FILE, "file")])
    return run(["nvidia-ctk", "cdi", "generate", "--output=" + node.path(CDI_FILE)])
