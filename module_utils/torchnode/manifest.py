"""What torchnode put on a node, so that ``remove`` takes out that and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from typing import Collection, Dict, Iterable, List, Tuple

from .node import Node

NAME = "manifest.json"

#: 'tree' is wholly ours, 'file' is one file or link, 'folder' goes only when it is empty.
KINDS = ("tree", "file", "folder")


def path_of(prefix: str) -> str:
    """Where the manifest of the stacks under ``prefix`` lies."""
    return "%s/%s" % (prefix, NAME)


def read(node: Node, prefix: str) -> Dict[str, str]:
    """Path to kind, in the order of creation. Raises ValueError for a manifest that is broken."""
    text = node.read(path_of(prefix))
    if text is None:
        return {}
    try:
        entries = json.loads(text)["created"]
        return {str(entry["path"]): str(entry["kind"]) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("%s is no manifest of torchnode: %r" % (path_of(prefix), error)) from None


def write_json(path: str, content: object, mode: int = 0o644) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of either."""
    temporary = "%s.%d" % (path, os.getpid())
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)  # a full disk must not be left fuller
        raise


def add(node: Node, prefix: str, created: Iterable[Tuple[str, str]]) -> None:
    """Note (path, kind) pairs before they are made: a killed run leaves nothing unlisted.

    Raises ValueError for a tree outside ``prefix``: removal takes a tree whole, whatever is in it.
    """
    entries = read(node, prefix)
    new = {path: kind for path, kind in created if path not in entries}
    for path, kind in new.items():
        if kind == "tree" and not path.startswith(prefix.rstrip("/") + "/"):
            raise ValueError("%s: no tree of torchnode lies outside %s" % (path, prefix))
    if new:
        entries.update(new)
        content = {"created": [{"path": p, "kind": k} for p, k in entries.items()]}
        write_json(node.path(path_of(prefix)), content)


def make_folder(node: Node, path: str) -> List[Tuple[str, str]]:
    """Make ``path`` and its missing parents; the ones made, outermost first, for the manifest."""
    missing = []
    while not node.exists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        os.mkdir(node.path(folder), 0o755)
    return [(folder, "folder") for folder in reversed(missing)]


def remove(node: Node, prefix: str, pretend: bool) -> Tuple[List[str], List[str]]:
    """Take out what the manifest lists, innermost first: (removed, kept because not empty)."""
    removed: List[str] = []
    kept: List[str] = []
    entries = read(node, prefix)
    files = [(p, k) for p, k in entries.items() if k != "folder"]
    files += [entry for p, k in files if k == "file" for entry in _unfinished(node, p)]
    folders = sorted((p for p, k in entries.items() if k == "folder"), key=len, reverse=True)
    for path, kind in files:
        if os.path.lexists(node.path(path)):
            removed.append(path)
            if not pretend:
                _take_out(node.path(path), kind)
    going = set(removed) | {path_of(prefix)}
    if not pretend and node.exists(path_of(prefix)):
        os.remove(node.path(path_of(prefix)))
    for path in folders:
        if not node.exists(path):
            continue
        if any(path + "/" + name not in going for name in node.names(path)):
            kept.append(path)
            continue
        going.add(path)
        removed.append(path)
        if not pretend:
            os.rmdir(node.path(path))
    return removed, kept


def remove_some(node: Node, prefix: str, tops: Collection[str], pretend: bool) -> List[str]:
    """Take out what is listed at or below ``tops``, and forget it; what was removed."""
    entries = read(node, prefix)
    mine = {p: k for p, k in entries.items() if any((p + "/").startswith(t + "/") for t in tops)}
    there = [path for path in mine if os.path.lexists(node.path(path))]
    if pretend or not mine:
        return there
    for path in sorted(there, key=len, reverse=True):
        if mine[path] != "folder":
            _take_out(node.path(path), mine[path])
        elif not node.names(path):
            os.rmdir(node.path(path))
    left = [{"path": p, "kind": k} for p, k in entries.items() if p not in mine]
    write_json(node.path(path_of(prefix)), {"created": left})
    return there


def _unfinished(node: Node, path: str) -> List[Tuple[str, str]]:
    """The temporary files that killed writers of ``path`` left beside it."""
    folder, name = os.path.split(path)
    found = node.names(folder, name + ".[0-9]*")
    return [(folder + "/" + n, "file") for n in found if re.fullmatch(r"\.\d+", n[len(name) :])]


def _take_out(path: str, kind: str) -> None:
    if kind == "tree" and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)
