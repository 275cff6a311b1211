"""One call of the module ``package_set``, from its options to its result."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from ..node import Node
from ..outcome import Outcome, Result
from ..package_model import PackageWish
from ..progress_file import ProgressFile
from . import transaction
from .apt import Apt
from .base import Done, Manager, Order
from .dnf import Dnf
from .failures import PackageError, Problem, unwritable
from .runner import Runner, environment
from .turn import turn


@dataclass(frozen=True)
class Applied:
    """The result: ``done`` is None where the packages are not as wished."""

    outcome: Outcome
    done: Optional[Done] = None


def order_of(given: Mapping[str, Any]) -> Order:
    """The order that the module's options make."""
    wish = PackageWish(
        given["component"], tuple(given["packages"]), given["version"], tuple(given["family"]),
        tuple(given["absent"]), given["stream"], tuple(given["version_of"]),
        tuple(given["closure"]),
    )  # fmt: skip
    files = tuple((str(path), str(content)) for path, content in given["files"])
    return Order(
        wish, files, given["hold"], given["state"] == "absent", float(given["wait_seconds"]),
        given["prefix"] or "",
    )  # fmt: skip


def manager_of(node: Node, run: Runner) -> Manager:
    """apt where there is one, dnf where there is one. Raises PackageError for neither."""
    if node.exists("/usr/bin/apt-get"):
        return Apt(run, _system_id(node), node.root)
    if node.exists("/usr/bin/dnf"):
        return Dnf(run, node.root)
    raise PackageError(Problem(
        "no_manager", "neither apt-get nor dnf is there",
        "This system's packages are managed by something else.",
        "Install the driver by your own means, and set torchnode_nvidia_source: preinstalled.",
        expected="apt or dnf",
    ))  # fmt: skip


def _system_id(node: Node) -> str:
    """ID of os-release: 'debian', 'ubuntu'."""
    found = re.search(r'^ID="?([\w.-]+)', node.read("/etc/os-release") or "", re.MULTILINE)
    return found.group(1) if found else ""


def apply(node: Node, given: Mapping[str, Any], check: bool) -> Applied:
    """Make the packages as the options say; never raises for what the packages do."""
    order = order_of(given)
    progress = ProgressFile(None if check else given["progress"])
    try:
        run = Runner(environment(os.environ, given["proxy"]), progress)
        with turn(node, order.wait_seconds, run.tell, check):
            done = transaction.apply(manager_of(node, run), order, node.root, check)
    except PackageError as error:
        return _failed(order, error.problem, check)
    except OSError as error:
        return _failed(order, unwritable(error), check)
    finally:
        progress.remove()
    said = "; ".join(part for part in (done.repaired, done.said) if part)
    return Applied(_outcome(order, Result.PASS, said), done)


def _outcome(order: Order, result: Result, observed: str) -> Outcome:
    return Outcome(identity(order), "apply", result, observed, _expected(order), required=False)


def identity(order: Order) -> str:
    """'apply.nvidia_driver_packages': the component's role may have outcomes of its own."""
    return "apply.%s_packages" % order.wish.component


def _expected(order: Order) -> str:
    names = ", ".join(order.wish.packages)
    if order.absent:
        return "without " + names
    return "%s %s" % (names, order.wish.version) if order.wish.version else names


def _failed(order: Order, problem: Problem, check: bool) -> Applied:
    """A failure; in check mode what no source knows yet is none, as the source comes first."""
    if check and problem.kind == "no_version":
        names = ", ".join(order.wish.packages)
        said = "%s would be installed, and cannot be tried before its source is configured (%s)"
        done = Done(True, "", "%s\n" % _expected(order), said % (names, problem.observed))
        return Applied(_outcome(order, Result.SKIPPED, done.said), done)
    return Applied(problem.outcome(identity(order), _expected(order)))


def result(applied: Applied) -> Dict[str, Any]:
    """What the module returns."""
    done = applied.done
    return {
        "changed": bool(done and done.changed),
        "diff": {"before": done.before, "after": done.after} if done else {},
        "torchnode": {"stage": "apply", "outcomes": [applied.outcome.as_dict()]},
    }
