"""Taking out every package and source that torchnode brought, by its notes under the prefix."""

from __future__ import annotations

from typing import Collection, List, Set

from .. import initramfs, kernel_order
from ..node import Node
from . import notes, transaction
from .base import Manager, Order, Request
from .failures import PackageError, Problem
from .runner import Run
from .sources import SourceOrder, Sources

#: What stands on the driver goes before it.
_FIRST = ("dcgm", "nvidia_container_toolkit", "cudnn", "cuda_toolkit", "nvidia_fabric")


def noted(node: Node, prefix: str) -> bool:
    """Whether anything was brought that is not only a file."""
    some = notes.components(node, prefix) or notes.widened(node, prefix)
    return bool(some or notes.keys(node, prefix) or notes.images_owed(node, prefix))


def take_out(
    node: Node,
    prefix: str,
    manager: Manager,
    run: Run,
    check: bool,
    wait_seconds: float = Order.wait_seconds,
    only: Collection[str] = (),
) -> List[str]:
    """Remove each component's packages, then narrow the sources; what was done, in words.

    ``only``: these components alone, and the sources stay as they are.
    Raises PackageError where a package cannot go, with what was removed before it gone.
    """
    said = []
    names = [n for n in notes.components(node, prefix) if not only or n in only]
    brought: Set[str] = set()
    if names and not check:
        notes.owe_images(node, prefix)
    for component in sorted(names, key=lambda name: (name not in _FIRST, name)):
        note = notes.read(node.root, prefix, component)
        if note is None:
            continue
        brought.update(note.brought)
        files = tuple((path, "") for path in note.files)
        order = Order(
            note.wish, files, absent=True, prefix=prefix, wait_seconds=wait_seconds
        )  # fmt: skip
        done = transaction.apply(manager, order, node.root, check)
        said.append("%s: %s" % (component, done.said))
    if names and not check:
        said += _shared(manager, brought)
        said += [] if only else _kept(manager, brought)
    if notes.images_owed(node, prefix) and not check:
        said += _images(node, run)
        notes.images_written(node, prefix)
    if only:
        _hand_over(node, prefix, manager, brought, check)
        return said
    for wish in notes.widened(node, prefix):
        narrow = SourceOrder(wish, wait_seconds=wait_seconds, prefix=prefix, absent=True)
        said.append("sources: " + Sources(node, run).apply(narrow, check).said)
    if not check:
        said += _keys(node, prefix, run)
    return said


def _hand_over(
    node: Node, prefix: str, manager: Manager, brought: Collection[str], check: bool
) -> None:
    """Leave to another component what it still needs: a compiler serves DKMS and a toolkit."""
    others = notes.components(node, prefix)
    if check or not (brought and others):
        return
    left = [name for name in manager.installed() if name in brought]
    notes.inherit(node.root, prefix, others[0], left)


def _keys(node: Node, prefix: str, run: Run) -> List[str]:
    """Take the keys that dnf has put into rpm's database out of it."""
    names = [name for name in notes.keys(node, prefix) if run(["rpm", "--query", name]).rc == 0]
    if names:
        run(["rpm", "--erase", "--allmatches", *names])
    return ["key %s" % name for name in names]


def _shared(manager: Manager, brought: Collection[str]) -> List[str]:
    """Take out what one component brought and another kept: dkms is content with any compiler."""
    names = tuple(name for name in manager.unneeded() if name in brought) if brought else ()
    if not names:
        return []
    manager.run(Request(remove=names, purge=True))
    return ["%d more that nothing needs" % len(names)]


def _kept(manager: Manager, brought: Collection[str]) -> List[str]:
    """What is still there by name: a package that is not torchnode's needs or recommends it."""
    names = sorted(set(manager.installed()) & set(brought)) if brought else []
    if not names:
        return []
    return ["kept, for other packages need or recommend them: " + ", ".join(names)]


def _images(node: Node, run: Run) -> List[str]:
    """Take the driver's settings out of every initramfs. Raises PackageError."""
    try:
        return initramfs.renew(node, run)
    except kernel_order.Problem as problem:
        told = Problem("initramfs", problem.what, problem.cause, problem.remedy)
        raise PackageError(told) from problem
