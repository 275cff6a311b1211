"""Which toolkit /usr/local/cuda is: the packages' own alternatives, else a link that is noted."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import manifest
from .node import Node, Run

LINK = "/usr/local/cuda"
ALTERNATIVE = "/etc/alternatives/cuda"


@dataclass(eq=False)
class Problem(Exception):
    """What is in the way: what was seen, and a cause and a next step as sentences."""

    observed: str
    cause: str
    remedy: str


def current(node: Node) -> str:
    """The folder that /usr/local/cuda leads to, '' for none."""
    for path in (ALTERNATIVE, LINK):
        target = node.link(path)
        if target and target != ALTERNATIVE:
            return os.path.normpath(os.path.join(os.path.dirname(path), target))
    return LINK if node.exists(LINK) else ""


def settle(node: Node, run: Run, version: str, prefix: str, pretend: bool) -> bool:
    """Make the toolkit of ``version`` the default; whether that is a change. Raises Problem."""
    wanted = "%s-%s" % (LINK, version)
    if current(node) == wanted and (pretend or node.exists(wanted)):
        return False
    if pretend:
        return True
    if not node.exists(wanted):
        raise Problem(
            "%s is not there" % wanted, "The toolkit's packages have not brought its folder.",
            "Reinstall cuda-toolkit-%s." % version.replace(".", "-"),
        )  # fmt: skip
    if node.link(LINK) == ALTERNATIVE:
        done = run(["update-alternatives", "--set", "cuda", wanted])
        if done.rc != 0 or current(node) != wanted:
            raise Problem(
                "update-alternatives: %s" % (done.err or done.out).strip()[-300:],
                "The packages' alternatives do not know this toolkit.",
                "Read `update-alternatives --display cuda`, and reinstall cuda-toolkit-%s-config-"
                "common or the like." % version.replace(".", "-"),
            )
    else:
        _link(node, wanted, prefix)
    return True


def _link(node: Node, wanted: str, prefix: str) -> None:
    if os.path.lexists(node.path(LINK)) and LINK not in manifest.read(node, prefix):
        raise Problem(
            "%s is there, and neither the packages nor torchnode made it" % LINK,
            "Somebody else's default toolkit would be replaced.",
            "Take it out (`ls -l %s` shows what it is), and run again." % LINK,
        )
    manifest.add(node, prefix, [*manifest.make_folder(node, prefix), (LINK, "file")])
    temporary = node.path("%s.%d" % (LINK, os.getpid()))
    os.symlink(os.path.basename(wanted), temporary)
    os.replace(temporary, node.path(LINK))
