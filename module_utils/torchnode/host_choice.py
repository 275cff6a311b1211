"""The system's side of a stack: whose packages, and which, for drivers and what serves them. Pure.

What is decided here: the one origin of NVIDIA's packages on a node (two are never mixed), the
branch that is the default there, and a wish for each component in the order of installing them.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from . import nvidia_packages
from .data import cudnn_wheels, managed_files
from .data.compatibility import DEFAULT_DRIVER_BRANCH, DRIVER_FLOORS, version_key
from .model import Accelerator, DriverChoice, Facts, Reason
from .package_model import HostPlan, HostSoftware, PackageWish, SourceWish, WheelWish
from .policy import Conflict, Policy

PREINSTALLED = "preinstalled"
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
    if host.origin in MANAGED:
        return host.origin, "the driver's packages are of this origin (%s)" % host.evidence
    if host.origin or _present(facts):
        return PREINSTALLED, "a driver is there that no package of a known origin brought"
    if not host.manager or not _known(facts):
        return PREINSTALLED, "no table knows this system's packages"
    return "nvidia", "no driver is installed; NVIDIA's repository has every branch"


def _known(facts: Facts) -> bool:
    try:
        nvidia_packages.package_system(facts.system)
    except Conflict:
        return False
    return True


def _present(facts: Facts) -> bool:
    drivers = [driver for driver in facts.drivers if driver.vendor == "nvidia"]
    return any(driver.loaded or driver.on_disk or driver.userspace for driver in drivers)


def _how_to_remove(origin_found: str) -> str:
    if origin_found == "runfile":
        return "Remove it with `nvidia-uninstall`."
    if origin_found in MANAGED:
        return "Remove it with playbooks/remove.yml, or the packages by hand."
    return "Find out who installed it and remove it in the same way."


def default_branch(facts: Facts, policy: Policy) -> str:
    """The branch where the inventory names none: 580, or the distribution's newest."""
    if origin(facts, policy)[0] != "distribution":
        return DEFAULT_DRIVER_BRANCH
    branches = nvidia_packages.branches(facts.system, "distribution")
    usable = [branch for branch in branches if int(branch) <= int(DEFAULT_DRIVER_BRANCH)]
    return max(usable or branches, key=int, default=DEFAULT_DRIVER_BRANCH)


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
    sources = _sources(facts, policy, rest, bool(wishes))
    wishes += _beside(facts, policy, driver, rest)
    return HostPlan(
        whose, tuple(sources), tuple(wishes), files,
        policy.host.secure_boot_key, policy.host.secure_boot_certificate,
        tuple(_cudnn_wheels(facts, policy, driver, rest)),
        # A distribution's one toolkit has no folder of its own, and its nvcc is on the PATH.
        "" if rest == "distribution" else next(iter(policy.host.cuda_toolkits), ""),
    ), reasons  # fmt: skip


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
    files = (*([pins] if pins else []), *managed_files.driver_files(tool))
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
    kernels = facts.host.kernels if facts.host else ()
    names = nvidia_packages.header_packages(facts.system, [k.release for k in kernels])
    # The headers of an old kernel may be installed and no longer be to be had.
    there = [re.sub(r"\.(x86_64|aarch64)$", "", k.release) for k in kernels if k.headers]
    headers = [name for name in names if not any(release in name for release in there)]
    return PackageWish(
        wish.component, (*wish.packages, *headers), wish.version, wish.family, wish.absent,
        wish.stream,
    )  # fmt: skip


def _sources(facts: Facts, policy: Policy, whose: str, driver: bool) -> List[SourceWish]:
    """The sources that the wishes need: of a driver, and of what stands beside it."""
    system, host = facts.system, policy.host
    sources: List[Optional[SourceWish]] = []
    if driver or host.cuda_toolkits or host.dcgm or _cudnn_from_repository(policy, whose):
        sources.append(nvidia_packages.source_wish(
            system, whose, host.nvidia_repository_url, host.nvidia_key_file,
            host.nvidia_key_fingerprint,
        ))  # fmt: skip
        if whose == "nvidia":
            sources.append(nvidia_packages.system_source_wish(system, whose))
    if host.container_toolkit:
        sources.append(nvidia_packages.container_wish(system)[0])
    return [source for source in sources if source is not None]


def _cudnn_from_repository(policy: Policy, whose: str) -> bool:
    wished = policy.host.cudnn_source
    return bool(policy.host.cudnn) and (
        wished == "repository" or (wished == "auto" and whose == "nvidia")
    )


def _fabric(
    facts: Facts, wish: PackageWish, whose: str, devices: Sequence[Accelerator]
) -> List[PackageWish]:
    found = nvidia_packages.fabric_wish(facts.system, whose, wish.version, devices, facts.switches)
    return [found] if found else []


def _beside(facts: Facts, policy: Policy, driver: DriverChoice, whose: str) -> List[PackageWish]:
    """Toolkits and what else the inventory asks for, in the order of installing them."""
    host, system = policy.host, facts.system
    wishes = [nvidia_packages.toolkit_wish(system, whose, cuda) for cuda in host.cuda_toolkits]
    major = cuda_major(driver)
    if _cudnn_from_repository(policy, whose):
        wishes += [
            nvidia_packages.cudnn_wish(system, whose, each, host.cudnn)
            for each in _cuda_majors(facts, policy, driver)
        ]
    if host.container_toolkit:
        wishes.append(nvidia_packages.container_wish(system)[1])
    if host.dcgm:
        wishes.append(nvidia_packages.dcgm_wish(system, whose, major))
    return wishes


def _cuda_majors(facts: Facts, policy: Policy, driver: DriverChoice) -> List[int]:
    """The CUDA majors of the toolkits that are wished, else there, else that of the driver."""
    there = [item.version for item in facts.toolkits if item.name == "cuda-toolkit"]
    versions = [cuda for cuda in policy.host.cuda_toolkits or there if cuda[:1].isdigit()]
    majors = [int(cuda.partition(".")[0]) for cuda in versions]
    return list(dict.fromkeys(majors)) or [cuda_major(driver)]


def _cudnn_wheels(
    facts: Facts, policy: Policy, driver: DriverChoice, whose: str
) -> List[WheelWish]:
    """cuDNN from wheels, where the repository is not asked. Raises Conflict where none fits."""
    wished, machine = policy.host.cudnn, facts.system.machine
    if not wished or _cudnn_from_repository(policy, whose):
        return []
    found = []
    for cuda in _cuda_majors(facts, policy, driver):
        try:
            row = cudnn_wheels.newest(wished, cuda, machine)
        except LookupError as error:
            raise Conflict(
                "torchnode_cudnn", "'%s' for CUDA %d on %s" % (wished, cuda, machine),
                "one that is known as a wheel: %s" % error,
                "Choose one of these, or torchnode_cudnn_source: repository.",
                "torchnode_cudnn_source repository",
            ) from None  # fmt: skip
        found.append(WheelWish(row.project, row.version, row.cuda, row.sha256))
    return found


def cuda_major(driver: DriverChoice) -> int:
    """The newest CUDA major that a driver's branch serves without a compatibility package."""
    branch = int(driver.branch or 0)
    served = [f.cuda_major for f in DRIVER_FLOORS if version_key(f.minimum)[0] <= branch]
    return max(served, default=DRIVER_FLOORS[0].cuda_major)
