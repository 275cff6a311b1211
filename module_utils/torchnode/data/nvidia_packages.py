"""NVIDIA's packages by system: repositories, names, and how a version is pinned. Pure data.

A :class:`PackageSystem` for each system that is known; :class:`DriverNames` for each way of naming
a driver's packages, because NVIDIA's and every distribution's differ and change with the branches.
In names, '{branch}' stands for the driver's branch ('580'), '{other}' for any other one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from . import sources
from .sources import Source

#: NVIDIA's folder of repositories, and its names of the machines' architectures below it.
NVIDIA_REPOSITORIES = "https://developer.download.nvidia.com/compute/cuda/repos"
ARCHES = {"x86_64": "x86_64", "aarch64": "sbsa"}
DEBIAN_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
REPOSITORIES_CITED = (sources.CUDA_REPOSITORY_KEYS, sources.DRIVER_GUIDE_UBUNTU)


@dataclass(frozen=True)
class DriverNames:
    """A driver's packages without a display, under one way of naming them.

    ``user_space`` are libcuda, NVML, nvidia-smi and persistenced; ``open`` and ``proprietary`` the
    kernel modules as DKMS source, with their firmware. ``family`` are patterns (fnmatch) of all
    packages that carry the driver's version and no other. ``open_only`` and ``proprietary_only``
    are patterns of packages of one flavour; ``rivals`` cannot stay beside either. ``first_branch``
    is the first branch that is named so.
    """

    user_space: Tuple[str, ...]
    open: Tuple[str, ...]
    proprietary: Tuple[str, ...]
    family: Tuple[str, ...]
    open_only: Tuple[str, ...]
    proprietary_only: Tuple[str, ...]
    cited: Tuple[Source, ...]
    rivals: Tuple[str, ...] = ()
    first_branch: int = 0


@dataclass(frozen=True)
class FabricNames:
    """What NVSwitches need beside the driver; ``family`` of it carries the driver's version.

    ``manager`` is Fabric Manager with NSCQ; ``subnet`` serves B200's and B300's switches, with the
    programs that Fabric Manager's start asks there, ``imex`` GB200's memory over nodes.
    """

    manager: Tuple[str, ...]
    subnet: Tuple[str, ...]
    imex: Tuple[str, ...]
    cited: Tuple[Source, ...]
    first_branch: int = 0


@dataclass(frozen=True)
class PackageSystem:
    """A system whose packages are known.

    ``os_ids`` are values of ID in os-release; ``os_version`` is VERSION_ID, or what stands before
    its first dot where the row serves all minor releases. ``folder`` is NVIDIA's name of it.
    ``family`` is 'deb' or 'rpm', ``key`` a row of VENDOR_KEYS. ``pinning`` is 'preferences' (apt),
    'stream' (dnf module stream, then versionlock) or 'versionlock'. ``initramfs`` is the tool.

    The distribution's own driver: ``components`` widen the system's sources for it, ``branches``
    are those it has, ``toolkit`` its CUDA ('' for none). ``first_branch`` is the oldest one that
    NVIDIA's repository has, '' where it goes back to all that this project knows. ``contrib`` are
    components that NVIDIA's own packages need. ``headers`` are (prefix of the kernel's release,
    package) with the longest prefix first; '{variant}' is '' or such as '-64k'. ``infiniband`` is
    the package of a kernel's InfiniBand modules where they are not in its own, '' for none that is
    known. ``release`` says in apt's words what the system's own archive is.
    ``dkms_minimum`` is what NVIDIA's packages demand of dkms, where the system itself has none, and
    ``dkms_from`` says how to get it; ``dkms`` is the system's own, '' where it is new enough for
    all that is asked of it. ``holder`` is the package by which versions are held, where
    the package manager alone cannot.
    """

    os_ids: Tuple[str, ...]
    os_version: str
    folder: str
    family: str
    key: str
    pinning: str
    initramfs: str
    nvidia: Tuple[DriverNames, ...]
    fabric: Tuple[FabricNames, ...]
    headers: Tuple[Tuple[str, str], ...]
    cited: Tuple[Source, ...]
    distribution: Tuple[DriverNames, ...] = ()
    distribution_fabric: Tuple[FabricNames, ...] = ()
    components: Tuple[str, ...] = ()
    contrib: Tuple[str, ...] = ()
    branches: Tuple[str, ...] = ()
    toolkit: str = ""
    release: str = ""
    first_branch: str = ""
    dkms_minimum: str = ""
    dkms_from: str = ""
    dkms: str = ""
    holder: str = ""
    infiniband: str = ""
    arches: Tuple[str, ...] = ("x86_64", "aarch64")


# ---- how drivers are named ----------------------------------------------------------------------

# Families are lists rather than wide patterns: beside them stand packages with versions of their
# own (libnvidia-egl-wayland1, libnvidia-ml-dev, libnvidia-container1).

_DEBIAN_FAMILY = (
    "firmware-nvidia-gsp", "libcuda1", "libcudadebugger1", "libegl-nvidia0",
    "libgl1-nvidia-glvnd-glx", "libgles-nvidia1", "libgles-nvidia2", "libglx-nvidia0",
    "libnvcuvid1", "libnvoptix1", "libnvidia-allocator1", "libnvidia-api1", "libnvidia-cfg1",
    "libnvidia-eglcore", "libnvidia-encode1", "libnvidia-fbc1", "libnvidia-glcore",
    "libnvidia-glvkspirv", "libnvidia-gpucomp", "libnvidia-ml1", "libnvidia-ngx1",
    "libnvidia-nvvm4", "libnvidia-opticalflow1", "libnvidia-pkcs11-openssl3",
    "libnvidia-ptxjitcompiler1", "libnvidia-rtcore", "nvidia-alternative", "nvidia-cuda-mps",
    "nvidia-detect", "nvidia-driver", "nvidia-driver-bin", "nvidia-driver-full",
    "nvidia-driver-libs", "nvidia-egl-common", "nvidia-egl-icd", "nvidia-kernel-dkms",
    "nvidia-kernel-source", "nvidia-kernel-support", "nvidia-legacy-check", "nvidia-libopencl1",
    "nvidia-opencl-common", "nvidia-opencl-icd", "nvidia-powerd", "nvidia-smi",
    "nvidia-suspend-common", "nvidia-vdpau-driver", "nvidia-vulkan-common", "nvidia-vulkan-icd",
    "xserver-xorg-video-nvidia",
)  # fmt: skip

_DEBIAN = DriverNames(
    user_space=("libcuda1", "nvidia-smi", "nvidia-persistenced", "firmware-nvidia-gsp"),
    open=("nvidia-open-kernel-dkms",),
    proprietary=("nvidia-kernel-dkms",),
    # nvidia-modprobe, nvidia-persistenced and nvidia-settings have versions of their own there.
    family=(*_DEBIAN_FAMILY, "nvidia-open-kernel-*"),
    open_only=("nvidia-open-kernel-*",),
    proprietary_only=("nvidia-kernel-dkms", "nvidia-kernel-source", "nvidia-kernel-support"),
    cited=(sources.DEBIAN_PACKAGES,),
    rivals=("nvidia-tesla-*", "nvidia-legacy-[0-9]*"),
)

#: NVIDIA's own pins, which would work against ours.
_PINNING = ("nvidia-driver-pinning-*",)

_NVIDIA_DEBIAN = DriverNames(
    user_space=("nvidia-driver-cuda", "nvidia-persistenced"),
    open=("nvidia-kernel-open-dkms",),
    proprietary=("nvidia-kernel-dkms",),
    family=(
        *_DEBIAN_FAMILY, "nvidia-driver-cuda", "nvidia-kernel-open-dkms", "nvidia-persistenced",
        "nvidia-modprobe", "nvidia-settings", "nvidia-xconfig", "nvidia-open",
        "nvidia-open-[0-9]*", "cuda-drivers", "cuda-drivers-[0-9]*",
    ),
    open_only=("nvidia-kernel-open-dkms", "nvidia-open", "nvidia-open-[0-9]*"),
    proprietary_only=("nvidia-kernel-dkms", "cuda-drivers", "cuda-drivers-[0-9]*"),
    cited=(sources.DRIVER_GUIDE_DEBIAN,),
    rivals=_PINNING,
)  # fmt: skip

_UBUNTU_LIBRARIES = (
    "libnvidia-cfg1", "libnvidia-common", "libnvidia-compute", "libnvidia-decode",
    "libnvidia-encode", "libnvidia-extra", "libnvidia-fbc1", "libnvidia-gl", "libnvidia-gpucomp",
)  # fmt: skip
_UBUNTU_UNBRANCHED = (
    *_UBUNTU_LIBRARIES, "nvidia-dkms", "nvidia-dkms-open", "nvidia-driver", "nvidia-driver-open",
    "nvidia-firmware", "nvidia-kernel-common", "nvidia-kernel-source",
    "nvidia-kernel-source-open", "xserver-xorg-video-nvidia",
)  # fmt: skip
#: Of NVIDIA's they have the driver's version, and never had a branch in the name.
_UBUNTU_TOOLS = ("nvidia-persistenced", "nvidia-modprobe", "nvidia-settings")

_NVIDIA_UBUNTU = DriverNames(
    user_space=("libnvidia-compute", "libnvidia-cfg1", "nvidia-persistenced"),
    open=("nvidia-dkms-open", "nvidia-firmware"),
    proprietary=("nvidia-dkms", "nvidia-firmware"),
    family=(*_UBUNTU_UNBRANCHED, *_UBUNTU_TOOLS, "nvidia-open", "cuda-drivers"),
    open_only=("nvidia-dkms-open", "nvidia-kernel-source-open", "nvidia-driver-open",
               "nvidia-open"),
    proprietary_only=("nvidia-dkms", "nvidia-kernel-source", "nvidia-driver", "cuda-drivers"),
    cited=(sources.DRIVER_GUIDE_UBUNTU, sources.DRIVER_RECENT_UPDATES),
    rivals=("libnvidia-*-{other}", "nvidia-*-{other}", "nvidia-*-{other}-open",
            "nvidia-firmware-{other}-*", *_PINNING),
    first_branch=590,
)  # fmt: skip


def _by_branch(
    server: str,
    libraries: Tuple[str, ...],
    cited: Tuple[Source, ...],
    tools: Tuple[str, ...] = (),
    rivals: Tuple[str, ...] = (),
) -> DriverNames:
    """Ubuntu's names with a branch in them; ``server`` is '' or '-server'."""
    end, other = "{branch}" + server, "{other}" + server
    modules = ("dkms", "kernel-source", "driver", "headless", "headless-no-dkms")
    return DriverNames(
        user_space=(*("%s-%s" % (name, end) for name in libraries), *tools[:1]),
        open=("nvidia-dkms-%s-open" % end,),
        proprietary=("nvidia-dkms-%s" % end,),
        family=("libnvidia-*-" + end, "nvidia-*-" + end, "nvidia-*-%s-open" % end,
                "nvidia-firmware-%s-*" % end, "xserver-xorg-video-nvidia-" + end, *tools),
        open_only=tuple("nvidia-%s-%s-open" % (name, end) for name in modules),
        proprietary_only=tuple("nvidia-%s-%s" % (name, end) for name in modules),
        cited=cited,
        rivals=("libnvidia-*-" + other, "nvidia-*-" + other, "nvidia-*-%s-open" % other,
                "nvidia-firmware-%s-*" % other, *rivals),
    )  # fmt: skip


_UTILITIES = (
    "libnvidia-compute", "libnvidia-cfg1", "nvidia-utils", "nvidia-compute-utils",
)  # fmt: skip
#: Modules that Canonical builds and signs for each kernel: they have a version of their own.
_PREBUILT = ("linux-modules-nvidia-*", "linux-objects-nvidia-*", "linux-signatures-nvidia-*")
_UBUNTU = _by_branch("-server", _UTILITIES, (sources.UBUNTU_PACKAGES,), rivals=_PREBUILT)
_NVIDIA_JAMMY = _by_branch(
    "", _UTILITIES, (sources.DRIVER_GUIDE_UBUNTU, sources.JAMMY_LIST), _UBUNTU_TOOLS,
    (*_UBUNTU_UNBRANCHED, *_PINNING),
)  # fmt: skip
#: Here nvidia-smi is in libnvidia-compute, and there are no utils packages.
_NVIDIA_NOBLE = _by_branch(
    "", ("libnvidia-compute", "libnvidia-cfg1"),
    (sources.DRIVER_GUIDE_UBUNTU, sources.NOBLE_LIST), _UBUNTU_TOOLS,
    (*_UBUNTU_UNBRANCHED, *_PINNING),
)  # fmt: skip

_EL = DriverNames(
    user_space=("nvidia-driver-cuda", "nvidia-persistenced"),
    open=("kmod-nvidia-open-dkms",),
    proprietary=("kmod-nvidia-latest-dkms",),
    family=(
        "nvidia-driver", "nvidia-driver-cuda", "nvidia-driver-cuda-libs", "nvidia-driver-libs",
        "kmod-nvidia-open-dkms", "kmod-nvidia-latest-dkms", "kmod-nvidia-[0-9]*",
        "kmod-nvidia-open-[0-9]*", "nvidia-kmod-common", "nvidia-persistenced", "nvidia-modprobe",
        "nvidia-settings", "nvidia-xconfig", "nvidia-libXNVCtrl", "nvidia-libXNVCtrl-devel",
        "libnvidia-ml", "libnvidia-cfg", "libnvidia-fbc", "libnvidia-gpucomp", "xorg-x11-nvidia",
        "nvidia-open", "nvidia-open-[0-9]*", "cuda-drivers", "cuda-drivers-[0-9]*",
    ),
    open_only=("kmod-nvidia-open-*", "nvidia-open", "nvidia-open-[0-9]*"),
    proprietary_only=("kmod-nvidia-latest-dkms", "kmod-nvidia-[0-9]*", "cuda-drivers",
                      "cuda-drivers-[0-9]*"),
    cited=(sources.DRIVER_GUIDE_EL, sources.DRIVER_VERSION_LOCKING, sources.AMAZON_NOTES),
    rivals=("kmod-nvidia-[0-9]*", "kmod-nvidia-open-[0-9]*"),  # built for one kernel each
)  # fmt: skip

#: The driver's libraries, whoever packaged them. Toolkits of the distributions bring them alone:
#: Debian's and Ubuntu's nvidia-cuda-toolkit depend on libcuda1.
DRIVER_LIBRARIES = ("libcuda1", "libnvidia-compute*", "libnvidia-ml", "libnvidia-ml1")

# ---- what NVSwitches need -----------------------------------------------------------------------

_DIAGS = "infiniband-diags"  # the system's own
_FABRIC_DEB = (
    FabricNames(
        ("nvidia-fabricmanager", "libnvidia-nscq"), ("nvlsm", "libnvsdm", _DIAGS),
        ("nvidia-imex",), (sources.FABRIC_PACKAGES, sources.AMAZON_NOTES, sources.FABRIC_BRIDGES),
        580,
    ),
    FabricNames(
        ("nvidia-fabricmanager-{branch}", "libnvidia-nscq-{branch}"),
        ("nvlsm", "libnvsdm-{branch}", _DIAGS), ("nvidia-imex-{branch}",),
        (sources.FABRIC_PACKAGES, sources.AMAZON_NOTES),
    ),
)  # fmt: skip
#: Ubuntu's own has no subnet manager.
_FABRIC_UBUNTU = (
    FabricNames(
        ("nvidia-fabricmanager-{branch}", "libnvidia-nscq-{branch}"), (),
        ("nvidia-imex-{branch}",), (sources.UBUNTU_PACKAGES,),
    ),
)  # fmt: skip
_FABRIC_RPM = (
    _FABRIC_DEB[0],
    FabricNames(
        ("nvidia-fabric-manager", "libnvidia-nscq-{branch}"),
        ("nvlsm", "libnvsdm-{branch}", _DIAGS), ("nvidia-imex-{branch}",),
        (sources.FABRIC_PACKAGES, sources.AMAZON_NOTES),
    ),
)  # fmt: skip

# ---- systems ------------------------------------------------------------------------------------

_SERVER_BRANCHES = ("535", "550", "570", "580", "590", "595")
_DEB_HEADERS = (("", "linux-headers-{release}"),)
_EL_HEADERS = (("", "kernel{variant}-devel-{release}"),)
_AMAZON_HEADERS = (
    ("6.12.", "kernel6.12-devel-{release}"),
    ("6.18.", "kernel6.18-devel-{release}"),
    ("", "kernel-devel-{release}"),
)
_VERSIONLOCK = "python3-dnf-plugin-versionlock"
_EL_IDS = ("rhel", "rocky", "almalinux", "centos", "ol")
_EPEL = (
    "Enable EPEL, and CRB which it builds on: `dnf install epel-release` and `crb enable`. On RHEL "
    "itself `subscription-manager repos --enable "
    "codeready-builder-for-rhel-{version}-$(arch)-rpms` and `dnf install "
    "https://dl.fedoraproject.org/pub/epel/epel-release-latest-{version}.noarch.rpm`. Or install "
    "dkms from a source of yours."
)


def _debian(version: str, key: str, branch: str, toolkit: str) -> PackageSystem:
    return PackageSystem(
        ("debian",), version, "debian" + version, "deb", key, "preferences", "initramfs-tools",
        (_NVIDIA_DEBIAN,), _FABRIC_DEB, _DEB_HEADERS,
        (sources.CUDA_REPOSITORY_KEYS, sources.DEBIAN_PACKAGES),
        distribution=(_DEBIAN,),
        components=("contrib", "non-free", "non-free-firmware"), contrib=("contrib",),
        branches=(branch,), toolkit=toolkit, release="o=Debian",
        # Its packages had other names before, which no source was found for.
        first_branch="560",
    )  # fmt: skip


def _ubuntu(
    version: str,
    key: str,
    nvidia: Tuple[DriverNames, ...],
    initramfs: str,
    toolkit: str,
    branches: Tuple[str, ...],
    first_branch: str = "",
    dkms: str = "",
) -> PackageSystem:
    return PackageSystem(
        ("ubuntu",), version, "ubuntu" + version.replace(".", ""), "deb", key,
        "preferences", initramfs, (_NVIDIA_UBUNTU, *nvidia), _FABRIC_DEB, _DEB_HEADERS,
        (sources.CUDA_REPOSITORY_KEYS, sources.UBUNTU_PACKAGES, sources.UBUNTU_DRACUT,
         sources.RESOLUTE_LIST, sources.INFINIBAND_MODULES),
        distribution=(_UBUNTU,),
        distribution_fabric=_FABRIC_UBUNTU, components=("restricted", "multiverse"),
        branches=branches, toolkit=toolkit, release="o=Ubuntu", first_branch=first_branch,
        infiniband="linux-modules-extra-{release}", dkms=dkms,
    )  # fmt: skip


def _el(version: str, key: str, pinning: str) -> PackageSystem:
    return PackageSystem(
        _EL_IDS, version, "rhel" + version, "rpm", key, pinning, "dracut", (_EL,), _FABRIC_RPM,
        _EL_HEADERS,
        (sources.CUDA_REPOSITORY_KEYS, sources.DRIVER_GUIDE_EL, sources.EL_DKMS, sources.EPEL,
         sources.DRIVER_VERSION_LOCKING, sources.INFINIBAND_MODULES),
        dkms_minimum="3.1.8", dkms_from=_EPEL.replace("{version}", version), holder=_VERSIONLOCK,
        infiniband="kernel{variant}-modules-{release}",
    )  # fmt: skip


SYSTEMS: Tuple[PackageSystem, ...] = (
    _debian("12", "3bf863cc", "535", "11.8"),
    _debian("13", "8793F200", "550", "12.4"),
    _ubuntu(
        "22.04", "3bf863cc", (_NVIDIA_JAMMY,), "initramfs-tools", "11.5", _SERVER_BRANCHES,
        dkms="2.8.7",
    ),
    _ubuntu(
        "24.04", "3bf863cc", (_NVIDIA_NOBLE,), "initramfs-tools", "12.0", _SERVER_BRANCHES,
    ),
    _ubuntu("26.04", "60DF8A40", (), "dracut", "12.4", ("580", "595"), "595"),
    _el("9", "D42D0685", "stream"),
    _el("10", "CDF6BA43", "versionlock"),
    PackageSystem(
        ("amzn",), "2023", "amzn2023", "rpm", "D42D0685", "stream", "dracut", (_EL,), _FABRIC_RPM,
        _AMAZON_HEADERS,
        (sources.CUDA_REPOSITORY_KEYS, sources.AMAZON_NOTES, sources.DRIVER_VERSION_LOCKING),
        holder=_VERSIONLOCK,
    ),
)  # fmt: skip

# ---- beside the driver --------------------------------------------------------------------------

CONTAINER_REPOSITORY = "https://nvidia.github.io/libnvidia-container/stable"
CONTAINER_CITED = (sources.CONTAINER_INSTALL,)
CONTAINER_PACKAGES = (
    "nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools",
    "libnvidia-container1",
)  # fmt: skip
DCGM_CITED = (sources.DCGM_PACKAGES, sources.AMAZON_NOTES)
#: For one CUDA major: what asks the GPUs, and the closed modules that profile them, which DCGM's
#: own package only recommends.
DCGM_PACKAGES = (
    "datacenter-gpu-manager-4-cuda%d", "datacenter-gpu-manager-4-proprietary",
    "datacenter-gpu-manager-4-proprietary-cuda%d",
)  # fmt: skip
DCGM_FAMILY = ("datacenter-gpu-manager-4-*",)
#: The package that brings the plain names of the compiler that nvcc starts.
HOST_COMPILER = {"deb": "g++", "rpm": "gcc-c++"}
CUDNN_CITED = (
    sources.CUDNN_PACKAGES, sources.AMAZON_NOTES, sources.CUDNN_PATHS, sources.PYPI_CUDNN,
)  # fmt: skip
#: The CUDA majors that packages are named for, each with its first and last minor release of cuDNN
#: 9, '' for none that is known: of CUDA 11 there is none after 9.10, of CUDA 13 none before 9.12.
CUDNN_OF_CUDA = {11: ("", "9.10"), 12: ("", ""), 13: ("9.12", "")}
#: All of one file list, whatever the CUDA major, and what only installs them.
CUDNN_META = ("cudnn9-cuda-%d",)
CUDNN_DEB = ("libcudnn9-cuda-%d", "libcudnn9-dev-cuda-%d", "libcudnn9-headers-cuda-%d")
CUDNN_RPM = ("libcudnn9-cuda-%d", "libcudnn9-devel-cuda-%d", "libcudnn9-headers-cuda-%d")
