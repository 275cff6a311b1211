"""One child process: sources in, JSON lines out, nothing left of it at the end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from typing import Any, Mapping

from .child import BOOTSTRAP, payload

MAX_OUTPUT = 8192  # bytes kept of what a child prints
MAX_LINE = 1 << 20  # a result line that is longer is garbage
KILL_WAIT = 5.0  # seconds for the kernel to take a killed process away

#: A system's own pid namespace has a number that never changes: PROC_PID_INIT_INO, 0xEFFFFFFC, of
#: https://github.com/torvalds/linux/blob/master/include/linux/proc_ns.h.
FIRST_PID_NAMESPACE = "pid:[4026531836]"


def in_first_pid_namespace() -> bool:
    """Whether the pids that drivers tell are ours as well; False inside most containers."""
    try:
        return os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE
    except OSError:
        return False


class Child:
    """A child under the given interpreter, in its own session and process group.

    Raises OSError when the interpreter cannot be started.
    """

    def __init__(
        self, python: str, entry: str, config: Mapping[str, Any], environment: Mapping[str, str]
    ) -> None:
        self.results, descriptor = os.pipe()
        try:
            self.process = subprocess.Popen(
                [python, "-B", "-u", "-c", BOOTSTRAP, entry],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(descriptor,),
                start_new_session=True,
                cwd="/",
                env=dict(environment),
            )
        except OSError:
            os.close(self.results)
            raise
        finally:
            os.close(descriptor)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin = self.process.stdin.fileno()
        self.output_descriptor = self.process.stdout.fileno()
        for number in (self.results, self.output_descriptor, self._stdin):
            os.set_blocking(number, False)
        self._partial = self._unsent = b""
        self._output = b""
        self._gone_until: float | None = None
        self.open = True
        _widen(self._stdin)
        self._write(payload())
        line = json.dumps({**config, "descriptor": descriptor, "parent": os.getpid()})
        self._write(line.encode("ascii") + b"\n")

    def tell(self, word: str) -> None:
        """One line on its standard input; a child that is gone shows by its exit, not here."""
        self._write(word.encode("ascii") + b"\n")

    def events(self) -> list[dict[str, Any]]:
        """The events that have arrived. Raises ValueError for anything that is not one."""
        self._flush()
        data = _drain(self.results)
        self._keep_output(_drain(self.output_descriptor))
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        if len(self._partial) > MAX_LINE:
            raise ValueError("a result line of more than %d bytes" % MAX_LINE)
        return [_event(line) for line in lines]

    def output(self) -> str:
        """The tail of what the child printed, both streams."""
        return self._output.decode("utf-8", "replace").strip()

    def status(self) -> int | None:
        """Exit status as subprocess has it (negative: a signal), or None while it runs."""
        return self.process.poll()

    def strike(self) -> None:
        """SIGKILL the whole group without waiting; the time to be gone runs from the first one."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self._gone_until is None:
            self._gone_until = time.monotonic() + KILL_WAIT

    def kill(self) -> bool:
        """Strike, and reap the child; False if the kernel cannot take it away."""
        self.strike()
        assert self._gone_until is not None
        while self.process.poll() is None:
            if time.monotonic() > self._gone_until:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Close our ends of the pipes."""
        if self.open:
            self.open = False
            self._keep_output(_drain(self.output_descriptor))
            os.close(self.results)
            for stream in (self.process.stdin, self.process.stdout):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _write(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        """As much as the pipe takes: a child that does not read must not block us."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._stdin, self._unsent) :]
        except BlockingIOError:
            pass  # the rest goes with the next look; who never reads misses its deadline
        except (BrokenPipeError, OSError):
            self._unsent = b""  # it is gone, which its exit shows

    def _keep_output(self, data: bytes) -> None:
        self._output = (self._output + data)[-MAX_OUTPUT:]


def _widen(descriptor: int) -> None:
    """A pipe of 256 KiB where the kernel allows it (fcntl(2), F_SETPIPE_SZ)."""
    set_pipe_size = 1031
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, set_pipe_size, 256 * 1024)


def _drain(descriptor: int, most: int = 4 << 20) -> bytes:
    parts: list[bytes] = []
    while sum(map(len, parts)) < most:
        try:
            part = os.read(descriptor, 65536)
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        shown = line[:120].decode("utf-8", "replace")
        raise ValueError("%r instead of a result" % shown)
    return event
