"""Building a stack beside the running one, and flipping ``current`` to it when it is complete.

Nothing here changes the environment that ``current`` points to: a new one is built under
``<prefix>/stacks/<digest>.<n>``, checked, marked, and only then made current.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, Tuple

from . import manifest, venv
from .model import InstalledStack, Stack
from .node import Node

UV_SECONDS = 3600  # a CUDA stack is several GB; a stuck mirror must still end the task


class BuildFailed(Exception):
    """Building failed and nothing current was changed. ``cause`` and ``remedy`` are sentences."""

    def __init__(self, what: str, cause: str, remedy: str) -> None:
        super().__init__(what, cause, remedy)
        self.what, self.cause, self.remedy = what, cause, remedy


@dataclass(frozen=True)
class Order:
    """What to build, from which lock text, with which uv; ``keep`` complete stacks stay.

    ``hashes`` reads every byte of what is there before it counts as undamaged.
    """

    prefix: str
    stack: Stack
    lock: str
    uv: str
    keep: int = 2
    hashes: bool = False

    @property
    def torch(self) -> str:
        """torch's version as torch/version.py must spell it."""
        torch = self.stack.torch
        return "%s+%s" % (torch.version, torch.tag) if torch else ""


def ready_stack(node: Node, order: Order) -> Optional[InstalledStack]:
    """The undamaged, complete stack with the order's digest, the current one first; else None."""
    current = venv.read_current(node, order.prefix, order.hashes)
    if current is not None and _serves(current, order):
        return current
    for path in venv.read_stacks(node, order.prefix):
        marker = venv.read_marker(node, path)
        if marker is not None and marker["digest"] == order.stack.digest:
            stack = venv.inspect(node, path, order.hashes)
            if _serves(stack, order):
                return stack
    return None


def _serves(stack: InstalledStack, order: Order) -> bool:
    return stack.digest == order.stack.digest and not stack.damage


def build(node: Node, order: Order, environment: Mapping[str, str], hashes: bool) -> str:
    """Build the stack and return its path. Raises BuildFailed; a half-made folder is removed.

    ``hashes`` compares every built file with its recorded SHA-256. uv links files from its cache,
    so whoever altered the old environment may have altered the cache: a package that comes out
    damaged is fetched anew.
    """
    path = _new_folder(node, order)
    try:
        new = ["venv", "--quiet", "--no-config", "--python", order.stack.python, path]
        _uv(order, new, environment)
        lock = os.path.join(path, "torchnode.lock")
        _write(lock, exact(order.lock))
        _sync(order, path, lock, environment)
        packages = dict(order.stack.packages)
        _, damage = venv.compare(node, path, packages, hashes)
        damaged = sorted({line.partition(":")[0] for line in damage} & set(packages))
        if damaged:
            _uv(order, ["cache", "clean", "--quiet", *damaged], environment)
            _sync(order, path, lock, environment, damaged)
            _, damage = venv.compare(node, path, packages, hashes)
        _check(node, order, path, damage)
        _remove_lock_of_uv(path)
        _write(os.path.join(path, venv.MARKER), _marker(order, path))
        return path
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # the folder was never current
        raise


def exact(lock: str) -> str:
    """The lock, with torch's own packages pinned to the public version alone.

    'torch==2.13.0' also names 2.13.0+cpu, and uv would choose that one from a folder or index that
    has both, only to find no hash for it. '===' compares the whole version.
    Source: https://packaging.python.org/en/latest/specifications/version-specifiers/, 2026-11-22.
    """
    return re.sub(r"(?m)^(torch(?:vision|audio)?)==(?=[^+=\s]+(?:\s|$))", r"\1===", lock)


def _remove_lock_of_uv(path: str) -> None:
    """uv leaves a lock file that every user may write: nothing in a finished stack should be so."""
    lock = os.path.join(path, ".lock")
    if os.path.exists(lock):
        os.remove(lock)


def _sync(
    order: Order, path: str, lock: str, environment: Mapping[str, str], anew: Sequence[str] = ()
) -> None:
    again = [argument for name in anew for argument in ("--reinstall-package", name)]
    exact = ["--require-hashes", "--no-config", "--strict"]
    _uv(
        order,
        ["pip", "sync", *exact, *again, "--python", path + "/bin/python", lock],
        environment,
    )


def activate(order: Order, path: str) -> None:
    """Point ``current`` to the stack at ``path``, in one rename."""
    link = os.path.join(order.prefix, "current")
    temporary = "%s.%d" % (link, os.getpid())
    if os.path.lexists(temporary):
        os.remove(temporary)  # of a killed process that had this number
    os.symlink(os.path.join("stacks", os.path.basename(path)), temporary)
    os.replace(temporary, link)


def prune(node: Node, order: Order, current: str, damaged: Sequence[str]) -> List[str]:
    """Remove unfinished and ``damaged`` folders, and all but the newest ``keep`` stacks."""
    folder = os.path.join(order.prefix, "stacks")
    doomed: List[str] = []
    complete: List[str] = []
    for name in node.names(folder):
        path = os.path.join(folder, name)
        if path != current and re.fullmatch(r"[0-9a-f]+\.\d+", name):  # what is named so is ours
            usable = path not in damaged and venv.read_marker(node, path) is not None
            (complete if usable else doomed).append(path)
    complete.sort(key=os.path.getmtime, reverse=True)
    doomed += complete[max(order.keep - 1, 0) :]
    for path in doomed:
        shutil.rmtree(path)
    return doomed


def _new_folder(node: Node, order: Order) -> str:
    """A name that is free, noted in the manifest before anything of it exists."""
    stacks = os.path.join(order.prefix, "stacks")
    made = manifest.make_folder(node, stacks)
    number = 1
    while os.path.lexists(os.path.join(stacks, "%s.%d" % (order.stack.digest, number))):
        number += 1
    path = os.path.join(stacks, "%s.%d" % (order.stack.digest, number))
    current = (os.path.join(order.prefix, "current"), "file")
    manifest.add(node, order.prefix, [*made, (path, "tree"), current])
    return path


def _check(node: Node, order: Order, path: str, damage: Sequence[str]) -> None:
    """The built environment against the order: the exact tag, and every package of the lock."""
    torch = venv.read_torch_version(node, path)
    if torch != order.torch:
        raise BuildFailed(
            "torch/version.py says %s instead of %s" % (torch, order.torch),
            "The index served another build of torch under the same public version.",
            "Make a lock for the build that you want with `make lock TAG=...`.",
        )
    if damage:
        raise BuildFailed(
            "the environment differs from its lock: %s" % "; ".join(damage[:5]),
            "uv installed something else than the lock lists for this machine, or the disk failed.",
            "Check the disk; if it is sound, remake the lock with `make lock`.",
        )


def _marker(order: Order, path: str) -> str:
    content = {
        "digest": order.stack.digest,
        "python": order.stack.python,
        "torch": order.torch,
        "packages": dict(order.stack.packages),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _write(path: str, text: str) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _uv(order: Order, arguments: List[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            [order.uv, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=UV_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(
            "uv %s took longer than %d s" % (arguments[0], UV_SECONDS),
            "The index or the disk is too slow, or a transfer is stuck.",
            "Check the mirror, and run again: what was downloaded is kept.",
        ) from None
    except OSError as error:
        raise BuildFailed(
            "%s: %s" % (order.uv, error), "uv does not run on this node.", "Report it."
        ) from None
    if done.returncode != 0:
        text = done.stdout.decode("utf-8", "replace").strip()
        cause, remedy = explain(text)
        raise BuildFailed(
            "uv %s failed: %s" % (" ".join(arguments[:2]), _tail(text)), cause, remedy
        )


#: What uv or the system says, and what it means. First match wins.
_CAUSES: Tuple[Tuple[str, str, str], ...] = (
    (
        r"No space left on device",
        "The disk is full.",
        "Free space under the prefix and uv's cache, then run again.",
    ),
    (
        r"Hash mismatch",
        "A file that the index served is not the one that was locked.",
        "Do not install it. Find out why the index serves another file, or remake the lock.",
    ),
    (
        r"must have a hash",
        "The lock has a line without a hash.",
        "Remake the lock with `make lock`.",
    ),
    (
        r"no hashes were provided or computed",
        "An index or folder offers a build of that version that the lock does not know.",
        "Take that index or folder out of the node's settings (torchnode_find_links, "
        "torchnode_extra_index_urls, UV_*, PIP_*), or remake the lock.",
    ),
    (
        r"Permission denied|Read-only file system",
        "The prefix cannot be written.",
        "Choose another torchnode_prefix, or become a user who may write there.",
    ),
    (
        r"401 Unauthorized|403 Forbidden|407 Proxy",
        "The index or the proxy refused these credentials.",
        "Give credentials by environment or netrc, never in a variable.",
    ),
    (
        r"error sending request|dns error|Connection refused|Failed to fetch|client error|timed out"
        r"|tls|certificate",
        "The package index cannot be reached from this node.",
        "Set torchnode_index_url to a mirror, torchnode_proxy, torchnode_ca_bundle, or install "
        "offline with torchnode_find_links and torchnode_offline.",
    ),
    (
        # The second is what uv says of --no-index, which goes with offline.
        r"network was disabled|not found in the provided package locations",
        "The node installs offline, and neither torchnode_find_links nor uv's cache has the wheel.",
        "Put the wheel that uv names above into a folder of torchnode_find_links on this node, or "
        "let the node ask an index (torchnode_offline, no-index in pip's or uv's settings).",
    ),
    (
        r"no version of|not found in the package registry|no wheels"
        r"|No solution found|unsatisfiable",
        "The index has no file that the lock lists for this machine.",
        "Name the index of the torch build (torchnode_torch_index_url) or a folder with its wheel "
        "(torchnode_find_links).",
    ),
)


def explain(text: str) -> Tuple[str, str]:
    """(cause, remedy) for what uv printed."""
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return cause, remedy
    return "uv could not build the environment.", "Read what uv says above, and run again."


def _tail(text: str) -> str:
    """The last lines, with credentials in URLs taken out."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text[-1500:])
