"""The sampler as the process that it is, beside a management library that is made up."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from ansible.module_utils.torchnode.burn_in.process import Child

#: An NVML with one device that tells three things and nothing else.
LIBRARY = """
import time
class NVMLError(Exception): pass
class Bus: busId = "0000:19:00.0"
NVML_TEMPERATURE_GPU = 0
NVML_MEMORY_ERROR_TYPE_UNCORRECTED = NVML_VOLATILE_ECC = 0
def nvmlInit(): %s
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetUUID(handle): return "GPU-a"
def nvmlDeviceGetPciInfo(handle): return Bus
def nvmlSystemGetDriverVersion(): return "580"
def nvmlDeviceGetTemperature(handle, kind): return 60
def nvmlDeviceGetCurrentClocksEventReasons(handle): return 4
def nvmlDeviceGetTotalEccErrors(handle, kind, which): return 0
"""


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.kill()
        child.close()


def sampler(
    started: list[Child], folder: Path, nvml_init: str, backend: str = "cuda", **config: Any
) -> Child:
    if nvml_init:
        (folder / "pynvml.py").write_text(LIBRARY % nvml_init)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    told = {"backend": backend, "interval": 0.05, "devices": [], **config}
    child = Child(sys.executable, "sampler", told, environment)
    started.append(child)
    return child


def heard(child: Child, *kinds: str, seconds: float = 30.0) -> list[dict[str, Any]]:
    """Events until each of the kinds was among them, 'whole' for a log that was read to its end."""
    events: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while not set(kinds) <= {*(event["event"] for event in events), *(["whole"] * ended(events))}:
        assert time.monotonic() < end, events
        time.sleep(0.01)
        events += child.events()
    return events


def ended(events: list[dict[str, Any]]) -> bool:
    return any(event["event"] == "kernel_log" and event["whole"] for event in events)


def test_the_log_is_read_to_the_end_before_the_last_counters(
    started: list[Child], tmp_path: Path
) -> None:
    child = sampler(started, tmp_path, "pass")
    events = heard(child, "telemetry")
    assert events[-1]["devices"] == {"a": {"temperature": 60, "reasons": 4}}
    child.tell("stop")
    after = heard(child, "final")
    kinds = [event["event"] for event in after]
    assert ended(after[: kinds.index("final")])


def test_the_first_sample_does_not_wait_for_an_interval(
    started: list[Child], tmp_path: Path
) -> None:
    heard(sampler(started, tmp_path, "pass", interval=600.0), "telemetry")


def test_a_library_that_hangs_leaves_the_log_to_be_read(
    started: list[Child], tmp_path: Path
) -> None:
    child = sampler(started, tmp_path, "time.sleep(600)")
    heard(child, "kernel_log")
    child.tell("stop")
    heard(child, "whole")
    assert child.status() is None  # for the parent to kill


@pytest.mark.parametrize(
    ("nvml_init", "kind", "words"),
    [("", "library", "pynvml"), ("raise NVMLError('Driver Not Loaded')", "telemetry", "Driver")],
)
def test_a_library_that_is_missing_is_told_apart_from_one_that_fails(
    started: list[Child], tmp_path: Path, nvml_init: str, kind: str, words: str
) -> None:
    if not nvml_init:
        (tmp_path / "pynvml.py").write_text("raise ImportError('no pynvml')\n")
    child = sampler(started, tmp_path, nvml_init)
    told = heard(child, "fatal")[-1]
    assert told["kind"] == kind
    assert words in told["detail"]
    child.tell("stop")
    heard(child, "whole")


# ---- faults made on purpose --------------------------------------------------------------------


def struck(fault: str, **change: Any) -> list[dict[str, Any]]:
    """Two devices, the second struck; NVML shows only that one."""
    one = {"device": "cuda0", "uuid": "GPU-z", "bus": "0000:18:00.0", "inject": ""}
    return [one, {**one, "uuid": "GPU-a", "bus": "0000:19:00.0", "inject": fault, **change}]


@pytest.mark.parametrize("change", [{}, {"uuid": None}])
def test_a_fault_of_what_a_device_tells(
    started: list[Child], tmp_path: Path, change: dict[str, Any]
) -> None:
    for fault, reasons, errors in (("thermal", 0x44, 0), ("ecc", 4, 1), ("flip:7", 4, 0)):
        child = sampler(started, tmp_path, "pass", devices=struck(fault, **change))
        sample = heard(child, "telemetry")[-1]["devices"]["a"]
        child.tell("stop")
        final = heard(child, "final")[-1]["counters"]["a"]
        assert (sample["reasons"], final["ecc_uncorrected"]) == (reasons, errors)


def test_an_xid_that_was_made(started: list[Child], tmp_path: Path) -> None:
    child = sampler(started, tmp_path, "pass", devices=struck("xid"))
    heard(child, "telemetry")
    child.tell("stop")
    events = heard(child, "whole")
    (line,) = (line for e in events for line in e.get("lines", []) if "on purpose" in line)
    assert line.startswith("NVRM: Xid (PCI:0000:19:00.0): 79,")


def test_an_end_of_the_sampler_that_was_made(started: list[Child], tmp_path: Path) -> None:
    child = sampler(started, tmp_path, "pass", devices=struck("sampler-kill"))
    heard(child, "telemetry")
    assert child.process.wait(10) == -signal.SIGKILL
    child = sampler(started, tmp_path, "pass", devices=struck("sampler-hang"))
    heard(child, "telemetry")
    assert os.waitid(os.P_PID, child.process.pid, os.WSTOPPED) is not None
    child = sampler(started, tmp_path, "pass", devices=struck("library-hang"))
    heard(child, "kernel_log")
    child.tell("stop")
    heard(child, "whole")
    assert child.status() is None
