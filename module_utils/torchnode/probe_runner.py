"""Start the probe with another interpreter and come back in bounded time, whatever it does."""

from __future__ import annotations

import contextlib
import json
import os
import pkgutil
import select
import selectors
import signal
import subprocess
import time
from typing import IO, Dict, Iterator, Sequence, Tuple

# Named so that Ansible puts the file into the payload; its source is what is used.
from . import probe as _probe
from .probe_report import TAIL_CHARACTERS, ProbeReport, parse

RESULT_LIMIT = 1 << 20  # bytes read from the result descriptor
GRACE_SECONDS = 1.0  # for what a dead probe's children may still hold open
POLL_SECONDS = 0.1


def probe_source() -> bytes:
    """The probe's source, from a directory or from Ansible's zip. OSError when it is missing."""
    source = pkgutil.get_data(_probe.__name__.rpartition(".")[0], "probe.py")
    if source is None:
        raise OSError("the probe's source is not part of the payload")
    return source


def run_probe(
    python: str,
    packages: Sequence[str],
    imports: Sequence[str],
    timeout_seconds: float,
    write_bytecode: bool = False,
    backend: str = "",
) -> ProbeReport:
    """Run the probe with the interpreter ``python`` for ``backend`` ('': what torch is made for).

    The caller's environment is passed on unchanged, so that what hides devices from programs
    hides them from the probe. ``write_bytecode`` lets Python keep what it compiles, in an
    environment that is torchnode's own: importing torch is twice as fast afterwards. Its process
    group is killed at the deadline. Raises nothing for whatever the interpreter does: that is in
    the report.
    """
    options = {
        "packages": list(packages),
        "imports": list(imports),
        "backend": backend,
        "deadline_seconds": int(timeout_seconds) + 10,
    }
    begin = time.monotonic()
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(
            # -B: verifying somebody's environment must not write byte code into it.
            [python, *([] if write_bytecode else ["-B"]), "-", str(write_end), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
            start_new_session=True,
            cwd="/",
        )
    except OSError as problem:
        os.close(read_end)
        return ProbeReport(start_error=str(problem), missing=not os.path.lexists(python))
    finally:
        os.close(write_end)
    with os.fdopen(read_end, "rb", buffering=0) as channel, _killed_with_us(process):
        texts, timed_out = _attend(process, channel, probe_source(), begin + timeout_seconds)
    told = parse(texts["result"].decode(errors="replace"))
    status = process.returncode
    return ProbeReport(
        sections=told.sections,
        errors=told.errors,
        unfinished=told.unfinished,
        complete=told.complete,
        exit_status=status if status is not None and status >= 0 else None,
        signal=-status if status is not None and status < 0 else None,
        timed_out=timed_out,
        seconds=round(time.monotonic() - begin, 2),
        stdout_tail=texts["stdout"].decode(errors="replace"),
        stderr_tail=texts["stderr"].decode(errors="replace"),
    )


@contextlib.contextmanager
def _killed_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Take the probe, which is in a group of its own, along when a signal ends this module."""
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, _leave)
        yield
    except BaseException:
        _end_group(process)
        raise
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _attend(
    process: subprocess.Popen[bytes], channel: IO[bytes], source: bytes, deadline: float
) -> Tuple[Dict[str, bytearray], bool]:
    """Feed the source, collect the streams, and end the process group: (texts, timed out)."""
    texts = {"result": bytearray(), "stdout": bytearray(), "stderr": bytearray()}
    # Leaving the process's own context would wait for it without end, hence one for each stream.
    with contextlib.ExitStack() as streams:
        selector = streams.enter_context(selectors.DefaultSelector())
        reading = {"result": channel, "stdout": process.stdout, "stderr": process.stderr}
        for name, stream in reading.items():
            if stream is not None:
                streams.enter_context(stream)
                selector.register(stream, selectors.EVENT_READ, name)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            streams.enter_context(process.stdin)
            selector.register(process.stdin, selectors.EVENT_WRITE, bytearray(source))
        timed_out = _serve(process, selector, texts, deadline)
    return texts, timed_out


def _serve(
    process: subprocess.Popen[bytes],
    selector: selectors.BaseSelector,
    texts: Dict[str, bytearray],
    deadline: float,
) -> bool:
    """Serve the streams until the process has ended and they are closed, or time is up."""
    end, ended = deadline, False
    timed_out = False
    while selector.get_map() or not ended:
        for key, _events in selector.select(POLL_SECONDS):
            open_still = _feed(key) if isinstance(key.data, bytearray) else _drain(key, texts)
            if not open_still:
                selector.unregister(key.fileobj)
        if not ended and process.poll() is not None:
            ended, end = True, min(deadline, time.monotonic()) + GRACE_SECONDS
        if not ended and _nobody_reads():
            end = 0.0
        if time.monotonic() < end:
            if not selector.get_map() and not ended:
                time.sleep(POLL_SECONDS)  # every stream closed by a process that lives on
            continue
        if ended:
            break
        timed_out, ended = True, True
        _end_group(process)
        end = time.monotonic() + GRACE_SECONDS
    _end_group(process)
    return timed_out


def _nobody_reads() -> bool:
    """Whether the reader of this module's own result is gone, as after Ctrl-C on the controller."""
    poll = select.poll()
    poll.register(1, 0)  # only errors and hang-ups
    return bool(poll.poll(0))


def _feed(key: selectors.SelectorKey) -> bool:
    """Write the next part of the source; False when all is written or nobody reads."""
    try:
        written = os.write(key.fd, key.data)
    except BlockingIOError:
        return True
    except OSError:
        written = len(key.data)
    del key.data[:written]
    if not key.data:
        key.fileobj.close()  # type: ignore[union-attr]  # registered as a file object
    return bool(key.data)


def _drain(key: selectors.SelectorKey, texts: Dict[str, bytearray]) -> bool:
    """Read what is there, bounded; False at the end of the stream."""
    try:
        block = os.read(key.fd, 65536)
    except OSError:
        return False
    text = texts[key.data]
    if key.data == "result":
        text += block[: RESULT_LIMIT - len(text)]
    else:
        text += block
        del text[:-TAIL_CHARACTERS]
    return bool(block)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the probe and everything it started, and collect its status."""
    # Nothing may be left of the group, or only what became another user's program.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process that is stuck in the kernel outlives the signal: the report says that time was up.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE_SECONDS)
