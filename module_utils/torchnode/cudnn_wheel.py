"""cuDNN from wheels, below ``<prefix>/cudnn``: for compilers, out of torch's sight.

uv fetches a wheel from the same sources as the stack's packages and compares it with the SHA-256
of its row. A folder ``<version>-cu<major>`` is filled beside the others and renamed when it is
whole; ``cu<major>`` and ``current`` (the default toolkit's) are links. No loader is told of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from . import manifest, uv_failures, uv_install, venv
from .node import Node
from .outcome import Outcome, Result
from .package_model import WheelWish
from .stack_builder import BuildFailed, Order, run_uv
from .uv_run import Watch

FOLDER, MARKER = "cudnn", "torchnode.json"
_UNFINISHED = ".new"


@dataclass(frozen=True)
class Applied:
    """``before`` and ``after`` are what is linked, one 'cu12 -> 9.10.2.21-cu12' a line."""

    changed: bool
    before: str
    after: str
    outcome: Outcome


def base(prefix: str) -> str:
    """The folder that holds every cuDNN of a prefix."""
    return "%s/%s" % (prefix, FOLDER)


def links(wheels: Tuple[WheelWish, ...]) -> Dict[str, str]:
    """Link name to folder: one for each CUDA major, and ``current`` for the first."""
    made = {"cu%d" % wheel.cuda: wheel.name for wheel in wheels}
    return dict(made, current=wheels[0].name) if wheels else made


def whole(node: Node, folder: str) -> Optional[str]:
    """The SHA-256 of the wheel that filled a folder; None where a file is not of its noted size."""
    try:
        noted = json.loads(node.read(folder + "/" + MARKER) or "")
        sizes = noted["files"].items()
        there = (os.path.getsize(node.path("%s/%s" % (folder, name))) for name, _ in sizes)
        same = bool(sizes) and list(there) == [size for _, size in sizes]
        return str(noted["sha256"]) if same else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return None


def apply(node: Node, order: Order, environ: Mapping[str, str], pretend: bool) -> Applied:
    """Have every wheel of the order's stack; never raises for what fails."""
    wheels = order.stack.host.cudnn_wheels if order.stack.host else ()
    before, after = _linked(node, order.prefix, wheels), links(wheels)
    lacking = [wheel for wheel in wheels if not _there(node, order.prefix, wheel)]
    changed = bool(lacking) or before != after
    if changed and not pretend:
        try:
            _make(node, order, lacking, after, environ)
        except (BuildFailed, uv_install.NotTheOne, OSError) as error:
            return Applied(False, _lines(before), _lines(before), _failed(error, wheels))
    names = ", ".join(wheel.name for wheel in wheels)
    result = Result.SKIPPED if changed and pretend else Result.PASS
    said = "cuDNN %s %s %s" % (
        names, "would be unpacked below" if changed and pretend else "is below", base(order.prefix),
    )  # fmt: skip
    outcome = Outcome("apply.cudnn_wheel", "apply", result, said, names, required=False)
    return Applied(changed, _lines(before), _lines(after), outcome)


def _there(node: Node, prefix: str, wheel: WheelWish) -> bool:
    return whole(node, "%s/%s" % (base(prefix), wheel.name)) == wheel.sha256


def _linked(node: Node, prefix: str, wheels: Tuple[WheelWish, ...]) -> Dict[str, str]:
    found = {name: node.link("%s/%s" % (base(prefix), name)) for name in links(wheels)}
    return {name: target for name, target in found.items() if target is not None}


def _lines(linked: Mapping[str, str]) -> str:
    return "".join("%s -> %s\n" % pair for pair in sorted(linked.items()))


def _make(
    node: Node,
    order: Order,
    lacking: List[WheelWish],
    linked: Mapping[str, str],
    environ: Mapping[str, str],
) -> None:
    top = base(order.prefix)
    made = manifest.make_folder(node, order.prefix) + manifest.make_folder(node, top)
    folders = ["%s/%s" % (top, wheel.name) for wheel in lacking]
    trees = [(path, "tree") for folder in folders for path in (folder, folder + _UNFINISHED)]
    manifest.add(
        node, order.prefix, [*made, *trees, *((top + "/" + name, "file") for name in linked)]
    )
    if order.uv_sent:
        uv_install.install(order.uv_sent, order.uv, order.uv_sha256)
    for wheel in lacking:
        _unpack(node, order, top, wheel, environ)
    for name, target in linked.items():
        _link(top, name, target)


def _unpack(
    node: Node, order: Order, top: str, wheel: WheelWish, environ: Mapping[str, str]
) -> None:
    """Fill a folder under a name that is not looked at, and rename it. Raises BuildFailed."""
    folder = "%s/%s" % (top, wheel.name)
    temporary = folder + _UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    watch = Watch(order.progress, temporary, 1)
    try:
        _fetch(node, order, temporary, wheel, environ, watch)
        _lay_out(temporary)
        content = {"sha256": wheel.sha256, "files": _sizes(temporary)}
        manifest.write_json("%s/%s" % (temporary, MARKER), content)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        watch.end()


def _fetch(
    node: Node,
    order: Order,
    target: str,
    wheel: WheelWish,
    environ: Mapping[str, str],
    watch: Watch,
) -> None:
    """Have uv unpack the wheel, and read every byte of it. Raises BuildFailed.

    uv compares the wheel's SHA-256 when it downloads it; what it takes from its cache it trusts.
    """
    os.makedirs(target)
    lock = target + "/wheel.txt"
    with open(lock, "w", encoding="utf-8") as stream:
        stream.write("%s==%s --hash=sha256:%s\n" % (wheel.project, wheel.version, wheel.sha256))
    # Copied, not linked from the cache: whoever alters these files must not alter torch's own.
    # Without its dependency, cuBLAS: the toolkit that programs are compiled with has it.
    arguments = ["pip", "install", "--require-hashes", "--no-config", "--no-deps", "--link-mode",
                 "copy", "--python", sys.executable, "--requirement", lock]  # fmt: skip
    into = ["--target", target + "/wheel"]
    run_uv(order, [*arguments, *into], environ, watch)
    if _damage(node, target, wheel):
        run_uv(order, ["cache", "clean", "--quiet", wheel.project], environ, watch)
        shutil.rmtree(target + "/wheel")
        run_uv(order, [*arguments, *into], environ, watch)
    damage = _damage(node, target, wheel)
    if damage:
        raise BuildFailed(
            damage[0], "Files came out otherwise than the wheel's own list says, twice.",
            "Look at the disk that holds %s and uv's cache." % target,
        )  # fmt: skip


def _damage(node: Node, target: str, wheel: WheelWish) -> List[str]:
    lines = venv.compare_folder(node, target + "/wheel")
    return [line for line in lines if line.startswith(wheel.project + ":")]


def _lay_out(folder: str) -> None:
    """include, lib and the licence out of the wheel, and the names that a linker looks for."""
    unpacked = folder + "/wheel"
    try:
        for name in ("include", "lib"):
            os.rename("%s/nvidia/cudnn/%s" % (unpacked, name), "%s/%s" % (folder, name))
    except FileNotFoundError as error:
        raise BuildFailed(
            "the wheel holds no %s" % error.filename, "It is not laid out as cuDNN's wheels are.",
            "Take another version in torchnode_cudnn.",
        ) from None  # fmt: skip
    for name in os.listdir(unpacked):
        if name.endswith(".dist-info"):
            os.rename("%s/%s" % (unpacked, name), "%s/%s" % (folder, name))
    shutil.rmtree(unpacked)
    os.remove(folder + "/wheel.txt")
    for name in os.listdir(folder + "/lib"):
        plain = name.partition(".so")[0] + ".so"
        if ".so." in name and not os.path.lexists("%s/lib/%s" % (folder, plain)):
            os.symlink(name, "%s/lib/%s" % (folder, plain))


def _sizes(folder: str) -> Dict[str, int]:
    """Every file below include and lib, by its path there, with its size in bytes."""
    found: Dict[str, int] = {}
    for part in ("include", "lib"):
        for name in sorted(os.listdir("%s/%s" % (folder, part))):
            found["%s/%s" % (part, name)] = os.path.getsize("%s/%s/%s" % (folder, part, name))
    return found


def _link(top: str, name: str, target: str) -> None:
    temporary = "%s/%s.%d" % (top, name, os.getpid())
    if os.path.lexists(temporary):
        os.remove(temporary)  # of a killed process that had this number
    os.symlink(target, temporary)
    os.replace(temporary, "%s/%s" % (top, name))


def _failed(error: Exception, wheels: Tuple[WheelWish, ...]) -> Outcome:
    if isinstance(error, BuildFailed):
        what, cause, remedy = error.what, error.cause, error.remedy
    else:
        what = str(error)
        cause, remedy = uv_failures.explain(what)
    files = ", ".join("%s %s" % (wheel.project, wheel.version) for wheel in wheels)
    return Outcome(
        "apply.cudnn_wheel", "apply", Result.FAIL, what, files + ", unpacked", cause, remedy
    )


def read(node: Node, prefix: str) -> List[str]:
    """Names of the complete cuDNNs ('9.10.2.21-cu12') that a link ``cu<major>`` points to."""
    found: List[str] = []
    for name in node.names(base(prefix), "cu[0-9]*"):
        target = node.link("%s/%s" % (base(prefix), name))
        if target and whole(node, "%s/%s" % (base(prefix), target)):
            found.append(target)
    return found
