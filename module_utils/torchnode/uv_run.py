"""Running uv and saying meanwhile how far it is."""

from __future__ import annotations

import glob
import subprocess
import time
from typing import Mapping, Optional, Sequence

from . import uv_progress
from .progress_file import EVERY, ProgressFile
from .stop_signals import LOST, nobody_listens


class Watch:
    """Keeps a progress file while the environment in ``folder`` is filled with ``packages``."""

    def __init__(self, path: str, folder: str, packages: int) -> None:
        self._file, self._folder, self._packages = ProgressFile(path), folder, packages
        self._file.remove()  # of a killed run

    def say(self, text: str, rank: float) -> None:
        """What is done beside uv."""
        self._file.write(uv_progress.said(text, rank))

    def look(self, output: bytes, pid: int) -> None:
        """How far uv is, by its output so far and its process id."""
        download = uv_progress.read(output.decode("utf-8", "replace"))
        installed = len(glob.glob(self._folder + "/lib/python*/site-packages/*.dist-info"))
        self._file.write(uv_progress.state(download, written(pid), installed, self._packages))

    def end(self) -> None:
        """Nothing is done any more: no file says otherwise."""
        self._file.remove()


def run(
    argv: Sequence[str], environment: Mapping[str, str], seconds: float, watch: Watch
) -> subprocess.CompletedProcess[bytes]:
    """Run uv to its end, with its two outputs as one.

    Raises OSError where it cannot be started, subprocess.TimeoutExpired after ``seconds``, and
    ConnectionAbortedError where nobody waits for the result any more.
    """
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            while True:
                try:
                    output, _ = process.communicate(timeout=min(EVERY, seconds))
                    return subprocess.CompletedProcess(list(argv), process.returncode, output)
                except subprocess.TimeoutExpired as expired:
                    if time.monotonic() >= deadline:
                        raise
                    if nobody_listens():
                        raise ConnectionAbortedError(LOST) from None
                    watch.look(expired.output or b"", process.pid)
        except BaseException:
            process.kill()  # leaving the block waits for it
            raise


def written(pid: int) -> Optional[int]:
    """The bytes that a process has written, from Linux's /proc/<pid>/io; None elsewhere."""
    try:
        with open("/proc/%d/io" % pid, encoding="ascii") as stream:
            fields = dict(line.split(": ") for line in stream.read().splitlines())
        return int(fields["wchar"])
    except (OSError, ValueError, KeyError):
        return None
