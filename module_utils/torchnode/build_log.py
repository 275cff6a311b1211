"""What uv said of the last build that failed, kept on the node for whoever looks into it."""

from __future__ import annotations

import contextlib
import os

from . import manifest
from .node import Node

NAME = "failed-build.log"


def keep(node: Node, prefix: str, text: str) -> None:
    """Keep ``text``, which holds no secrets, for its owner alone. Never raises: the failed build
    is what has to be told, and a full disk may be its cause."""
    path = os.path.join(prefix, NAME)
    with contextlib.suppress(OSError, ValueError):
        manifest.add(node, prefix, [(path, "file")])
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")


def clear(prefix: str) -> None:
    """Take the log out when a build has succeeded: it would speak of what is mended."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(prefix, NAME))
