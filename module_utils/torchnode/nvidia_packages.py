"""NVIDIA's packages for a system: which repository, which names, how they are pinned. Pure.

Every function takes the system as survey found it and looks the rest up in data/nvidia_packages.
``origin`` is 'nvidia' (its repository) or 'distribution' (the system's own packages).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from . import apt_pins
from .data import nvidia_packages as tables
from .data.compatibility import DRIVER_BRANCHES, TOOLKIT_DRIVERS, version_key
from .data.nvidia_packages import DriverNames, PackageSystem
from .data.vendor_keys import VENDOR_KEYS
from .model import Accelerator, System
from .nvidia_fabric import OWN_VERSIONS, fabric_names
from .package_model import PackageWish, SourceWish
from .policy import Conflict

NVIDIA, DISTRIBUTION = "nvidia", "distribution"
PIN_FILE = "/etc/apt/preferences.d/torchnode-nvidia"


def package_system(system: System) -> PackageSystem:
    """The row of this system. Raises Conflict, which names those that are known."""
    major = system.os_version.partition(".")[0]
    for row in tables.SYSTEMS:
        if system.os_id in row.os_ids and row.os_version in (system.os_version, major):
            return row
    raise Conflict(
        "torchnode_nvidia_source", system.os_name or system.os_id or "an unknown system",
        "one of " + ", ".join(system_words(row) for row in tables.SYSTEMS),
        "Install the driver by your own means and set torchnode_nvidia_source: preinstalled.",
        "torchnode_nvidia_source preinstalled",
        cause="No table says how NVIDIA's packages are named on this system.",
    )  # fmt: skip


def system_words(row: PackageSystem) -> str:
    """A row for people: 'debian 12'."""
    return "%s %s" % (row.os_ids[0], row.os_version)


def branches(system: System, origin: str) -> Tuple[str, ...]:
    """The driver branches that may be wished there; () is any. Raises Conflict."""
    row = package_system(system)
    if origin == DISTRIBUTION:
        return row.branches
    known = (branch.branch for branch in DRIVER_BRANCHES)
    return tuple(b for b in known if row.first_branch and int(b) >= int(row.first_branch))


# ---- sources ------------------------------------------------------------------------------------


def source_wish(
    system: System,
    origin: str,
    repository_url: str,
    key_file: str = "",
    fingerprint: str = "",
    driver: bool = True,
) -> Optional[SourceWish]:
    """The source of the driver's packages.

    ``repository_url`` is the folder of a mirror, '' for NVIDIA's; ``key_file`` and ``fingerprint``
    are the operator's in place of the key that is known. Without ``driver`` NVIDIA's repository
    serves what stands beside another driver, which no upgrade of the system may replace from it.
    Raises Conflict for a system, machine or key that is not known.
    """
    row = package_system(system)
    if origin == DISTRIBUTION:
        _own_driver(row)
        return system_source_wish(system, origin)
    base = (repository_url or tables.NVIDIA_REPOSITORIES).rstrip("/")
    key, full = _operators_key(key_file, fingerprint) if key_file else _known_key(row.key)
    address = "%s/%s/%s/" % (base, row.folder, _arch(row, system))
    return SourceWish(
        row.family, "torchnode-nvidia-cuda", address, "/" if row.family == "deb" else "", (), key,
        full, excluded=() if driver else _drivers(row),
        key_url="" if key else "%s%s.pub" % (address, row.key),
    )  # fmt: skip


def _drivers(row: PackageSystem) -> Tuple[str, ...]:
    """Patterns of all packages of NVIDIA's repository that are a driver's, of every branch."""
    names = [name for way in row.nvidia for name in way.family]
    return tuple(dict.fromkeys(name.replace("{branch}", "[0-9]*") for name in names))


def system_source_wish(system: System, origin: str) -> Optional[SourceWish]:
    """The components by which the system's own sources have to be widened, None for none.

    NVIDIA's packages for Debian need some of contrib too. Raises Conflict.
    """
    row = package_system(system)
    components = row.components if origin == DISTRIBUTION else row.contrib
    if not components:
        return None
    return SourceWish("components", "torchnode-components", components=components)


def _arch(row: PackageSystem, system: System) -> str:
    arch = tables.ARCHES.get(system.machine)
    if arch is None or system.machine not in row.arches:
        raise Conflict(
            "torchnode_nvidia_source", "%s on %s" % (system_words(row), system.machine),
            "one of " + ", ".join(row.arches),
            "Install the driver by your own means and set torchnode_nvidia_source: preinstalled.",
            "torchnode_nvidia_source preinstalled",
            cause="NVIDIA's repository of this system has no packages for this machine.",
        )  # fmt: skip
    return arch


def _operators_key(key_file: str, fingerprint: str) -> Tuple[str, str]:
    if fingerprint:
        return key_file, fingerprint
    raise Conflict(
        "torchnode_nvidia_key_file", key_file + " without torchnode_nvidia_key_fingerprint",
        "the key's full fingerprint beside it: 40 hex digits",
        "Read it with `gpg --show-keys %s`, compare it with a second source, and set "
        "torchnode_nvidia_key_fingerprint." % key_file,
    )  # fmt: skip


def _known_key(name: str) -> Tuple[str, str]:
    """(file, full fingerprint) of a key; no file where it has to be fetched."""
    key = VENDOR_KEYS.get(name)
    if key is not None:
        return key.file, key.fingerprint
    raise Conflict(
        "torchnode_nvidia_key_file", "the short id %s" % name,
        "the full fingerprint of the key that signs this repository",
        "Fetch %s.pub from the repository, compare its fingerprint with a second source, and name "
        "the file in torchnode_nvidia_key_file and the full fingerprint in "
        "torchnode_nvidia_key_fingerprint." % name,
        "torchnode_nvidia_source preinstalled",
        cause="No key is trusted of which only a short id is known: anybody can make one of it.",
    )  # fmt: skip


def container_wish(
    system: System, mirror: str = "", key_file: str = "", fingerprint: str = ""
) -> Tuple[SourceWish, PackageWish]:
    """The container toolkit: one repository for all systems of a family.

    ``mirror`` is the folder of a mirror with ``deb`` and ``rpm`` in it, '' for NVIDIA's; a mirror's
    key may be the operator's. Raises Conflict.
    """
    row = package_system(system)
    own = mirror and key_file
    key, full = _operators_key(key_file, fingerprint) if own else _known_key("libnvidia-container")
    _arch(row, system)
    arch = tables.DEBIAN_ARCHES[system.machine] if row.family == "deb" else system.machine
    source = SourceWish(
        row.family, "torchnode-nvidia-container-toolkit",
        "%s/%s/%s/" % ((mirror or tables.CONTAINER_REPOSITORY).rstrip("/"), row.family, arch),
        "/" if row.family == "deb" else "", (), key, full,
        "" if row.family == "deb" else "index",
    )  # fmt: skip
    names = tables.CONTAINER_PACKAGES
    return source, PackageWish("nvidia_container_toolkit", names, "", names)


# ---- the driver ---------------------------------------------------------------------------------


def driver_wish(system: System, origin: str, version: str, flavour: str) -> PackageWish:
    """The driver without a display: kernel module (DKMS), libcuda, NVML, nvidia-smi, persistenced.

    ``version`` is '', a branch or exact; ``flavour`` 'open' or 'proprietary'. Raises Conflict
    where the origin has no such driver.
    """
    row = package_system(system)
    branch = _branch(row, origin, version)
    names = _driver_names(row, origin, branch)
    kernel = names.open if flavour == "open" else names.proprietary
    other = names.proprietary_only if flavour == "open" else names.open_only
    return PackageWish(
        "nvidia_driver",
        _named((*kernel, *names.user_space), branch),
        version,
        _named(names.family, branch),
        _named((*other, *names.rivals), branch),
        _stream(row, branch, flavour),
    )


def module_packages(system: System, origin: str) -> Tuple[str, ...]:
    """Patterns of the packages that hold an origin's modules as DKMS source, of all its branches.

    Raises Conflict for a system that is not known.
    """
    row = package_system(system)
    ways = row.distribution if origin == DISTRIBUTION else row.nvidia
    names = [name for way in ways for name in (*way.open, *way.proprietary) if "dkms" in name]
    return tuple(dict.fromkeys(name.replace("{branch}", "[0-9]*") for name in names))


def _branch(row: PackageSystem, origin: str, version: str) -> str:
    """The branch that a version is of; '' where any will do and names do not depend on it."""
    if origin == DISTRIBUTION:
        _own_driver(row)
    branch = version.partition(".")[0]
    if origin != DISTRIBUTION or branch in row.branches:
        return branch
    if not version:
        return max(row.branches, key=int)
    raise Conflict(
        "torchnode_driver_version", "'%s'" % version,
        "one of %s, the branches of %s" % (", ".join(row.branches), system_words(row)),
        "Choose one of these, or torchnode_nvidia_source: nvidia, which has every branch.",
        "branch " + max(row.branches, key=int),
    )  # fmt: skip


def _own_driver(row: PackageSystem) -> None:
    if not row.distribution:
        raise Conflict(
            "torchnode_nvidia_source", "'distribution' on %s" % system_words(row),
            "nvidia or preinstalled: the system's own packages have no NVIDIA driver",
            "Set torchnode_nvidia_source: nvidia.", "torchnode_nvidia_source nvidia",
        )  # fmt: skip


def _driver_names(row: PackageSystem, origin: str, branch: str) -> DriverNames:
    """The way of naming that a branch has; the newest where none is said."""
    ways = row.distribution if origin == DISTRIBUTION else row.nvidia
    ways = tuple(sorted(ways, key=lambda way: -way.first_branch))
    return next((way for way in ways if not branch or int(branch) >= way.first_branch), ways[-1])


def _named(patterns: Sequence[str], branch: str) -> Tuple[str, ...]:
    """The patterns for one branch; '{other}' becomes what matches every other branch."""
    named: List[str] = []
    for pattern in patterns:
        others = _others(branch) if "{other}" in pattern else [""]
        named += [pattern.replace("{branch}", branch).replace("{other}", other) for other in others]
    return tuple(named)


def _others(branch: str) -> List[str]:
    """Patterns for any three digits but those of ``branch``: fnmatch has no 'not'."""
    any_digit = "[0-9]"
    if not branch:
        return [any_digit * len("580")]
    found = []
    for at, digit in enumerate(branch):
        rest = "".join(d for d in "0123456789" if d != digit)
        found.append(branch[:at] + "[%s]" % rest + any_digit * (len(branch) - at - 1))
    return found


def _stream(row: PackageSystem, branch: str, flavour: str) -> str:
    """The stream of the module nvidia-driver: '580-open', '580-dkms', 'open-dkms'."""
    if row.pinning != "stream":
        return ""
    if not branch:
        return "open-dkms" if flavour == "open" else "latest-dkms"
    return "%s-%s" % (branch, "open" if flavour == "open" else "dkms")


def fabric_wish(
    system: System,
    origin: str,
    version: str,
    devices: Sequence[Accelerator],
    switches: Sequence[str],
) -> Optional[PackageWish]:
    """What NVSwitches need, at the driver's very version; None where there are none.

    ``version`` is the driver's wish. Raises Conflict.
    """
    row = package_system(system)
    branch = _branch(row, origin, version)
    ways = row.distribution_fabric if origin == DISTRIBUTION else row.fabric
    found = fabric_names(ways, branch, devices, switches, system_words(row))
    if found is None:
        return None
    return PackageWish(
        "nvidia_fabric",
        _named(found.packages, branch),
        version,
        _named(found.family, branch),
        _named(found.absent, branch),
        version_of=_named(_driver_names(row, origin, branch).family, branch),
    )


# ---- headers ------------------------------------------------------------------------------------


def header_packages(
    system: System, releases: Sequence[str], packages: Sequence[str] = ()
) -> Tuple[str, ...]:
    """Headers of each kernel (as ``uname -r`` spells it), and what brings those of later ones.

    ``packages`` are the names of those that are installed. For rpm the headers are
    name-version-release, because several kernel-devel stand side by side and a system's upgrade
    adds the next. Raises Conflict for a system that is not known.
    """
    row = package_system(system)
    later = map(_headers_of_later, packages) if row.family == "deb" else ()
    names = [*(_headers_of(row, release) for release in releases), *later]
    return tuple(dict.fromkeys(name for name in names if name))


#: What ``uname -r`` ends with in Enterprise Linux: the machine, and a variant of the kernel such as
#: '64k' or 'rt', of which the headers are a package of their own.
_RPM_RELEASE = re.compile(r"(?P<release>.+)\.(?:x86_64|aarch64)(?:\+(?P<variant>[\w-]+))?")


def _headers_of(row: PackageSystem, release: str) -> str:
    pattern = next(name for prefix, name in row.headers if release.startswith(prefix))
    return _of_kernel(row, pattern, release)


def infiniband_packages(system: System, releases: Sequence[str]) -> Tuple[str, ...]:
    """The packages with InfiniBand's modules for kernels that lack them. Raises Conflict."""
    row = package_system(system)
    named = [_of_kernel(row, row.infiniband, release) for release in releases]
    return tuple(dict.fromkeys(name for name in named if name))


def _of_kernel(row: PackageSystem, pattern: str, release: str) -> str:
    """A package's name for a kernel as ``uname -r`` spells it."""
    found = _RPM_RELEASE.fullmatch(release) if row.family == "rpm" else None
    variant = "-" + found["variant"] if found and found["variant"] else ""
    bare = found["release"] if found else release
    return pattern.replace("{release}", bare).replace("{variant}", variant)


#: An image package without a number brings whatever kernel is the latest of its line:
#: linux-image-amd64, -virtual, -aws-lts-24.04. These have no headers of the same name.
_LATER_IMAGE = re.compile(r"linux-image-(?!unsigned-|extra-)([a-z].*?)(?<!-dbg)")


def _headers_of_later(package: str) -> str:
    """'linux-headers-virtual' for 'linux-image-virtual', '' for what brings no later kernel."""
    found = _LATER_IMAGE.fullmatch(package)
    return "linux-headers-" + found[1] if found else ""


# ---- beside the driver --------------------------------------------------------------------------


def toolkit_wish(system: System, origin: str, cuda: str) -> PackageWish:
    """One CUDA toolkit ('12.8'), never by a meta-package that brings a driver. Raises Conflict."""
    row = package_system(system)
    if origin != DISTRIBUTION:
        _made_toolkit(cuda)
        dashed = cuda.replace(".", "-")
        # Its parts have versions of their own, and this release at the end of their names.
        return replace(_toolkit_of(row, "cuda-toolkit-" + dashed), closure=("*-" + dashed,))
    if cuda == row.toolkit:
        return _toolkit_of(row, "nvidia-cuda-toolkit")
    has = "%s, the toolkit of %s" % (row.toolkit or "none", system_words(row))
    raise Conflict(
        "torchnode_cuda_toolkits", "'%s'" % cuda, has,
        "Ask for that one, or set torchnode_nvidia_source: nvidia, which has every toolkit.",
        "CUDA toolkit " + row.toolkit if row.toolkit else "torchnode_nvidia_source nvidia",
    )  # fmt: skip


def _toolkit_of(row: PackageSystem, name: str) -> PackageWish:
    # nvcc starts the system's plain compiler, which not every package of a toolkit depends on.
    return PackageWish("cuda_toolkit", (name, tables.HOST_COMPILER[row.family]), "", (name,))


def _made_toolkit(cuda: str) -> None:
    """Raises Conflict for a release that no table knows: the driver would be installed first."""
    known = [row.cuda for row in TOOLKIT_DRIVERS]
    if cuda in known:
        return
    older = [other for other in known if version_key(other) < version_key(cuda)]
    raise Conflict(
        "torchnode_cuda_toolkits", "'%s'" % cuda, "one of " + ", ".join(known),
        "Choose one of these. Where NVIDIA has made a later one, add a row for it to "
        "data/compatibility.py.",
        "CUDA toolkit " + (older[-1] if older else known[0]),
        cause="No table knows a CUDA toolkit of this release.",
    )  # fmt: skip


def dcgm_wish(system: System, origin: str, cuda_majors: Sequence[int]) -> PackageWish:
    """DCGM 4 for these CUDA majors. Raises Conflict."""
    row = package_system(system)
    if origin == DISTRIBUTION:
        raise Conflict(
            "torchnode_dcgm", "DCGM from the packages of %s" % system_words(row),
            "torchnode_nvidia_source nvidia: only NVIDIA's repository has DCGM",
            "Set torchnode_dcgm: false here, or torchnode_nvidia_source: nvidia.",
            "torchnode_dcgm false",
        )  # fmt: skip
    patterns = [(p, major) for major in cuda_majors for p in tables.DCGM_PACKAGES]
    names = dict.fromkeys(p % major if "%d" in p else p for p, major in patterns)
    return PackageWish("dcgm", tuple(names), "", tables.DCGM_FAMILY)


# ---- holding and pinning ------------------------------------------------------------------------


def holdable(system: System, wish: PackageWish) -> PackageWish:
    """The wish with the package by which dnf holds it. Raises Conflict for an unknown system."""
    holder = package_system(system).holder
    return replace(wish, packages=(*wish.packages, holder)) if holder else wish


def pin_file(system: System, wish: PackageWish, origin: str = "") -> Optional[Tuple[str, str]]:
    """(path, content) of apt's preferences, None for dnf and for a wish of any version.

    The whole family is pinned, Fabric Manager's packages with it, and the other origin's builds
    of the same version are out of the question. Raises Conflict.
    """
    row = package_system(system)
    if row.family != "deb" or not wish.version:
        return None
    return PIN_FILE, _preferences(row, wish, origin)


def _preferences(row: PackageSystem, wish: PackageWish, origin: str) -> str:
    branch = wish.version.partition(".")[0]
    ways = row.distribution_fabric if origin == DISTRIBUTION else row.fabric
    beside = [name for way in ways[:1] for name in (*way.manager, *way.subnet, *way.imex)]
    beside = [name for name in beside if name not in OWN_VERSIONS]
    packages = (*wish.family, *_named(beside, branch))
    stanzas = ["# Written by torchnode: %s stays at %s." % (wish.component, wish.version)]
    other = {NVIDIA: row.release, DISTRIBUTION: apt_pins.NVIDIA_RELEASE}.get(origin)
    if other:
        stanzas.append(apt_pins.stanza(packages, "release " + other, apt_pins.NEVER))
    exact = "." in wish.version
    pattern = wish.version + ("-*" if exact else ".*")
    stanzas.append(apt_pins.stanza(packages, "version " + pattern, apt_pins.TO_THIS_ONE))
    return "\n\n".join(stanzas) + "\n"
