"""Builds ``<root>/<distro>/<arch>/`` for each system, whole or broken in one known way."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from . import catalogue_base, catalogue_deb, catalogue_rpm, deb, rpm
from .signing import Signer
from .stubs import Stub

#: How a repository can be broken; each has its own cause and remedy in what torchnode says.
FAULTS = {
    "": "nothing is wrong",
    "wrong-key": "signed by a key other than the one beside it",
    "expired": "the Release file was valid until the day before yesterday",
    "no-index": "Packages, or repodata, is not there",
    "damaged": "Packages, or primary.xml, does not have the hash that was signed",
}

#: The container toolkit's repositories, one for all systems of a family: its folder.
CONTAINERS = {"container-deb": "container/deb", "container-rpm": "container/rpm"}

#: The names that NVIDIA gives its keys; the stand-in's own key lies under them.
KEY_NAMES = {
    "deb": "3bf863cc.pub",
    "rpm": "D42D0685.pub",
    "debian13": "8793F200.pub",
    "rhel10": "CDF6BA43.pub",
    "ubuntu2604": "60DF8A40.pub",
}


@dataclass(frozen=True)
class Repository:
    """One folder, and the key that a node is to trust for it."""

    folder: Path
    key: Path
    fingerprint: str


def family(distro: str) -> str:
    """'deb' or 'rpm'."""
    return "deb" if distro.startswith(("debian", "ubuntu", "container-deb")) else "rpm"


def build(
    root: Path,
    distros: Sequence[str],
    arch: str = "x86_64",
    drivers: Sequence[str] = catalogue_deb.DRIVERS,
    fault: str = "",
) -> List[Repository]:
    """Make the repositories anew; the key in ``<root>/.keys`` stays from one build to the next.

    Raises ValueError for a fault that is not in FAULTS, and subprocess.CalledProcessError where
    gpg, rpmbuild or createrepo_c fails.
    """
    if fault not in FAULTS:
        raise ValueError("no such fault: %s; there are %s" % (fault, ", ".join(FAULTS)))
    trusted = Signer(root / ".keys" / "trusted")
    used = Signer(root / ".keys" / "other") if fault == "wrong-key" else trusted
    try:
        return [
            one(root, distro, arch, drivers, "", trusted, trusted)
            if distro in catalogue_base.KERNELS  # a distribution's own stays sound
            else one(root, distro, arch, drivers, fault, trusted, used)
            for distro in distros
        ]
    finally:
        for signer in {id(signer): signer for signer in (trusted, used)}.values():
            signer.stop()


def one(
    root: Path,
    distro: str,
    arch: str,
    drivers: Sequence[str],
    fault: str,
    trusted: Signer,
    used: Signer,
) -> Repository:
    """One system's repository."""
    kind = family(distro)
    folder = root / place(distro, arch)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key = folder / KEY_NAMES.get(distro, KEY_NAMES[kind])
    trusted.export(key)
    if kind == "deb":
        written = [(stub, deb.write_deb(folder, stub, arch)) for stub in catalogue(distro, drivers)]
        deb.write_index(folder, written, arch, fault == "expired")
        used.sign_release(folder)
    else:
        rpm.write_repository(folder, catalogue(distro, drivers), arch, used)
        rpm.write_repo_file(folder, root, distro, arch, key.name)
    spoil(folder, kind, fault)
    return Repository(folder, key, trusted.fingerprint)


def place(distro: str, arch: str) -> str:
    """A repository's folder under the root; the container toolkit's has the family's own word."""
    if distro not in CONTAINERS:
        return "%s/%s" % (distro, arch)
    words = deb.ARCHITECTURES if family(distro) == "deb" else rpm.ARCHITECTURES
    return "%s/%s" % (CONTAINERS[distro], words[arch])


def catalogue(distro: str, drivers: Sequence[str]) -> List[Stub]:
    """The stubs of one repository."""
    makes = catalogue_deb if family(distro) == "deb" else catalogue_rpm
    if distro in CONTAINERS:
        return makes.container_toolkit()
    if distro in catalogue_base.KERNELS:
        return catalogue_base.catalogue(distro)
    return makes.catalogue(distro, drivers)


def spoil(folder: Path, kind: str, fault: str) -> None:
    """What is done to the index after it was signed."""
    index = sorted(folder.glob("Packages*" if kind == "deb" else "repodata/*primary.xml*"))
    for path in index:
        if fault == "no-index":
            path.unlink()
        elif fault == "damaged":
            path.write_bytes(path.read_bytes() + b"\n# changed after it was signed\n")
