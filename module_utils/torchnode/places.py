"""Paths on the node that a run needs: read at survey, judged in ``place_fit`` before any change."""

from __future__ import annotations

import os
from typing import Sequence, Tuple

from .model import Place, User
from .node import Node
from .node_files import facts_folder
from .package_index import local_folder


def read_places(
    node: Node, user: User, prefix: str, facts: str, find_links: Sequence[str], ca_bundle: str
) -> Tuple[Place, ...]:
    """What the run writes, then what the stack's build reads. URLs of other machines are left out.

    ``facts`` is torchnode_facts_folder as it was stated, '' for the default.
    """
    facts = facts_folder(user, facts)
    written = [("torchnode_prefix", prefix), ("torchnode_facts_folder", facts)]
    folders = [folder for folder in map(local_folder, find_links) if folder is not None]
    read = [("torchnode_find_links", folder, "folder") for folder in folders]
    read += [("torchnode_ca_bundle", ca_bundle, "file")] if ca_bundle else []
    return (
        *(Place(name, path, _unwritable(node, user, path)) for name, path in written),
        *(Place(name, path, _unreadable(node, user, path, kind)) for name, path, kind in read),
    )


def _unwritable(node: Node, user: User, path: str) -> str:
    """Why ``path`` cannot be written, or be made where its nearest parent is."""
    while path != "/" and not os.path.lexists(node.path(path)):
        path = os.path.dirname(path)
    if not os.path.isdir(node.path(path)):
        return "%s is not a folder" % path
    if os.access(node.path(path), os.W_OK | os.X_OK):
        return ""
    if os.statvfs(node.path(path)).f_flag & os.ST_RDONLY:
        return "%s lies on a read-only file system" % path
    return "%s may not write into %s" % (user.name, path)


def _unreadable(node: Node, user: User, path: str, kind: str) -> str:
    """Why ``path`` cannot be read as the ``kind`` that it should be: 'folder' or 'file'."""
    there = node.path(path)
    if not os.path.exists(there):
        return "%s is not there" % path
    if not (os.path.isdir if kind == "folder" else os.path.isfile)(there):
        return "%s is not a %s" % (path, kind)
    if not os.access(there, os.R_OK | (os.X_OK if kind == "folder" else 0)):
        return "%s may not read %s" % (user.name, path)
    return ""
