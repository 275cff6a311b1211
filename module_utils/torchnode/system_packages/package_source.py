"""One call of the module ``package_source``, from its options to its result."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ..model import from_data
from ..node import Node
from ..outcome import Outcome, Result
from ..package_model import SourceWish
from ..progress_file import ProgressFile
from . import key_fetch
from .failures import PackageError, Problem
from .package_set import Applied
from .runner import Runner, environment
from .sources import SourceOrder, Sources
from .turn import turn


def apply(node: Node, given: Mapping[str, Any], check: bool) -> Applied:
    """Configure the source as the options say; never raises for what a repository does."""
    wish = from_data(SourceWish, given["source"])
    order = SourceOrder(
        wish, given["key_file"] or "", given["ca_bundle"], float(given["wait_seconds"]),
        given["prefix"] or "", given["state"] == "absent",
    )  # fmt: skip
    identity = "apply.source." + wish.name
    expected = wish.uri or "components " + " ".join(wish.components)
    env = environment(os.environ, given["proxy"], given["ca_bundle"])
    progress = ProgressFile(None if check else given["progress"])
    run = Runner(env, progress)

    def fetch(url: str) -> bytes:
        return key_fetch.fetch(url, env, given["ca_bundle"])

    try:
        with turn(node, order.wait_seconds, run.tell, check):
            done = Sources(node, run, run.tell, fetch).apply(order, check)
    except PackageError as error:
        return Applied(error.problem.outcome(identity, expected))
    except OSError as error:
        return Applied(_no_file(error).outcome(identity, expected))
    finally:
        progress.remove()
    passed = Outcome(identity, "apply", Result.PASS, done.said, expected, required=False)
    return Applied(passed, done)


def _no_file(error: OSError) -> Problem:
    return Problem(
        "no_file", str(error), "A file that names the source cannot be written.",
        "Look at its folder: is the file system full, or mounted read-only? Run as root.",
    )  # fmt: skip
