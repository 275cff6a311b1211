"""From where a node's CUDA toolkits come: packages of an origin, or wheels. Pure.

Packages are the whole toolkit, and a distribution has one of them at most. Wheels are its pieces
that compile, of CUDA 13 and later, for any system, and lie below the prefix.
"""

from __future__ import annotations

from typing import List, Tuple

from .data import cuda_wheels
from .data import nvidia_packages as tables
from .model import Facts, System
from .nvidia_packages import package_system, toolkit_wish
from .package_model import PackageWish, ToolkitWish, WheelFile
from .policy import Conflict, Policy


def choose(
    facts: Facts, policy: Policy, whose: str
) -> Tuple[List[PackageWish], List[ToolkitWish]]:  # fmt: skip
    """(packages, wheels) of the wished toolkits.

    ``whose`` is the origin of what stands beside the driver. Raises Conflict for one that neither
    has, or that the wished source does not have.
    """
    packages: List[PackageWish] = []
    wheels: List[ToolkitWish] = []
    for cuda in policy.host.cuda_toolkits:
        found = _packaged(facts.system, whose, cuda, policy.host.cuda_toolkit_source)
        if found is not None:
            packages.append(found)
        else:
            wheels.append(_wheels(cuda, facts.system.machine))
    if wheels and not packages:
        packages += _compiler(facts.system)
    return packages, wheels


def _packaged(system: System, whose: str, cuda: str, source: str) -> PackageWish | None:
    """The packages of a toolkit; None where it comes from wheels."""
    if source == "wheel":
        return None
    try:
        return toolkit_wish(system, whose, cuda)
    except Conflict:
        if source == "auto" and cuda_wheels.of(cuda, system.machine):
            return None
        raise


def _wheels(cuda: str, machine: str) -> ToolkitWish:
    rows = cuda_wheels.of(cuda, machine)
    if rows:
        files = tuple(WheelFile(row.project, row.version, row.sha256) for row in rows)
        return ToolkitWish(cuda, files)
    known = cuda_wheels.releases(machine)
    raise Conflict(
        "torchnode_cuda_toolkits", "'%s' from wheels on %s" % (cuda, machine),
        "one of " + (", ".join(known) or "none: there are no wheels for this machine"),
        "Ask for one of these, or set torchnode_cuda_toolkit_source: repository.",
        "CUDA toolkit " + known[0] if known else "torchnode_cuda_toolkit_source repository",
        cause="Of CUDA 12 and earlier the wheels have no compiler.",
    )  # fmt: skip


def _compiler(system: System) -> List[PackageWish]:
    """nvcc starts the system's plain compiler; where no table knows it, it has to be there."""
    try:
        row = package_system(system)
    except Conflict:
        return []
    return [PackageWish("cuda_toolkit", (tables.HOST_COMPILER[row.family],))]
