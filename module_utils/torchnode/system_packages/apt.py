"""apt and dpkg behind the Protocol of ``base``."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Dict, Iterator, List, Sequence, Tuple

from ..node import Completed
from ..package_model import Package, PackageWish
from . import apt_text, lock_wait
from .base import Change, Request
from .failures import PackageError, explain
from .runner import Runner

#: Whoever holds one of these works on the packages or their lists.
LOCKS = (
    "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)  # fmt: skip
PREFERENCES = "/etc/apt/preferences.d"

#: Recommended packages bring a display; a changed configuration file stays as the operator has it.
_APT = (
    "apt-get", "--yes", "--quiet", "--no-install-recommends",
    "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip


class Apt:
    """See ``base.Manager``."""

    name = "apt"

    def __init__(self, run: Runner, system: str = "", root: str = "/") -> None:
        """``system`` is the ID of os-release; ``root`` is where the files lie, for tests."""
        self._run = run
        self._system = system
        self._root = root
        self._wait_seconds = 0.0

    # ---- looking --------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Also how long apt itself waits where another program is faster to the lock."""
        self._wait_seconds = seconds
        paths = [self._path(path) for path in LOCKS]
        lock_wait.wait(lambda: lock_wait.holder(paths), seconds, self._run.tell)

    def interrupted(self, wish: PackageWish) -> str:
        """Half-installed packages, or a journal of dpkg's that was never merged."""
        names = apt_text.half_installed(self._query())
        if names:
            return "an earlier transaction was cut short: %s" % ", ".join(sorted(names)[:8])
        with contextlib.suppress(OSError):
            if any(n.isdigit() for n in os.listdir(self._path("/var/lib/dpkg/updates"))):
                return "an earlier transaction of dpkg was cut short"
        return ""

    def installed(self) -> Dict[str, Package]:
        """Foreign architectures are left out: no driver of ours is one."""
        architecture = self._must(["dpkg", "--print-architecture"]).strip()
        return apt_text.installed(self._query(), architecture)

    def _query(self) -> str:
        return self._must(["dpkg-query", "--show", "--showformat=" + apt_text.QUERY])

    def candidates(self, names: Sequence[str]) -> Dict[str, List[str]]:
        """In the order of apt: newest first."""
        listed = self._madison(names)
        return {
            name: list(dict.fromkeys(version for version, _ in listed.get(name, ())))
            for name in names
        }

    def _madison(self, names: Sequence[str]) -> Dict[str, List[Tuple[str, str]]]:
        if not names:
            return {}
        done = self._run(["apt-cache", "madison", *names])  # no such package is no failure of it
        return apt_text.madison(done.out)

    def foreign(self, changes: Sequence[Change], own: Sequence[str]) -> List[str]:
        """Packages of the system that NVIDIA's repository, say, would replace by its own."""
        others = [c for c in changes if c.before and c.after and c.name not in own]
        listed = self._madison([change.name for change in others])
        return [
            change.name for change in others
            if apt_text.changes_origin(change, listed.get(change.name, ()), self._system)
        ]  # fmt: skip

    def unneeded(self) -> List[str]:
        """What ``apt-get autoremove`` would take out, also where some package only suggests it.

        Suggestions alone would keep a whole compiler, which dkms brought.
        """
        no_suggestions = ["-o", "APT::AutoRemove::SuggestsImportant=false"]
        done = self._run([*_APT, *no_suggestions, "--simulate", "autoremove"])
        return [change.name for change in apt_text.simulated(done.out) if not change.after]

    # ---- doing ----------------------------------------------------------------------------------

    def repair(self) -> None:
        """Configure what is unpacked, then complete what is missing of it."""
        self._run(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])
        argv = [*_APT, *self._lock(), *_allowed(), "--no-remove", "--fix-broken", "install"]
        second = self._run(argv)
        if second.rc != 0:
            raise PackageError(explain("apt-get --fix-broken install", second.rc, second.out))

    def refresh(self) -> None:
        """All lists. A source of the operator's that fails is no reason to stop, if ours answer."""
        self._run(["apt-get", "--quiet", *self._lock(), "update"])

    def simulate(self, request: Request) -> List[Change]:
        """Under the same pins as the transaction itself."""
        with self._pinned(request) as pins:
            argv = [*_APT, *pins, "--simulate", *_allowed(), "install", *_arguments(request)]
            return apt_text.simulated(self._must(argv))

    def run(self, request: Request) -> None:
        """One ``apt-get install`` with all that comes and all that goes."""
        with self._pinned(request) as pins:
            argv = [*_APT, *pins, *self._lock(), *_allowed(), "install", *_arguments(request)]
            self._must(argv)

    def put_back(self) -> None:
        """apt has no streams."""

    def stream(self) -> str:
        """As above."""
        return ""

    def switch(self, stream: str) -> None:
        """As above."""

    def hold(self, packages: Sequence[Package]) -> None:
        """``apt-mark hold``, which unattended-upgrades and ``apt upgrade`` respect."""
        if packages:
            self._must(["apt-mark", "hold", *(package.name for package in packages)])

    def release(self, names: Sequence[str]) -> None:
        """``apt-mark unhold``."""
        if names:
            self._must(["apt-mark", "unhold", *names])

    def pins(
        self, wish: PackageWish, files: Sequence[Tuple[str, str]], version: str
    ) -> Tuple[Tuple[str, str], ...]:
        """The component's own pin files, narrowed; where there is none, one for the family."""
        own = [(os.path.basename(path), text) for path, text in files
               if os.path.dirname(path) == PREFERENCES]  # fmt: skip
        if own:
            return tuple((n, apt_text.narrowed(text, wish.version, version)) for n, text in own)
        if wish.family and version:
            return (("torchnode-transaction", apt_text.family_pin(wish, version)),)
        return ()

    def _lock(self) -> List[str]:
        return ["-o", "DPkg::Lock::Timeout=%d" % self._wait_seconds]

    @contextlib.contextmanager
    def _pinned(self, request: Request) -> Iterator[List[str]]:
        """The options for the machine's own preferences with the transaction's among them."""
        if not request.pins:
            yield []
            return
        # apt reads it as its own user _apt does not: 0755 so that nothing depends on who asks.
        folder = tempfile.mkdtemp(prefix="torchnode-pins.")
        try:
            os.chmod(folder, 0o755)
            for name in _names(self._path(PREFERENCES)):
                shutil.copy(os.path.join(self._path(PREFERENCES), name), folder)
            for name, text in request.pins:
                _write(os.path.join(folder, name), text)
            yield ["-o", "Dir::Etc::preferencesparts=" + folder]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _must(self, argv: Sequence[str]) -> str:
        done: Completed = self._run(argv)
        if done.rc != 0:
            raise PackageError(explain(argv[0], done.rc, done.out))
        return done.out


def _allowed() -> List[str]:
    """An exact version may be older, and what moves may be held by us; who else moves is judged."""
    return ["--allow-downgrades", "--allow-change-held-packages"]


def _arguments(request: Request) -> List[str]:
    """'name=version' for what comes, 'name-' for what goes."""
    comes = [name + ("=" + version if version else "") for name, version in request.install]
    goes = [name + "-" for name in request.remove]
    return [*(["--purge"] if request.purge else []), *comes, *goes]


def _names(folder: str) -> List[str]:
    with contextlib.suppress(OSError):
        return [n for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))]
    return []


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
