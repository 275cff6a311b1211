"""The probe and its runner against torches that misbehave: always an answer, in bounded time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from verify_samples import facts, make_companions, make_metadata, make_torch

from ansible.module_utils.torchnode import requirements
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.probe_report import ProbeReport, parse, signal_name
from ansible.module_utils.torchnode.probe_runner import probe_source, run_probe


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on PYTHONPATH to put packages into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for name in ("CUDA_VISIBLE_DEVICES", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def verify(timeout=20, workload="inference", surveyed=None, minima=None):
    """(outcomes by check, report) of this Python with what is on PYTHONPATH."""
    chosen, work = requirements.choose("transformers-v5", workload)
    subject = requirements.Subject(
        chosen, work, ProbeReport(), facts=surveyed, minima=minima or {}, python=sys.executable
    )
    report = run_probe(
        sys.executable,
        requirements.packages(work),
        requirements.imports(work),
        timeout,
        backend=subject.wanted,
    )
    subject = subject.seen(report)
    outcomes = {o.id.partition(".")[2]: o for o in requirements.judge(subject)}
    return outcomes, report


def test_a_sound_fake_passes(site):
    make_torch(site)
    make_companions(site)
    outcomes, report = verify()
    bad = {n: o for n, o in outcomes.items() if o.required and o.result is not Result.PASS}
    assert not bad, report
    assert report.complete
    assert not list(site.rglob("__pycache__")), "the probe wrote byte code"


def test_a_fake_gpu_passes_its_kernel(site):
    make_torch(site, devices=2)
    make_companions(site)
    outcomes, _report = verify(surveyed=facts(2))
    for check in ("kernel.gpu0", "kernel.gpu1", "architecture.gpu0", "backend_available"):
        assert outcomes[check].result is Result.PASS, outcomes[check]


HOSTILE = [
    # what the torch does, check, result, what the outcome says
    ("import os; os.abort()", "torch_import", "fail", "SIGABRT"),
    ("import os; os._exit(0)", "torch_import", "fail", "exited with status 0"),
    ("import sys; sys.exit(0)", "torch_import", "fail", "SystemExit"),
    ("raise OSError('libcudart.so.13: not found')", "torch_import", "fail", "libcudart"),
    ("import os, signal; os.kill(0, signal.SIGKILL)", "torch_import", "fail", "SIGKILL"),
]


@pytest.mark.parametrize(("does", "check", "result", "says"), HOSTILE)
def test_a_torch_that_ends_the_process(site, does, check, result, says):
    make_torch(site, early=does)
    make_companions(site)
    outcomes, report = verify()
    assert outcomes[check].result == result
    assert says in outcomes[check].cause, report
    # What was known before stays known, what comes after is not called good.
    assert outcomes["torch_version"].result is Result.PASS
    assert outcomes["kernel.cpu"].result is Result.INCOMPLETE


@pytest.mark.parametrize(
    "does",
    [
        "import time; time.sleep(600)",
        "import os, time; os.closerange(0, 3); time.sleep(600)",
        "import signal, time; signal.pthread_sigmask(0, {15, 2, 14}); time.sleep(600)",
        "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)",
    ],
)
def test_a_torch_that_hangs(site, does):
    make_torch(site, early=does)
    begin = time.monotonic()
    outcomes, report = verify(timeout=2)
    assert time.monotonic() - begin < 8
    assert report.timed_out
    assert report.unfinished == "torch_import"
    assert outcomes["torch_import"].result is Result.INCOMPLETE
    assert "had not ended after 2 s while in torch_import" in outcomes["torch_import"].cause


def test_nothing_is_left_running_behind_a_probe(site, tmp_path):
    note = tmp_path / "pid"
    child = "import subprocess; open(%r, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    make_torch(site, early=child % str(note))
    make_companions(site)
    begin = time.monotonic()
    _outcomes, report = verify()
    assert report.complete
    assert time.monotonic() - begin < 10
    assert gone(int(note.read_text()), within_seconds=5)


def gone(pid, within_seconds):
    """Whether the process ends in time; the kill that was sent to it takes its moment."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            state = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_garbage_on_every_descriptor_is_survived(site):
    garbage = (
        "import os\n"
        "for fd in range(1, 64):\n"
        "    try:\n"
        "        os.write(fd, b'{\"section\": 7}\\n\\xff{]\\n' * 3000)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    make_torch(site, early="exec(%r)" % garbage)
    make_companions(site)
    outcomes, report = verify()
    assert outcomes["torch_import"].result is Result.PASS
    assert report.complete
    assert len(report.stdout_tail) <= 2000


def test_a_torch_that_closes_the_channel_is_no_pass(site):
    make_torch(site, early="import os; os.closerange(3, 256)")
    make_companions(site)
    outcomes, report = verify()
    assert outcomes["torch_import"].result is Result.FAIL, report
    assert outcomes["kernel.cpu"].result is Result.INCOMPLETE


VERSIONS = [
    ({"version": "2.3.1"}, "torch_version", "fail"),
    ({"version": "2.4.0a0"}, "torch_version", "pass"),
    ({"version": "2.11.0+cu130", "metadata": "2.9.1"}, "metadata_agrees", "fail"),
    ({"version": "2.11.0+cu130"}, "metadata_agrees", "pass"),
]


@pytest.mark.parametrize(("torch", "check", "result"), VERSIONS)
def test_versions(site, torch, check, result):
    make_torch(site, **torch)
    make_companions(site)
    outcomes, _report = verify()
    assert outcomes[check].result == result


def test_a_cpu_only_wheel_on_a_gpu_node(site):
    make_torch(site, version="2.11.0+cpu", cuda=None)
    make_companions(site)
    outcomes, _report = verify(surveyed=facts(), workload="training")
    assert outcomes["backend_available"].cause.startswith("The installed torch (2.11.0+cpu) is")
    assert outcomes["accelerator_for_workload"].result is Result.FAIL


def test_an_architecture_list_without_the_device(site):
    make_torch(site, devices=1, arch="sm_70 sm_100")
    outcomes, _report = verify(surveyed=facts())
    assert outcomes["architecture.gpu0"].result is Result.FAIL
    assert "sm_90" in outcomes["architecture.gpu0"].cause


def test_a_kernel_that_raises(site):
    text = "CUDA error: no kernel image is available for execution on the device"
    make_torch(site, devices=1, kernel="raise RuntimeError(%r)" % text)
    outcomes, _report = verify(surveyed=facts())
    assert outcomes["kernel.gpu0"].result is Result.FAIL
    assert outcomes["kernel.gpu0"].cause.startswith("This torch holds no code for the device")


def test_a_kernel_that_kills_the_process(site):
    make_torch(site, devices=1, kernel="import os; os.abort()")
    outcomes, _report = verify(surveyed=facts())
    assert outcomes["kernel.gpu0"].result is Result.FAIL
    assert outcomes["kernel.cpu"].result is Result.PASS


def test_a_kernel_that_computes_wrongly(site):
    make_torch(site, devices=1, kernel="rows = [[v + 1 for v in row] for row in rows]")
    outcomes, _report = verify(surveyed=facts())
    assert outcomes["kernel.gpu0"].result is Result.FAIL
    assert "computes wrongly" in outcomes["kernel.gpu0"].cause


def test_accelerate_missing(site):
    make_torch(site)
    make_companions(site, "transformers")
    outcomes, _report = verify()
    assert outcomes["accelerate"].result is Result.FAIL
    assert outcomes["transformers"].result is Result.PASS


def test_a_broken_package_is_named(site):
    make_torch(site)
    make_companions(site)
    (site / "accelerate" / "__init__.py").write_text("import no_such_dependency\n")
    outcomes, _report = verify()
    assert outcomes["accelerate"].result is Result.FAIL
    assert "no_such_dependency" in outcomes["accelerate"].cause


def test_two_torches(site, tmp_path, monkeypatch):
    make_torch(site)
    make_torch(tmp_path / "second", version="2.9.1")
    make_companions(site)
    monkeypatch.setenv("PYTHONPATH", "%s:%s" % (site, tmp_path / "second"))
    outcomes, _report = verify()
    assert outcomes["single_torch"].result is Result.FAIL
    assert str(tmp_path / "second") in outcomes["single_torch"].observed


def test_one_torch_by_two_ways_is_one(site, tmp_path, monkeypatch):
    make_torch(site)
    (tmp_path / "link").symlink_to(site)
    monkeypatch.setenv("PYTHONPATH", "%s:%s" % (site, tmp_path / "link" / "nothing"))
    assert verify()[0]["single_torch"].result is Result.PASS


def test_no_torch_at_all(site):
    make_metadata(site, "unrelated", "1.0")
    outcomes, _report = verify()
    assert outcomes["torch_import"].result is Result.FAIL
    assert outcomes["torch_import"].cause == "torch is not installed for this interpreter."


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_that_is_none(tmp_path):
    chosen, work = requirements.choose("transformers-v5", "inference")
    for python in (
        script(tmp_path / "silent", "#!/bin/sh\nexit 0\n"),
        script(tmp_path / "loud", "#!/bin/sh\necho python: broken >&2\nexit 127\n"),
        str(tmp_path / "absent"),
        str(tmp_path),
    ):
        report = run_probe(python, ("torch",), (), 5)
        outcomes = requirements.judge(requirements.Subject(chosen, work, report, python=python))
        assert outcomes[0].result is Result.FAIL, python
        assert not [o for o in outcomes if o.result is Result.PASS], python


def test_the_callers_environment_reaches_the_probe(site, monkeypatch):
    make_torch(site)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("A_SECRET", "do-not-report")
    _outcomes, report = verify()
    variables = report.sections["environment"]["variables"]
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    assert "do-not-report" not in repr(report)


def test_no_descriptor_is_leaked(site):
    make_torch(site)
    before = len(os.listdir("/proc/self/fd"))
    verify()
    assert len(os.listdir("/proc/self/fd")) == before


def test_half_a_line_is_passed_over():
    told = parse('{"section": "a", "started": true}\n{"section": "a", "data": {"x": 1}}\n{"sec')
    assert told.sections == {"a": {"x": 1}}
    assert told.unfinished is None
    assert not told.complete


def test_endings_are_clauses():
    assert ProbeReport(exit_status=3, unfinished="cuda").ending().endswith("status 3 while in cuda")
    assert signal_name(6) == "SIGABRT"
    assert signal_name(99) == "signal 99"


def test_the_source_is_the_probe():
    assert b"def run_kernel" in probe_source()


def test_a_flood_on_stdout_is_survived(site):
    flood = "import os; [os.write(1, b'x' * 65536) for _ in range(400)]"
    make_torch(site, early=flood)
    make_companions(site)
    outcomes, report = verify()
    assert report.complete
    assert len(report.stdout_tail) <= 2000
    assert outcomes["torch_import"].result is Result.PASS


def test_a_child_that_holds_the_streams_does_not_hold_the_verdict(site, tmp_path):
    """A daemonised child keeps stdout, stderr and every descriptor that it was given."""
    child = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    time.sleep(15)\n"
        "    os._exit(0)\n"
    )
    make_torch(site, early="exec(%r)" % child)
    make_companions(site)
    begin = time.monotonic()
    outcomes, report = verify()
    assert time.monotonic() - begin < 12
    assert report.complete
    assert outcomes["kernel.cpu"].result is Result.PASS


def test_version_metadata_that_is_no_version(site):
    make_torch(site, version="unknown", metadata="2.9.1")
    make_companions(site)
    outcomes, _report = verify()
    assert outcomes["torch_version"].result is Result.FAIL
    assert outcomes["metadata_agrees"].result is Result.FAIL


@pytest.mark.parametrize(
    ("late", "cause"),
    [
        ("cuda.is_available = staticmethod(lambda: 1 / 0)", "ZeroDivisionError"),
        ("cuda.is_available = staticmethod(lambda: __import__('os').abort())", "SIGABRT"),
    ],
)
def test_a_torch_that_breaks_when_it_is_asked_for_its_devices(site, late, cause):
    make_torch(site, late=late)
    make_companions(site)
    outcomes, _report = verify(surveyed=facts(), workload="training")
    assert outcomes["backend_available"].result in (Result.FAIL, Result.INCOMPLETE)
    assert cause in outcomes["backend_available"].cause + outcomes["backend_available"].observed
    assert outcomes["accelerator_for_workload"].result is not Result.PASS


def test_out_of_memory_is_named(site):
    make_torch(site, devices=1, kernel="raise RuntimeError('CUDA out of memory. Tried to')")
    make_companions(site)
    outcome = verify(surveyed=facts())[0]["kernel.gpu0"]
    assert outcome.result is Result.FAIL
    assert "pid 4711 (python of alice)" in outcome.cause


def test_a_foreign_cudnn_is_seen(site, tmp_path, monkeypatch):
    (tmp_path / "libcudnn.so.8").write_text("")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    make_torch(site, devices=1)
    make_companions(site)
    outcome = verify(surveyed=facts())[0]["cudnn"]
    assert outcome.result is Result.WARN
    assert str(tmp_path) in outcome.cause
