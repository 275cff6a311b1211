"""What a node can tell about itself for a bug report. Reads only; never raises for a sick node."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from dataclasses import dataclass, field, replace
from typing import Dict, Sequence, Tuple

from . import build_log, manifest, node_files, venv
from .model import as_data
from .node import Node
from .redaction import json_without_secrets, without_secrets
from .survey import survey

MOST_CHARACTERS = 200_000  # of a log, its end: the newest lines

_FILES = {
    "record.json": "{prefix}/" + node_files.RECORD,
    "burn_in.json": "{prefix}/" + node_files.BURN_IN,
    "lock.json": "{prefix}/" + node_files.LOCK,
    "manifest.json": "{prefix}/" + manifest.NAME,
    "failed-build.log": "{prefix}/" + build_log.NAME,
    "torchnode.fact": "{facts}/torchnode.fact",
    "stack.json": "{prefix}/current/" + venv.MARKER,
    "stack.lock": "{prefix}/current/torchnode.lock",
    "os-release": "/etc/os-release",
    "kernel": "/proc/version",
    "kernel-modules": "/proc/modules",
    "nvidia-driver": "/proc/driver/nvidia/version",
    "amdgpu-driver": "/sys/module/amdgpu/version",
}

#: For each text the commands that give it: the first that succeeds.
_COMMANDS: Dict[str, Sequence[Tuple[str, ...]]] = {
    "kernel.log": [("dmesg", "--ctime"), ("journalctl", "--dmesg", "--no-pager", "-n", "20000")],
    "services.log": [
        (
            "journalctl", "--no-pager", "-n", "400", "-u", "nvidia-persistenced",
            "-u", "nvidia-fabricmanager", "-u", "dkms",
        ),
    ],
    "nvidia-smi": [("nvidia-smi", "-q")],
    "rocm-smi": [
        ("amd-smi", "version"),
        ("rocm-smi", "--showdriverversion", "--showproductname"),
    ],
    "disk": [("df", "-h")],
}  # fmt: skip

#: Lines of the kernel's log that speak of accelerators, their drivers, memory or disks.
_KERNEL = re.compile(
    r"NVRM|Xid|nvidia|nouveau|amdgpu|kfd|\bxe |i915|davinci|cambricon|\bAER\b|\bMCE\b|EDAC"
    r"|I/O error|Out of memory|oom-kill",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Told:
    """Texts by name, and by name why one is ``missing`` and how one was ``cut``."""

    texts: Dict[str, str] = field(default_factory=dict)
    missing: Dict[str, str] = field(default_factory=dict)
    cut: Dict[str, str] = field(default_factory=dict)


def collect(node: Node, prefix: str, facts: str, python: str = "") -> Told:
    """What the node tells, without secrets. ``python`` is the interpreter that was adopted."""
    told = Told()
    for name, path in _FILES.items():
        _read(node, told, name, path.format(prefix=prefix, facts=facts))
    for name, commands in _COMMANDS.items():
        _ask(node, told, name, commands)
    if "kernel.log" in told.texts:
        told.texts["kernel.log"] = _of_accelerators(told.texts["kernel.log"])
    told.texts["packages"] = _packages(node, prefix)
    told.texts["versions"] = "Python %s (%s)\n%s" % (
        sys.version, sys.executable, platform.platform(),
    )  # fmt: skip
    _survey(node, told, prefix, python)
    return _without_secrets(told)


def _read(node: Node, told: Told, name: str, path: str) -> None:
    text = node.read(path)
    if text is None:
        told.missing[name] = "%s is not there or cannot be read" % path
    else:
        told.texts[name] = text


def _ask(node: Node, told: Told, name: str, commands: Sequence[Tuple[str, ...]]) -> None:
    said = []
    for command in commands:
        done = node.run(command)
        if done.rc == 0:
            told.texts[name] = done.out
            return
        said.append("%s: %s" % (command[0], (done.err or done.out).strip()[-300:]))
    told.missing[name] = "; ".join(said)


def _of_accelerators(log: str) -> str:
    lines = log.splitlines()
    found = [line for line in lines if _KERNEL.search(line)]
    return "\n".join(found) or (
        "none of %d lines speaks of accelerators, their drivers, memory or disks" % len(lines)
    )


def _packages(node: Node, prefix: str) -> str:
    """What is installed in the current stack, one 'name==version' a line."""
    current = venv.read_current(node, prefix)
    pairs = current.packages if current else ()
    return "".join("%s==%s\n" % pair for pair in pairs)


def _survey(node: Node, told: Told, prefix: str, python: str) -> None:
    """Today's facts; the record has a text of its own."""
    try:
        facts = replace(survey(node, prefix, python), record=None)
    except Exception as error:  # whatever a sick node does to survey, the rest must be told
        told.missing["facts.json"] = "survey failed: %r" % error
        return
    told.texts["facts.json"] = json.dumps(as_data(facts), indent=1)


def _without_secrets(told: Told) -> Told:
    texts, cut = {}, {}
    for name, text in told.texts.items():
        is_json = os.path.splitext(name)[1] in (".json", ".fact")
        clean = json_without_secrets(text) if is_json else without_secrets(text)
        texts[name] = clean if is_json else clean[-MOST_CHARACTERS:]
        if len(clean) > len(texts[name]):
            cut[name] = "the last %d of %d characters" % (MOST_CHARACTERS, len(clean))
    missing = {name: without_secrets(why) for name, why in told.missing.items()}
    return Told(texts, missing, cut)
