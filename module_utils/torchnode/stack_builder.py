"""Building a stack beside the running one, and flipping ``current`` to it when it is complete.

Nothing here changes the environment that ``current`` points to: a new one is built under
``<prefix>/stacks/<digest>.<n>``, checked, marked, and only then made current.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import List, Mapping, NoReturn, Optional, Sequence

from . import manifest, retention, uv_failures, uv_run, venv
from .model import InstalledStack, Stack
from .node import Node
from .redaction import passwords, redacted
from .stop_signals import StopSignals
from .supplied_wheel import lock_line
from .uv_run import Watch

HINT_SECONDS = 60
TAIL_CHARACTERS = 1500  # of uv's output in an outcome; the build log has all of it
UV_SECONDS = 3600  # a CUDA stack is several GB; a stuck mirror must still end the task


class BuildFailed(Exception):
    """Building failed and nothing current was changed. ``cause`` and ``remedy`` are sentences.

    ``told`` is all that uv said, without secrets; '' where uv did not come to say anything.
    """

    def __init__(self, what: str, cause: str, remedy: str, told: str = "") -> None:
        super().__init__(what, cause, remedy)
        self.what, self.cause, self.remedy, self.told = what, cause, remedy, told


@dataclass(frozen=True)
class Order:
    """What to build, from which lock text, with which uv; ``keep`` complete stacks stay.

    ``hashes`` reads every byte of what is there before it counts as undamaged. ``progress`` is
    the file that says how far the build is; '' for none. ``uv_sent`` is a uv that the controller
    has just sent, to be put where ``uv`` says; '' where it lies there already.
    """

    prefix: str
    stack: Stack
    lock: str
    uv: str
    keep: int = 2
    hashes: bool = False
    progress: str = ""
    uv_sent: str = ""
    uv_sha256: str = ""

    @property
    def torch(self) -> str:
        """torch's version as torch/version.py must spell it."""
        return self.stack.torch.label if self.stack.torch else ""

    @property
    def lines(self) -> str:
        """What uv installs: the lock, and the wheel that the operator supplies, with its hash."""
        supplied = self.stack.supplied
        return exact(self.lock) + (lock_line(supplied) if supplied else "")


def ready_stack(node: Node, order: Order) -> Optional[InstalledStack]:
    """The undamaged, complete stack with the order's digest, the current one first; else None."""
    current = venv.read_current(node, order.prefix, order.hashes)
    if current is not None and _serves(current, order):
        return current
    for path in venv.read_stacks(node, order.prefix):
        marker = venv.read_marker(node, path)
        if marker is not None and marker["digest"] == order.stack.digest:
            stack = venv.inspect(node, path, order.hashes)
            if _serves(stack, order):
                return stack
    return None


def _serves(stack: InstalledStack, order: Order) -> bool:
    return stack.digest == order.stack.digest and not stack.damage


def build(node: Node, order: Order, environment: Mapping[str, str], hashes: bool) -> str:
    """Build the stack and return its path. Raises BuildFailed; a half-made folder is removed.

    ``hashes`` compares every built file with its recorded SHA-256. uv links files from its cache,
    so whoever altered the old environment may have altered the cache: a package that comes out
    damaged is fetched anew.
    """
    path = _new_folder(node, order)
    watch = Watch(order.progress, path, len(order.stack.packages))
    with StopSignals(_stop):
        try:
            _fill(node, order, path, environment, hashes, watch)
            return path
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)  # the folder was never current
            raise
        finally:
            watch.end()


def _fill(
    node: Node,
    order: Order,
    path: str,
    environment: Mapping[str, str],
    hashes: bool,
    watch: Watch,
) -> None:
    new = ["venv", "--quiet", "--no-config", "--python", order.stack.python, path]
    run_uv(order, new, environment, watch)
    lock = os.path.join(path, "torchnode.lock")
    _write(lock, order.lines)
    _sync(order, path, lock, environment, watch)
    watch.say("checking what was installed", 2)
    packages = dict(order.stack.packages)
    _, damage = venv.compare(node, path, packages, hashes)
    damaged = sorted({line.partition(":")[0] for line in damage} & set(packages))
    if damaged:
        run_uv(order, ["cache", "clean", "--quiet", *damaged], environment, watch)
        _sync(order, path, lock, environment, watch, damaged)
        _, damage = venv.compare(node, path, packages, hashes)
    _check(node, order, path, damage)
    _remove_lock_of_uv(path)
    _write(os.path.join(path, venv.MARKER), _marker(order, path))


def _stop(why: str) -> NoReturn:
    raise BuildFailed(
        "stopped: %s" % why,
        "The run was ended from outside.",
        "Run again: what was downloaded is kept.",
    )


def exact(lock: str) -> str:
    """The lock, with torch's own packages pinned to the public version alone.

    'torch==2.13.0' also names 2.13.0+cpu, and uv would choose that one from a folder or index that
    has both, only to find no hash for it. '===' compares the whole version.
    Source: https://packaging.python.org/en/latest/specifications/version-specifiers/, 2026-11-22.
    """
    return re.sub(r"(?m)^(torch(?:vision|audio)?)==(?=[^+=\s]+(?:\s|$))", r"\1===", lock)


def _remove_lock_of_uv(path: str) -> None:
    """uv leaves a lock file that every user may write: nothing in a finished stack should be so."""
    lock = os.path.join(path, ".lock")
    if os.path.exists(lock):
        os.remove(lock)


def _sync(
    order: Order,
    path: str,
    lock: str,
    environment: Mapping[str, str],
    watch: Watch,
    anew: Sequence[str] = (),
) -> None:
    again = [argument for name in anew for argument in ("--reinstall-package", name)]
    exact = ["--require-hashes", "--no-config", "--strict"]
    run_uv(
        order,
        ["pip", "sync", *exact, *again, "--python", path + "/bin/python", lock],
        environment,
        watch,
    )


def activate(order: Order, path: str) -> None:
    """Point ``current`` to the stack at ``path``, in one rename."""
    link = os.path.join(order.prefix, "current")
    temporary = "%s.%d" % (link, os.getpid())
    if os.path.lexists(temporary):
        os.remove(temporary)  # of a killed process that had this number
    os.symlink(os.path.join("stacks", os.path.basename(path)), temporary)
    os.replace(temporary, link)


def prune(node: Node, order: Order, current: str, damaged: Sequence[str]) -> List[str]:
    """Remove unfinished and ``damaged`` folders, and all but the newest ``keep`` stacks."""
    complete = venv.read_stacks(node, order.prefix)
    unfinished = venv.read_unfinished(node, order.prefix)
    doomed = retention.superseded(complete, unfinished, damaged, current, order.keep)
    for path in doomed:
        shutil.rmtree(path)
    return doomed


def _new_folder(node: Node, order: Order) -> str:
    """A name that is free, noted in the manifest before anything of it exists."""
    stacks = os.path.join(order.prefix, "stacks")
    made = manifest.make_folder(node, stacks)
    number = 1
    while os.path.lexists(os.path.join(stacks, "%s.%d" % (order.stack.digest, number))):
        number += 1
    path = os.path.join(stacks, "%s.%d" % (order.stack.digest, number))
    current = (os.path.join(order.prefix, "current"), "file")
    manifest.add(node, order.prefix, [*made, (path, "tree"), current])
    return path


def _check(node: Node, order: Order, path: str, damage: Sequence[str]) -> None:
    """The built environment against the order: the exact tag, and every package of the lock."""
    torch = venv.read_torch_version(node, path)
    if torch != order.torch:
        raise BuildFailed(
            "torch/version.py says %s instead of %s" % (torch, order.torch),
            "The index served another build of torch under the same public version.",
            "Make a lock for the build that you want with `make lock TAG=...`.",
        )
    if damage:
        raise BuildFailed(
            "the environment differs from its lock: %s" % "; ".join(damage[:5]),
            "uv installed something else than the lock lists for this machine, or the disk failed.",
            "Check the disk; if it is sound, remake the lock with `make lock`.",
        )


def _marker(order: Order, path: str) -> str:
    content = {
        "digest": order.stack.digest,
        "python": order.stack.python,
        "torch": order.torch,
        "packages": dict(order.stack.packages),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _write(path: str, text: str) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def run_uv(
    order: Order, arguments: List[str], environment: Mapping[str, str], watch: Watch
) -> None:
    """Run the order's uv to its end. Raises BuildFailed with the cause of what it said."""
    try:
        done = uv_run.run([order.uv, *arguments], environment, UV_SECONDS, watch)
    except subprocess.TimeoutExpired:
        raise BuildFailed(
            "uv %s took longer than %d s" % (arguments[0], UV_SECONDS),
            "The index or the disk is too slow, or a transfer is stuck.",
            "Check the mirror, and run again: what was downloaded is kept.",
        ) from None
    except ConnectionAbortedError as error:
        _stop(str(error))
    except OSError as error:
        raise BuildFailed(
            "%s: %s" % (order.uv, error), "uv does not run on this node.", "Report it."
        ) from None
    if done.returncode != 0:
        text = done.stdout.decode("utf-8", "replace").strip()
        text = (text + "\n" + _refusals(order, arguments, environment, text)).strip()
        # Also the letters of a password alone: uv repeats half of a URL that it cannot read.
        told = redacted(text, passwords(environment.values()))
        what = "uv %s failed: %s" % (" ".join(arguments[:2]), told[-TAIL_CHARACTERS:])
        raise BuildFailed(what, *uv_failures.explain(text), told=told)


def _refusals(
    order: Order, arguments: Sequence[str], environment: Mapping[str, str], text: str
) -> str:
    """uv's hints about an index that refused it, '' where there are none.

    uv gives them only where it asks one index after the other, so it is asked so once more.
    """
    if not uv_failures.may_be_refused(text):
        return ""
    try:
        done = subprocess.run(
            [order.uv, *arguments, "--dry-run"],
            env=dict(environment, UV_INDEX_STRATEGY="first-index"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=HINT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return uv_failures.refusals(done.stdout.decode("utf-8", "replace"))
