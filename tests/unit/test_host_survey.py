"""What survey reads of packages, kernels and services: machines constructed from a few files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import pytest
from helpers import MACHINES, FixtureNode

from ansible.module_utils.torchnode.data import managed_files
from ansible.module_utils.torchnode.host_survey import read_host
from ansible.module_utils.torchnode.model import as_data, from_data
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.package_model import HostSoftware

# Maintainers as the packages of each origin carry them, read on real machines.
DEBIAN = "Debian NVIDIA Maintainers <pkg-nvidia-devel@lists.alioth.debian.org>"
UBUNTU = "Ubuntu Core Developers <ubuntu-devel-discuss@lists.ubuntu.com>"
NVIDIA = "NVIDIA <cudatools@nvidia.com>"

OLD, NEW = "6.1.0-50-amd64", "6.1.0-56-amd64"


def deb(
    name: str,
    version: str,
    maker: str = DEBIAN,
    source: str = "",
    want: str = "install",
    status: str = "installed",
) -> str:
    """A line of dpkg-query's answer."""
    return "\t".join((want, status, name, version, source or name, maker))


def debian(tmp_path: Path, *lines: str) -> FixtureNode:
    """A constructed Debian node with these packages."""
    node = FixtureNode(tmp_path)
    node.write("/usr/bin/apt-get", "")
    node.answers["dpkg-query"] = lambda argv: Completed(0, "\n".join(lines) + "\n")
    return node


def enterprise(tmp_path: Path, *lines: str) -> FixtureNode:
    """A constructed node of Enterprise Linux with these packages."""
    node = FixtureNode(tmp_path)
    node.write("/usr/bin/dnf", "")
    node.answers["rpm"] = lambda argv: Completed(0, "\n".join(lines) + "\n")
    return node


def kernel(node: FixtureNode, release: str, headers: bool = True, image: bool = True) -> None:
    node.write(f"/lib/modules/{release}/modules.dep", "")
    if image:
        node.write(f"/boot/vmlinuz-{release}", "")
    if headers:
        node.write(f"/lib/modules/{release}/build/Makefile", "")


def modules(node: FixtureNode, told: dict[str, tuple[str, str]]) -> None:
    """Lay modules out: path -> (version, license), which modinfo tells."""
    for path in told:
        node.write(path, "")

    def modinfo(argv: Sequence[str]) -> Completed:
        version, license_ = told[argv[-1]]
        return Completed(0, f"filename:       {argv[-1]}\nlicense:        {license_}\n"
                            f"version:        {version}\nsupported:      external\n")  # fmt: skip

    node.answers["modinfo"] = modinfo


def host(node: FixtureNode) -> HostSoftware:
    found = read_host(node)
    assert found is not None
    # It travels to the controller and back.
    assert from_data(HostSoftware, json.loads(json.dumps(as_data(found)))) == found
    return found


# ---- packages and origin -----------------------------------------------------------------------


def test_debians_own_driver(tmp_path: Path) -> None:
    found = host(debian(
        tmp_path,
        deb("bash", "5.2.15-2", "Matthias Klose <doko@debian.org>"),
        deb("dkms", "3.0.10-8", "Dkms Team <dkms@packages.debian.org>"),
        deb("libcuda1", "535.261.03-1", source="nvidia-graphics-drivers", want="hold"),
        deb("linux-image-amd64", "6.1.176-1"),
        deb("nvidia-open-kernel-dkms", "535.261.03-1", source="nvidia-open-gpu-kernel-modules"),
        deb("nvidia-smi", "470.1-1", status="config-files"),
    ))  # fmt: skip
    assert (found.manager, found.origin, found.dkms) == ("apt", "distribution", "3.0.10-8")
    assert "nvidia-open-kernel-dkms 535.261.03-1" in found.evidence
    assert [package.name for package in found.packages] == [
        "dkms", "libcuda1", "linux-image-amd64", "nvidia-open-kernel-dkms",
    ]  # fmt: skip
    cuda = found.packages[1]
    assert (cuda.source, cuda.held, found.packages[3].held) == (
        "nvidia-graphics-drivers", True, False,
    )  # fmt: skip
    assert not found.interrupted


@pytest.mark.parametrize(
    ("line", "origin"),
    [
        (deb("nvidia-kernel-open-dkms", "580.95.05-1", NVIDIA), "nvidia"),
        (deb("nvidia-dkms-open", "580.95.05-1", "cudatools <cudatools@nvidia.com>"), "nvidia"),
        (deb("nvidia-headless-no-dkms-580-server", "580.95.05-0ubuntu1", UBUNTU), "distribution"),
        (deb("nvidia-driver-libs", "535.261.03-1", DEBIAN), "distribution"),
    ],
)
def test_the_origin_is_the_packages_maker(tmp_path: Path, line: str, origin: str) -> None:
    assert host(debian(tmp_path, line)).origin == origin


@pytest.mark.parametrize(
    "name",
    [
        "nvidia-container-toolkit", "libnvidia-container1", "cuda-toolkit-13-0", "dkms",
        "nvidia-cuda-toolkit", "datacenter-gpu-manager-4-cuda13", "libnvidia-ml-dev",
        "nvidia-kernel-common", "nvidia-modprobe", "libcuda1", "libnvidia-ml1", "nvidia-smi",
        "libnvidia-compute-535", "nvidia-alternative", "nvidia-legacy-check",
    ],
)  # fmt: skip
def test_toolkits_alone_are_no_driver(tmp_path: Path, name: str) -> None:
    """A GPU node of a cloud has them without a driver package; two origins are no conflict then.

    The distributions' own toolkits depend on the driver's library, and on no module.
    """
    found = host(debian(tmp_path, deb(name, "1.0-1", NVIDIA)))
    assert (found.origin, found.evidence) == ("", "")
    assert [package.name for package in found.packages] == [name]


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/usr/bin/nvidia-uninstall", "runfile"),
        ("/var/lib/nvidia/dirs", "runfile"),
        ("/usr/bin/nvidia-smi", "unknown"),
        ("/proc/driver/nvidia/version", "unknown"),
    ],
)
def test_a_driver_that_no_package_brought(tmp_path: Path, path: str, origin: str) -> None:
    node = debian(tmp_path, deb("nvidia-container-toolkit", "1.17.8-1", NVIDIA))
    node.write(path, "")
    found = host(node)
    assert found.origin == origin
    assert path in found.evidence


def test_a_package_counts_before_files(tmp_path: Path) -> None:
    """Packages bring nvidia-smi as well."""
    node = debian(tmp_path, deb("nvidia-kernel-dkms", "535.261.03-1"))
    node.write("/usr/bin/nvidia-smi", "")
    assert host(node).origin == "distribution"


@pytest.mark.parametrize("loaded", [True, False])
def test_a_library_is_a_driver_where_a_kernel_has_the_module(tmp_path: Path, loaded: bool) -> None:
    node = debian(tmp_path, deb("libcuda1", "535.261.03-1"))
    node.write("/usr/bin/nvidia-smi", "")
    assert host(node).origin == ""
    if loaded:
        node.write("/proc/driver/nvidia/version", "")
    else:
        kernel(node, NEW)
        path = f"/lib/modules/{NEW}/updates/dkms/nvidia.ko"
        modules(node, {path: ("535.261.03", "NVIDIA")})
    assert host(node).origin == "distribution"


def test_enterprise_linux_with_stream_and_versionlock(tmp_path: Path) -> None:
    node = enterprise(
        tmp_path,
        "bash\t0:5.1.8-9.el9\tx86_64\tRocky Enterprise Software Foundation",
        "kmod-nvidia-open-dkms\t3:580.95.05-1.el9\tnoarch\tNVIDIA Corporation",
        "nvidia-driver-cuda\t3:580.95.05-1.el9\tx86_64\tNVIDIA Corporation",
        "nvidia-persistenced\t3:580.95.05-1.el9\tx86_64\tNVIDIA Corporation",
        "dkms\t0:3.1.8-1.el9\tnoarch\tFedora Project",
    )
    node.write(
        "/etc/dnf/plugins/versionlock.list",
        "# Added lock on Mon Nov 23\nkmod-nvidia-open-dkms-3:580.95.05-1.el9.*\n"
        "!nvidia-persistenced-3:580.95.05-1.el9.*\ndkms-3.1.8-1.el9.*\n",
    )
    node.write(
        "/etc/dnf/modules.d/nvidia-driver.module",
        "[nvidia-driver]\nname=nvidia-driver\nstream=580-open\nprofiles=\nstate=enabled\n",
    )
    found = host(node)
    assert (found.manager, found.origin, found.stream) == ("dnf", "nvidia", "580-open")
    assert {p.name: p.held for p in found.packages} == {
        "kmod-nvidia-open-dkms": True, "nvidia-driver-cuda": False,
        "nvidia-persistenced": False,  # '!' excludes a version, and holds none
        "dkms": True,  # a lock may leave out epoch 0
    }  # fmt: skip


def test_a_stream_that_is_not_enabled_is_none(tmp_path: Path) -> None:
    node = enterprise(tmp_path)
    node.write("/etc/dnf/modules.d/nvidia-driver.module", "stream=\nstate=disabled\n")
    assert host(node).stream == ""


DKMS_ASKED = "dnf --cacheonly repoquery --available --queryformat dkms %{version} dkms"


@pytest.mark.parametrize(
    ("cached", "read", "offered"),
    [
        (Completed(0, "dkms 3.2.1\ndkms 3.1.8\ndkms 3.10.0\n"), None, "3.10.0"),
        (Completed(1, "", "Error: Cache-only enabled but no cache for 'epel'"),
         Completed(0, "dkms 3.2.1\n"), "3.2.1"),
        (Completed(0, ""), Completed(0, ""), ""),
        (Completed(0, ""), Completed(1, "", "Error: no configuration"), None),
        (Completed(0, ""), Completed(124, "", "dnf did not answer within 20 s"), None),
        # Another source was not read, and might have it.
        (Completed(0, ""), Completed(0, "", "Error: Failed to download metadata for repo 'x'"),
         None),
    ],
)  # fmt: skip
def test_dnf_is_asked_for_dkms_from_its_cache_first(
    tmp_path: Path, cached: Completed, read: Completed | None, offered: str | None
) -> None:
    node = enterprise(tmp_path)
    answers = [cached, *([read] if read else [])]
    asked = list(answers)
    node.answers["dnf"] = lambda argv: asked.pop(0)
    assert host(node).dkms_offered == offered
    questions = [argv for argv in node.asked if argv[0] == "dnf"]
    assert len(questions) == len(answers)
    assert " ".join(questions[0]) == DKMS_ASKED
    assert "--cacheonly" not in questions[-1] or len(questions) == 1


@pytest.mark.parametrize("package", ["dkms", "kmod-nvidia-open-dkms"])
def test_dnf_is_not_asked_where_dkms_or_a_driver_is_there(tmp_path: Path, package: str) -> None:
    node = enterprise(tmp_path, package + "\t0:3.1.8-1.el9\tnoarch\tFedora Project")
    assert host(node).dkms_offered is None
    assert not [argv for argv in node.asked if argv[0] == "dnf"]


# ---- an interrupted dpkg -----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["half-installed", "half-configured", "unpacked"])
def test_any_package_left_half_way_is_an_interruption(tmp_path: Path, status: str) -> None:
    found = host(debian(tmp_path, deb("vim", "9", "", status=status)))
    assert found.interrupted
    assert not found.packages


def test_a_transaction_in_dpkgs_journal_is_an_interruption(tmp_path: Path) -> None:
    node = debian(tmp_path, deb("vim", "9"))
    node.write("/var/lib/dpkg/updates/0000", "")
    assert host(node).interrupted


# ---- sources -----------------------------------------------------------------------------------

_LIST = "deb [signed-by=/usr/share/keyrings/cuda.gpg] https://m.example/cuda/repos/x/x86_64/ /\n"
_DEB822 = (
    "# a comment that names https://nvidia.example\nTypes: deb\nURIs: https://nvidia.github.io/x\n"
    "Suites: /\nSigned-By: /etc/apt/keyrings/n.asc\nEnabled: no\n"
)
_REPO = "[cuda]\nbaseurl=https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64\nenabled=1\n"


@pytest.mark.parametrize(
    ("path", "text", "uri", "signed_by", "enabled"),
    [
        ("/etc/apt/sources.list.d/c.list", _LIST,
         "https://m.example/cuda/repos/x/x86_64/", "/usr/share/keyrings/cuda.gpg", True),
        ("/etc/apt/sources.list.d/n.sources", _DEB822,
         "https://nvidia.github.io/x", "/etc/apt/keyrings/n.asc", False),
        ("/etc/yum.repos.d/cuda.repo", _REPO,
         "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64", "", True),
    ],
)  # fmt: skip
def test_sources_in_each_format(
    tmp_path: Path, path: str, text: str, uri: str, signed_by: str, enabled: bool
) -> None:
    node = debian(tmp_path)
    node.write("/etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n")
    node.write(path, text)
    (source,) = host(node).sources
    assert (source.path, source.uris) == (path, (uri,))
    assert (source.signed_by, source.enabled) == (signed_by, enabled)


# ---- kernels -----------------------------------------------------------------------------------


def test_each_kernel_with_its_headers_and_module(tmp_path: Path) -> None:
    node = debian(tmp_path)
    kernel(node, OLD)
    kernel(node, NEW, headers=False)
    # Debian's name of the module, and its companions, which are not asked.
    base = f"/lib/modules/{OLD}/updates/dkms/nvidia-current"
    modules(node, {
        base + "-drm.ko": ("9.9", "MIT"),
        base + "-uvm.ko": ("9.9", "MIT"),
        base + ".ko": ("535.261.03", "Dual MIT/GPL"),
    })  # fmt: skip
    old, new = host(node).kernels
    assert (old.release, old.headers, old.module, old.flavour) == (OLD, True, "535.261.03", "open")
    assert (new.release, new.headers, new.module, new.flavour) == (NEW, False, "", "")


@pytest.mark.parametrize(
    "place",
    [
        "updates/dkms/nvidia.ko", "updates/dkms/nvidia.ko.zst", "extra/nvidia.ko.xz",
        "updates/dkms/nvidia-current-open.ko", "extra/nvidia/nvidia.ko",
        "kernel/nvidia-580srv-open/nvidia.ko", "kernel/drivers/video/nvidia.ko",
        "weak-updates/nvidia/nvidia.ko",
    ],
)  # fmt: skip
def test_the_module_is_found_where_each_packager_puts_it(tmp_path: Path, place: str) -> None:
    node = debian(tmp_path)
    kernel(node, OLD)
    modules(node, {f"/lib/modules/{OLD}/{place}": ("580.95.05", "NVIDIA")})
    (found,) = host(node).kernels
    assert (found.module, found.flavour) == ("580.95.05", "proprietary")


def test_without_an_image_those_with_headers_are_the_kernels(tmp_path: Path) -> None:
    """As in a container. A folder that only modules of a removed kernel are left in is none."""
    node = debian(tmp_path)
    kernel(node, OLD, image=False)
    kernel(node, NEW, headers=False, image=False)
    assert [found.release for found in host(node).kernels] == [OLD]
    kernel(node, NEW, headers=False)
    assert [found.release for found in host(node).kernels] == [NEW]


@pytest.mark.parametrize("image", ["/boot/initrd.img-" + OLD, f"/boot/initramfs-{OLD}.img"])
@pytest.mark.parametrize("settings", [managed_files.MODPROBE, managed_files.DRACUT])
@pytest.mark.parametrize(("age", "stale"), [(-60, True), (60, False)])
def test_an_initramfs_older_than_the_settings_is_stale(
    tmp_path: Path, image: str, settings: str, age: int, stale: bool
) -> None:
    node = debian(tmp_path)
    kernel(node, OLD)
    node.write(image, "")
    node.write(settings, "")
    now = os.stat(node.path(settings)).st_mtime
    os.utime(node.path(image), (now + age, now + age))
    assert [found.initramfs_stale for found in host(node).kernels] == [stale]


def test_without_initramfs_or_settings_nothing_is_stale(tmp_path: Path) -> None:
    node = debian(tmp_path)
    kernel(node, OLD)
    assert not host(node).kernels[0].initramfs_stale
    node.write("/boot/initrd.img-" + OLD, "")
    assert not host(node).kernels[0].initramfs_stale


# ---- files and services ------------------------------------------------------------------------


def test_managed_files_are_told_by_their_digest(tmp_path: Path) -> None:
    node = debian(tmp_path)
    node.write(managed_files.MODPROBE, "x")
    assert host(node).files == ((managed_files.MODPROBE, hashlib.sha256(b"x").hexdigest()),)


def test_only_services_that_are_there_are_asked_for(tmp_path: Path) -> None:
    node = debian(tmp_path)
    node.write("/lib/systemd/system/nvidia-persistenced.service", "")
    node.write("/usr/lib/systemd/system/nvidia-fabricmanager.service", "")
    node.answers["systemctl"] = lambda argv: Completed(3, "active\nfailed\n")
    assert host(node).services == (
        ("nvidia-persistenced", "active"), ("nvidia-fabricmanager", "failed"),
    )  # fmt: skip
    asked = [argv for argv in node.asked if argv[0] == "systemctl"]
    assert asked == [["systemctl", "is-active", "nvidia-persistenced", "nvidia-fabricmanager"]]


def test_a_service_without_an_answer_is_unknown(tmp_path: Path) -> None:
    node = debian(tmp_path)
    node.write("/lib/systemd/system/nvidia-persistenced.service", "")
    assert host(node).services == (("nvidia-persistenced", "unknown"),)


# ---- every machine -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_that_has_no_such_answers_is_read_without_an_exception(
    tmp_path: Path, name: str
) -> None:
    node = FixtureNode(tmp_path, name)
    found = read_host(node)
    assert (found is None) == (node.system != "Linux")


def test_the_package_manager_is_asked_once(tmp_path: Path) -> None:
    node = debian(tmp_path, deb("libcuda1", "535.261.03-1"))
    host(node)
    assert [argv[0] for argv in node.asked] == ["dpkg-query"]


@pytest.mark.parametrize(
    ("said", "rc", "enrolled"),
    [
        (
            "/c is already enrolled\n",
            1,
            True,
        ),  # until 0.7.2; later versions turn the statuses round
        ("/c is already enrolled\n", 0, True),
        ("/c is already in db\n", 1, True),
        ("/c is not enrolled\n", 0, False),
        ("/c is not enrolled\n", 1, False),
        ("/c is already in the enrollment request\n", 1, False),  # until the next boot's console
        ("/c is blocked in MokListX\n", 1, False),
        ("EFI variables are not supported on this system\n", 1, None),
        ("", 127, None),
    ],
)
def test_whether_a_certificate_is_enrolled(
    tmp_path: Path, said: str, rc: int, enrolled: Optional[bool]
) -> None:
    node = FixtureNode(tmp_path)
    node.answers["mokutil"] = lambda argv: Completed(rc, said)
    found = read_host(node, "/c")
    assert found is not None
    assert found.enrolled is enrolled
    assert ["mokutil", "--test-key", "/c"] in node.asked
    other = read_host(FixtureNode(tmp_path / "other"))
    assert other is not None
    assert other.enrolled is None
