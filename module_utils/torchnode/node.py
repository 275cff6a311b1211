"""How survey reads a machine: its files below a root, and its commands through one callable.

Everything that survey learns goes through :class:`Node`, so that a captured machine (a folder of
files and a table of command outputs) reads exactly like a live one.
"""

from __future__ import annotations

import fnmatch
import os
import platform
import subprocess
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence

COMMAND_SECONDS = 20  # a sick driver makes nvidia-smi hang: no reading may take longer


@dataclass(frozen=True)
class Completed:
    """A finished command. ``rc`` is 127 when it does not exist and 124 when it ran too long."""

    rc: int
    out: str
    err: str = ""


Run = Callable[[Sequence[str]], Completed]


def run_command(argv: Sequence[str], seconds: float = COMMAND_SECONDS) -> Completed:
    """Run ``argv`` in the C locale with a time limit; never raises for what the command does."""
    environment = dict(os.environ, LC_ALL="C", LANGUAGE="C")
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Completed(124, "", "%s did not answer within %g s" % (argv[0], seconds))
    except OSError as error:
        return Completed(127, "", str(error))
    return Completed(
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )


class Node:
    """A machine to read: ``root`` is '/' on a live one, ``run`` executes commands there.

    ``system`` and ``machine`` are uname's words ('Linux' and 'x86_64', 'Darwin' and 'arm64').
    """

    def __init__(
        self,
        root: str = "/",
        run: Run = run_command,
        environ: Optional[Dict[str, str]] = None,
        uid: Optional[int] = None,
        system: Optional[str] = None,
        machine: Optional[str] = None,
    ) -> None:
        self.root = root
        self.run = run
        self.environ = dict(os.environ) if environ is None else environ
        self.uid = os.geteuid() if uid is None else uid
        self.system = platform.system() if system is None else system
        self.machine = platform.machine() if machine is None else machine

    def path(self, path: str) -> str:
        """Where ``path`` of the machine lies for this process."""
        return os.path.join(self.root, path.lstrip("/"))

    def read(self, path: str) -> Optional[str]:
        """The file's text without trailing white space, or None where it cannot be read."""
        try:
            with open(self.path(path), "rb") as stream:
                return stream.read().decode("utf-8", "replace").rstrip()
        except OSError:
            return None

    def read_bytes(self, path: str) -> Optional[bytes]:
        """The file's bytes, or None where it cannot be read."""
        try:
            with open(self.path(path), "rb") as stream:
                return stream.read()
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        """Whether ``path`` is there (a dangling link is not)."""
        return os.path.exists(self.path(path))

    def names(self, path: str, pattern: str = "*") -> List[str]:
        """The sorted names in folder ``path`` that match ``pattern``; none where unreadable."""
        try:
            return sorted(fnmatch.filter(os.listdir(self.path(path)), pattern))
        except OSError:
            return []

    def glob(self, pattern: str) -> List[str]:
        """The machine's paths that match ``pattern``, component by component, sorted."""
        found = ["/"]
        for part in pattern.strip("/").split("/"):
            found = [
                os.path.join(base, name) for base in found for name in self._matching(base, part)
            ]
        return found

    def _matching(self, base: str, part: str) -> List[str]:
        if any(character in part for character in "*?["):
            return self.names(base, part)
        return [part] if os.path.lexists(self.path(os.path.join(base, part))) else []

    def link(self, path: str) -> Optional[str]:
        """Where the link ``path`` points, or None where it is no link or cannot be read."""
        try:
            return os.readlink(self.path(path))
        except OSError:
            return None

    def link_name(self, path: str) -> Optional[str]:
        """The last component of where the link ``path`` points, or None."""
        target = self.link(path)
        return None if target is None else os.path.basename(target)

    def sysctl(self, name: str) -> Optional[str]:
        """What macOS tells under this name ('hw.memsize'), or None where it tells nothing."""
        done = self.run(["/usr/sbin/sysctl", "-n", name])
        return done.out.strip() or None if done.rc == 0 else None
