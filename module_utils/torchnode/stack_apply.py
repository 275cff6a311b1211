"""Applying a stack to a node: the sequence around the builder, and its outcome."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional

from . import build_log, package_index, stack_builder, uv_failures, uv_install, venv
from .model import InstalledStack, Stack
from .node import Node
from .outcome import Outcome, Result
from .package_index import Sources
from .stack_builder import BuildFailed, Order


@dataclass(frozen=True)
class Applied:
    """``before`` and ``after`` are package lists, one 'name==version' a line."""

    changed: bool
    path: Optional[str]
    before: str
    after: str
    outcome: Outcome


def environment(
    stated: Sources, torch_index_url: str, stack: Stack, environ: Mapping[str, str]
) -> Dict[str, str]:
    """uv's environment on this node: the operator's sources, else the node's own settings."""
    files = package_index.pip_files(environ, os.path.expanduser("~"))
    chosen = package_index.sources(stated, environ, package_index.pip_settings(environ, files))
    index = ""
    if stack.torch and stack.torch.source == "index" and torch_index_url and not chosen.offline:
        wheel = "torch-%s+%s-*.whl" % (stack.torch.version, stack.torch.tag)
        folders = [link for link in chosen.find_links if os.path.isdir(link)]
        if not any(glob.glob(os.path.join(folder, wheel)) for folder in folders):
            index = "%s/%s" % (torch_index_url.rstrip("/"), stack.torch.tag)
    return package_index.uv_environment(chosen, index, environ)


def apply(node: Node, order: Order, environ: Mapping[str, str], pretend: bool) -> Applied:
    """Make the order's stack current. Never raises for a failed build: the outcome says it."""
    before = venv.read_current(node, order.prefix, order.hashes)
    ready = stack_builder.ready_stack(node, order)
    if ready is not None and before is not None and ready.path == before.path:
        return _applied(order, before, before.path, False)
    if pretend:
        return _applied(order, before, None, True)
    try:
        if order.uv_sent:
            uv_install.install(order.uv_sent, order.uv, order.uv_sha256)
        # Somebody altered the old one: trust no size, read every byte of the new one.
        hashes = before is not None and bool(before.damage)
        path = ready.path if ready else stack_builder.build(node, order, environ, hashes)
        stack_builder.activate(order, path)
        damaged = [before.path] if before is not None and before.damage else []
        stack_builder.prune(node, order, path, damaged)
        build_log.clear(order.prefix)
    except (BuildFailed, uv_install.NotTheOne, OSError) as error:
        build_log.keep(node, order.prefix, getattr(error, "told", "") or str(error))
        return Applied(False, None, _packages(before), _packages(before), _failed(error))
    return _applied(order, before, path, True)


def _applied(
    order: Order, before: Optional[InstalledStack], path: Optional[str], changed: bool
) -> Applied:
    after = "".join("%s==%s\n" % pair for pair in sorted(order.stack.packages))
    outcome = Outcome(
        "apply.python_stack", "apply", Result.PASS if path else Result.SKIPPED,
        observed="stack %s" % (path or "would be built"),
        expected="torch %s, stack %s" % (order.torch, order.stack.digest),
        required=False,
    )  # fmt: skip
    return Applied(changed, path, _packages(before) + _damage(before), after, outcome)


def _packages(stack: Optional[InstalledStack]) -> str:
    return "".join("%s==%s\n" % pair for pair in stack.packages) if stack else ""


def _damage(stack: Optional[InstalledStack]) -> str:
    lines: List[str] = ["# damaged: %s\n" % line for line in stack.damage] if stack else []
    return "".join(lines)


def _failed(error: Exception) -> Outcome:
    if isinstance(error, BuildFailed):
        what, cause, remedy = error.what, error.cause, error.remedy
    else:
        what = str(error)
        cause, remedy = uv_failures.explain(what)
    return Outcome(
        "apply.python_stack", "apply", Result.FAIL, observed=what,
        expected="the resolved stack, built and current", cause=cause, remedy=remedy,
    )  # fmt: skip
