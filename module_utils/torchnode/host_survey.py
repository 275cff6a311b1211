"""What the system's package manager and kernels hold of the NVIDIA stack. Nothing is changed."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from typing import Dict, List, Optional, Sequence, Tuple

from . import cuda_default
from .data import managed_files
from .data.nvidia_packages import DRIVER_LIBRARIES
from .node import Node
from .package_model import HostSoftware, Kernel, Package, PackageSource
from .system_packages import dnf_text

#: Packages of the NVIDIA stack, whoever packaged them; what they compile with and for; and what
#: holds them.
PATTERNS = (
    "nvidia*", "libnvidia*", "libcuda*", "cuda*", "libcudnn*", "cudnn*", "datacenter-gpu-manager*",
    "dkms", "libnvsdm*", "nvlsm", "libnvcuvid*", "firmware-nvidia*", "kmod-nvidia*",
    "xserver-xorg-video-nvidia*", "linux-headers-*", "linux-image-*",
    "linux-modules-nvidia-*", "linux-objects-nvidia-*", "linux-signatures-nvidia-*",
    "kernel-devel*", "kernel[0-9]*-devel*", "kernel-*-devel*", "kernel-headers*", "g++", "gcc-c++",
    "lib*-1[0-9]-[0-9]", "python3-dnf-plugin-versionlock", "infiniband-diags",
)  # fmt: skip
SERVICES = ("nvidia-persistenced", "nvidia-fabricmanager", "nvidia-dcgm")

_DPKG_FIELDS = (
    "db:Status-Want", "db:Status-Status", "Package", "Version", "source:Package", "Maintainer",
)  # fmt: skip
_DPKG = "\\t".join("${%s}" % field for field in _DPKG_FIELDS) + "\\n"
_RPM = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{VENDOR}\\n"
#: dpkg's states of a package that a cut off run has left half-way.
_HALF = ("half-installed", "half-configured", "unpacked")


def read_host(node: Node, certificate: str = "") -> Optional[HostSoftware]:
    """The system's side of a Linux node; None elsewhere. Never raises for what is not there.

    ``certificate`` is the one whose key is to sign kernel modules, '' for none.
    """
    if node.system != "Linux":
        return None
    manager = _manager(node)
    packages, makers, half = _packages(node, manager)
    kernels = read_kernels(node)
    origin, evidence = _origin(node, packages, makers, any(kernel.module for kernel in kernels))
    dkms = next((package.version for package in packages if package.name == "dkms"), "")
    return HostSoftware(
        manager=manager,
        packages=packages,
        origin=origin,
        evidence=evidence,
        stream=dnf_text.enabled_stream(node.read(dnf_text.MODULE_FILE) or ""),
        sources=_sources(node),
        kernels=kernels,
        dkms=dkms,
        dkms_offered=_dkms_offered(node) if manager == "dnf" and not (origin or dkms) else None,
        interrupted=half or bool(node.names("/var/lib/dpkg/updates")),
        files=_files(node),
        services=read_services(node),
        cuda_default=cuda_default.current(node),
        enrolled=_enrolled(node, certificate) if certificate else None,
    )


#: What mokutil says of a certificate that the firmware trusts. Its exit status says the one or the
#: other by its version: https://github.com/lcp/mokutil, read 2026-11-30.
_TRUSTED = re.compile(r"is already (enrolled|in db)")
_NOT_TRUSTED = re.compile(r"is not enrolled|already in the enrollment request|is blocked in")


def _enrolled(node: Node, certificate: str) -> Optional[bool]:
    """Whether a certificate is enrolled with the firmware; None where nobody can say."""
    done = node.run(["mokutil", "--test-key", certificate])
    said = done.out + done.err
    if _NOT_TRUSTED.search(said):
        return False
    return True if _TRUSTED.search(said) else None


# ---- packages ----------------------------------------------------------------------------------


def _manager(node: Node) -> str:
    if node.exists("/usr/bin/apt-get"):
        return "apt"
    return "dnf" if node.exists("/usr/bin/dnf") else ""


def _packages(node: Node, manager: str) -> Tuple[Tuple[Package, ...], Dict[str, str], bool]:
    """(packages of the NVIDIA stack, who made each, whether any package is half-installed)."""
    if manager == "apt":
        return _deb_packages(node.run(["dpkg-query", "-W", "-f", _DPKG]).out)
    if manager == "dnf":
        return _rpm_packages(node.run(["rpm", "-qa", "--qf", _RPM]).out, _versionlocks(node))
    return (), {}, False


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _deb_packages(text: str) -> Tuple[Tuple[Package, ...], Dict[str, str], bool]:
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 5]
    half = any(state in _HALF for _, state, *_ in rows)
    there = [row for row in rows if row[1] not in ("not-installed", "config-files")]
    kept = [row for row in there if _matches(row[2], PATTERNS)]
    packages = tuple(
        Package(name, version, source if source != name else "", want == "hold")
        for want, _, name, version, source, _ in kept
    )
    return packages, {row[2]: row[5] for row in kept}, half


def _rpm_packages(
    text: str, locks: Sequence[str]
) -> Tuple[Tuple[Package, ...], Dict[str, str], bool]:
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 3]
    kept = [row for row in rows if _matches(row[0], PATTERNS)]
    packages = tuple(
        Package(name, version, held=_locked(name, version, arch, locks))
        for name, version, arch, _ in kept
    )
    return packages, {row[0]: row[3] for row in kept}, False


#: Without --quiet dnf says which sources it could not read, and leaves out.
_OFFERED = ("repoquery", "--available", "--queryformat", "dkms %{version}", "dkms")


def _dkms_offered(node: Node) -> Optional[str]:
    """The newest dkms of the enabled sources, '' for none; None where dnf cannot say.

    Enterprise Linux itself has none. It is asked where a driver has yet to come: from the cache
    first, and where that is not enough once more, which may read the sources' indexes.
    """
    for cache in (["--cacheonly"], []):
        done = node.run(["dnf", *cache, *_OFFERED])
        found: List[str] = re.findall(r"(?m)^dkms (\S+)$", done.out)
        if found:
            return max(found, key=lambda version: [int(n) for n in re.findall(r"\d+", version)])
    unread = re.search(r"Failed to download metadata|Ignoring repositories", done.err + done.out)
    return None if done.rc != 0 or unread else ""


def _versionlocks(node: Node) -> List[str]:
    text = node.read("/etc/dnf/plugins/versionlock.list") or ""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _locked(name: str, version: str, arch: str, locks: Sequence[str]) -> bool:
    """Lines are 'name-epoch:version-release.arch', with shell patterns; epoch 0 may be left out."""
    short = version.partition(":")[2]
    spelled = ["%s-%s.%s" % (name, each, arch) for each in (version, short)]
    return any(fnmatch.fnmatchcase(text, lock) for lock in locks for text in spelled)


# ---- origin ------------------------------------------------------------------------------------

#: Packages that only a driver has, by whatever name its kernel module comes.
_DRIVER = ("nvidia-kernel*", "nvidia-open*", "nvidia-dkms*", "kmod-nvidia*", "nvidia-driver*",
           "nvidia-headless*")  # fmt: skip
#: Packages of such a name that come without one: helpers, and what pins or proposes a driver.
_NO_DRIVER = ("nvidia-kernel-common", "nvidia-driver-assistant", "nvidia-driver-pinning*")


def _origin(
    node: Node, packages: Sequence[Package], makers: Dict[str, str], module: bool
) -> Tuple[str, str]:
    """(origin of the driver that is installed, what showed it); ('', '') for no driver.

    ``module``: a kernel has one on disk. Libraries without any module are no driver.
    """
    libraries = [package for package in packages if _matches(package.name, DRIVER_LIBRARIES)]
    module = module or node.exists("/proc/driver/nvidia/version")
    for package in [
        *(p for p in packages if _matches(p.name, _DRIVER) and not _matches(p.name, _NO_DRIVER)),
        *(libraries if module else ()),
    ]:
        maker = makers.get(package.name, "")
        nvidia = "nvidia.com" in maker.lower() or maker.strip().lower().startswith("nvidia")
        known = "nvidia" if nvidia else "distribution"
        return known, "package %s %s of %s" % (package.name, package.version, maker or "nobody")
    for path in ("/usr/bin/nvidia-uninstall", "/var/lib/nvidia/dirs"):
        if node.exists(path):
            return "runfile", path
    if libraries and not module:
        return "", ""  # nvidia-smi, too, comes with packages of libraries
    for path in ("/usr/bin/nvidia-smi", "/proc/driver/nvidia/version"):
        if node.exists(path):
            return "unknown", "%s is there, and no package or installer that brought it" % path
    return "", ""


_SOURCE_FILES = (
    "/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list",
    "/etc/apt/sources.list.d/*.sources", "/etc/yum.repos.d/*.repo",
)  # fmt: skip


def _sources(node: Node) -> Tuple[PackageSource, ...]:
    """Files of apt and dnf that name a repository of NVIDIA's, or a mirror in its layout."""
    paths = [path for pattern in _SOURCE_FILES for path in node.glob(pattern)]
    found = [_source(path, node.read(path) or "") for path in paths]
    return tuple(source for source in found if source is not None)


def _source(path: str, text: str) -> Optional[PackageSource]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    body = "\n".join(lines)
    uris = [uri for uri in re.findall(r"(?:https?|file|ftp):/[^\s\]]+", body) if _names_nvidia(uri)]
    if not uris:
        return None
    signed = re.search(r"(?i)signed-by[ \t]*[:=][ \t]*([^\s\]]+)", body)
    off = re.search(r"(?im)^\s*enabled\s*[:=]\s*(?:no|0|false)\s*$", body)
    return PackageSource(
        path, tuple(dict.fromkeys(uris)), signed.group(1) if signed else "", not off
    )


def _names_nvidia(uri: str) -> bool:
    return "nvidia" in uri.lower() or "/cuda/repos/" in uri


# ---- kernels -----------------------------------------------------------------------------------

#: Where DKMS and the distributions put the module, below /lib/modules/<release>.
MODULE_FOLDERS = ("updates/dkms", "updates", "extra", "extra/*", "kernel/nvidia-*",
                   "kernel/drivers/video", "weak-updates/*")  # fmt: skip
#: The driver's own module; not nvidia-uvm, nvidia-drm and the like. Debian adds '-current'.
_MODULE = re.compile(r"nvidia(?:-current)?(?:-open)?\.ko(?:\.\w+)?")


_UMAD = "kernel/drivers/infiniband/core/ib_umad.ko*"


def read_kernels(node: Node) -> Tuple[Kernel, ...]:
    """Kernels with an image; where none has one, as in a container, those with headers."""
    releases = node.names("/lib/modules")
    bootable = [release for release in releases if _has_image(node, release)]
    return tuple(
        Kernel(
            release,
            _has_headers(node, release),
            *read_module(node, release),
            _stale_initramfs(node, release),
            bool(node.glob("/lib/modules/%s/%s" % (release, _UMAD))),
        )
        for release in bootable or releases
        if bootable or _has_headers(node, release)
    )


def _has_image(node: Node, release: str) -> bool:
    paths = ("/boot/vmlinuz-" + release, "/lib/modules/%s/vmlinuz" % release)
    return any(node.exists(path) for path in paths)


def _has_headers(node: Node, release: str) -> bool:
    return node.exists("/lib/modules/%s/build" % release)


def read_module(node: Node, release: str) -> Tuple[str, str]:
    """(version, flavour) of the NVIDIA module for a kernel, by modinfo; ('', '') for none."""
    base = "/lib/modules/" + release
    paths = [
        p for folder in MODULE_FOLDERS for p in node.glob("%s/%s/nvidia*.ko*" % (base, folder))
    ]
    for path in paths:
        if not _MODULE.fullmatch(os.path.basename(path)):
            continue
        told = node.run(["modinfo", path]).out
        fields = dict(re.findall(r"(?m)^(\w+):\s+(.*)$", told))
        if fields.get("version"):
            flavour = "open" if "MIT" in fields.get("license", "") else "proprietary"
            return fields["version"].strip(), flavour
    return "", ""


def loaded_flavour(node: Node) -> Optional[str]:
    """'open' or 'proprietary' as the module in the kernel says it, None for no module."""
    banner = node.read("/proc/driver/nvidia/version") or ""
    if "Open Kernel Module" in banner:
        return "open"
    return "proprietary" if "Kernel Module" in banner else None


def _stale_initramfs(node: Node, release: str) -> bool:
    """Whether a kernel's initramfs is older than what it should say about nouveau."""
    images = ("/boot/initrd.img-" + release, "/boot/initramfs-%s.img" % release)
    written, settings = _newest(node, images), _newest(node, managed_files.INITRAMFS_SETTINGS)
    return written is not None and settings is not None and written < settings


def _newest(node: Node, paths: Sequence[str]) -> Optional[float]:
    times = [time for time in (_mtime(node, path) for path in paths) if time is not None]
    return max(times, default=None)


def _mtime(node: Node, path: str) -> Optional[float]:
    try:
        return os.stat(node.path(path)).st_mtime
    except OSError:
        return None


# ---- files and services ---------------------------------------------------------------------


def _files(node: Node) -> Tuple[Tuple[str, str], ...]:
    found = [(path, node.read_bytes(path)) for path in managed_files.PATHS]
    return tuple(
        (path, hashlib.sha256(data).hexdigest()) for path, data in found if data is not None
    )


def read_services(node: Node) -> Tuple[Tuple[str, str], ...]:
    """(unit, state) of those services that are there; 'unknown' where systemd does not answer."""
    folders = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")
    there = [
        name
        for name in SERVICES
        if any(node.exists("%s/%s.service" % (folder, name)) for folder in folders)
    ]
    if not there:
        return ()
    states = node.run(["systemctl", "is-active", *there]).out.split()
    if len(states) != len(there):  # no systemd that answers, as in most containers
        return tuple((name, "unknown") for name in there)
    return tuple(zip(there, states))
