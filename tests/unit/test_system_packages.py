"""Which packages a transaction takes, what it refuses, and what it leaves when it fails."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import pytest

from ansible.module_utils.torchnode import manifest
from ansible.module_utils.torchnode.node import Completed, Node
from ansible.module_utils.torchnode.package_model import Package, PackageWish
from ansible.module_utils.torchnode.progress_file import ProgressFile
from ansible.module_utils.torchnode.system_packages import (
    dnf_text,
    lock_wait,
    notes,
    removal,
    selection,
    transaction,
)
from ansible.module_utils.torchnode.system_packages.base import Change, Order, Request
from ansible.module_utils.torchnode.system_packages.dnf import Dnf
from ansible.module_utils.torchnode.system_packages.failures import PackageError, Problem, explain
from ansible.module_utils.torchnode.system_packages.pin_files import PinFiles
from ansible.module_utils.torchnode.system_packages.runner import Runner, compiler_errors

WISH = PackageWish("nvidia_driver", ("tool",), "580", ("tool", "lib", "gone"), ("rival-{other}",))
CANDIDATES = {
    "tool": ["590.1-1", "580.95-1", "580.82-1", "570.1-1"],
    "lib": ["590.1-1", "580.95-1", "580.82-1", "570.1-1"],
}


def have(**versions: str) -> Dict[str, Package]:
    return {name: Package(name, version, held=True) for name, version in versions.items()}


# ---- selection ----------------------------------------------------------------------------------


def test_a_branch_takes_its_newest_version() -> None:
    assert selection.select(WISH, {}, CANDIDATES).install == (("tool", "580.95-1"),)


def test_what_is_installed_and_fits_is_not_moved() -> None:
    chosen = selection.select(WISH, have(tool="580.82-1", lib="580.82-1"), CANDIDATES)
    assert chosen == selection.Selection((), (), "580.82-1")


def test_a_missing_package_joins_the_others_at_their_version() -> None:
    assert selection.select(WISH, have(lib="580.82-1"), CANDIDATES).install == (
        ("tool", "580.82-1"),
    )


def test_the_whole_family_moves_and_what_the_new_version_lacks_goes() -> None:
    chosen = selection.select(WISH, have(tool="570.1-1", lib="570.1-1", gone="570.1-1"), CANDIDATES)
    assert chosen.install == (("tool", "580.95-1"), ("lib", "580.95-1"))
    assert chosen.remove == ("gone",)


def test_headers_of_later_kernels_do_not_run_ahead_of_the_kernel() -> None:
    """The newest are of a kernel that is not here, for which a module may not compile."""
    wish = dataclasses.replace(WISH, packages=("tool", "linux-headers-amd64"))
    offered = dict(CANDIDATES, **{"linux-headers-amd64": ["6.1.192-2", "6.1.176-1"]})
    kernel = {"linux-image-amd64": Package("linux-image-amd64", "6.1.176-1")}
    taken = dict(selection.select(wish, kernel, offered).install)
    assert taken["linux-headers-amd64"] == "6.1.176-1"
    kernel = {"linux-image-amd64": Package("linux-image-amd64", "6.1.9-1")}  # no longer to be had
    assert dict(selection.select(wish, kernel, offered).install)["linux-headers-amd64"] == ""


def test_packages_of_other_branches_have_to_go_and_those_of_its_own_may_stay() -> None:
    wish = PackageWish("d", ("l-580",), "580", ("l-580",), ("l-{other}", "bad"))
    assert selection.cannot_stay("l-570", wish)
    assert selection.cannot_stay("bad", wish)
    assert not selection.cannot_stay("l-580", wish)
    assert not selection.cannot_stay("l-common", wish)


def test_a_version_that_no_source_has_is_refused_with_those_that_are_there() -> None:
    wish = PackageWish("d", ("tool",), "581", ("tool",))
    with pytest.raises(PackageError) as caught:
        selection.select(wish, {}, CANDIDATES)
    assert "590.1, 580.95, 580.82, 570.1" in caught.value.problem.observed
    assert caught.value.problem.remedy


def test_packages_that_have_no_version_in_common_are_refused() -> None:
    wish = PackageWish("d", ("tool", "lib"), "580", ("tool", "lib"))
    with pytest.raises(PackageError) as caught:
        selection.select(wish, {}, dict(CANDIDATES, lib=["580.65-1"]))
    assert "one version" in caught.value.problem.cause


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (Change("desktop", "1", ""), "removes"),
        (Change("linux-image-6.9-amd64", "", "1"), "kernel"),
        (Change("kernel-core", "1", "2"), "kernel"),
        (Change("held-one", "1", "2"), "others"),
    ],
)
def test_a_transaction_that_reaches_further_is_refused(change: Change, kind: str) -> None:
    with pytest.raises(PackageError) as caught:
        selection.judge(WISH, {"held-one": Package("held-one", "1", held=True)}, [change])
    assert caught.value.problem.kind == kind
    assert change.name in caught.value.problem.observed


def test_dependencies_headers_and_its_own_removals_are_not_refused() -> None:
    changes = [Change("dkms", "", "3"), Change("linux-headers-6.9", "", "1"),
               Change("lib", "1", ""), Change("rival-570", "1", "")]  # fmt: skip
    selection.judge(WISH, {}, changes)


# ---- the transaction ----------------------------------------------------------------------------


class FakeManager:
    """A machine's packages in a dictionary; ``fails`` is the problem of the first run."""

    name = "fake"

    def __init__(
        self,
        packages: Dict[str, Package],
        fails: str = "",
        left: str = "",
        sources: Mapping[str, List[str]] = CANDIDATES,
    ) -> None:
        self.packages, self.sources = dict(packages), sources
        self.fails, self.left = fails, left
        self.done: List[str] = []
        self.purged: List[str] = []
        self.enabled = ""  # the module stream

    def wait(self, seconds: float) -> None:
        self.done.append("wait")

    def interrupted(self, wish: PackageWish) -> str:
        return self.left

    def repair(self) -> None:
        self.done.append("repair")
        self.left = ""

    def installed(self) -> Dict[str, Package]:
        return dict(self.packages)

    def candidates(self, names: Sequence[str]) -> Dict[str, List[str]]:
        return {name: self.sources.get(name, []) for name in names}

    def refresh(self) -> None:
        self.done.append("refresh")

    def simulate(self, request: Request) -> List[Change]:
        old = {name: p.version for name, p in self.packages.items()}
        comes = [Change(n, old.get(n, ""), v) for n, v in request.install]
        if any(name == "tool" for name, _ in request.install):
            comes.append(Change("dependency", "", "1-1"))
        return comes + [Change(name, old[name], "") for name in request.remove if name in old]

    def run(self, request: Request) -> None:
        self.done.append("run")
        for name, version in request.install:
            self.packages[name] = Package(name, version)
            if name == "tool":
                self.packages["dependency"] = Package("dependency", "1-1")
        for name in request.remove:
            self.packages.pop(name, None)
        self.purged += request.remove if request.purge else ()
        if self.fails:
            kind = "damaged" if "checksum" in self.fails else "script"
            self.fails, problem = "", Problem(kind, self.fails, "why.", "do this.")
            raise PackageError(problem)

    def put_back(self) -> None:
        self.done.append("put back")

    def stream(self) -> str:
        return self.enabled

    def switch(self, stream: str) -> None:
        self.enabled = stream

    def foreign(self, changes: Sequence[Change], own: Sequence[str]) -> List[str]:
        return []

    def unneeded(self) -> List[str]:
        return ["dependency", "the-operators-own"]

    def hold(self, packages: Sequence[Package]) -> None:
        for package in packages:
            self.packages[package.name] = Package(package.name, package.version, held=True)

    def release(self, names: Sequence[str]) -> None:
        for name in names:
            self.packages[name] = Package(name, self.packages[name].version)

    def pins(
        self, wish: PackageWish, files: Sequence[Tuple[str, str]], version: str
    ) -> Tuple[Tuple[str, str], ...]:
        return ()


PIN = "/etc/apt/preferences.d/torchnode-nvidia"


def test_packages_files_and_holds_come_together_and_only_once(tmp_path: Path) -> None:
    manager = FakeManager({})
    order = Order(WISH, ((PIN, "pin\n"),), prefix="/opt/t")
    assert transaction.apply(manager, order, str(tmp_path)).changed
    assert manager.packages["tool"] == Package("tool", "580.95-1", held=True)
    assert (tmp_path / PIN[1:]).read_text() == "pin\n"
    manager.done.clear()
    assert not transaction.apply(manager, order, str(tmp_path)).changed
    assert manager.done == ["wait"]


def test_check_mode_says_what_would_come_and_does_nothing(tmp_path: Path) -> None:
    manager = FakeManager({})
    done = transaction.apply(manager, Order(WISH, ((PIN, "pin\n"),)), str(tmp_path), check=True)
    assert (done.changed, done.after) == (True, "tool 580.95-1\ndependency 1-1\n%s:\npin\n" % PIN)
    assert not manager.done
    assert not list(tmp_path.iterdir())


def test_a_failed_transaction_is_undone_with_its_files_and_holds(tmp_path: Path) -> None:
    before = have(tool="570.1-1", lib="570.1-1")
    manager = FakeManager(before, fails="a script failed")
    path = tmp_path / PIN[1:]
    path.parent.mkdir(parents=True)
    path.write_text("old\n")
    with pytest.raises(PackageError) as caught:
        transaction.apply(manager, Order(WISH, ((PIN, "pin\n"),)), str(tmp_path))
    assert manager.packages == before
    assert path.read_text() == "old\n"
    assert caught.value.problem.observed == "a script failed"
    assert caught.value.problem.cause.endswith("as they were before.")
    assert manager.done[-2:] == ["put back", "run"]


def test_packages_go_back_though_a_full_disk_keeps_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: PinFiles) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", PIN)

    monkeypatch.setattr(PinFiles, "restore", full)
    before = have(tool="570.1-1", lib="570.1-1")
    manager = FakeManager(before, fails="a script failed")
    with pytest.raises(PackageError) as caught:
        transaction.apply(manager, Order(WISH, ((PIN, "pin\n"),)), str(tmp_path))
    assert manager.packages == before
    assert caught.value.problem.observed == "a script failed"
    assert "as they were before." in caught.value.problem.cause
    assert PIN + " could not be written back (No space left" in caught.value.problem.cause


def test_a_file_that_cannot_be_written_fails_with_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: PinFiles) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", PIN)

    monkeypatch.setattr(PinFiles, "write", full)
    before = have(tool="570.1-1", lib="570.1-1")
    manager = FakeManager(before)
    with pytest.raises(PackageError, match="No space left on device"):
        transaction.apply(manager, Order(WISH, ((PIN, "pin\n"),)), str(tmp_path))
    assert manager.packages == before
    assert "run" not in manager.done


STAYS, NEWER = "580.82.07", "580.95.05"
FABRIC = PackageWish("nvidia_fabric", ("fm", "own"), "580", ("fm",), version_of=("driver*",))
NEWEST = {"fm": [NEWER, STAYS], "own": ["2025.10"]}


def test_what_follows_the_driver_takes_its_version_and_no_newer(tmp_path: Path) -> None:
    for there in ({"driver": STAYS}, {"driver": STAYS, "fm": NEWER, "own": "2025.10"}):
        manager = FakeManager(have(**there), sources=NEWEST)
        transaction.apply(manager, Order(FABRIC), str(tmp_path))
        assert manager.packages["fm"].version == STAYS


def test_where_the_sources_have_only_newer_ones_the_way_out_is_the_drivers(tmp_path: Path) -> None:
    manager = FakeManager(have(driver=STAYS), sources={"fm": [NEWER], "own": ["2025.10"]})
    with pytest.raises(PackageError) as caught:
        transaction.apply(manager, Order(FABRIC), str(tmp_path))
    assert NEWER in caught.value.problem.observed
    assert "torchnode_driver_version" in caught.value.problem.cause


@pytest.mark.parametrize("beside", [{}, {"driver": "570.1"}])
def test_without_its_driver_it_is_not_installed_and_check_mode_goes_on(
    beside: Dict[str, str], tmp_path: Path
) -> None:
    manager = FakeManager(have(**beside), sources=NEWEST)
    assert transaction.apply(manager, Order(FABRIC), str(tmp_path), check=True).changed
    with pytest.raises(PackageError) as caught:
        transaction.apply(manager, Order(FABRIC), str(tmp_path))
    assert "fm" not in manager.packages
    assert "570.1" in str(caught.value) or not beside
    assert "nvidia_driver" in caught.value.problem.remedy


def test_what_was_cut_short_is_repaired_first_and_said(tmp_path: Path) -> None:
    manager = FakeManager(have(tool="580.95-1"), left="half of it")
    done = transaction.apply(manager, Order(WISH), str(tmp_path))
    assert manager.done == ["wait", "repair"]
    assert done.changed
    assert "half of it" in done.repaired


def test_packages_that_an_old_index_does_not_know_are_taken_with_a_new_one(tmp_path: Path) -> None:
    manager = FakeManager({}, fails="incorrect checksum")
    assert transaction.apply(manager, Order(WISH), str(tmp_path)).changed
    assert manager.done == ["wait", "run", "refresh", "run"]


def test_removal_takes_only_what_came_along(tmp_path: Path) -> None:
    manager = FakeManager({})
    order = Order(WISH, ((PIN, "pin\n"),), prefix="/opt/t")
    transaction.apply(manager, order, str(tmp_path))
    manager.packages["the-operators-own"] = Package("the-operators-own", "1")
    absent = Order(WISH, ((PIN, ""),), absent=True, prefix="/opt/t")
    transaction.apply(manager, absent, str(tmp_path))
    assert set(manager.packages) == {"the-operators-own"}
    assert manager.purged == ["tool", "dependency"], "their settings came with them"
    assert not (tmp_path / PIN[1:]).exists()
    assert not transaction.apply(manager, absent, str(tmp_path)).changed


@pytest.mark.parametrize("before", ["", "570-open"])
def test_removal_enables_the_stream_that_was_enabled_before(tmp_path: Path, before: str) -> None:
    manager, wish = FakeManager({}), dataclasses.replace(WISH, stream="580-open")
    manager.enabled = before
    for version in ("580.82", "580.95"):
        transaction.apply(
            manager,
            Order(dataclasses.replace(wish, version=version), prefix="/opt/t"),
            str(tmp_path),
        )
        manager.enabled = "580-open"
    transaction.apply(manager, Order(wish, absent=True, prefix="/opt/t"), str(tmp_path))
    assert manager.enabled == before


def test_a_removal_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    manager, order = FakeManager({}), Order(WISH, prefix="/opt/t")
    transaction.apply(manager, order, str(tmp_path))
    del manager.packages["tool"]  # the packages are gone, and nothing that comes after it is done
    transaction.apply(manager, dataclasses.replace(order, absent=True), str(tmp_path))
    assert manager.packages == {}
    assert notes.components(Node(str(tmp_path)), "/opt/t") == []


def test_one_component_goes_alone(tmp_path: Path) -> None:
    manager, node = FakeManager({}), Node(str(tmp_path))
    other = PackageWish("cudnn", ("lib",), "", ("lib",))
    for wish in (dataclasses.replace(WISH, family=("tool",)), other):
        transaction.apply(manager, Order(wish, prefix="/opt/t"), str(tmp_path))
    quiet = lambda argv: Completed(0, "")  # noqa: E731
    said = removal.take_out(node, "/opt/t", manager, quiet, False, only=["cudnn"])
    assert [words.partition(":")[0] for words in said] == ["cudnn"]
    assert set(manager.packages) == {"tool", "dependency"}
    assert notes.components(node, "/opt/t") == [WISH.component]


def test_what_a_component_brought_and_another_needs_goes_with_that_one(tmp_path: Path) -> None:
    """gcc came with the driver's DKMS, and stayed for a toolkit."""

    class Needs(FakeManager):
        def unneeded(self) -> List[str]:
            return [] if "lib" in self.packages else ["dependency"]

    manager, node = Needs({}), Node(str(tmp_path))
    other = PackageWish("cuda_toolkit", ("lib",), "", ("lib",))
    for wish in (dataclasses.replace(WISH, family=("tool",)), other):
        transaction.apply(manager, Order(wish, prefix="/opt/t"), str(tmp_path))
    quiet = lambda argv: Completed(0, "")  # noqa: E731
    removal.take_out(node, "/opt/t", manager, quiet, False, only=[WISH.component])
    assert set(manager.packages) == {"lib", "dependency"}
    removal.take_out(node, "/opt/t", manager, quiet, False)
    assert manager.packages == {}


def test_what_one_component_brought_and_another_kept_goes_with_the_last(tmp_path: Path) -> None:
    class Keeps(FakeManager):
        def unneeded(self) -> List[str]:
            return [] if "other" in self.packages else ["dependency"]

        def candidates(self, names: Sequence[str]) -> Dict[str, List[str]]:
            return {**super().candidates(names), "other": ["1-1"]}

    manager = Keeps({})
    for wish in (WISH, PackageWish("zz_other", ("other",), "", ("other",))):
        transaction.apply(manager, Order(wish, prefix="/opt/t"), str(tmp_path))
    node = Node(str(tmp_path))
    said = removal.take_out(node, "/opt/t", manager, lambda argv: Completed(0, ""), False)
    assert said[-1] == "1 more that nothing needs"
    assert "dependency" in manager.purged


def test_what_others_need_of_what_was_brought_stays_and_is_named(tmp_path: Path) -> None:
    """A compiler that was there without the headers which it recommends, say."""

    class Recommended(FakeManager):
        def unneeded(self) -> List[str]:
            return []

    manager, node = Recommended({}), Node(str(tmp_path))
    transaction.apply(manager, Order(WISH, prefix="/opt/t"), str(tmp_path))
    said = removal.take_out(node, "/opt/t", manager, lambda argv: Completed(0, ""), False)
    assert said[-1] == "kept, for other packages need or recommend them: dependency"


@pytest.mark.parametrize("fails_first", [False, True])
def test_an_initramfs_keeps_no_setting_of_what_is_gone(tmp_path: Path, fails_first: bool) -> None:
    """One that could not be written is written by the next removal."""
    for path in ("boot/vmlinuz-6.1", "boot/initrd.img-6.1", "lib/modules/6.1/modules.dep"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    manager, node = FakeManager({}), Node(str(tmp_path))
    transaction.apply(manager, Order(WISH, prefix="/opt/t"), str(tmp_path))

    full = fails_first

    def run(argv: Sequence[str]) -> Completed:
        listed = argv[0] == "lsinitrd"
        rc = 1 if full and not listed else 0
        return Completed(rc, "etc/modprobe.d/gone.conf\n" if listed else "full")

    if full:
        with pytest.raises(PackageError, match=r"initrd\.img-6\.1 6\.1: full"):
            removal.take_out(node, "/opt/t", manager, run, False)
        full = False
    assert removal.noted(node, "/opt/t")
    said = removal.take_out(node, "/opt/t", manager, run, False)
    assert said[-1] == "rebuilt the initramfs of kernel 6.1"
    assert not removal.noted(node, "/opt/t")


def test_the_folder_that_a_file_needed_goes_with_it(tmp_path: Path) -> None:
    """And one that was there before stays."""
    (tmp_path / "etc/systemd").mkdir(parents=True)
    file = "/etc/systemd/some.service.d/torchnode.conf"
    manager = FakeManager({})
    transaction.apply(manager, Order(WISH, ((file, "x\n"),), prefix="/opt/t"), str(tmp_path))
    assert (tmp_path / file[1:]).exists()
    node = Node(str(tmp_path))
    removal.take_out(node, "/opt/t", manager, lambda argv: Completed(0, ""), False)
    manifest.remove(node, "/opt/t", pretend=False)
    assert [path.name for path in (tmp_path / "etc").rglob("*")] == ["systemd"]


def test_removal_without_the_inventory_leaves_what_was_there_before(tmp_path: Path) -> None:
    """By the note alone: packages that were installed before stay, and may move again."""
    manager = FakeManager({"tool": Package("tool", "580.95-1")})
    first = sorted(manager.packages)
    transaction.apply(manager, Order(WISH, ((PIN, "pin\n"),), prefix="/opt/t"), str(tmp_path))
    assert all(package.held for package in manager.packages.values())
    node = Node(str(tmp_path))
    assert removal.noted(node, "/opt/t")
    said = removal.take_out(node, "/opt/t", manager, lambda argv: Completed(0, ""), False)
    assert said[0].startswith(WISH.component)
    assert sorted(manager.packages) == first
    assert not any(package.held for package in manager.packages.values())
    assert not (tmp_path / PIN[1:]).exists()
    assert not removal.noted(node, "/opt/t")


# ---- locks and failures -------------------------------------------------------------------------


def test_the_holder_of_a_lock_is_waited_for_and_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    holder = os.fork()
    if holder == 0:
        with open(lock, "w") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX)
            (tmp_path / "ready").touch()
            os.read(os.pipe()[0], 1)
    try:
        while not (tmp_path / "ready").exists():
            pass
        told: List[str] = []
        with pytest.raises(PackageError) as caught:
            lock_wait.wait(lambda: lock_wait.holder([str(lock)]), 0.1, told.append)
    finally:
        os.kill(holder, 9)
        os.waitpid(holder, 0)
    assert "pid %d" % holder in caught.value.problem.observed
    assert "pid %d" % holder in told[0]
    assert lock_wait.holder([str(lock)]) is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7", "lock"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "disk_full"),
        ("  - needs 12MB more space on the / filesystem\nNo space left on device", "disk_full"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "interrupted"),
        ("E: Release file for http://m/InRelease is expired (invalid since 2d)", "expired"),
        ("W: GPG error: http://m InRelease: NO_PUBKEY 1", "signature"),
        ("Err:1 http://m Release\n  404  Not Found\nE: 'http://m' is not signed.", "not_found"),
        ("Status code: 404 for https://m/repodata/repomd.xml (IP: 1.2.3.4)", "not_found"),
        ("E: Failed to fetch http://m/x.deb  403  Forbidden", "forbidden"),
        ("E: Failed to fetch http://m/Packages  Hash Sum mismatch", "damaged"),
        ("Error: Some packages from local repository have incorrect checksum", "damaged"),
        ("Certificate verification failed: The certificate is NOT trusted.", "certificate"),
        ("Could not resolve 'm'", "unreachable"),
        ("Curl error (7): Couldn't connect to server for https://m", "unreachable"),
        ("  - Curl error (7): Couldn't connect to server for http://127.0.0.1:9/repomd.xml\n"
         "Error: Failed to download metadata for repo 'x': Cannot download repomd.xml: "
         "All mirrors were tried", "unreachable"),
        ("  - Status code: 404 for https://m/repodata/repomd.xml\n"
         "Error: Failed to download metadata for repo 'x': All mirrors were tried", "not_found"),
        ("Error: GPG check FAILED", "signature"),
        ("All matches were filtered out by modular filtering for argument: x", "stream"),
        ("E: Held packages were changed and -y was used without ...", "held"),
        ("The following packages have unmet dependencies:", "conflict"),
        (" installed x package post-installation script subprocess returned error exit status 3",
         "script"),
        ("Signing key: /var/lib/dkms/mok.key\ninstallation script of x failed", "script"),
        ("E: Package 'x' has no installation candidate", "no_version"),
        ("something never seen", "unknown"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_apart(said: str, kind: str) -> None:
    problem = explain("apt-get", 100, said)
    assert problem.kind == kind
    assert all((problem.observed, problem.cause, problem.remedy))


def test_a_module_that_does_not_compile_names_kernel_and_error(tmp_path: Path) -> None:
    """As Debian 12's open modules 535.261.03 do with its kernel 6.1.0-56, on 2026-11-23."""
    log = tmp_path / "make.log"
    said = "nvidia/nv-pci.c:223:9: error: too few arguments to function 'pci_resize_resource'\n"
    log.write_text("  CC [M] x\n" + said)
    told = (
        "Error! Bad return status for module build on kernel: 6.1.0-56-amd64 (x86_64)\n"
        "Consult %s for more information.\ndpkg: error processing package nvidia-open\n" % log
    )
    problem = explain("apt-get", 100, told + "".join(compiler_errors(told)))
    assert problem.kind == "module_build"
    assert "6.1.0-56-amd64" in problem.observed
    assert "pci_resize_resource" in problem.observed
    assert compiler_errors("Consult /nowhere/make.log") == []


# ---- the stream of a module --------------------------------------------------------------------


class Streams:
    """A dnf whose module nvidia-driver is in one stream; ``install`` fails where it is told to."""

    def __init__(self, root: Path, stream: str, fails: bool) -> None:
        self.file = root / "etc/dnf/modules.d/nvidia-driver.module"
        self.file.parent.mkdir(parents=True)
        self.fails = fails
        self.asked: List[Sequence[str]] = []
        self._set(stream)

    def _set(self, stream: str) -> None:
        state = "enabled" if stream else ""
        self.file.write_text("[nvidia-driver]\nstream=%s\nstate=%s\n" % (stream, state))

    def tell(self, text: str) -> None:
        """Nobody waits here."""

    def __call__(self, argv: Sequence[str]) -> Completed:
        self.asked.append(argv)
        if "module" in argv:
            self._set(argv[-1].partition(":")[2] if "enable" in argv else "")
        failed = self.fails and "install" in argv and "--assumeno" not in argv
        return Completed(1, "Error: GPG check FAILED") if failed else Completed(0, "")

    @property
    def stream(self) -> str:
        return dnf_text.enabled_stream(self.file.read_text())


@pytest.mark.parametrize("before", ["570-open", ""])
def test_after_a_failure_the_stream_is_what_it_was(tmp_path: Path, before: str) -> None:
    dnf = Streams(tmp_path, before, fails=True)
    manager = Dnf(dnf, str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(PackageError):
        manager.run(Request((("kmod-nvidia-open-dkms", "3:580.95.05-1.el9"),), stream="580-open"))
    assert dnf.stream == "580-open"
    manager.put_back()
    assert dnf.stream == before


def test_a_stream_that_is_enabled_already_is_not_touched(tmp_path: Path) -> None:
    dnf = Streams(tmp_path, "580-open", fails=False)
    manager = Dnf(dnf, str(tmp_path))  # type: ignore[arg-type]
    manager.run(Request((("kmod-nvidia-open-dkms", ""),), stream="580-open"))
    manager.put_back()
    assert dnf.stream == "580-open"
    assert not [argv for argv in dnf.asked if "module" in argv]
    Dnf(dnf, str(tmp_path)).put_back()  # type: ignore[arg-type]
    assert dnf.stream == "580-open"


def test_the_last_line_before_a_long_silence_is_told(tmp_path: Path) -> None:
    """DKMS says what it builds in a burst, without the end of the last line, and makes dots."""
    path = tmp_path / "progress.json"
    run = Runner(dict(os.environ), ProgressFile(str(path)))
    says = "printf 'one\\ntwo\\nbuilding'; sleep 2.2; printf .; sleep 1.2"
    done = run(["sh", "-c", "%s; cat %s; printf end" % (says, path)])
    assert done.out.startswith("one\ntwo\nbuilding.")
    assert done.out.endswith("end")
    assert '"text": "building"' in done.out
