"""Runs apt and dnf: an environment that asks nothing, a time limit, and what they are at."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import threading
from typing import Dict, Iterator, List, Mapping, Protocol, Sequence

from ..node import Completed
from ..progress_file import EVERY, ProgressFile

#: A DKMS build for several kernels on a slow disk takes half an hour; nothing takes this long.
LIMIT_SECONDS = 3 * 3600.0

#: No program may ask: there is nobody to answer.
QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",  # restarting services is the operator's business
    "UCF_FORCE_CONFFOLD": "1",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}


class Run(Protocol):
    """How a manager runs a command; a test has its own."""

    def __call__(self, argv: Sequence[str]) -> Completed:
        """Standard output and error together, in ``out``."""


def environment(given: Mapping[str, str], proxy: str, ca_bundle: str = "") -> Dict[str, str]:
    """The environment of a package manager. A proxy travels here, where no other user sees it."""
    made = dict(given, **QUIET)
    if proxy:
        made.update(http_proxy=proxy, https_proxy=proxy)
    if ca_bundle:
        made.update(CURL_CA_BUNDLE=ca_bundle, SSL_CERT_FILE=ca_bundle)
    return made


class Runner:
    """Runs commands one after the other, and tells a progress file the last line of each."""

    def __init__(self, env: Mapping[str, str], progress: ProgressFile) -> None:
        self._env = dict(env)
        self.progress = progress
        self._lines = 0
        self._told = self._last = ""

    def __call__(self, argv: Sequence[str]) -> Completed:
        """Run to the end. A session of its own: Ctrl-C on the way here must not cut dpkg short."""
        try:
            process = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=self._env, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Completed(127, str(error))
        late = threading.Timer(LIMIT_SECONDS, _stop, (process,))
        late.start()
        try:
            said = self._read(process)
        finally:
            late.cancel()
        rc = process.wait()
        said += compiler_errors("".join(said)) if rc else []
        return Completed(124 if rc == -signal.SIGTERM else rc, "".join(said))

    def tell(self, text: str) -> None:
        """Say what is going on, to whoever looks."""
        self._lines += 1
        self._last = text
        self._tell_last()

    def _tell_last(self) -> None:
        if self._last != self._told and self.progress.due():
            self.progress.write({"text": self._last, "rank": self._lines})
            self._told = self._last

    def _read(self, process: subprocess.Popen[bytes]) -> List[str]:
        said: List[str] = []
        for line in _lines(process.stdout.fileno() if process.stdout else -1):
            said.append(line.decode("utf-8", "replace"))
            if re.search(r"\w", said[-1]):  # DKMS makes dots while it builds
                self.tell(said[-1].strip())
            # What takes minutes is announced by the last line of many, such as DKMS's.
            self._tell_last()
        return said


def _lines(descriptor: int) -> Iterator[bytes]:
    """Each line as it comes; what there is of it, where nothing came for as long as a progress
    file waits."""
    rest = b""
    while True:
        if not select.select([descriptor], [], [], EVERY)[0]:
            yield rest
            rest = b""
            continue
        read = os.read(descriptor, 65536)
        if not read:
            break
        *whole, rest = (rest + read).split(b"\n")
        yield from (line + b"\n" for line in whole)
    yield rest


def compiler_errors(output: str) -> List[str]:
    """What the compiler said, from DKMS logs that the output names: a rollback removes them."""
    lines: List[str] = []
    for path in re.findall(r"Consult (\S+/make\.log)", output):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as log:
            lines += [line for line in log if re.search(r":\d+:\d+: (fatal )?error: ", line)]
    return lines


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM)
