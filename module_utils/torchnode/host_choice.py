"""The system's side of a stack: whose packages, and which, for drivers and what serves them. Pure.

What is decided here: the one origin of NVIDIA's packages on a node (two are never mixed), the
branch that is the default there, and a wish for each component in the order of installing them.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from . import cudnn_choice, nvidia_fabric, nvidia_packages, toolkit_choice
from .data import managed_files
from .data.compatibility import DEFAULT_DRIVER_BRANCH, DRIVER_FLOORS, version_key
from .data.nvidia_packages import DRIVER_LIBRARIES
from .model import Accelerator, DriverChoice, Facts, Reason, System
from .package_model import HostPlan, HostSoftware, PackageWish, SourceWish, ToolkitWish
from .policy import Conflict, Policy

PREINSTALLED = "preinstalled"
#: The one component whose packages come from a repository of their own.
CONTAINER = "nvidia_container_toolkit"
#: Origins whose packages torchnode manages.
MANAGED = ("nvidia", "distribution")


def origin(facts: Facts, policy: Policy) -> Tuple[str, str]:
    """(origin, why) of the node's NVIDIA packages.

    Raises Conflict where the wish is not the origin of the driver that is installed.
    """
    wished = policy.host.nvidia_source
    host = facts.host or HostSoftware()
    if wished == "auto":
        return _own_choice(facts, host)
    if wished in MANAGED and host.origin and host.origin != wished:
        raise Conflict(
            "torchnode_nvidia_source",
            "a driver of origin '%s' (%s)" % (host.origin, host.evidence),
            "no driver, or one of origin '%s': two origins are never mixed" % wished,
            "%s Or leave torchnode_nvidia_source on auto, which keeps what is there."
            % _how_to_remove(host.origin),
            "torchnode_nvidia_source " + (host.origin if host.origin in MANAGED else PREINSTALLED),
            cause="The packages of two origins overwrite each other's files.",
        )  # fmt: skip
    if wished in MANAGED and facts.system.wsl2:
        raise Conflict(
            "torchnode_nvidia_source", "'%s' under WSL2" % wished, PREINSTALLED,
            "Leave it on auto: under WSL2 the driver is Windows'.",
            "torchnode_nvidia_source preinstalled",
        )  # fmt: skip
    return wished, "asked for by torchnode_nvidia_source"


def _own_choice(facts: Facts, host: HostSoftware) -> Tuple[str, str]:
    if facts.system.wsl2:
        return PREINSTALLED, "under WSL2 the driver is Windows'"
    if facts.system.container:
        return PREINSTALLED, "a container has the driver of its host"
    if host.origin in MANAGED and _known(facts):
        if _to_manage(facts, host):
            return host.origin, "the driver's packages are of this origin (%s)" % host.evidence
        return PREINSTALLED, (
            "the driver that is there (%s) has no DKMS package of those that torchnode installs: "
            "modules that came built for each kernel move with the kernels, and cannot be held"
            % host.evidence
        )
    if host.origin or _present(facts, host):
        return PREINSTALLED, "a driver is there that no package of a known origin brought"
    if not host.manager or not _known(facts):
        return PREINSTALLED, "no table knows this system's packages"
    return "nvidia", "no driver is installed; NVIDIA's repository has every branch"


def _to_manage(facts: Facts, host: HostSoftware) -> bool:
    """Whether a driver is packaged as torchnode would do it, was by torchnode, or is a wreck.

    Any other that has its modules serves by means of its own: Ubuntu's linux-modules-nvidia-*,
    NVIDIA's built kmod-nvidia-580.*, ELRepo's, a desktop's. It is not disturbed.
    """
    patterns = nvidia_packages.module_packages(facts.system, host.origin)
    ours = dict(host.files).keys() & {managed_files.MODPROBE, managed_files.PINS}
    modules = any(kernel.module for kernel in host.kernels) or _has_module(facts)
    return bool(_named(host, patterns) or ours or not modules)


def _named(host: HostSoftware, patterns: Sequence[str]) -> bool:
    """Whether a package of these names is installed."""
    names = [package.name for package in host.packages]
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _has_module(facts: Facts) -> bool:
    return any(d.loaded or d.on_disk for d in facts.drivers if d.vendor == "nvidia")


def _known(facts: Facts) -> bool:
    try:
        nvidia_packages.package_system(facts.system)
    except Conflict:
        return False
    return True


def _present(facts: Facts, host: HostSoftware) -> bool:
    """Whether there is a driver. A library that came with packages is none without a module."""
    drivers = [driver for driver in facts.drivers if driver.vendor == "nvidia"]
    unpackaged = not _named(host, DRIVER_LIBRARIES)
    return _has_module(facts) or any(driver.userspace and unpackaged for driver in drivers)


def _how_to_remove(origin_found: str) -> str:
    if origin_found == "runfile":
        return "Remove it with `nvidia-uninstall`."
    if origin_found in MANAGED:
        return "Remove it with playbooks/remove.yml, or the packages by hand."
    return "Find out who installed it and remove it in the same way."


def default_branch(facts: Facts, policy: Policy) -> str:
    """The branch where the inventory names none: 580, or what the origin has that is next to it."""
    branches = branches_of(facts, policy)
    usable = [branch for branch in branches if int(branch) <= int(DEFAULT_DRIVER_BRANCH)]
    if usable:
        return max(usable, key=int)
    return min(branches, key=int, default=DEFAULT_DRIVER_BRANCH)


def branches_of(facts: Facts, policy: Policy) -> Tuple[str, ...]:
    """The branches that the node's origin has; () is any. Raises Conflict."""
    whose = origin(facts, policy)[0]
    return nvidia_packages.branches(facts.system, whose) if whose in MANAGED else ()


def host_plan(
    facts: Facts, policy: Policy, driver: Optional[DriverChoice]
) -> Tuple[Optional[HostPlan], Tuple[Reason, ...]]:
    """What the system's packages should be, and why; None for a node without NVIDIA's GPUs.

    Raises Conflict for a component that this system or this origin does not have.
    """
    if driver is None:
        _refuse_without_gpu(policy)
        return None, ()
    whose, why = origin(facts, policy)
    reasons = (Reason("driver origin", whose, why),)
    # Toolkits stand beside a driver that is left as it is: NVIDIA's repository has them.
    rest = "nvidia" if whose == PREINSTALLED else whose
    wishes, files = _driver_part(facts, policy, driver, whose)
    toolkits, toolkit_wheels = toolkit_choice.choose(facts, policy, rest)
    cudnn, wheels = cudnn_choice.choose(facts, policy, rest)
    wishes += _beside(facts, policy, driver, rest, [*toolkits, *cudnn])
    wishes = [nvidia_packages.holdable(facts.system, wish) for wish in wishes]
    sources = _sources(facts, policy, whose, wishes)
    return HostPlan(
        whose, tuple(sources), tuple(wishes), files,
        policy.host.secure_boot_key, policy.host.secure_boot_certificate,
        tuple(wheels),
        tuple(toolkit_wheels),
        # A distribution's one toolkit has no folder of its own, and its nvcc is on the PATH; one
        # of wheels has a link of its own.
        "" if rest == "distribution" else _first_packaged(policy, toolkit_wheels),
    ), reasons  # fmt: skip


def _first_packaged(policy: Policy, wheels: Sequence[ToolkitWish]) -> str:
    """The first toolkit of packages, '' for none."""
    unpacked = [wish.cuda for wish in wheels]
    return next((cuda for cuda in policy.host.cuda_toolkits if cuda not in unpacked), "")


def _driver_part(
    facts: Facts, policy: Policy, driver: DriverChoice, whose: str
) -> Tuple[List[PackageWish], Tuple[Tuple[str, str], ...]]:
    """The driver's and Fabric Manager's packages, and the files that go with them."""
    if whose == PREINSTALLED:
        return [], ()
    wish = _driver_wish(facts, policy, driver, whose)
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    pins = nvidia_packages.pin_file(facts.system, wish, whose)
    tool = nvidia_packages.package_system(facts.system).initramfs
    bridged = nvidia_fabric.bridged(devices, facts.switches)
    files = (*([pins] if pins else []), *managed_files.driver_files(tool, bridged))
    return [wish, *_fabric(facts, wish, whose, devices)], files


def _refuse_without_gpu(policy: Policy) -> None:
    asked = [
        name
        for name, value in (
            ("torchnode_cuda_toolkits", policy.host.cuda_toolkits),
            ("torchnode_container_toolkit", policy.host.container_toolkit),
            ("torchnode_dcgm", policy.host.dcgm),
        )
        if value
    ]
    if asked and policy.backend == "cuda":
        raise Conflict(
            asked[0], "a node without an NVIDIA driver of its own", "an NVIDIA GPU",
            "Set it for the nodes that have one, in their group_vars.",
        )  # fmt: skip


def _driver_wish(facts: Facts, policy: Policy, driver: DriverChoice, whose: str) -> PackageWish:
    version = policy.driver_version or driver.branch
    wish = nvidia_packages.driver_wish(facts.system, whose, version, driver.flavour)
    headers = _headers(facts.system, facts.host or HostSoftware())
    return PackageWish(
        wish.component, (*wish.packages, *headers), wish.version, wish.family, wish.absent,
        wish.stream,
    )  # fmt: skip


def _headers(system: System, host: HostSoftware) -> Tuple[str, ...]:
    """The header packages that kernels lack, and those of later kernels where any will come.

    The headers of an old kernel may be installed and no longer be to be had.
    """
    lacking = [kernel.release for kernel in host.kernels if not kernel.headers]
    installed = [package.name for package in host.packages]
    return nvidia_packages.header_packages(system, lacking, installed)


def _sources(
    facts: Facts, policy: Policy, whose: str, wishes: Sequence[PackageWish]
) -> List[SourceWish]:
    """The sources that the wishes need: of a driver, and of what stands beside it."""
    system, host = facts.system, policy.host
    sources: List[Optional[SourceWish]] = []
    # Beside a driver that is left as it is, the rest comes from NVIDIA's repository.
    rest = "nvidia" if whose == PREINSTALLED else whose
    own = "nvidia" in (whose, (facts.host or HostSoftware()).origin)
    # What has no family, as the system's compiler, comes from the sources that are there.
    if any(wish.component != CONTAINER and wish.family for wish in wishes):
        sources.append(nvidia_packages.source_wish(
            system, rest, host.nvidia_repository_url, host.nvidia_key_file,
            host.nvidia_key_fingerprint, driver=own,
        ))  # fmt: skip
        if rest == "nvidia":
            sources.append(nvidia_packages.system_source_wish(system, rest))
    if host.container_toolkit:
        sources.append(nvidia_packages.container_wish(
            system, host.container_repository_url, host.nvidia_key_file,
            host.nvidia_key_fingerprint,
        )[0])  # fmt: skip
    return [source for source in sources if source is not None]


def _fabric(
    facts: Facts, wish: PackageWish, whose: str, devices: Sequence[Accelerator]
) -> List[PackageWish]:
    found = nvidia_packages.fabric_wish(facts.system, whose, wish.version, devices, facts.switches)
    if found is None or not nvidia_fabric.bridged(devices, facts.switches):
        return [found] if found else []
    host = facts.host or HostSoftware()
    lacking = [kernel.release for kernel in host.kernels if not kernel.infiniband]
    modules = nvidia_packages.infiniband_packages(facts.system, lacking)
    return [replace(found, packages=(*found.packages, *modules))]


def _beside(
    facts: Facts, policy: Policy, driver: DriverChoice, whose: str, first: Sequence[PackageWish]
) -> List[PackageWish]:
    """What the inventory asks for beside the driver, in the order of installing it."""
    host, system = policy.host, facts.system
    wishes = list(first)
    if host.container_toolkit:
        wishes.append(nvidia_packages.container_wish(system)[1])
    if host.dcgm:
        wishes.append(nvidia_packages.dcgm_wish(system, whose, dcgm_majors(facts, driver)))
    return wishes


def dcgm_majors(facts: Facts, driver: DriverChoice) -> List[int]:
    """The CUDA majors that DCGM needs: the newest that the driver serves, and that of older GPUs.

    CUDA 13 has no code for GPUs before Turing, which DCGM asks by CUDA 12; a part of its diagnosis
    goes by the driver all the same (https://github.com/NVIDIA/DCGM/issues/254, read 2026-11-22).
    """
    branch = int(driver.branch or 0)
    served = [f.cuda_major for f in DRIVER_FLOORS if version_key(f.minimum)[0] <= branch]
    newest = max(served, default=DRIVER_FLOORS[0].cuda_major)
    numbers = [re.fullmatch(r"sm_(\d+)", gpu.architecture or "") for gpu in facts.accelerators]
    old = any(found and int(found[1]) < 75 for found in numbers)
    return [12, newest] if old and newest > 12 else [newest]
