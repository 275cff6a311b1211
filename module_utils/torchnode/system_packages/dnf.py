"""dnf 4 and rpm behind the Protocol of ``base``."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Sequence, Tuple

from ..node import Completed, Node
from ..package_model import Package, PackageWish
from ..package_versions import of_family
from . import dnf_text, lock_wait
from .base import Change, Request
from .failures import PackageError, Problem, explain, no_versionlock
from .runner import Runner

RECORD_LOCKS = ("/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock")
PID_FILES = (
    "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid",
    "/var/lib/dnf/rpmdb_lock.pid", "/run/dnf-metadata_lock.pid", "/var/run/yum.pid",
)  # fmt: skip
#: The one module whose streams this project chooses.
MODULE = "nvidia-driver"

_DNF = ("dnf", "--quiet", "--assumeyes", "--setopt=install_weak_deps=False")
#: For a look only: packages of streams that are not enabled yet are seen, too.
#: Locks hide all other versions; those of others are judged, and respected when it is done.
_NO_LOCKS = "--disableplugin=versionlock"
_ALL_STREAMS = "--setopt=torchnode-nvidia-cuda.module_hotfixes=True"


class Dnf:
    """See ``base.Manager``."""

    name = "dnf"

    def __init__(self, run: Runner, root: str = "/") -> None:
        self._run = run
        self._root = root
        self._stream_before: Optional[str] = None  # None: it was not touched

    # ---- looking --------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """dnf itself would wait for ever, and say nothing."""
        locks, pids = self._paths(RECORD_LOCKS), self._paths(PID_FILES)
        lock_wait.wait(lambda: lock_wait.holder(locks, pids), seconds, self._run.tell)

    def interrupted(self, wish: PackageWish) -> str:
        """Packages of the family in two versions: rpm was cut off between upgrade and cleanup."""
        names = [name for name in dnf_text.twice(self._query()) if of_family(name, wish)]
        if not names:
            return ""
        return "an earlier transaction was cut short: %s in two versions" % ", ".join(names[:8])

    def installed(self) -> Dict[str, Package]:
        """With the locks of versionlock, where dnf has it."""
        listed = self._run([*_DNF, "versionlock", "list"])
        return dnf_text.installed(self._query(), dnf_text.locked(listed.out))

    def _query(self) -> str:
        return self._must(["rpm", "--query", "--all", "--queryformat", dnf_text.QUERY])

    def candidates(self, names: Sequence[str]) -> Dict[str, List[str]]:
        """From the streams that are not enabled, too: the wish's own is enabled before the rest."""
        if not names:
            return {}
        argv = [*_DNF, _NO_LOCKS, _ALL_STREAMS, "repoquery", "--available", "--queryformat"]
        done = self._must([*argv, dnf_text.REPOQUERY.rstrip("\n"), *names])
        found = dnf_text.candidates(done)
        whole = {name: self._exact(name, found) for name in names}
        return {name: found.get(name) or whole[name] for name in names}

    @staticmethod
    def _exact(name: str, found: Dict[str, List[str]]) -> List[str]:
        """A name such as 'kernel-devel-5.14.0-570.el9' is a package and its version."""
        return [
            version for bare, versions in found.items() for version in versions
            if "%s-%s" % (bare, version.rpartition(":")[2]) == name
        ]  # fmt: skip

    def foreign(self, changes: Sequence[Change], own: Sequence[str]) -> List[str]:
        """Installed packages of others that would be taken from torchnode's own sources."""
        return [
            change.name for change in changes
            if change.before and change.after and change.name not in own
            and change.origin.startswith("torchnode-")
        ]  # fmt: skip

    def unneeded(self) -> List[str]:
        """What ``dnf autoremove`` would take out."""
        done = self._run(["dnf", "--assumeno", "autoremove"])
        changes = dnf_text.simulated(done.out, {})
        return [change.name for change in changes if not change.after]

    # ---- doing ----------------------------------------------------------------------------------

    def repair(self) -> None:
        """Finish the cleanup that was cut off."""
        self._must([*_DNF, "remove", "--duplicates"])

    def refresh(self) -> None:
        """All that is cached of the sources counts as old."""
        self._run([*_DNF, "clean", "expire-cache"])

    def simulate(self, request: Request) -> List[Change]:
        """``--assumeno`` resolves, shows and ends with status 1."""
        have = self.installed()
        changes: Dict[str, Change] = {}
        argv = ["dnf", "--assumeno", "--setopt=install_weak_deps=False", _NO_LOCKS, _ALL_STREAMS]
        for words in self._transactions(request, have):
            done = self._run([*argv, *words])
            if "Operation aborted" not in done.out and "Nothing to do" not in done.out:
                raise PackageError(explain("dnf", done.rc or 1, done.out))
            changes.update({c.name: c for c in dnf_text.simulated(done.out, have)})
        return [changes[name] for name in sorted(changes)]

    def run(self, request: Request) -> None:
        """The stream first. A stream cannot be enabled and filled in one transaction."""
        if request.stream:
            self.switch(request.stream)
        for words in self._transactions(request, self.installed()):
            if words[0] == "install" or any(name in self.installed() for name in words[2:]):
                self._must([*_DNF, *words])

    def put_back(self) -> None:
        """Else ``dnf upgrade`` would go on in a stream whose packages are not there."""
        if self._stream_before is not None:
            self.switch(self._stream_before)

    def stream(self) -> str:
        """As dnf's own file says."""
        return dnf_text.enabled_stream(Node(self._root).read(dnf_text.MODULE_FILE) or "")

    def switch(self, stream: str) -> None:
        """See ``base.Manager``."""
        now = self.stream()
        if self._stream_before is None:
            self._stream_before = now
        if now == stream:
            return
        self._must([*_DNF, "module", "reset", MODULE])
        if stream:
            self._must([*_DNF, "module", "enable", "%s:%s" % (MODULE, stream)])

    def _transactions(
        self, request: Request, have: Dict[str, Package]
    ) -> List[List[str]]:  # fmt: skip
        """The calls that it takes: what conflicts with what comes goes in the same one.

        ``install`` with an older version is a downgrade for dnf 4. The rest of what goes is second.
        """
        comes = [_nevra(name, version) for name, version in request.install]
        goes = [name for name in request.remove if name in have]
        first = [["install", "--allowerasing", *comes]] if comes else []
        return [*first, *([["remove", "--noautoremove", *goes]] if goes else [])]

    def hold(self, packages: Sequence[Package]) -> None:
        """Raises PackageError where dnf has no versionlock."""
        if not packages:
            return
        if self._run(["dnf", "versionlock", "--help"]).rc != 0:
            raise PackageError(no_versionlock())
        self._must([*_DNF, "versionlock", "add", "--raw", *dnf_text.lock_words(packages)])

    def release(self, names: Sequence[str]) -> None:
        """Takes the packages' own lines out of versionlock's list."""
        if names:
            self._must([*_DNF, "versionlock", "delete", *names])

    def pins(
        self, wish: PackageWish, files: Sequence[Tuple[str, str]], version: str
    ) -> Tuple[Tuple[str, str], ...]:
        """None: dnf resolves what a package demands with ``=``, whatever is newest."""
        return ()

    def _paths(self, paths: Sequence[str]) -> List[str]:
        return [os.path.join(self._root, path.lstrip("/")) for path in paths]

    def _must(self, argv: Sequence[str]) -> str:
        done: Completed = self._run(argv)
        if done.rc != 0:
            raise PackageError(_explained(argv, done))
        return done.out


def _explained(argv: Sequence[str], done: Completed) -> Problem:
    return explain(argv[0], done.rc, done.out)


def _nevra(name: str, version: str) -> str:
    """'name-3:580.95.05-1.el9', as dnf takes an exact version."""
    return "%s-%s" % (name, version) if version else name
