"""The burn-in on a real torch: a clean run passes, each injected fault fails by name, none is left.

Needs an interpreter with torch: TORCHNODE_TEST_PYTHON=/path/to/venv/bin/python. On a machine where
`make site` has run, that is the stack's own: <prefix>/current/bin/python.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible.module_utils.torchnode.burn_in import judge, levels, plan, runner
from ansible.module_utils.torchnode.outcome import Result

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("TORCHNODE_TEST_PYTHON", "")

pytestmark = pytest.mark.skipif(
    not PYTHON,
    reason="no interpreter with torch: run `make site` once, then set "
    "TORCHNODE_TEST_PYTHON=<prefix>/current/bin/python",
)

#: The module as Ansible runs it, in a process of its own that can be signalled, also where these
#: tests were started in the background, with signals ignored.
RUN_MODULE = """
import json, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
import ansible.module_utils
from ansible.module_utils.testing import patch_module_args
ansible.module_utils.__path__.append(%r)
sys.path.insert(0, %r)
with patch_module_args(json.loads(sys.argv[1])):
    import burn_in
    burn_in.main()
""" % (str(ROOT / "module_utils"), str(ROOT / "library"))

#: Tells the processes of one test run from those of another on the same machine.
MARK = "TORCHNODE_TEST_RUN"

QUICK: dict[str, Any] = {
    "python": PYTHON,
    "backend": "cpu",
    "seconds": 2,
    "slack": 40,  # for a machine that has other work too
    "memory_bytes": 16 << 20,
}


STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def no_module_outlives_its_test() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def start(**parameters: Any) -> subprocess.Popen[bytes]:
    arguments = json.dumps({**QUICK, **parameters})
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_MODULE, arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, MARK: str(os.getpid())},
    )
    STARTED.append(process)
    return process


def finish(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, err = process.communicate(timeout=180)
    assert out, "the module printed nothing; its stderr: %s" % err.decode()
    result: dict[str, Any] = json.loads(out)
    return result


def burn(**parameters: Any) -> dict[str, Any]:
    result = finish(start(**parameters))
    assert children() == [], "the burn-in left processes behind"
    return result


def children() -> list[int]:
    """Workers and samplers that descend from this test process; others may test beside it."""
    found = []
    mark = ("%s=%d" % (MARK, os.getpid())).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                ours = mark in (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if ours and any(b"torchnode_child" in word for word in words):
                found.append(int(entry.name))
    return found


def worker() -> int:
    """The pid of the one worker."""
    (pid,) = [p for p in children() if b"\0worker\0" in Path("/proc/%d/cmdline" % p).read_bytes()]
    return pid


def outcomes(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {outcome["id"]: outcome for outcome in result["torchnode"]["outcomes"]}


def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen within %g s" % seconds
        time.sleep(0.05)


def stage(path: Path) -> Callable[[], bool]:
    """Whether the progress file says that products are being made."""
    return lambda: path.exists() and json.loads(path.read_text())["stage"] == "compute"


def test_clean_run_passes(tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    result = burn(progress=str(progress), seconds=3)
    seen = outcomes(result)
    assert not result.get("failed"), result["msg"]
    for check in ("worker", "compute", "memory"):
        assert seen["burn_in.%s.cpu" % check]["result"] == "pass"
    record = result["torchnode"]["burn_in"]
    assert record["torch"]
    assert record["devices"][0]["totals"]["products_checked"] > 0
    assert record["devices"][0]["samples"]
    assert len(json.dumps(result)) < 100_000
    assert list(tmp_path.iterdir()) == [], "a file was left"


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("flip:0", "compute", "1 wrong element"),
        ("flip:15", "compute", "1 wrong element"),
        ("flip:63", "compute", "1 wrong element"),
        ("nan", "compute", "0x7fc00000"),
        ("inf", "compute", "0x7f800000"),
        ("sticky:20", "compute", "read another product"),
        ("input:30", "compute", "wrong element"),
        ("corrupt-reference:31", "compute", "reference check"),
        ("late-flip:40", "compute", "1 wrong element"),
        ("pulse:9", "pulse", "1 wrong element"),
        ("copy:7", "bandwidth", "1 wrong element"),
        (
            "memory-cell:5",
            "memory",
            "byte offset 98760: expected 0x0000000000000000, read 0x0000000000000020",
        ),
        ("kill", "worker", "killed by SIGKILL"),
        ("hang", "worker", "hang: no end after"),
        ("exit", "worker", "exit status 7"),
        ("oom", "worker", "oom:"),
        ("garbage", "worker", "Segmentation fault (core dumped)"),
    ],
)
def test_injected_fault_fails_by_name(fault: str, check: str, words: str) -> None:
    # A hang is one by its deadline; all else has time to come to its end.
    slack = 6 if fault == "hang" else 40
    result = burn(inject="0:" + fault, precisions=["fp32"], slack=slack)
    outcome = outcomes(result)["burn_in.%s.cpu" % check]
    assert result["failed"]
    assert outcome["result"] == ("incomplete" if fault == "oom" else "fail"), outcome
    assert words in outcome["observed"]
    assert outcome["remedy"]
    assert "burn_in." in result["msg"]
    assert "cpu" in result["msg"]


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGKILL, "signal"), (signal.SIGSTOP, "hang")])
def test_worker_struck_from_outside(tmp_path: Path, number: signal.Signals, kind: str) -> None:
    progress = tmp_path / "progress.json"
    process = start(progress=str(progress), seconds=3, slack=2)
    until(stage(progress))
    os.kill(worker(), number)
    struck = time.monotonic()
    result = finish(process)
    assert time.monotonic() - struck < 3 + 2 + 5
    assert result["torchnode"]["burn_in"]["devices"][0]["ending"] == kind
    assert result["failed"]
    assert children() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_parent_told_to_stop_leaves_a_record(tmp_path: Path, number: signal.Signals) -> None:
    progress, kept = tmp_path / "progress.json", tmp_path / "burn_in.json"
    kept.write_text("of an earlier burn-in")
    process = start(progress=str(progress), record=str(kept), seconds=60)
    until(stage(progress))
    assert not kept.exists()
    process.send_signal(number)
    result = finish(process)
    assert result["failed"]
    assert json.loads(kept.read_text()) == result["torchnode"]
    assert number.name in result["torchnode"]["burn_in"]["interrupted"]
    assert outcomes(result)["burn_in.worker.cpu"]["result"] == "incomplete"
    assert children() == []
    assert list(tmp_path.iterdir()) == [kept], "a file was left"


@pytest.mark.parametrize("stopped", [False, True])
def test_killed_parent_takes_its_workers_with_it(tmp_path: Path, stopped: bool) -> None:
    """A stopped worker sees no closed pipe: only the kernel's parent-death signal ends it."""
    progress = tmp_path / "progress.json"
    process = start(progress=str(progress), seconds=60)
    until(stage(progress))
    if stopped:
        os.kill(worker(), signal.SIGSTOP)
    process.kill()
    until(lambda: children() == [], seconds=5)


def test_lost_connection_stops_the_burn(tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    process = start(progress=str(progress), seconds=60)
    until(stage(progress))
    assert process.stdout is not None
    process.stdout.close()
    until(lambda: children() == [] and process.poll() is not None, seconds=10)
    assert list(tmp_path.iterdir()) == [], "a file was left"


def test_a_python_without_torch_is_named() -> None:
    result = finish(start(python=sys.executable))
    worker_outcome = outcomes(result)["burn_in.worker.cpu"]
    assert worker_outcome["result"] == "fail"
    assert "No module named 'torch'" in worker_outcome["observed"]


def test_a_python_that_is_not_there_is_named() -> None:
    result = finish(start(python="/nonexistent/python"))
    assert "/nonexistent/python" in outcomes(result)["burn_in.worker.cpu"]["observed"]


def test_start_timeout_is_an_outcome(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 300\n")
    slow.chmod(0o755)
    began = time.monotonic()
    result = finish(start(python=str(slow), start_timeout=1))
    outcome = outcomes(result)["burn_in.worker.cpu"]
    assert outcome["result"] == "incomplete"
    assert "not ready after 1 s" in outcome["observed"]
    assert time.monotonic() - began < 15


def test_through_ansible_itself() -> None:
    """The real payload: the worker's source travels in the module's zip."""
    environment = {
        **os.environ,
        "ANSIBLE_LIBRARY": str(ROOT / "library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
    }
    arguments = json.dumps({**QUICK, "inject": "0:flip:7"})
    done = subprocess.run(
        [
            Path(sys.executable).parent / "ansible",
            "localhost",
            "-e",
            "ansible_python_interpreter=" + sys.executable,
            "-m",
            "burn_in",
            "-a",
            arguments,
        ],
        env=environment,
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert b"burn_in.compute.cpu" in done.stdout
    assert children() == []


def whole(**changes: Any) -> plan.Plan:
    """A plan for this machine, for what the module's options do not reach."""
    parameters = {**QUICK, "accelerators": [], "start_timeout": 120, "memory_fraction": 0.9}
    made = plan.make({**parameters, "level": "quick", "inject": None, "progress": None})
    return dataclasses.replace(made, **changes)


def test_one_of_several_is_named() -> None:
    """Two workers at once, a fault in the second: it is the only one that fails."""
    twins = tuple(plan.Device("cpu%d" % index, index, "") for index in range(2))
    seen = runner.run(whole(devices=twins, inject=(1, "inf")))
    results = {outcome.id: outcome.result for outcome in judge.judge(seen)}
    assert results["burn_in.compute.cpu0"] is Result.PASS
    assert results["burn_in.compute.cpu1"] is Result.FAIL
    assert children() == []


@pytest.mark.parametrize(("fault", "result"), [(None, Result.PASS), ((0, "flip:3"), Result.FAIL)])
def test_products_that_are_longer_than_wide(fault: tuple[int, str] | None, result: Result) -> None:
    """As they are on an accelerator; a CPU's are square."""
    worker = {**whole().worker, "sizes": {"": 512}, "inner": 2048, "integer_size": 256}
    seen = runner.run(whole(worker=worker, inject=fault))
    (compute,) = (o for o in judge.judge(seen) if o.id == "burn_in.compute.cpu")
    assert compute.result is result
    assert "512x2048x512 of random normals" in compute.observed or fault


def test_a_worker_that_falls_silent_ends_long_before_the_deadline() -> None:
    made = whole()
    limits = dataclasses.replace(made.limits, burn=600.0, silence=3.0)
    began = time.monotonic()
    seen = runner.run(dataclasses.replace(made, limits=limits, inject=(0, "hang")))
    ending = seen.devices[0].ending
    assert ending is not None
    assert ending.kind == "hang"
    assert ending.detail.startswith("no word for 3 s, last heard of in stage compute")
    assert time.monotonic() - began < 90
    assert children() == []


def test_links_can_be_burned_alone() -> None:
    """The workers have no turns; they end, and the links' process drives their devices."""
    twins = tuple(plan.Device("cpu%d" % index, index, "") for index in range(2))
    made = whole()
    alone = (levels.Turn("links", 1, 1.0),)
    limits = dataclasses.replace(made.limits, burn=0.0)
    worker = {**made.worker, "turns": []}
    seen = runner.run(whole(devices=twins, turns=alone, limits=limits, worker=worker))
    results = {outcome.id: outcome.result for outcome in judge.judge(seen)}
    assert results["burn_in.worker.cpu0"] is results["burn_in.worker.cpu1"] is Result.PASS
    assert results["burn_in.links"] is Result.PASS
    assert results["burn_in.compute.cpu0"] is Result.SKIPPED
    assert [result["name"] for result in seen.links.results] == ["host", "peers", "all_reduce"]
    assert children() == []
