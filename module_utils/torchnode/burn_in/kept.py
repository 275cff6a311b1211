"""The last burn-in as a file on the node: its outcomes and samples, for whoever looks there later.

Written by the node itself at the end, so it is there after a Ctrl-C and without a controller too.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Mapping, Optional

from ..manifest import write_json


def forget(path: Optional[str]) -> None:
    """A burn-in begins: if it is killed, no file of an earlier one must be taken for its own."""
    if path:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def keep(path: Optional[str], result: Mapping[str, Any]) -> str:
    """Write the module's result; why it could not be written, or ''.

    Never raises: what was measured is worth more than a copy of it.
    """
    if not path:
        return ""
    try:
        write_json(path, result)
    except OSError as error:
        return "the burn-in's samples could not be kept on the node: %s" % error
    return ""
