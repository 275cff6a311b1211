"""Which of NVIDIA's packages a system gets, from where, signed by whom, and how they are pinned."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import ROOT

from ansible.module_utils.torchnode import nvidia_packages as names
from ansible.module_utils.torchnode.cudnn_choice import cudnn_wish
from ansible.module_utils.torchnode.data import nvidia_packages as tables
from ansible.module_utils.torchnode.data.vendor_keys import REVOKED_KEYS, VENDOR_KEYS
from ansible.module_utils.torchnode.model import Accelerator, System
from ansible.module_utils.torchnode.package_model import Package, PackageWish
from ansible.module_utils.torchnode.package_versions import of_family, problems
from ansible.module_utils.torchnode.policy import Conflict


def system(os_id: str, version: str, machine: str = "x86_64") -> System:
    return System("Linux", machine, "6.1.0", os_id, version, "%s %s" % (os_id, version))


DEBIAN12, DEBIAN13 = system("debian", "12"), system("debian", "13")
JAMMY, NOBLE = system("ubuntu", "22.04"), system("ubuntu", "24.04")
EL9, EL10, AMAZON = system("rocky", "9.5"), system("rhel", "10.1"), system("amzn", "2023")
ALL = (DEBIAN12, DEBIAN13, JAMMY, NOBLE, system("ubuntu", "26.04"), EL9, EL10, AMAZON)
APT = ALL[:5]
KEY_FILE, FINGERPRINT = "/root/key.asc", "A" * 40


def gpu(pci_id: str) -> Accelerator:
    return Accelerator("cuda", "nvidia", 0, "made up", pci_id="10de:" + pci_id)


H100, B200, GB200, GB10 = gpu("2330"), gpu("2901"), gpu("2941"), gpu("2e12")


def driver(where: System, version: str = "580", flavour: str = "open", origin: str = "nvidia") -> (
    PackageWish
):  # fmt: skip
    return names.driver_wish(where, origin, version, flavour)


def matches(name: str, patterns: Iterator[str] | tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


# ---- systems ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ALL, ids=lambda s: s.os_name)
def test_every_system_of_the_project_has_one_row(where: System) -> None:
    row = names.package_system(where)
    assert row.cited
    others = [
        r for r in tables.SYSTEMS if r is not row and where.os_id in r.os_ids
    ]  # fmt: skip
    assert all(r.os_version != row.os_version for r in others)


@pytest.mark.parametrize("os_id", ["rhel", "rocky", "almalinux", "centos"])
def test_rebuilds_of_enterprise_linux_share_a_row(os_id: str) -> None:
    assert names.package_system(system(os_id, "9.5")).folder == "rhel9"


@pytest.mark.parametrize(
    "where", [system("debian", "11"), system("ubuntu", "25.10"), system("", "")]
)
def test_an_unknown_system_is_refused_and_the_known_ones_are_named(where: System) -> None:
    with pytest.raises(Conflict) as refused:
        names.package_system(where)
    assert "debian 12" in refused.value.expected
    assert "preinstalled" in refused.value.remedy


# ---- sources and keys ---------------------------------------------------------------------------


def test_the_repository_follows_system_and_machine() -> None:
    wish = names.source_wish(NOBLE, "nvidia", "")
    assert wish is not None
    assert wish.kind == "deb"
    assert wish.suite == "/"
    assert wish.uri == tables.NVIDIA_REPOSITORIES + "/ubuntu2404/x86_64/"
    arm = names.source_wish(system("ubuntu", "24.04", "aarch64"), "nvidia", "")
    assert arm is not None
    assert arm.uri.endswith("/ubuntu2404/sbsa/")


@pytest.mark.parametrize(
    "url", ["file:///srv/nvidia", "file:///srv/nvidia/", "http://mirror/cuda//"]
)
def test_a_mirror_takes_the_place_of_nvidias_folder(url: str) -> None:
    wish = names.source_wish(DEBIAN12, "nvidia", url)
    assert wish is not None
    assert wish.uri == url.rstrip("/") + "/debian12/x86_64/"


def test_a_machine_without_packages_is_refused() -> None:
    with pytest.raises(Conflict, match="riscv64"):
        names.source_wish(system("debian", "12", "riscv64"), "nvidia", "")


@pytest.mark.parametrize(
    ("where", "key"),
    [(ALL[4], "60DF8A40"), (EL9, "D42D0685"), (AMAZON, "D42D0685"), (DEBIAN12, "")],
    ids=lambda value: getattr(value, "os_name", value),
)
def test_a_key_that_could_not_be_shipped_is_fetched_by_its_fingerprint(
    where: System, key: str
) -> None:
    for base in ("", "http://mirror/cuda"):
        wish = names.source_wish(where, "nvidia", base)
        assert wish is not None
        assert wish.key_url == (wish.uri + key + ".pub" if key else "")
        assert len(wish.fingerprint) == 40
    own = names.source_wish(where, "nvidia", "", KEY_FILE, FINGERPRINT)
    assert own is not None
    assert own.key_url == ""


def test_a_key_that_is_not_known_whole_is_refused() -> None:
    with pytest.raises(Conflict) as refused:
        names.source_wish(EL10, "nvidia", "")
    assert refused.value.argument == "torchnode_nvidia_key_file"
    assert "torchnode_nvidia_key_fingerprint" in refused.value.remedy


def test_the_operators_key_takes_the_place_of_the_known_one() -> None:
    for where in (EL9, DEBIAN12):
        wish = names.source_wish(where, "nvidia", "", KEY_FILE, FINGERPRINT)
        assert wish is not None
        assert (wish.key, wish.fingerprint) == (KEY_FILE, FINGERPRINT)


def test_a_key_file_without_a_fingerprint_is_refused() -> None:
    with pytest.raises(Conflict, match="torchnode_nvidia_key_fingerprint"):
        names.source_wish(EL9, "nvidia", "", KEY_FILE, "")


def test_the_distributions_driver_widens_its_sources_and_adds_no_host() -> None:
    wish = names.source_wish(DEBIAN12, "distribution", "")
    assert wish is not None
    assert (wish.kind, wish.uri, wish.key) == ("components", "", "")
    assert wish.components == ("contrib", "non-free", "non-free-firmware")


def test_nvidias_packages_for_debian_need_contrib_and_those_for_ubuntu_nothing() -> None:
    wider = names.system_source_wish(DEBIAN12, "nvidia")
    assert wider is not None
    assert wider.components == ("contrib",)
    assert names.system_source_wish(NOBLE, "nvidia") is None


def test_fingerprints_are_full_and_none_is_revoked() -> None:
    for key in VENDOR_KEYS.values():
        assert re.fullmatch("[0-9A-F]{40}", key.fingerprint)
        assert key.cited
        assert key.fingerprint not in REVOKED_KEYS


@pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg")
@pytest.mark.parametrize("name", [key.name for key in VENDOR_KEYS.values() if key.file])
def test_a_key_file_has_the_fingerprint_of_its_row_and_no_other_key(
    name: str, tmp_path: Path
) -> None:
    key = VENDOR_KEYS[name]
    tmp_path.chmod(0o700)
    shown = subprocess.run(
        ["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons",
         str(ROOT / "files" / key.file)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines = [line.split(":") for line in shown.splitlines()]
    primary = [lines[at + 1][9] for at, line in enumerate(lines) if line[0] == "pub"]
    assert primary == [key.fingerprint]


def test_every_key_file_has_a_row() -> None:
    files = {"keys/" + path.name for path in (ROOT / "files" / "keys").glob("*.asc")}
    assert files == {key.file for key in VENDOR_KEYS.values() if key.file}


# ---- the driver's names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "origin", "version", "kernel", "user"),
    [
        (DEBIAN12, "nvidia", "580", "nvidia-kernel-open-dkms", "nvidia-driver-cuda"),
        (DEBIAN12, "distribution", "535", "nvidia-open-kernel-dkms", "libcuda1"),
        (DEBIAN13, "distribution", "", "nvidia-open-kernel-dkms", "nvidia-smi"),
        (NOBLE, "nvidia", "580", "nvidia-dkms-580-open", "libnvidia-compute-580"),
        (JAMMY, "nvidia", "580.95.05", "nvidia-dkms-580-open", "nvidia-utils-580"),
        (NOBLE, "nvidia", "590", "nvidia-dkms-open", "libnvidia-compute"),
        (NOBLE, "nvidia", "", "nvidia-dkms-open", "nvidia-persistenced"),
        (NOBLE, "distribution", "580", "nvidia-dkms-580-server-open", "nvidia-utils-580-server"),
        (EL9, "nvidia", "580", "kmod-nvidia-open-dkms", "nvidia-driver-cuda"),
        (EL10, "nvidia", "580", "kmod-nvidia-open-dkms", "nvidia-persistenced"),
    ],
)  # fmt: skip
def test_the_names_follow_system_origin_and_branch(
    where: System, origin: str, version: str, kernel: str, user: str
) -> None:
    wish = driver(where, version, "open", origin)
    assert kernel in wish.packages
    assert user in wish.packages
    assert wish.version == version


@pytest.mark.parametrize("flavour", ["open", "proprietary"])
@pytest.mark.parametrize("origin", ["nvidia", "distribution"])
@pytest.mark.parametrize("version", ["", "535", "550", "580", "595.71.05"])
@pytest.mark.parametrize("where", ALL, ids=lambda s: s.os_name)
def test_a_wish_never_forbids_what_it_wants_and_forbids_the_other_flavour(
    where: System, version: str, origin: str, flavour: str
) -> None:
    try:
        wish = driver(where, version, flavour, origin)
    except Conflict:
        return
    assert not [name for name in wish.packages if matches(name, wish.absent)]
    other = driver(where, version, "proprietary" if flavour == "open" else "open", origin)
    kernel = [name for name in other.packages if name not in wish.packages]
    assert kernel
    assert all(matches(name, wish.absent) for name in kernel)


def test_a_move_between_the_old_and_the_new_names_leaves_none_of_the_others() -> None:
    old, new, earlier = driver(JAMMY, "580"), driver(JAMMY, "590"), driver(JAMMY, "570")
    for wish, other in ((new, old), (old, new), (old, earlier)):
        left = [name for name in other.packages if not matches(name, wish.absent)]
        assert left == ["nvidia-persistenced"]
    assert of_family("nvidia-persistenced", old)
    assert of_family("nvidia-persistenced", new)


#: As dpkg lists a driver of NVIDIA's repository on Ubuntu 24.04, 580.95.05-0ubuntu1; then what
#: stood beside it.
NOBLE_580 = (
    *("libnvidia-%s-580" % name for name in (
        "cfg1", "common", "compute", "decode", "encode", "extra", "fbc1", "gl", "gpucomp",
    )),
    "nvidia-dkms-580-open", "nvidia-driver-580-open", "nvidia-firmware-580",
    "nvidia-kernel-common-580", "nvidia-kernel-source-580-open", "nvidia-modprobe",
    "nvidia-persistenced", "nvidia-settings", "xserver-xorg-video-nvidia-580",
)  # fmt: skip
NOBLE_BESIDE = (
    "libnvidia-egl-gbm1", "libnvidia-egl-wayland1", "libnvidia-egl-xcb1", "libnvidia-egl-xlib1",
    "libnvidia-container1", "libnvidia-container-tools",
    "linux-objects-nvidia-580-6.14.0-36-generic",
    "linux-modules-nvidia-580-open-generic-hwe-24.04",
)  # fmt: skip


def test_a_real_driver_of_nvidias_on_ubuntu_is_the_family_whole() -> None:
    wish = driver(NOBLE, "580.95.05")
    assert [name for name in NOBLE_580 if not of_family(name, wish)] == []
    assert set(wish.packages) <= set(NOBLE_580)
    assert [n for n in NOBLE_580 + NOBLE_BESIDE if matches(n, wish.absent)] == []
    assert [name for name in NOBLE_BESIDE if of_family(name, wish)] == []


def test_a_branch_that_the_distribution_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(Conflict) as refused:
        driver(DEBIAN12, "580", "open", "distribution")
    assert "535" in refused.value.expected
    assert names.branches(DEBIAN12, "distribution") == ("535",)
    assert names.branches(DEBIAN12, "nvidia")[0] == "570"  # older ones had other names
    assert names.branches(EL9, "nvidia") == ()


def test_a_system_without_a_driver_of_its_own_says_so() -> None:
    with pytest.raises(Conflict, match="no NVIDIA driver"):
        driver(EL9, "580", "open", "distribution")


@pytest.mark.parametrize(
    ("where", "version", "flavour", "stream"),
    [
        (EL9, "580", "open", "580-open"),
        (EL9, "580.95.05", "proprietary", "580-dkms"),
        (EL9, "", "open", "open-dkms"),
        (AMAZON, "", "proprietary", "latest-dkms"),
        (EL10, "580", "open", ""),
        (NOBLE, "580", "open", ""),
    ],
)
def test_streams_exist_on_9_and_amazon_only(
    where: System, version: str, flavour: str, stream: str
) -> None:
    assert driver(where, version, flavour).stream == stream


# ---- families, against the real archive ---------------------------------------------------------


def debian_packages(suite: str) -> list[tuple[Package, str]]:
    """Packages of a suite with the source package that each is built from."""
    text = (ROOT / "tests" / "fixtures" / "packages" / "debian.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if line.startswith(suite + " ")]
    return [(Package(name, version, held=True), source) for _, name, version, source in rows]


@pytest.mark.parametrize(
    ("where", "suite", "branch"), [(DEBIAN12, "bookworm", "535"), (DEBIAN13, "trixie", "550")]
)
def test_debians_family_is_the_drivers_own_packages_and_nothing_else(
    where: System, suite: str, branch: str
) -> None:
    wish = driver(where, branch, "open", "distribution")
    driver_sources = ("nvidia-graphics-drivers", "nvidia-open-gpu-kernel-modules")
    real = debian_packages(suite)
    assert len(real) > 100
    expected = {package.name for package, source in real if source in driver_sources}
    assert {package.name for package, _ in real if of_family(package.name, wish)} == expected
    assert all(name in {package.name for package, _ in real} for name in wish.packages)


def test_the_family_of_enterprise_linux_is_what_has_the_drivers_version_there() -> None:
    text = (ROOT / "tests" / "fixtures" / "packages" / "amazon.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if line.startswith("amzn2023 ")]
    wish = driver(AMAZON, "580.95.05")
    family = {name for _, name, _ in rows if of_family(name, wish)}
    built_with_it = {n for _, n, version in rows if version == "580.95.05-1.amzn2023"}
    assert family == built_with_it - {"cuda-compat-13-0"}
    real = {name for _, name, _ in rows}
    assert set(wish.packages) <= real
    real |= {"infiniband-diags"}  # the system's own
    assert {*fabric(AMAZON, "580", B200, B200, switches=4), *fabric(AMAZON, "580", GB200)} <= real
    assert set(fabric(AMAZON, "570", B200, B200, switches=4)) <= real


def test_a_complete_debian_driver_of_the_real_archive_has_no_problem() -> None:
    wish = driver(DEBIAN12, "535", "open", "distribution")
    real = [package for package, _ in debian_packages("bookworm")]
    there = [p for p in real if p.name in wish.packages or p.name.startswith("libnvidia-")]
    assert problems(wish, there) == []


@pytest.mark.parametrize("where", ALL, ids=lambda s: s.os_name)
@pytest.mark.parametrize("version", ["550", "580", "595"])
def test_what_has_a_version_of_its_own_is_in_no_family(where: System, version: str) -> None:
    own = (
        "libnvidia-container1", "libnvidia-container-tools", "nvidia-container-toolkit",
        "nvidia-container-toolkit-base", "libnvidia-egl-wayland1", "libnvidia-ml-dev",
        "nvidia-cuda-toolkit", "nvidia-cudnn", "cuda-toolkit-12-8", "nvlsm",
    )  # fmt: skip
    wish = driver(where, version)
    assert not [name for name in own if of_family(name, wish)]
    assert not [name for name in own if matches(name, wish.absent)]


@pytest.mark.parametrize("where", ALL, ids=lambda s: s.os_name)
@pytest.mark.parametrize("version", ["550", "580", "595"])
def test_the_kernel_modules_and_libcuda_are_in_the_family(where: System, version: str) -> None:
    wish = driver(where, version)
    loose = [name for name in wish.packages if not of_family(name, wish)]
    assert not loose


# ---- what NVSwitches need -----------------------------------------------------------------------


def fabric(
    where: System, version: str, *devices: Accelerator, switches: int = 0
) -> tuple[str, ...]:
    addresses = ["0000:%02x:00.0" % n for n in range(switches)]
    wish = names.fabric_wish(where, "nvidia", version, devices, addresses)
    return wish.packages if wish else ()


def test_without_an_nvswitch_there_is_nothing_to_manage() -> None:
    assert fabric(NOBLE, "580", H100, H100) == ()
    assert fabric(NOBLE, "580", B200) == ()
    assert fabric(NOBLE, "580", B200, B200) == ()  # a guest whose host manages the switches
    assert fabric(NOBLE, "580", GB10) == ()


def test_fabric_manager_is_named_by_branch_before_580() -> None:
    assert fabric(NOBLE, "570", H100, switches=4) == (
        "nvidia-fabricmanager-570", "libnvidia-nscq-570",
    )  # fmt: skip
    assert fabric(NOBLE, "580", H100, switches=4) == ("nvidia-fabricmanager", "libnvidia-nscq")
    assert fabric(EL9, "570", H100, switches=4)[0] == "nvidia-fabric-manager"
    assert fabric(EL9, "580", H100, switches=4)[0] == "nvidia-fabricmanager"


def test_b200_boards_need_the_subnet_manager_and_gb200_imex_alone() -> None:
    board = fabric(NOBLE, "580", B200, B200, switches=4)
    assert {"nvidia-fabricmanager", "nvlsm", "libnvsdm", "infiniband-diags"} <= set(board)
    assert fabric(NOBLE, "580", GB200) == ("nvidia-imex",)


def test_fabric_managers_family_is_what_has_the_drivers_version() -> None:
    wish = names.fabric_wish(NOBLE, "nvidia", "580.95.05", [B200, B200], ["0000:a5:00.0"])
    assert wish is not None
    assert wish.version == "580.95.05"
    assert of_family("nvidia-fabricmanager", wish)
    assert not of_family("nvlsm", wish)
    assert not of_family("infiniband-diags", wish)


def test_debian_has_no_fabric_manager_and_ubuntu_has_its_own_names() -> None:
    with pytest.raises(Conflict, match="Fabric Manager"):
        names.fabric_wish(DEBIAN12, "distribution", "", [H100], ["0000:05:00.0"])
    wish = names.fabric_wish(NOBLE, "distribution", "580", [H100], ["0000:05:00.0"])
    assert wish is not None
    assert "nvidia-fabricmanager-580" in wish.packages
    with pytest.raises(Conflict, match="subnet manager"):
        names.fabric_wish(NOBLE, "distribution", "580", [B200, B200], ["0000:a5:00.0"])


@pytest.mark.parametrize(
    ("where", "release", "expected"),
    [
        (NOBLE, "6.8.0-1017-aws", ("linux-modules-extra-6.8.0-1017-aws",)),
        (EL9, "5.14.0-570.el9.x86_64", ("kernel-modules-5.14.0-570.el9",)),
        (EL9, "5.14.0-570.el9.aarch64+64k", ("kernel-64k-modules-5.14.0-570.el9",)),
        (DEBIAN12, "6.1.0-50-cloud-amd64", ()),
    ],
)
def test_infinibands_modules_of_a_kernel(
    where: System, release: str, expected: tuple[str, ...]
) -> None:
    assert names.infiniband_packages(where, [release, release]) == expected


# ---- holding -----------------------------------------------------------------------------------


def test_what_dnf_holds_by_comes_with_what_is_held() -> None:
    wish = PackageWish("dcgm", ("datacenter-gpu-manager-4-cuda13",))
    for where in (EL9, AMAZON):
        assert names.holdable(where, wish).packages[1:] == ("python3-dnf-plugin-versionlock",)
    assert names.holdable(DEBIAN12, wish) == wish


# ---- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "release", "expected"),
    [
        (DEBIAN12, "6.1.0-50-amd64", "linux-headers-6.1.0-50-amd64"),
        (NOBLE, "6.8.0-1017-aws", "linux-headers-6.8.0-1017-aws"),
        (NOBLE, "6.8.0-custom", "linux-headers-6.8.0-custom"),
        (EL9, "5.14.0-503.el9.x86_64", "kernel-devel-5.14.0-503.el9"),
        (EL9, "5.14.0-570.12.1.el9_6.aarch64+64k", "kernel-64k-devel-5.14.0-570.12.1.el9_6"),
        (EL9, "5.14.0-570.12.1.el9_6.x86_64+rt", "kernel-rt-devel-5.14.0-570.12.1.el9_6"),
        (AMAZON, "6.12.40-63.114.amzn2023.aarch64", "kernel6.12-devel-6.12.40-63.114.amzn2023"),
        (AMAZON, "6.18.51-120.162.amzn2023.x86_64", "kernel6.18-devel-6.18.51-120.162.amzn2023"),
        (AMAZON, "6.1.148-173.267.amzn2023.x86_64", "kernel-devel-6.1.148-173.267.amzn2023"),
    ],
)  # fmt: skip
def test_headers_of_a_kernel(where: System, release: str, expected: str) -> None:
    assert names.header_packages(where, [release]) == (expected,)


@pytest.mark.parametrize(
    ("where", "installed", "expected"),
    [
        (DEBIAN12, "linux-image-amd64", "linux-headers-amd64"),
        (DEBIAN12, "linux-image-cloud-amd64", "linux-headers-cloud-amd64"),
        (DEBIAN12, "linux-image-6.1.0-50-amd64", ""),
        (DEBIAN12, "linux-image-amd64-dbg", ""),
        (NOBLE, "linux-image-virtual", "linux-headers-virtual"),
        (NOBLE, "linux-image-generic-hwe-24.04", "linux-headers-generic-hwe-24.04"),
        (NOBLE, "linux-image-aws-lts-24.04", "linux-headers-aws-lts-24.04"),
        (NOBLE, "linux-image-nvidia-64k-hwe-24.04", "linux-headers-nvidia-64k-hwe-24.04"),
        (NOBLE, "linux-image-unsigned-6.8.0-51-generic", ""),
        (NOBLE, "linux-image-extra-virtual", ""),
        (NOBLE, "linux-base", ""),
        (EL9, "kernel-core", ""),
    ],
)
def test_headers_of_the_kernels_to_come(where: System, installed: str, expected: str) -> None:
    found = names.header_packages(where, [], [installed, installed])
    assert found == ((expected,) if expected else ())


def test_headers_of_two_rpm_kernels_are_told_apart_when_they_are_looked_for() -> None:
    wanted = names.header_packages(EL9, ["5.14.0-503.el9.x86_64", "5.14.0-570.el9.x86_64"])
    wish = PackageWish("nvidia_driver", wanted)
    first = Package("kernel-devel", "5.14.0-503.el9")
    assert problems(wish, [first]) == ["kernel-devel-5.14.0-570.el9 is not installed"]
    assert problems(wish, [first, Package("kernel-devel", "5.14.0-570.el9")]) == []


# ---- beside the driver --------------------------------------------------------------------------


def test_a_toolkits_parts_are_held_with_it_at_versions_of_their_own() -> None:
    wish = names.toolkit_wish(NOBLE, "nvidia", "12.8")
    there = [
        Package(name, version, held=held)
        for name, version, held in (
            ("cuda-toolkit-12-8", "12.8.1-1", True), ("g++", "4:13.2.0-7ubuntu1", False),
            ("cuda-nvcc-12-8", "12.8.93-1", True), ("libcublas-12-8", "12.8.4.1-1", False),
            ("libcublas-13-0", "13.0.2.14-1", False),
        )
    ]  # fmt: skip
    assert problems(wish, there) == ["libcublas-12-8 is not held"]
    there[3] = dataclasses.replace(there[3], held=True)
    assert problems(wish, there) == []


def test_a_toolkit_is_never_the_meta_package_that_brings_a_driver() -> None:
    assert names.toolkit_wish(NOBLE, "nvidia", "12.8").packages == ("cuda-toolkit-12-8", "g++")
    assert names.toolkit_wish(EL9, "nvidia", "12.8").packages == ("cuda-toolkit-12-8", "gcc-c++")
    own = names.toolkit_wish(DEBIAN13, "distribution", "12.4")
    assert own.packages == ("nvidia-cuda-toolkit", "g++")
    assert own.family == ("nvidia-cuda-toolkit",)


def test_a_toolkit_that_the_distribution_lacks_names_the_one_it_has() -> None:
    with pytest.raises(Conflict) as refused:
        names.toolkit_wish(DEBIAN12, "distribution", "12.8")
    assert "11.8" in refused.value.nearest
    with pytest.raises(Conflict) as none:
        names.toolkit_wish(EL9, "distribution", "12.8")
    assert "nvidia" in none.value.nearest


@pytest.mark.parametrize(
    ("cuda", "nearest"), [("14.0", "13.3"), ("12.7", "12.6"), ("9.9", "11.8"), ("12.10", "12.9")]
)
@pytest.mark.parametrize("where", [NOBLE, DEBIAN12, EL9])
def test_a_toolkit_that_no_row_has_is_refused_with_the_nearest(
    where: System, cuda: str, nearest: str
) -> None:
    with pytest.raises(Conflict) as refused:
        names.toolkit_wish(where, "nvidia", cuda)
    assert refused.value.argument == "torchnode_cuda_toolkits"
    assert refused.value.nearest == "CUDA toolkit " + nearest


def test_the_fixture_of_the_archive_agrees_with_the_toolkits_in_the_table() -> None:
    for where, suite in ((DEBIAN12, "bookworm"), (DEBIAN13, "trixie")):
        version = {p.name: p.version for p, _ in debian_packages(suite)}["nvidia-cuda-toolkit"]
        assert version.startswith(names.package_system(where).toolkit + ".")


def test_cudnn_comes_with_headers_and_fits_by_any_part_of_its_version() -> None:
    wish = cudnn_wish(NOBLE, "nvidia", 12, "9.10.2")
    assert wish.packages == (
        "libcudnn9-cuda-12", "libcudnn9-dev-cuda-12", "libcudnn9-headers-cuda-12",
    )  # fmt: skip
    assert "libcudnn9-devel-cuda-13" in cudnn_wish(EL9, "nvidia", 13, "").packages
    installed = [Package(name, "9.10.2.21-1", held=True) for name in wish.packages]
    assert problems(wish, installed) == []
    assert problems(cudnn_wish(NOBLE, "nvidia", 12, "9.1"), installed) != []


def test_cudnn_8_and_the_distributions_downloader_are_refused() -> None:
    with pytest.raises(Conflict, match="cuDNN 9"):
        cudnn_wish(NOBLE, "nvidia", 12, "8.9")
    with pytest.raises(Conflict) as refused:
        cudnn_wish(DEBIAN13, "distribution", 12, "")
    assert "wheel" in refused.value.remedy


def test_the_container_toolkit_has_its_own_repository_and_key() -> None:
    source, wish = names.container_wish(system("debian", "12", "aarch64"))
    assert source.uri == tables.CONTAINER_REPOSITORY + "/deb/arm64/"
    assert source.fingerprint == VENDOR_KEYS["libnvidia-container"].fingerprint
    assert "nvidia-container-toolkit" in wish.packages
    mirror = names.container_wish(NOBLE, "https://m/c/")[0]
    assert (mirror.uri, mirror.fingerprint) == ("https://m/c/deb/amd64/", source.fingerprint)
    own = names.container_wish(NOBLE, "https://m/c", "/keys/own.pub", "A" * 40)[0]
    assert (own.key, own.fingerprint) == ("/keys/own.pub", "A" * 40)
    theirs = names.container_wish(NOBLE, "", "/keys/own.pub", "A" * 40)[0]
    assert theirs.fingerprint == source.fingerprint, "a mirror's key is not NVIDIA's own server's"
    rpm = names.container_wish(EL9)[0]
    assert rpm.uri.endswith("/rpm/x86_64/")
    assert (source.signs, rpm.signs) == ("", "index")


def test_dcgm_follows_the_drivers_cuda_and_comes_from_nvidia_alone() -> None:
    wish = names.dcgm_wish(NOBLE, "nvidia", [13])
    assert wish.packages == (
        "datacenter-gpu-manager-4-cuda13", "datacenter-gpu-manager-4-proprietary",
        "datacenter-gpu-manager-4-proprietary-cuda13",
    )  # fmt: skip
    old = names.dcgm_wish(NOBLE, "nvidia", [12, 13]).packages
    assert {"datacenter-gpu-manager-4-cuda12", *wish.packages} < set(old)
    assert of_family("datacenter-gpu-manager-4-core", wish)
    with pytest.raises(Conflict, match="torchnode_dcgm"):
        names.dcgm_wish(NOBLE, "distribution", [13])


# ---- pinning ------------------------------------------------------------------------------------


def pins(where: System, version: str, origin: str = "nvidia") -> str:
    found = names.pin_file(where, driver(where, version, "open", origin), origin)
    return found[1] if found else ""


def test_nothing_is_pinned_for_dnf_or_without_a_version() -> None:
    assert pins(EL9, "580") == ""
    assert pins(NOBLE, "") == ""


@pytest.mark.parametrize("where", APT, ids=lambda s: s.os_name)
def test_the_whole_family_and_fabric_manager_are_pinned_above_1000(where: System) -> None:
    content = pins(where, "580.95.05")
    family = driver(where, "580.95.05").family
    package, pin, priority = content.rstrip().split("\n\n")[-1].splitlines()
    assert set(family) <= set(package.split()[1:])
    assert "nvidia-fabricmanager" in package.split()
    assert pin == "Pin: version 580.95.05-*"
    assert int(priority.split()[1]) > 1000


def test_builds_of_the_other_origin_come_first_and_are_out_of_the_question() -> None:
    assert pins(NOBLE, "580").index("o=Ubuntu") < pins(NOBLE, "580").index("version 580.*")
    assert "l=NVIDIA CUDA" in pins(DEBIAN12, "535", "distribution")


STUBS = {
    "nvidia": [
        ("libnvidia-compute-580", "580.65.06-0ubuntu1"),
        ("libnvidia-compute-580", "580.95.05-0ubuntu1"),
        ("nvidia-dkms-580-open", "580.65.06-0ubuntu1"),
        ("nvidia-dkms-580-open", "580.95.05-0ubuntu1"),
        ("nvidia-fabricmanager", "580.65.06-1"),
        ("nvidia-fabricmanager", "595.71.05-1"),
        ("nvidia-container-toolkit", "1.19.1-1"),
    ],
    "ubuntu": [("libnvidia-compute-580", "580.173.02-0ubuntu0.24.04.1")],
}


def stub_repository(folder: Path, origin: str, label: str, packages: list[tuple[str, str]]) -> None:
    """An index of packages that do not exist: enough for apt's decision."""
    folder.mkdir()
    text = "".join(
        "Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: x\nFilename: ./%s.deb\n"
        "Size: 1\nSHA256: %064d\nDescription: stand-in\n\n" % (name, version, name, 0)
        for name, version in packages
    )
    (folder / "Packages").write_text(text, encoding="utf-8")
    (folder / "Release").write_text(
        "Origin: %s\nLabel: %s\nDate: Mon, 23 Nov 2026 00:00:00 UTC\n" % (origin, label),
        encoding="utf-8",
    )


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="needs apt")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("580.65.06", {"libnvidia-compute-580": "580.65.06-0ubuntu1",
                       "nvidia-dkms-580-open": "580.65.06-0ubuntu1",
                       "nvidia-fabricmanager": "580.65.06-1",
                       "nvidia-container-toolkit": "1.19.1-1"}),
        ("580", {"libnvidia-compute-580": "580.95.05-0ubuntu1",
                 "nvidia-fabricmanager": "580.65.06-1"}),
    ],
)  # fmt: skip
def test_apt_itself_chooses_the_pinned_version_of_the_right_origin(
    version: str, expected: dict[str, str], tmp_path: Path
) -> None:
    stub_repository(tmp_path / "nvidia", "NVIDIA", "NVIDIA CUDA", STUBS["nvidia"])
    stub_repository(tmp_path / "ubuntu", "Ubuntu", "Ubuntu", STUBS["ubuntu"])
    for folder in ("state/lists/partial", "cache/archives/partial", "none"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "state" / "status").touch()
    (tmp_path / "sources.list").write_text(
        "".join("deb [trusted=yes] file:%s/%s ./\n" % (tmp_path, name) for name in STUBS),
        encoding="utf-8",
    )
    (tmp_path / "preferences").write_text(pins(NOBLE, version), encoding="utf-8")
    options = [
        "Dir::Etc::sourcelist=%s/sources.list", "Dir::Etc::sourceparts=%s/none",
        "Dir::Etc::preferences=%s/preferences", "Dir::Etc::preferencesparts=%s/none",
        "Dir::State=%s/state", "Dir::State::status=%s/state/status", "Dir::Cache=%s/cache",
    ]  # fmt: skip
    common = ["-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root"]
    common += [word for option in options for word in ("-o", option % tmp_path)]
    subprocess.run(["apt-get", *common, "update"], check=True, capture_output=True)
    shown = subprocess.run(
        ["apt-cache", *common, "policy", *expected], check=True, capture_output=True, text=True
    ).stdout
    candidates = dict(re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)", shown, re.MULTILINE))
    assert candidates == expected
