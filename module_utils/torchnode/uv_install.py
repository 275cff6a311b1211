"""Putting the uv that the controller sent where the node keeps it."""

from __future__ import annotations

import hashlib
import os
import shutil


class NotTheOne(Exception):
    """The file is not the uv that was sent; the message says what was found and expected."""


def sha256(path: str) -> str:
    """The file's SHA-256 in hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def install(sent: str, target: str, expected: str) -> None:
    """Copy ``sent`` to ``target`` in one rename, when its SHA-256 is the expected one.

    Raises NotTheOne, and OSError for a folder or a disk that does not take it.
    """
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = "%s.%d" % (target, os.getpid())
    try:
        shutil.copyfile(sent, temporary)
        found = sha256(temporary)
        if found != expected:
            raise NotTheOne("%s has SHA-256 %s instead of %s" % (target, found, expected))
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
