"""Apple's GPUs through Metal. Pure."""

from __future__ import annotations

import re
from typing import List, Optional

from ...data.compatibility import version_key
from ..evidence import Evidence, Values, no_backend_in_wheel
from ..subject import Subject
from .base import Backend


def rosetta(evidence: Evidence) -> Optional[Values]:
    """A Python for Intel on Apple silicon: Darwin's build names the real machine."""
    python = evidence.subject.section("python")
    translated = python.get("machine") == "x86_64" and "ARM64" in python.get("kernel_build", "")
    return {"python": evidence.subject.python} if translated else None


def macos_too_old(evidence: Evidence) -> Optional[Values]:
    """This macOS is older than the one that torch's own wheel names."""
    found = str(evidence.subject.section("python").get("macos") or "")
    floor = wheel_floor(evidence.subject)
    if not found or not floor or version_key(found) >= version_key(floor):
        return None
    return {"found": found, "minimum": floor}


def wheel_floor(subject: Subject) -> str:
    """'14.0' from a wheel's tag 'cp311-none-macosx_14_0_arm64'; '' without one."""
    found: List[str] = []
    for torch in subject.section("metadata").get("torch_distributions", []):
        for tag in torch.get("wheel_tags", []):
            match = re.search(r"macosx_(\d+)_(\d+)_", tag)
            found += ["%s.%s" % match.groups()] if match else []
    return min(found, key=version_key) if found else ""


def metal_without_gpu(evidence: Evidence) -> Optional[Values]:
    """torch has MPS and Metal offers no device, as in most virtual machines."""
    build = evidence.subject.section("torch_build")
    return {"macos": evidence.subject.section("python").get("macos")} if build.get("mps") else None


MPS = Backend(
    name="mps",
    expected="torch.backends.mps.is_available() is True",
    nodes=r"(?!)",  # macOS has no device nodes
    rules=(
        rosetta,
        no_backend_in_wheel(lambda build: bool(build.get("mps"))),
        macos_too_old,
        metal_without_gpu,
    ),
)
