"""Whether a node's file systems hold what a plan brings: the stack, packages, DKMS's builds. Pure.

What several steps write to one file system is added up. A figure is what was measured, with about
half as much again: versions grow, and a full disk in the middle costs more than a gigabyte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from .model import Disk, Facts, Stack, Step
from .outcome import Outcome, Result
from .package_model import HostPlan, HostSoftware, PackageWish

GIB = 1 << 30
USR, LOCAL, VAR, BOOT = "/usr", "/usr/local", "/var", "/boot"

#: Where the prefix lies: a new environment beside the old one, and uv's downloads. Measured on
#: 2026-11-22: an environment of torch 2.13.0+cpu 1.6 GiB with its cache, of torch 2.13.0+cu130 with
#: torchvision 4.7 GiB.
STACK_BYTES = {"cpu": 3 * GIB, "cuda": 12 * GIB}

Room = Tuple[Tuple[str, int], ...]

#: Measured on 2026-11-23 in a Debian 12: a driver, a compiler and the headers of one kernel unpack
#: to 0.8 GiB and are 0.2 GiB to download, and while DKMS builds the open modules of 535.261.03 its
#: folder below /var grows to 0.8 GiB.
DRIVER_ROOM: Room = ((USR, 3 * GIB // 2), (VAR, 3 * GIB // 2))
#: An initramfs is written beside the one that it replaces.
BOOT_ROOM: Room = ((BOOT, GIB // 8),)
#: Debian's toolkits, 11.8 and 12.4, unpack to 5.4 and 5.0 GiB and are 1.6 and 1.8 GiB to download
#: (apt's figures on 2026-11-23); NVIDIA's have profilers beside that. Each of several counts.
TOOLKIT_BYTES, TOOLKIT_ARCHIVES_BYTES = 8 * GIB, 3 * GIB
#: CUDA 13.0's pieces are 0.6 GiB to download and 1.1 GiB unpacked (2026-11-30).
TOOLKIT_WHEELS_BYTES = 4 * GIB
#: cuDNN 9.10.2 for CUDA 12 is 0.7 GiB to download and 1.0 GiB unpacked (2026-11-23); of a wheel
#: uv's cache keeps a second copy.
CUDNN_ROOM: Room = ((USR, 3 * GIB // 2), (VAR, GIB))
CUDNN_WHEEL_BYTES = 3 * GIB
#: Fabric Manager, DCGM or the container toolkit: services, none of which is known to be larger.
SERVICE_ROOM: Room = ((USR, GIB), (VAR, GIB // 2))


@dataclass(frozen=True)
class Need:
    """``size`` bytes in ``folder`` for ``what``."""

    folder: str
    size: int
    what: str


def needs(facts: Facts, stack: Stack, steps: Sequence[Step]) -> List[Need]:
    """What the steps write, and where. A step of the operator's needs nothing of ours."""
    found: List[Need] = []
    for step in steps:
        if not step.operator:
            room = _room(step.component, facts, stack)
            found += [Need(folder, size, step.component) for folder, size in room]
    return found


def _room(component: str, facts: Facts, stack: Stack) -> Room:
    host, plan = facts.host or HostSoftware(), stack.host or HostPlan("")
    if component == "python_stack":
        return ((facts.prefix, STACK_BYTES.get(stack.backend, STACK_BYTES["cuda"])),)
    if component == "nvidia_driver":
        return (*DRIVER_ROOM, *BOOT_ROOM)
    if component == "cuda_toolkit":
        count = len(_lacking_toolkits(plan, host))
        place = LOCAL if plan.cuda_default else USR
        there = {i.version for i in facts.toolkits if i.name == "cuda-toolkit-wheel"}
        wheels = sum(wish.cuda not in there for wish in plan.toolkit_wheels)
        return (
            (place, count * TOOLKIT_BYTES), (VAR, count * TOOLKIT_ARCHIVES_BYTES),
            (facts.prefix, wheels * TOOLKIT_WHEELS_BYTES),
        )  # fmt: skip
    if component == "cudnn":
        wheels = len(plan.cudnn_wheels)
        return ((facts.prefix, wheels * CUDNN_WHEEL_BYTES),) if wheels else CUDNN_ROOM
    return SERVICE_ROOM


def _lacking_toolkits(plan: HostPlan, host: HostSoftware) -> List[PackageWish]:
    """The toolkits that are not there yet; the compiler that comes with one is small beside it."""
    there = {package.name for package in host.packages}
    wishes = [wish for wish in plan.wishes if wish.component == "cuda_toolkit"]
    return [wish for wish in wishes if not there.issuperset(wish.family)]


# ---- judging -----------------------------------------------------------------------------------


def disk_outcomes(facts: Facts, stack: Stack, steps: Sequence[Step]) -> List[Outcome]:
    """One outcome for each file system that the steps fill."""
    asked = [need for need in needs(facts, stack, steps) if need.size]
    known = {folder for disk in facts.disks for folder in disk.folders}
    unread = [Disk((need.folder,)) for need in asked if need.folder not in known]
    found = []
    for disk in (*facts.disks, *dict.fromkeys(unread)):
        mine = [need for need in asked if need.folder in disk.folders]
        if mine:
            found.append(_outcome(facts, disk, mine))
    return found


def _outcome(facts: Facts, disk: Disk, mine: Sequence[Need]) -> Outcome:
    folders = list(dict.fromkeys(need.folder for need in mine))
    needed = sum(need.size for need in mine)
    check = "preflight.disk"
    if facts.prefix not in folders:
        check += "." + folders[0].strip("/").replace("/", "_")
    expected = "%.1f GiB free for %s (%s)" % (needed / GIB, ", ".join(folders), _shares(mine))
    if disk.free_bytes is None:
        return Outcome(
            check, "resolve", Result.INCOMPLETE, "could not be read", expected,
            cause="The file system of %s did not answer." % folders[0],
            remedy="Check the mount that holds %s." % folders[0],
        )  # fmt: skip
    observed = "%.1f GiB free" % (disk.free_bytes / GIB)
    if disk.free_bytes >= needed:
        return Outcome(check, "resolve", Result.PASS, observed, expected)
    return Outcome(
        check, "resolve", Result.FAIL, observed, expected,
        cause="The file system that holds %s is too full for what the plan brings."
        % " and ".join(folders),
        remedy=_remedy(facts, folders),
    )  # fmt: skip


def _shares(mine: Sequence[Need]) -> str:
    """'nvidia_driver 2.5, python_stack 12.0': who needs how much of it."""
    sums: Dict[str, int] = {}
    for need in mine:
        sums[need.what] = sums.get(need.what, 0) + need.size
    return ", ".join("%s %.1f" % (what, size / GIB) for what, size in sums.items())


def _remedy(facts: Facts, folders: Sequence[str]) -> str:
    ways = []
    if facts.prefix in folders:
        ways.append("point torchnode_prefix to a larger file system")
    if [folder for folder in folders if folder != facts.prefix]:
        ways.append("run `apt-get clean` or `dnf clean all` and remove old kernels")
    return "Free space there, or %s. Then run again." % ", or ".join(ways)
