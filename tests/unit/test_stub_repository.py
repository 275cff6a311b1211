"""The stand-in repository is whole for dpkg and gpgv, and broken only where it says so."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stub_repository import catalogue_base, catalogue_deb, catalogue_rpm, deb, rpm
from stub_repository.build import FAULTS, Repository, build, place

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and shutil.which("gpg") and shutil.which("gpgv")),
    reason="needs dpkg-deb, gpg and gpgv",
)
DRIVERS = ("570.195.03", "580.95.05", "590.48.01")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repository")


def made(root: Path, fault: str = "", distro: str = "debian12") -> Repository:
    (found,) = build(root, [distro], drivers=("580.95.05",), fault=fault)
    return found


def trusted(found: Repository, keyring: Path) -> bool:
    """Whether gpgv takes InRelease for signed by the key that is exported beside it."""
    subprocess.run(
        ["gpg", "--batch", "--yes", "--quiet", "--dearmor", "-o", str(keyring), str(found.key)],
        check=True,
    )
    argv = ["gpgv", "--keyring", str(keyring), str(found.folder / "InRelease")]
    return subprocess.run(argv, capture_output=True).returncode == 0


def field(path: Path, name: str) -> str:
    argv = ["dpkg-deb", "--field", str(path), name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_dpkg_reads_the_packages_and_apt_would_trust_the_release(root: Path) -> None:
    found = made(root)
    path = found.folder / "nvidia-kernel-open-dkms_580.95.05-1_amd64.deb"
    assert field(path, "Version") == "580.95.05-1"
    assert "firmware-nvidia-gsp (= 580.95.05-1)" in field(path, "Depends")
    argv = ["dpkg-deb", "--contents", str(path)]
    listed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "./usr/src/nvidia-580.95.05/dkms.conf" in listed
    assert trusted(found, root / "keyring.gpg")


def test_the_release_signs_the_index_and_the_index_the_packages(root: Path) -> None:
    folder = made(root).folder
    index = (folder / "Packages").read_bytes()
    assert hashlib.sha256(index).hexdigest() in (folder / "InRelease").read_text()
    assert gzip.decompress((folder / "Packages.gz").read_bytes()) == index
    for paragraph in index.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in paragraph.splitlines())
        body = (folder / lines["Filename"]).read_bytes()
        assert lines["SHA256"] == hashlib.sha256(body).hexdigest()


def test_the_key_stays_from_one_build_to_the_next(root: Path) -> None:
    assert made(root).fingerprint == made(root, "expired").fingerprint


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_is_the_only_one(root: Path, fault: str) -> None:
    found = made(root, fault)
    index = found.folder / "Packages"
    release = (found.folder / "Release").read_text()
    assert trusted(found, root / "keyring.gpg") == (fault != "wrong-key")
    assert ("Valid-Until" in release) == (fault == "expired")
    assert index.exists() == (fault != "no-index")
    if index.exists():
        whole = hashlib.sha256(index.read_bytes()).hexdigest() in release
        assert whole == (fault != "damaged")


def test_an_unknown_fault_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        build(root, ["debian12"], fault="moonlight")


@pytest.mark.parametrize("distro", ["ubuntu2404", "debian12"])
def test_every_relation_inside_a_driver_has_its_package(distro: str) -> None:
    stubs = catalogue_deb.catalogue(distro, DRIVERS)
    there = {(stub.name, stub.version) for stub in stubs}
    missing = [
        (stub.name, wish)
        for stub in stubs
        for wish in ", ".join(stub.depends).replace(" | ", ", ").split(", ")
        if " (= " in wish and tuple(wish.rstrip(")").split(" (= ")) not in there
    ]
    assert missing == []


def test_ubuntus_names_lose_the_branch_with_590() -> None:
    names = {stub.name for stub in catalogue_deb.catalogue("ubuntu2404", DRIVERS)}
    assert {"nvidia-dkms-580-open", "nvidia-dkms-open", "libnvidia-compute"} <= names
    assert "nvidia-dkms-590-open" not in names


def test_fabric_managers_name_loses_the_branch_with_580() -> None:
    for distro, before, after in (
        ("debian12", "nvidia-fabricmanager-570", "nvidia-fabricmanager"),
        ("rhel9", "nvidia-fabric-manager", "nvidia-fabricmanager"),
    ):
        catalogue = catalogue_rpm if distro == "rhel9" else catalogue_deb
        versions = {stub.name: stub.version for stub in catalogue.catalogue(distro, DRIVERS[:2])}
        assert versions[before] == "570.195.03-1"
        assert versions[after] == "580.95.05-1"


def test_a_spec_says_epoch_stream_and_files() -> None:
    stubs = catalogue_rpm.catalogue("rhel9", DRIVERS)
    (kmod,) = [
        stub
        for stub in stubs
        if stub.name == "kmod-nvidia-open-dkms" and stub.version.startswith("3:580")
    ]
    text = rpm.spec_text(kmod, "x86_64")
    assert "Epoch: 3" in text
    assert "ModularityLabel: nvidia-driver:580-open:" in text
    assert "Provides: nvidia-kmod = 3:580.95.05" in text
    assert "/usr/src/nvidia-580.95.05/nvidia.c" in text.split("%files")[1]


@pytest.mark.parametrize(
    ("distro", "arch", "expected"),
    [
        ("ubuntu2404", "x86_64", "ubuntu2404/x86_64"),
        ("rhel9", "sbsa", "rhel9/sbsa"),
        ("rhel9-base", "sbsa", "rhel9-base/sbsa"),
        ("container-deb", "sbsa", "container/deb/arm64"),
        ("container-rpm", "x86_64", "container/rpm/x86_64"),
    ],
)
def test_each_repository_has_the_folder_that_its_maker_gives_it(
    distro: str, arch: str, expected: str
) -> None:
    assert place(distro, arch) == expected


def test_amazon_names_its_kernels_apart() -> None:
    versions = {stub.name for stub in catalogue_base.catalogue("amzn2023-base")}
    assert {"kernel6.12", "kernel6.12-devel"} <= versions
    assert "kernel-core" not in versions
    assert "kernel-core" in {stub.name for stub in catalogue_base.catalogue("rhel9-base")}


@pytest.mark.parametrize("distro", ["rhel9", "amzn2023"])
def test_el9_and_amazon_have_streams_and_el10_none(distro: str) -> None:
    text = rpm.modules_text(catalogue_rpm.catalogue(distro, DRIVERS), "x86_64")
    for stream in ("570-open", "580-open", "580-dkms", "open-dkms"):
        assert 'stream: "%s"' % stream in text
    assert rpm.modules_text(catalogue_rpm.catalogue("rhel10", DRIVERS), "x86_64") == ""


def test_the_same_stub_is_the_same_file(tmp_path: Path) -> None:
    stub = catalogue_deb.catalogue("debian12", DRIVERS)[0]
    bodies = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        bodies.append(deb.write_deb(tmp_path / name, stub, "x86_64").read_bytes())
    assert bodies[0] == bodies[1]


def test_the_command_line_prints_whose_signature_to_trust(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "stub_repository", str(tmp_path), "debian12"]
    folder = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [*argv, "--drivers", "580.95.05"], cwd=folder, check=True, capture_output=True, text=True
    )
    assert '"fingerprint": "' in done.stdout
    assert (tmp_path / "debian12" / "x86_64" / "3bf863cc.pub").is_file()
