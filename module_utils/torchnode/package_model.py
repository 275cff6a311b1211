"""Records about the system's own packages: what a machine has, and what a component wants of it.

Standard library only; no behaviour beyond shape. They travel inside ``Facts`` and ``Stack``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class Package:
    """An installed package; ``version`` as its manager spells it, with an epoch if it has one.

    ``source`` is the source package's name ('nvidia-graphics-drivers'), '' where it is the same.
    ``held`` is apt's hold or dnf's versionlock.
    """

    name: str
    version: str
    source: str = ""
    held: bool = False


@dataclass(frozen=True)
class Kernel:
    """An installed kernel: whether its headers are there, and the NVIDIA module built for it.

    ``module`` is that module's version and ``flavour`` 'open' or 'proprietary', both '' for none.
    ``initramfs_stale``: its initramfs is older than a file that decides which modules may load.
    ``infiniband``: it has ib_umad, by which the NVSwitches of B200 and B300 are managed.
    """

    release: str
    headers: bool = False
    module: str = ""
    flavour: str = ""
    initramfs_stale: bool = False
    infiniband: bool = True


@dataclass(frozen=True)
class PackageSource:
    """A configured repository of a vendor; ``path`` is the file that names it."""

    path: str
    uris: Tuple[str, ...]
    signed_by: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class HostSoftware:
    """What the system's package manager and kernels hold of the NVIDIA stack.

    ``manager`` is 'apt', 'dnf' or '' (none that is known). ``origin`` is where the driver that is
    installed came from: 'nvidia', 'distribution', 'runfile', 'unknown' or '' for no driver, and
    ``evidence`` says what showed it. ``files`` are (path, sha256) of those managed files that
    exist. ``services`` are (unit, 'active', 'inactive', 'failed' or 'absent').
    """

    manager: str = ""
    packages: Tuple[Package, ...] = ()
    origin: str = ""
    evidence: str = ""
    stream: str = ""  # the enabled dnf module stream of nvidia-driver, such as '580-open'
    sources: Tuple[PackageSource, ...] = ()
    kernels: Tuple[Kernel, ...] = ()
    dkms: str = ""  # the version of dkms, '' for none
    dkms_offered: Optional[str] = None  # by dnf's enabled sources; None: not asked, or no answer
    interrupted: bool = False  # dpkg was interrupted: packages are half-installed
    files: Tuple[Tuple[str, str], ...] = ()
    services: Tuple[Tuple[str, str], ...] = ()
    cuda_default: str = ""  # the folder that /usr/local/cuda leads to, '' for none
    enrolled: Optional[bool] = None  # the certificate that signs modules; None: nobody can say


@dataclass(frozen=True)
class SourceWish:
    """A repository to configure before a component's packages can be had.

    ``kind`` is 'deb', 'rpm' or 'components' (widen the system's own sources by ``components``).
    ``key`` is a file below the project's files/, or the path that the operator named,
    ``fingerprint`` the full one that it must have. ``name`` is the file's name without its ending.
    ``signs`` is 'index' for an rpm repository that signs its index and not its packages.
    ``excluded`` are patterns of packages that are never taken from it. ``key_url`` is where the key
    is fetched from where there is no ``key``.
    """

    kind: str
    name: str
    uri: str = ""
    suite: str = ""
    components: Tuple[str, ...] = ()
    key: str = ""
    fingerprint: str = ""
    signs: str = ""
    excluded: Tuple[str, ...] = ()
    key_url: str = ""


@dataclass(frozen=True)
class PackageWish:
    """What one component wants installed, in one transaction.

    ``version`` is '' (any), a branch ('580'), a line ('9.10.2.*') or an exact upstream version
    ('580.95.05'); it is demanded of every installed package whose name matches a pattern of
    ``family`` (fnmatch), the named ``packages`` included where they match. ``absent`` are patterns
    of packages that cannot stay beside them. ``stream`` is a stream of dnf's module
    nvidia-driver, to enable first. ``version_of`` are patterns of another component's packages:
    where those are installed, their one version is demanded, and a branch is not enough.
    ``closure`` are patterns of packages that came with them and have versions of their own: they
    are held at those.
    """

    component: str
    packages: Tuple[str, ...]
    version: str = ""
    family: Tuple[str, ...] = ()
    absent: Tuple[str, ...] = ()
    stream: str = ""
    version_of: Tuple[str, ...] = ()
    closure: Tuple[str, ...] = ()


@dataclass(frozen=True)
class WheelFile:
    """A wheel whose SHA-256 is known; ``project`` is the index's name of it."""

    project: str
    version: str
    sha256: str


@dataclass(frozen=True)
class ToolkitWish:
    """A CUDA toolkit ('13.0') from the wheels of its pieces."""

    cuda: str
    files: Tuple[WheelFile, ...]


@dataclass(frozen=True)
class WheelWish:
    """A cuDNN for one CUDA major, from a wheel whose SHA-256 is known.

    ``version`` is the full one ('9.10.2.21'), ``project`` the index's name of it.
    """

    project: str
    version: str
    cuda: int
    sha256: str

    @property
    def file(self) -> WheelFile:
        """The wheel itself."""
        return WheelFile(self.project, self.version, self.sha256)

    @property
    def name(self) -> str:
        """Its folder below <prefix>/cudnn, and how survey names it: '9.10.2.21-cu12'."""
        return "%s-cu%d" % (self.version, self.cuda)


@dataclass(frozen=True)
class HostPlan:
    """The system's side of a stack: its sources, and the packages of each component in order."""

    origin: str  # 'nvidia', 'distribution' or 'preinstalled'
    sources: Tuple[SourceWish, ...] = ()
    wishes: Tuple[PackageWish, ...] = ()
    files: Tuple[Tuple[str, str], ...] = ()  # (path, content) of the files that must exist
    signing_key: str = ""  # on the node: what signs modules where Secure Boot is on
    signing_certificate: str = ""
    cudnn_wheels: Tuple[WheelWish, ...] = ()  # the first is the default
    toolkit_wheels: Tuple[ToolkitWish, ...] = ()  # the first is the default
    cuda_default: str = ""  # the toolkit that /usr/local/cuda is to be: '12.8', '' for any
