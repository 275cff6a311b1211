"""Kill a converge at points drawn by chance; the next run must make up for it.

    tools/kill_matrix                        twenty points, five of each way to be killed
    tools/kill_matrix --points 2 --ways interrupt,kill
    tools/kill_matrix --seed 7 --point 13    one point of a matrix alone

Each point has a fresh node. A converge of the NVIDIA path is started and killed; the same command
is started again at once. It counts as mended only if that run ends well, the node is then like
one that was never interrupted (packages, holds, files), and a third run changes nothing.
Exits 1 if a point was not mended. docs/nvidia.md has the dated result.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .converge import Converge
from .node import Lab, Node
from .snapshot import differences, snapshot

#: Programs of a transaction and what they start, as the kernel cuts their names.
_PACKAGE_PROGRAMS = "apt-get|dpkg|dkms|update-initramf|mkinitramfs"
_STRIKE = (
    """
for _ in $(seq 600); do pkill -KILL -x '%s' && exit; sleep 0.1; done
"""
    % _PACKAGE_PROGRAMS
)


def interrupt(run: Converge, node: Node) -> None:
    """Ctrl-C: SIGINT to the process group of ansible-playbook."""
    run.kill(signal.SIGINT)


def kill(run: Converge, node: Node) -> None:
    """SIGKILL to that group: nobody on the controller can clean up."""
    run.kill(signal.SIGKILL)


def dpkg(run: Converge, node: Node) -> None:
    """SIGKILL to apt and dpkg on the node, as soon as they run; the controller goes on."""
    node.sh(_STRIKE)
    run.end()


def crash(run: Converge, node: Node) -> None:
    """SIGKILL to every process of the node, as when its power fails, and to the controller."""
    node.crash()
    run.kill(signal.SIGKILL)
    node.start()


WAYS: dict[str, Callable[[Converge, Node], None]] = {
    way.__name__: way for way in (interrupt, kill, dpkg, crash)
}


@dataclass(frozen=True)
class Point:
    """When, as a part of an undisturbed run's time, and how a run is killed."""

    number: int
    way: str
    part: float


def points(seed: int, count: int, ways: list[str]) -> list[Point]:
    """Uniform over the run's time. The n-th point is the same in every matrix of a seed."""
    drawn = random.Random(seed)
    return [Point(n, ways[(n - 1) % len(ways)], drawn.random()) for n in range(1, count + 1)]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--point", type=int, default=0, help="this point alone; 0 for all")
    told = "; ".join("%s: %s" % (n, (w.__doc__ or "").split(":")[0]) for n, w in WAYS.items())
    parser.add_argument("--ways", default=",".join(WAYS), help="by turns; " + told)
    options = parser.parse_args()
    unknown = set(options.ways.split(",")) - set(WAYS)
    if unknown:
        parser.error("no such way: %s; there are %s" % (", ".join(unknown), ", ".join(WAYS)))
    return options


@contextlib.contextmanager
def fresh(lab: Lab, name: str) -> Iterator[Node]:
    """A node that goes afterwards."""
    node = lab.node(name)
    try:
        yield node
    finally:
        node.remove()


def undisturbed(lab: Lab) -> tuple[list[str], float]:
    """(What a node is like that was never interrupted, seconds of its run)."""
    with fresh(lab, "undisturbed") as node:
        ended = Converge(node, 1).end()
        if ended.status:
            sys.exit("the undisturbed run failed:\n" + ended.out)
        return snapshot(node), ended.seconds


def struck(lab: Lab, point: Point, seconds: float, expected: list[str]) -> tuple[str, list[str]]:
    """(After which task it was killed, why it is not mended).

    A run that was faster than ``seconds``, and so was not killed, does not count: the point is made
    anew by its own time."""
    with fresh(lab, "point%d" % point.number) as node:
        run = Converge(node, 1)
        if run.wait(point.part * seconds):
            task = run.last_ended()
            WAYS[point.way](run, node)
            return task, mended(node, expected)
        faster = run.end().seconds
    shutil.rmtree(node.folder)
    return struck(lab, point, min(faster, 0.9 * seconds), expected)


def mended(node: Node, expected: list[str]) -> list[str]:
    """Why the next run has not made up for a kill; empty where it has."""
    second = Converge(node, 2).end()
    if second.status:
        return ["the next run ended with %d:" % second.status, *_tail(second.out)]
    wrong = differences(expected, snapshot(node))
    third = Converge(node, 3).end()
    if third.status or third.changed != 0:
        words = "the third run ended with %d and changed=%s:"
        wrong += [words % (third.status, third.changed), *_tail(third.out)]
    return wrong


def _tail(out: str, lines: int = 25) -> list[str]:
    return out.rstrip().splitlines()[-lines:]


def matrix(lab: Lab, chosen: list[Point]) -> int:
    """How many points were not mended; a line for each point as it ends."""
    began = time.monotonic()
    expected, seconds = undisturbed(lab)
    print("undisturbed: %.0f s, %d lines to compare" % (seconds, len(expected)), flush=True)
    failed = 0
    for point in chosen:
        task, wrong = struck(lab, point, seconds, expected)
        failed += bool(wrong)
        at = "point %2d: %-9s at %4.1f %% (after: %s)" % (
            point.number, point.way, 100 * point.part, task,
        )  # fmt: skip
        print("%s %s" % (at, "NOT MENDED" if wrong else "mended"), flush=True)
        for line in wrong[:60]:
            print("    " + line, flush=True)
    mended = len(chosen) - failed
    print("%d of %d points mended, in %.0f s" % (mended, len(chosen), time.monotonic() - began))
    return failed


def main() -> int:
    """Run the matrix; the exit status. The runs' output stays where a point was not mended."""
    options = parse()
    ways = options.ways.split(",")
    drawn = points(options.seed, max(options.points, options.point), ways)
    chosen = [p for p in drawn if options.point in (0, p.number)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the nodes go, as with Ctrl-C
    folder = Path(tempfile.mkdtemp(prefix="torchnode-kill."))
    print("seed %d, ways %s, runs in %s" % (options.seed, options.ways, folder), flush=True)
    failed = matrix(Lab(folder), chosen)
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0
