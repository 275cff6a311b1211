"""One call of the module ``node_remove``: packages first, then files, and what is told of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from . import component_paths, manifest, node_files, records
from .node import Node
from .outcome import Verdict
from .progress_file import ProgressFile
from .system import read_user
from .system_packages import removal
from .system_packages.package_set import manager_of
from .system_packages.runner import Runner, environment
from .system_packages.turn import turn


@dataclass(frozen=True)
class Order:
    """What is to go: these ``components`` and what is nothing without them, () for everything.

    ``facts_folder`` is the operator's, '' for the default; ``check`` only looks.
    """

    prefix: str
    components: Sequence[str] = ()
    facts_folder: str = ""
    wait_seconds: float = 600
    progress: Optional[str] = None
    check: bool = False

    @property
    def only(self) -> List[str]:
        """The components with their dependents."""
        return component_paths.with_dependents(self.components)


def packages(node: Node, order: Order) -> List[str]:
    """What was done with packages and sources, a line for each. Raises PackageError."""
    if not removal.noted(node, order.prefix):
        return []
    progress = ProgressFile(None if order.check else order.progress)
    run = Runner(environment(os.environ, ""), progress)
    try:
        with turn(node, order.wait_seconds, run.tell, order.check):
            return removal.take_out(
                node, order.prefix, manager_of(node, run), run, order.check, order.wait_seconds,
                order.only,
            )  # fmt: skip
    finally:
        progress.remove()


def files(node: Node, order: Order, changed: bool) -> Tuple[List[str], List[str]]:
    """(removed, kept because not empty). Where only components go and ``changed`` says that some
    went, or files do, what was proven of the node is unknown from now on.

    Raises ValueError for a manifest that cannot be read, and OSError.
    """
    only = order.only
    if not only:
        return manifest.remove(node, order.prefix, pretend=order.check)
    tops = [path for component in only for path in component_paths.paths(component, order.prefix)]
    removed = manifest.remove_some(node, order.prefix, tops, order.check)
    facts = node_files.facts_folder(read_user(node), order.facts_folder)
    fact = node_files.read_fact(node, facts)
    if (changed or removed) and fact and not order.check:
        reason = "%s was removed" % ", ".join(only)
        now = records.fact(Verdict.UNKNOWN, "none", str(fact.get("run")), time.time(), 1, reason)
        node_files.write_fact(facts, dict(now, prefix=order.prefix))
    return removed, []


def told(
    node: Node, order: Order, removed: Sequence[str], kept: Sequence[str], done: Sequence[str]
) -> str:
    """What was taken out and what stays, in one line."""
    if not (removed or kept or done):
        if order.only and node.exists(manifest.path_of(order.prefix)):
            return "nothing of %s is there" % ", ".join(order.only)
        return "nothing of torchnode is there: no manifest in %s, and no packages" % order.prefix
    return "%s %d path%s; kept: %s; packages: %s" % (
        "would remove" if order.check else "removed", len(removed),
        "" if len(removed) == 1 else "s", ", ".join(kept) or "nothing", "; ".join(done) or "none",
    )  # fmt: skip
