"""Folders below the prefix that are filled from wheels, for compilers and out of torch's sight.

uv fetches the wheels from the same sources as the stack's packages and compares each with the
SHA-256 of its row. A folder is filled beside the others and renamed when it is whole; links say
which one is in use. No loader is told of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from . import manifest, uv_failures, uv_install, venv
from .node import Node
from .outcome import Outcome, Result
from .package_model import WheelFile
from .stack_builder import BuildFailed, Order, run_uv
from .uv_run import Watch

MARKER = "torchnode.json"
_UNFINISHED = ".new"


@dataclass(frozen=True)
class Folder:
    """One folder by its name, and the wheels that fill it."""

    name: str
    files: Tuple[WheelFile, ...]

    @property
    def digest(self) -> str:
        """What tells whether it was filled from these very files."""
        return "+".join(file.sha256 for file in self.files)


@dataclass(frozen=True)
class Kind:
    """What the folders hold: its name for people, the folder of all of them below the prefix, the
    outcome's id, the variable that asks for it, and how unpacked wheels become a folder.

    ``lay_out`` finds them in ``<folder>/wheels`` and raises BuildFailed.
    """

    what: str
    folder: str
    identity: str
    variable: str
    lay_out: Callable[[str], None]

    def base(self, prefix: str) -> str:
        """The folder that holds every one of a prefix."""
        return "%s/%s" % (prefix, self.folder)


@dataclass(frozen=True)
class Applied:
    """``before`` and ``after`` are what is linked, one 'cu12 -> 9.10.2.21-cu12' a line."""

    changed: bool
    before: str
    after: str
    outcome: Outcome


def whole(node: Node, folder: str) -> Optional[str]:
    """The digest of what filled a folder; None where a file is not of its noted size."""
    try:
        noted = json.loads(node.read(folder + "/" + MARKER) or "")
        sizes = noted["files"].items()
        there = (os.path.getsize(node.path("%s/%s" % (folder, name))) for name, _ in sizes)
        same = bool(sizes) and list(there) == [size for _, size in sizes]
        return str(noted["sha256"]) if same else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return None


def apply(
    node: Node,
    order: Order,
    kind: Kind,
    folders: Tuple[Folder, ...],
    links: Mapping[str, str],
    environ: Mapping[str, str],
    pretend: bool,
) -> Applied:
    """Have every folder, and the links (name to folder); never raises for what fails."""
    top = kind.base(order.prefix)
    before = _linked(node, top, links)
    lacking = [f for f in folders if whole(node, "%s/%s" % (top, f.name)) != f.digest]
    changed = bool(lacking) or before != links
    if changed and not pretend:
        try:
            _make(node, order, kind, lacking, links, environ)
        except (BuildFailed, uv_install.NotTheOne, OSError) as error:
            return Applied(False, _lines(before), _lines(before), _failed(error, kind, folders))
    names = ", ".join(folder.name for folder in folders)
    result = Result.SKIPPED if changed and pretend else Result.PASS
    said = "%s %s %s" % (
        kind.what + " " + names, "would be unpacked below" if changed and pretend else "is below",
        top,
    )  # fmt: skip
    outcome = Outcome(kind.identity, "apply", result, said, names, required=False)
    return Applied(changed, _lines(before), _lines(links), outcome)


def _linked(node: Node, top: str, links: Mapping[str, str]) -> Dict[str, str]:
    found = {name: node.link("%s/%s" % (top, name)) for name in links}
    return {name: target for name, target in found.items() if target is not None}


def _lines(linked: Mapping[str, str]) -> str:
    return "".join("%s -> %s\n" % pair for pair in sorted(linked.items()))


def _make(
    node: Node,
    order: Order,
    kind: Kind,
    lacking: List[Folder],
    links: Mapping[str, str],
    environ: Mapping[str, str],
) -> None:
    top = kind.base(order.prefix)
    made = manifest.make_folder(node, order.prefix) + manifest.make_folder(node, top)
    places = ["%s/%s" % (top, folder.name) for folder in lacking]
    trees = [(path, "tree") for place in places for path in (place, place + _UNFINISHED)]
    manifest.add(
        node, order.prefix, [*made, *trees, *((top + "/" + name, "file") for name in links)]
    )
    if order.uv_sent:
        uv_install.install(order.uv_sent, order.uv, order.uv_sha256)
    for folder in lacking:
        _unpack(node, order, kind, folder, environ)
    for name, target in links.items():
        _link(top, name, target)


def _unpack(
    node: Node, order: Order, kind: Kind, folder: Folder, environ: Mapping[str, str]
) -> None:
    """Fill a folder under a name that is not looked at, and rename it. Raises BuildFailed."""
    place = "%s/%s" % (kind.base(order.prefix), folder.name)
    temporary = place + _UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    watch = Watch(order.progress, temporary, len(folder.files))
    try:
        _fetch(node, order, temporary, folder, environ, watch)
        _lay_out(temporary, kind)
        content = {"sha256": folder.digest, "files": dict(_sizes(temporary))}
        manifest.write_json("%s/%s" % (temporary, MARKER), content)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        watch.end()


def _fetch(
    node: Node,
    order: Order,
    target: str,
    folder: Folder,
    environ: Mapping[str, str],
    watch: Watch,
) -> None:
    """Have uv unpack the wheels, and read every byte of them. Raises BuildFailed.

    uv compares a wheel's SHA-256 when it downloads it; what it takes from its cache it trusts.
    """
    os.makedirs(target)
    lock = target + "/wheels.txt"
    with open(lock, "w", encoding="utf-8") as stream:
        for file in folder.files:
            stream.write("%s==%s --hash=sha256:%s\n" % (file.project, file.version, file.sha256))
    # Copied, not linked from the cache: whoever alters these files must not alter torch's own.
    # Without what they depend on: the rows name all that is wanted.
    arguments = ["pip", "install", "--require-hashes", "--no-config", "--no-deps", "--link-mode",
                 "copy", "--python", sys.executable, "--requirement", lock]  # fmt: skip
    into = ["--target", target + "/wheels"]
    run_uv(order, [*arguments, *into], environ, watch)
    damaged = _damaged(node, target, folder)
    if damaged:
        run_uv(order, ["cache", "clean", "--quiet", *damaged], environ, watch)
        shutil.rmtree(target + "/wheels")
        run_uv(order, [*arguments, *into], environ, watch)
    damaged = _damaged(node, target, folder)
    if damaged:
        raise BuildFailed(
            "\n".join(damaged.values()),
            "Files came out otherwise than the wheel's own list says, twice.",
            "Look at the disk that holds %s and uv's cache." % target,
        )
    os.remove(lock)


def _damaged(node: Node, target: str, folder: Folder) -> Dict[str, str]:
    """Each project with a file that is not as its wheel says, and the first such file."""
    found: Dict[str, str] = {}
    for line in venv.compare_folder(node, target + "/wheels"):
        project = line.partition(":")[0]
        if project in {file.project for file in folder.files}:
            found.setdefault(project, line)
    return found


def _lay_out(folder: str, kind: Kind) -> None:
    """What the kind makes of the wheels, and their licences."""
    unpacked = folder + "/wheels"
    try:
        kind.lay_out(folder)
    except FileNotFoundError as error:
        raise BuildFailed(
            "the wheels hold no %s" % error.filename,
            "They are not laid out as those of %s are." % kind.what,
            "Take another version in %s." % kind.variable,
        ) from None  # fmt: skip
    for name in os.listdir(unpacked):
        if name.endswith(".dist-info"):
            os.rename("%s/%s" % (unpacked, name), "%s/%s" % (folder, name))
    shutil.rmtree(unpacked)


def name_libraries(folder: str) -> None:
    """Give libraries the names that a linker looks for: libcudart.so beside libcudart.so.13."""
    for name in os.listdir(folder):
        plain = name.partition(".so")[0] + ".so"
        if ".so." in name and not os.path.lexists("%s/%s" % (folder, plain)):
            os.symlink(name, "%s/%s" % (folder, plain))


def _sizes(folder: str) -> Iterator[Tuple[str, int]]:
    """Every file below the folder, by its path there, with its size in bytes; no licences."""
    for place, parts, names in os.walk(folder):
        parts[:] = sorted(part for part in parts if not part.endswith(".dist-info"))
        for name in sorted(names):
            path = os.path.join(place, name)
            yield os.path.relpath(path, folder), os.path.getsize(path)


def _link(top: str, name: str, target: str) -> None:
    temporary = "%s/%s.%d" % (top, name, os.getpid())
    if os.path.lexists(temporary):
        os.remove(temporary)  # of a killed process that had this number
    os.symlink(target, temporary)
    os.replace(temporary, "%s/%s" % (top, name))


def _failed(error: Exception, kind: Kind, folders: Tuple[Folder, ...]) -> Outcome:
    if isinstance(error, BuildFailed):
        what, cause, remedy = error.what, error.cause, error.remedy
    else:
        what = str(error)
        cause, remedy = uv_failures.explain(what)
    files = [file for folder in folders for file in folder.files]
    expected = ", ".join("%s %s" % (file.project, file.version) for file in files) + ", unpacked"
    return Outcome(kind.identity, "apply", Result.FAIL, what, expected, cause, remedy)
