"""The kernel's side of a driver, on constructed nodes whose commands do what the real ones do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode import dkms, kernel_modules, manifest
from ansible.module_utils.torchnode.data import managed_files
from ansible.module_utils.torchnode.kernel_order import Order, Problem
from ansible.module_utils.torchnode.node import Completed

VERSION, PREVIOUS = "535.261.03", "535.247.01"
RUNNING, OTHER = "6.1.0-50-amd64", "6.1.0-56-amd64"
NAME = "nvidia-current-open"
LONG_AGO = 1_000_000_000

#: What DKMS 3.0.10 said on a Debian 12 machine whose kernel was too new for the driver.
BAD_BUILD = (
    "Building module:\nCleaning build area...\n"
    "Error! Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64)\n"
    "Consult /var/lib/dkms/nvidia-current-open/535.261.03/build/make.log for more information.\n"
)
BAD_LOG = (
    "  CC [M]  /var/lib/dkms/nvidia/nv-pci.o\n"
    "/var/lib/dkms/x/build/nvidia/nv-pci.c:223:9: error: too few arguments to function\n"
    "make: *** [Makefile:82: modules] Error 2\n"
)

Answer = Callable[[Sequence[str]], Completed]


class Machine:
    """A Debian node with the driver's DKMS package, and its commands: what they change is seen."""

    def __init__(self, root: Path, *kernels: str, devices: bool = False) -> None:
        self.node = FixtureNode(root)
        self.order = Order("535", devices)
        self.ran: list[str] = []
        self.modules: dict[str, str] = {}
        self.broken: dict[str, Completed] = {}  # by the beginning of a command line
        self.listing = managed_files.MODPROBE.lstrip("/") + "\n"
        self.dkms, self.state, self.in_use = "3.0.10-8", "active", False
        self.enabled = "enabled"
        node = self.node
        node.write("/usr/bin/apt-get", "")
        node.write("/usr/sbin/update-initramfs", "")
        node.write("/usr/bin/lsinitramfs", "")
        node.write(f"/usr/src/{NAME}-{VERSION}/dkms.conf", "")
        node.write(managed_files.MODPROBE, "")
        node.write("/proc/sys/kernel/osrelease", RUNNING + "\n")
        node.answers["dpkg-query"] = self._packages
        node.answers["modinfo"] = self._modinfo
        node.answers["systemctl"] = self._systemctl
        for release in kernels:
            self.kernel(release)

    def kernel(self, release: str, headers: bool = True) -> None:
        self.node.write("/boot/vmlinuz-" + release, "")
        self.node.write("/boot/initrd.img-" + release, "")
        self.node.write(f"/lib/modules/{release}/modules.dep", "")
        if headers:
            self.node.write(f"/lib/modules/{release}/build/Makefile", "")

    def built(self, release: str, version: str = VERSION) -> None:
        self.modules[release] = version
        self.node.write(f"/lib/modules/{release}/updates/dkms/nvidia-current-open.ko", "")

    def lose(self, release: str) -> None:
        """The module's file goes; what DKMS believes stays."""
        del self.modules[release]
        self.node.remove(f"/lib/modules/{release}/updates/dkms/nvidia-current-open.ko")

    def age(self, *paths: str) -> None:
        for path in paths:
            for real in self.node.glob(path):
                os.utime(self.node.path(real), (LONG_AGO, LONG_AGO))

    def loaded(self, version: str) -> None:
        self.node.write("/sys/module/nvidia/version", version + "\n")

    def settle(self) -> list[str]:
        return kernel_modules.settle(self.node, self.order, self.run)

    def missing(self) -> list[str]:
        return kernel_modules.missing(self.node, self.order)

    def _systemctl(self, argv: Sequence[str]) -> Completed:
        return Completed(0, (self.enabled if "is-enabled" in argv else self.state) + "\n")

    def _packages(self, argv: Sequence[str]) -> Completed:
        rows = (("nvidia-open-kernel-dkms", VERSION + "-1"), ("dkms", self.dkms))
        lines = (f"hold\tinstalled\t{n}\t{v}\t{n}\tDebian <x@debian.org>" for n, v in rows)
        return Completed(0, "\n".join(lines) + "\n")

    def _modinfo(self, argv: Sequence[str]) -> Completed:
        release = argv[-1].split("/lib/modules/")[1].split("/")[0]
        return Completed(
            0, f"license:        Dual MIT/GPL\nversion:        {self.modules[release]}\n"
        )

    def run(self, argv: Sequence[str]) -> Completed:
        line = " ".join(argv)
        self.ran.append(line)
        for beginning, answer in self.broken.items():
            if line.startswith(beginning):
                return answer
        if line.startswith("dkms install"):
            self.built(argv[-1])
        elif argv[0] == "update-initramfs":
            self.node.write("/boot/initrd.img-" + argv[-1], "new")
        elif argv[0] == "lsinitramfs":
            return Completed(0, self.listing)
        elif argv[0] == "modprobe":
            return self._modprobe(argv)
        elif argv[0] == "systemctl" and argv[1] in ("restart", "start"):
            self.state = "active" if self.order.devices else "inactive"
        elif argv[:2] == ["systemctl", "enable"]:
            self.enabled = "enabled"
        return Completed(0, "")

    def _modprobe(self, argv: Sequence[str]) -> Completed:
        if argv[1] != "-r":
            if argv[1] == "nvidia":
                self.loaded(self.modules[RUNNING])
            return Completed(0, "")
        if self.in_use:
            return Completed(1, "modprobe: FATAL: Module is in use.")
        if self.node.exists("/sys/module/" + argv[2]):
            self.node.remove("/sys/module/" + argv[2])
        return Completed(0, "")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Two kernels, both with their module; no GPU."""
    made = Machine(tmp_path, RUNNING, OTHER)
    made.built(RUNNING)
    made.built(OTHER)
    return made


def refused(machine: Machine) -> Problem:
    with pytest.raises(Problem) as caught:
        machine.settle()
    assert caught.value.cause
    assert caught.value.remedy
    return caught.value


# ---- modules -----------------------------------------------------------------------------------


def test_what_is_as_it_should_be_is_left_alone(machine: Machine) -> None:
    assert machine.missing() == []
    assert machine.settle() == []
    assert machine.ran == []


@pytest.mark.parametrize("before", ["none", "of another version", "lost behind DKMS's back"])
def test_a_kernel_without_the_module_gets_it(machine: Machine, before: str) -> None:
    if before == "of another version":
        machine.built(OTHER, PREVIOUS)
    else:
        machine.lose(OTHER)
    assert machine.missing() == [f"build the module for kernel {OTHER}"]
    assert machine.settle() == [f"built the module for kernel {OTHER}"]
    # By Debian's name of it, and forced: DKMS may believe that it is there.
    assert machine.ran == [f"dkms install --force {NAME}/{VERSION} -k {OTHER}"]
    assert machine.settle() == []


def test_a_driver_without_dkms_is_not_built(machine: Machine) -> None:
    """Ubuntu's modules come as packages of their own for each kernel."""
    machine.node.answers["dpkg-query"] = lambda argv: Completed(
        0, f"hold\tinstalled\tlinux-modules-nvidia-535\t{VERSION}-1\tx\tUbuntu\n"
    )
    machine.lose(OTHER)
    assert machine.settle() == []


def test_one_bad_kernel_keeps_no_other_from_its_module(machine: Machine) -> None:
    machine.lose(RUNNING)
    machine.lose(OTHER)
    machine.node.write(f"/var/lib/dkms/{NAME}/{VERSION}/build/make.log", BAD_LOG)
    machine.broken[f"dkms install --force {NAME}/{VERSION} -k {OTHER}"] = Completed(10, BAD_BUILD)
    problem = refused(machine)
    assert f"kernel {OTHER}: " in problem.what
    assert "too few arguments" in problem.what
    assert "make.log" in problem.what
    assert f"built the module for kernel {RUNNING}" in problem.what
    assert "torchnode_driver_version" in problem.remedy
    assert machine.missing() == [f"build the module for kernel {OTHER}"]


def test_the_module_counts_and_not_what_dkms_says(machine: Machine) -> None:
    machine.lose(OTHER)
    machine.broken["dkms install"] = Completed(0, "")
    assert f"made no module {VERSION}" in refused(machine).what


def test_another_package_of_dkms_that_fails_is_not_ours(machine: Machine) -> None:
    machine.lose(OTHER)
    plain = machine.run

    def run(argv: Sequence[str]) -> Completed:
        plain(argv)
        return Completed(11, "dkms: zfs failed")

    said = kernel_modules.settle(machine.node, machine.order, run)
    assert said == [f"built the module for kernel {OTHER}"]


def test_a_kernel_without_headers_is_named(machine: Machine) -> None:
    machine.lose(OTHER)
    machine.node.remove(f"/lib/modules/{OTHER}/build")
    assert refused(machine).what == f"kernel {OTHER} has no headers"
    assert machine.ran == []


def test_sources_that_are_not_there_are_named(machine: Machine) -> None:
    machine.lose(OTHER)
    machine.node.remove(f"/usr/src/{NAME}-{VERSION}")
    problem = refused(machine)
    assert "/usr/src/nvidia" in problem.what
    assert "reinstall" in problem.remedy


# ---- the key that signs ------------------------------------------------------------------------


def with_key(machine: Machine, key: str = "/root/mok.priv", there: bool = True) -> None:
    machine.order = Order("535", False, key, "/root/mok.der")
    for path in (key, "/root/mok.der") if there else ():
        machine.node.write(path, "")
    machine.age("/lib/modules/*/updates/dkms/nvidia-current-open.ko")


def test_a_key_that_is_named_later_signs_every_module_anew(machine: Machine) -> None:
    with_key(machine)
    assert len(machine.missing()) == 3
    machine.settle()
    target = f"--force {NAME}/{VERSION} -k "
    assert machine.ran == [
        f"dkms {verb} {target}{release}"
        for release in (RUNNING, OTHER)
        for verb in ("build", "install")
    ]
    text = machine.node.read(dkms.SIGNING_FILE) or ""
    assert "mok_signing_key=/root/mok.priv" in text.splitlines()
    assert machine.missing() == []
    machine.ran.clear()
    assert machine.settle() == []


def test_a_module_that_was_missing_is_signed_at_once(machine: Machine) -> None:
    """DKMS may hold a build that was never installed, and that another key has signed."""
    machine.lose(OTHER)
    machine.lose(RUNNING)
    with_key(machine)
    machine.settle()
    assert [line.split()[1] for line in machine.ran] == ["build", "install"] * 2
    assert machine.missing() == []


def test_a_run_that_was_cut_short_after_naming_the_key_is_finished(machine: Machine) -> None:
    with_key(machine)
    machine.broken["dkms build"] = Completed(124, "")
    refused(machine)
    assert machine.missing() == [
        f"build the module for kernel {release} again, signed" for release in (RUNNING, OTHER)
    ]


def test_the_shell_reads_the_path_of_a_key_as_it_is(machine: Machine) -> None:
    with_key(machine, "/root/our key.priv")
    machine.settle()
    assert "mok_signing_key='/root/our key.priv'" in (machine.node.read(dkms.SIGNING_FILE) or "")


def test_a_key_that_is_no_longer_wished_goes_and_the_modules_stay(machine: Machine) -> None:
    with_key(machine)
    machine.settle()
    machine.ran.clear()
    machine.order = Order("535", False)
    assert machine.missing() == ["let DKMS no longer sign with the key in " + dkms.SIGNING_FILE]
    assert machine.settle() == ["DKMS no longer signs with a key of torchnode's settings"]
    assert not machine.node.exists(dkms.SIGNING_FILE)
    assert machine.ran == machine.settle() == []


def test_the_file_that_names_the_key_is_noted_for_removal(machine: Machine) -> None:
    with_key(machine)
    machine.node.write("/opt/t/there", "")
    kernel_modules.settle(machine.node, machine.order, machine.run, "/opt/t")
    removed, _ = manifest.remove(machine.node, "/opt/t", pretend=False)
    assert dkms.SIGNING_FILE in removed
    assert not machine.node.exists(dkms.SIGNING_FILE)


def test_a_key_that_is_not_there_is_refused_before_dkms_would_make_one(machine: Machine) -> None:
    with_key(machine, there=False)
    assert refused(machine).what == "/root/mok.priv is not there"
    assert machine.ran == []
    assert not machine.node.exists(dkms.SIGNING_FILE)


@pytest.mark.parametrize("version", ["2.8.7-2ubuntu2.2", "3.0.3-1"])
def test_a_dkms_that_reads_no_key_is_refused(machine: Machine, version: str) -> None:
    with_key(machine)
    machine.dkms = version
    assert refused(machine).what == "dkms " + version
    assert not machine.node.exists(dkms.SIGNING_FILE)


# ---- initramfs ---------------------------------------------------------------------------------


def test_a_stale_initramfs_is_made_anew_and_looked_into(machine: Machine) -> None:
    machine.age("/boot/initrd.img-" + OTHER)
    assert machine.missing() == [f"rebuild the initramfs of kernel {OTHER}"]
    assert machine.settle() == [f"rebuilt the initramfs of kernel {OTHER}"]
    assert machine.ran == [
        f"update-initramfs -u -k {OTHER}", f"lsinitramfs /boot/initrd.img-{OTHER}",
    ]  # fmt: skip
    assert machine.missing() == []


def test_dracut_makes_it_where_it_is_the_tool(machine: Machine) -> None:
    image = f"/boot/initramfs-{OTHER}.img"
    for path in ("/usr/sbin/update-initramfs", "/usr/bin/lsinitramfs", "/boot/initrd.img-" + OTHER):
        machine.node.remove(path)
    machine.node.write(image, "")
    machine.age(image)
    machine.settle()
    assert machine.ran == [f"dracut --force {image} {OTHER}", "lsinitrd " + image]


@pytest.mark.parametrize(
    ("listing", "refusal"),
    [
        ("usr/lib/modules/x/kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz\n", "nouveau"),
        ("usr/lib/modules/x/kernel/drivers/gpu/nova-core/nova-core.ko\n", "nova_core"),
        ("usr/lib/modules/x/nouveau.ko\n" + managed_files.MODPROBE.lstrip("/"), ""),
        ("etc/passwd\n", ""),
    ],
)
def test_an_initramfs_that_would_load_a_rival_is_refused(
    machine: Machine, listing: str, refusal: str
) -> None:
    machine.age("/boot/initrd.img-" + OTHER)
    machine.listing = listing
    if refusal:
        assert f"holds {refusal}" in refused(machine).what
    else:
        machine.settle()


@pytest.mark.parametrize("command", ["update-initramfs", "lsinitramfs"])
def test_an_initramfs_that_cannot_be_made_or_read_is_no_success(
    machine: Machine, command: str
) -> None:
    machine.age("/boot/initrd.img-" + OTHER)
    machine.broken[command] = Completed(1, "No space left on device")
    problem = refused(machine)
    assert "No space left" in problem.what
    assert "/boot" in problem.remedy


# ---- the running system ------------------------------------------------------------------------


@pytest.fixture
def with_gpu(machine: Machine) -> Machine:
    machine.order = Order("535", devices=True)
    return machine


def test_the_module_is_loaded_where_there_is_a_gpu(with_gpu: Machine) -> None:
    assert with_gpu.missing() == [f"load module {VERSION}"]
    assert with_gpu.settle() == [f"loaded module {VERSION}"]
    assert with_gpu.ran == ["modprobe nvidia", "modprobe nvidia_uvm"]
    assert with_gpu.settle() == []


def test_another_versions_module_is_replaced_and_its_services_come_back(with_gpu: Machine) -> None:
    with_gpu.loaded(PREVIOUS)
    with_gpu.node.write("/lib/systemd/system/nvidia-persistenced.service", "")
    assert with_gpu.settle() == [f"loaded module {VERSION}"]
    assert with_gpu.ran[0] == "systemctl stop nvidia-persistenced"
    assert with_gpu.ran[-1] == "systemctl start nvidia-persistenced"


def test_the_other_flavours_module_of_one_version_is_replaced(with_gpu: Machine) -> None:
    with_gpu.loaded(VERSION)
    banner = "NVRM version: NVIDIA UNIX %s  " + VERSION
    with_gpu.node.write("/proc/driver/nvidia/version", banner % "Open Kernel Module for x86_64")
    assert with_gpu.missing() == []
    with_gpu.node.write("/proc/driver/nvidia/version", banner % "x86_64 Kernel Module")
    assert with_gpu.missing() == [f"load module {VERSION}"]


def test_a_module_in_use_stays_and_a_fresh_survey_says_so(with_gpu: Machine) -> None:
    with_gpu.loaded(PREVIOUS)
    with_gpu.in_use = True
    assert with_gpu.settle() == []
    assert with_gpu.node.read("/sys/module/nvidia/version") == PREVIOUS


def test_nouveau_is_unloaded_where_nobody_uses_it(with_gpu: Machine) -> None:
    with_gpu.node.write("/sys/module/nouveau/refcnt", "0")
    assert with_gpu.settle()[0] == "unloaded nouveau"
    assert not with_gpu.node.exists("/sys/module/nouveau")


def test_a_container_loads_nothing_into_its_hosts_kernel(with_gpu: Machine) -> None:
    with_gpu.node.write("/run/.containerenv", "")
    with_gpu.node.write("/sys/module/nouveau/refcnt", "0")
    assert with_gpu.missing() == []
    assert with_gpu.settle() == []
    assert with_gpu.ran == []


# ---- the daemon --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "before", "at_boot", "after", "enables"),
    [
        (True, "failed", "enabled", "active", True),
        (True, "inactive", "disabled", "active", True),
        (True, "active", "enabled", "", False),
        # Ubuntu's, which udev has started and nothing would start without it.
        (True, "active", "static", "active", True),
        # Debian's package starts it, which fails without a GPU: the drop-in makes it quiet.
        (False, "failed", "enabled", "inactive", False),
        (False, "inactive", "disabled", "", False),
        (False, "active", "enabled", "", False),
    ],
)
def test_the_daemon_runs_with_a_gpu_at_every_boot_and_is_quiet_without(
    machine: Machine, devices: bool, before: str, at_boot: str, after: str, enables: bool
) -> None:
    machine.order = Order("535", devices)
    machine.loaded(VERSION)
    machine.node.write("/lib/systemd/system/nvidia-persistenced.service", "")
    machine.state, machine.enabled = before, at_boot
    assert machine.missing() == (["settle nvidia-persistenced"] if after else [])
    assert machine.settle() == ([f"nvidia-persistenced is {after}"] if after else [])
    assert ("systemctl enable nvidia-persistenced" in machine.ran) == enables
    assert machine.missing() == []


# ---- the files that go with it -----------------------------------------------------------------


@pytest.mark.parametrize("tool", ["initramfs-tools", "dracut"])
def test_every_rival_is_forbidden_to_whatever_makes_the_initramfs(tool: str) -> None:
    texts = dict(managed_files.driver_files(tool))
    assert set(texts) <= set(managed_files.PATHS)
    assert (managed_files.DRACUT in texts) == (tool == "dracut")
    for name in managed_files.RIVALS:
        assert f"blacklist {name}\n" in texts[managed_files.MODPROBE]
        assert f" {name} " in texts.get(managed_files.DRACUT, f" {name} ")
