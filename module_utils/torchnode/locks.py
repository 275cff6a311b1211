"""Hash locks: which stacks can be installed, and whether their locks are fresh. Pure.

A lock is a requirements file with hashes. Its header says what it was made from::

    # torchnode-lock: 1
    # torch: 2.13.0+cpu
    # source: index
    # plugin: torch-npu==2.13.0       (only where a plugin brings the backend)
    # extra: none
    # machines: x86_64
    # pythons: 3.11
    # inputs: sha256:...

'Fresh' means that the digest of the inputs as they stand today equals the header's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Tuple

FORMAT = "1"
_FIELDS = ("torch", "source", "extra", "machines", "pythons")
_HEADER = re.compile(r"^# ([a-z-]+): (.*)$")


@dataclass(frozen=True)
class Lock:
    """One lock file: ``extra`` is 'none', 'vision' or 'audio'; ``digest`` is the file's SHA-256.

    ``plugin`` is the requirement of the plugin in it, '' for none. ``folder`` is where the file
    lies, '' for the project's own locks.
    """

    name: str
    torch: str
    source: str
    extra: str
    machines: Tuple[str, ...]
    pythons: Tuple[str, ...]
    inputs: str
    digest: str
    plugin: str = ""
    folder: str = ""


def inputs_text(packages: str, requirements: Tuple[str, ...], lock_for: Mapping[str, str]) -> str:
    """Everything that decides a lock's content, as one text: pins, torch, machines, Pythons."""
    pins = [line.strip() for line in packages.splitlines()]
    pins = [line for line in pins if line and not line.startswith("#")]
    facts = ["%s=%s" % item for item in sorted(lock_for.items())]
    return "\n".join(sorted(pins) + list(requirements) + facts) + "\n"


def inputs_digest(packages: str, requirements: Tuple[str, ...], lock_for: Mapping[str, str]) -> str:
    """The digest that a fresh lock's header carries, as 'sha256:<hex>'."""
    text = inputs_text(packages, requirements, lock_for)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def lock_requirements(
    torch: str,
    source: str,
    torchvision: str,
    torchaudio: str,
    extra: str,
    plugin: Tuple[str, ...] = (),
) -> Tuple[str, ...]:
    """The requirements that a lock adds to the common packages.

    PyPI's wheels are asked for by their public version; an index of one tag by ``+tag``, so that
    no other build can satisfy it. ``plugin`` are a plugin's requirements, its own first.
    """
    tag = torch.partition("+")[2] if source == "index" else ""
    suffix = "+" + tag if tag else ""
    lines = ["torch==%s%s" % (torch.partition("+")[0], suffix)]
    if extra == "vision":
        lines.append("torchvision==%s%s" % (torchvision, suffix))
    if extra == "audio":
        lines.append("torchaudio==%s%s" % (torchaudio, suffix))
    return (*lines, *plugin)


def file_name(lock_for: Mapping[str, str]) -> str:
    """What a lock for ``lock_for`` is called: one name for one stack.

    A lock of PyPI's builds serves every machine and Python; one of an index serves those it names.
    """
    parts = ["torch", lock_for["torch"]]
    parts += [] if lock_for["source"] == "index" else [lock_for["source"]]
    parts += [lock_for["plugin"].replace("==", "-")] if lock_for.get("plugin") else []
    if lock_for["source"] == "index":
        parts += ["py" + lock_for["pythons"].replace(".", ""), lock_for["machines"]]
    parts += [] if lock_for["extra"] == "none" else [lock_for["extra"]]
    return "-".join(parts) + ".txt"


def header(lock_for: Mapping[str, str], digest: str) -> str:
    """The header of a lock file for ``lock_for``: its fields, and ``plugin`` where it has one."""
    keys = [*_FIELDS[:2], *(["plugin"] if lock_for.get("plugin") else []), *_FIELDS[2:]]
    lines = ["# torchnode-lock: " + FORMAT, *("# %s: %s" % (key, lock_for[key]) for key in keys)]
    return "\n".join([*lines, "# inputs: " + digest]) + "\n"


def parse(name: str, text: str, folder: str = "") -> Lock:
    """Read a lock. Raises ValueError naming the file for a missing field or another format."""
    fields: Dict[str, str] = {}
    for line in text.splitlines():
        match = _HEADER.match(line)
        if not match:
            break
        fields[match.group(1)] = match.group(2)
    missing = [key for key in (*_FIELDS, "inputs") if key not in fields]
    if fields.get("torchnode-lock") != FORMAT or missing:
        raise ValueError(
            "%s/%s: found a header without %s; expected a lock of format %s: remake it with "
            "`make lock`"
            % (folder or "locks", name, ", ".join(missing) or "torchnode-lock: " + FORMAT, FORMAT)
        )
    return Lock(
        name=name,
        torch=fields["torch"],
        source=fields["source"],
        extra=fields["extra"],
        machines=tuple(fields["machines"].split()),
        pythons=tuple(fields["pythons"].split()),
        inputs=fields["inputs"],
        digest=hashlib.sha256(text.encode()).hexdigest(),
        plugin=fields.get("plugin", ""),
        folder=folder,
    )


def pinned(text: str) -> List[Tuple[str, str, str]]:
    """(name, version, marker) of every pin in a lock's text; the marker is '' for none."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]+))?", text, re.MULTILINE)
    return [(name, version, marker.strip()) for name, version, marker in pins]
