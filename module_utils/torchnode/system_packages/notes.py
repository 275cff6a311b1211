"""Notes under the prefix: packages that a component brought, and files as they were before."""

from __future__ import annotations

import contextlib
import json
import os
from typing import List, Mapping, Optional, Sequence, Tuple

from .. import manifest
from ..node import Node
from .base import Order

FOLDER = "packages"


def _path(order: Order) -> str:
    return "%s/%s/%s.json" % (order.prefix, FOLDER, order.wish.component)


def read(root: str, order: Order) -> List[str]:
    """Names that are noted; none without a note, or with one that cannot be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = Node(root).read(_path(order)) if order.prefix else None
        return [str(name) for name in json.loads(text)["brought"]] if text else []
    return []


def add(root: str, order: Order, names: Sequence[str]) -> None:
    """Note names, beside those that are noted. Raises OSError."""
    if not order.prefix or not names:
        return
    known = read(root, order)
    _write(Node(root), order.prefix, _path(order), {"brought": sorted({*known, *names})})


def making(root: str, prefix: str, paths: Sequence[str]) -> None:
    """Files that are about to be made, for the manifest that ``remove`` goes by."""
    if prefix and paths:
        node = Node(root)
        made = manifest.make_folder(node, prefix)
        manifest.add(node, prefix, [*made, *((path, "file") for path in paths)])


def forget(root: str, order: Order) -> None:
    """The component is gone, and what it brought."""
    if order.prefix:
        with contextlib.suppress(FileNotFoundError):
            os.remove(Node(root).path(_path(order)))


def _write(node: Node, prefix: str, path: str, content: object) -> None:
    made = manifest.make_folder(node, os.path.dirname(path))
    manifest.add(node, prefix, [*made, (path, "file")])
    manifest.write_json(node.path(path), content, mode=0o600)


# ---- files of the operator's that were changed --------------------------------------------------


def _files_path(prefix: str, name: str) -> str:
    return "%s/%s/%s.files.json" % (prefix, FOLDER, name)


def keep(node: Node, prefix: str, name: str, before: Mapping[str, Optional[str]]) -> None:
    """Keep what files held before the first change; a later one does not replace it."""
    if prefix and before:
        content = dict(before, **dict(kept(node, prefix, name)))
        _write(node, prefix, _files_path(prefix, name), {"files": content})


def kept(node: Node, prefix: str, name: str) -> List[Tuple[str, Optional[str]]]:
    """(path, what it held, None for nothing) as noted; none without a note that can be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        text = node.read(_files_path(prefix, name)) if prefix else None
        return list(json.loads(text)["files"].items()) if text else []
    return []


def drop(node: Node, prefix: str, name: str) -> None:
    """Nothing of it is left to be put back."""
    if prefix:
        with contextlib.suppress(FileNotFoundError):
            os.remove(node.path(_files_path(prefix, name)))
