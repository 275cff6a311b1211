"""Paths on the node that a run needs: read at survey, judged in ``place_fit`` before any change."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from .model import Place, User
from .node import Node
from .node_files import facts_folder
from .package_index import local_folder


@dataclass(frozen=True)
class Files:
    """Files on the node that the operator names, '' for none."""

    ca_bundle: str = ""
    signing_key: str = ""
    signing_certificate: str = ""

    def named(self) -> List[Tuple[str, str]]:
        """(variable, path) of each; a key in a token or a module of hardware is no file."""
        pairs = [
            ("torchnode_ca_bundle", self.ca_bundle),
            ("torchnode_secure_boot_key", self.signing_key),
            ("torchnode_secure_boot_certificate", self.signing_certificate),
        ]
        return [(name, path) for name, path in pairs if path and not path.startswith("pkcs11:")]


def read_places(
    node: Node, user: User, written: Tuple[str, str], find_links: Sequence[str], files: Files
) -> Tuple[Place, ...]:
    """What the run writes, then what it reads. URLs of other machines are left out.

    ``written`` are the prefix, and torchnode_facts_folder as it was stated, '' for the default.
    """
    prefix, facts = written[0], facts_folder(user, written[1])
    own = [("torchnode_prefix", prefix), ("torchnode_facts_folder", facts)]
    folders = [folder for folder in map(local_folder, find_links) if folder is not None]
    read = [("torchnode_find_links", folder, "folder") for folder in folders]
    read += [(name, path, "file") for name, path in files.named()]
    return (
        *(Place(name, path, _unwritable(node, user, path)) for name, path in own),
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
