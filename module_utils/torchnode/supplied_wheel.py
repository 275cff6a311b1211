"""A plugin's wheel that the operator supplies, for a backend whose plugin is on no index. Pure."""

from __future__ import annotations

import re
from typing import Tuple

from .data.compatibility import Plugin, TorchWheel
from .data.profiles import WORKLOADS
from .model import Facts, SuppliedWheel
from .policy import Conflict, Policy

#: <name>-<version>[-<build>]-<python>-<abi>-<platform>.whl, as the wheel format names files.
#: Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
_NAME = re.compile(
    r"(?P<name>torch_mlu)-(?P<version>[^-]+)(?:-\d[^-]*)?"
    r"-cp3(?P<minor>\d+)-[^-]+-(?P<platform>[^-]+)\.whl"
)


def mlu_wheel(policy: Policy, facts: Facts) -> SuppliedWheel:
    """torch_mlu's wheel as the inventory supplies it. Raises Conflict for what cannot be it."""
    location, sha256 = policy.mlu_wheel, policy.mlu_wheel_sha256
    if not location:
        raise Conflict(
            "torchnode_mlu_wheel", "nothing",
            "the path on the node, or the URL, of Cambricon's torch_mlu wheel (PyPI has none)",
            "Get the wheel from Cambricon for this node's Python, and set torchnode_mlu_wheel, "
            "torchnode_mlu_wheel_sha256, and torchnode_torch_version to the torch it is built for.",
            "" if WORKLOADS[policy.workload].needs_accelerator else "backend cpu",
        )  # fmt: skip
    parts = _parts(location, facts.system.machine)
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Conflict(
            "torchnode_mlu_wheel_sha256", "'%s'" % sha256, "the wheel's SHA-256, 64 hex digits",
            "Write down what `sha256sum` says of the wheel that you trust.",
        )  # fmt: skip
    if not policy.torch_version:
        raise Conflict(
            "torchnode_torch_version", "nothing",
            "the torch release that %s is built for" % parts["file"],
            "Set it to that release: the wheel itself does not say which it is.",
        )  # fmt: skip
    return SuppliedWheel("torch-mlu==" + parts["version"], location, sha256)


def plugin_of(wheel: SuppliedWheel) -> Plugin:
    """The supplied wheel as a row of the build table has it."""
    python = "3." + _parts(wheel.location, "")["minor"]
    return Plugin(wheel.requirement, "mlu", (python,), ())


def serves(row: TorchWheel) -> bool:
    """Whether the plugin can go beside this build: it brings the device code, torch the rest."""
    return row.plugin is None and row.backend == "cpu"


def lock_line(wheel: SuppliedWheel) -> str:
    """The line that adds the wheel to a lock: uv refuses a file with another hash."""
    name = wheel.requirement.partition("==")[0]
    url = wheel.location if "://" in wheel.location else "file://" + wheel.location
    return "%s @ %s \\\n    --hash=sha256:%s\n" % (name, url, wheel.sha256)


def package(wheel: SuppliedWheel) -> Tuple[str, str]:
    """(name, version) as the environment will list it."""
    name, _, version = wheel.requirement.partition("==")
    return name, version


def _parts(location: str, machine: str) -> dict[str, str]:
    file = location.partition("#")[0].rpartition("/")[2].replace("%2B", "+")
    match = _NAME.fullmatch(file)
    known = location.startswith(("/", "http://", "https://", "file://"))
    if match is None or not known or machine not in match["platform"]:
        raise Conflict(
            "torchnode_mlu_wheel", "'%s'" % location,
            "an absolute path or a URL that ends in torch_mlu-<version>-cp3NN-...-linux_%s.whl"
            % (machine or "<machine>"),
            "Name the wheel for this node's machine and Python, under the name that it came with.",
        )  # fmt: skip
    return {**match.groupdict(), "file": file}
