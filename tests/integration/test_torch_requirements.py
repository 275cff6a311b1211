"""``torch_requirements`` in a real Ansible run, against a real torch where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TORCH_PYTHON = os.environ.get("TORCHNODE_TEST_PYTHON", "")

needs_torch = pytest.mark.skipif(
    not TORCH_PYTHON,
    reason="set TORCHNODE_TEST_PYTHON to a Python that has torch, transformers and accelerate: "
    "`uv venv V && uv pip install --python V/bin/python torch transformers accelerate`",
)


def ansible(*, check=False, environment=None, **given):
    """Run the module on this machine: (exit status, its result)."""
    command = Path(sys.executable).with_name("ansible")
    program = str(command) if command.exists() else shutil.which("ansible")
    assert program, "ansible is not installed beside %s" % sys.executable
    argv = [program, "localhost", "-m", "torch_requirements", "-a", json.dumps(given)]
    argv += ["-e", "ansible_python_interpreter=" + sys.executable] + (["--check"] if check else [])
    settings = {
        "ANSIBLE_LIBRARY": str(ROOT / "library"),
        "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    done = subprocess.run(
        argv,
        env={**os.environ, **settings, **(environment or {})},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    _head, _arrow, text = done.stdout.partition(" => ")
    assert text, done.stdout + done.stderr
    return done.returncode, json.loads(text)


def outcomes(result):
    return {o["id"].partition(".")[2]: o for o in result["torchnode"]["outcomes"]}


def test_the_probe_travels_in_ansibles_payload(tmp_path):
    """An interpreter without torch: the probe itself has to arrive and run."""
    status, result = ansible(python=sys.executable, environment={"PYTHONPATH": str(tmp_path)})
    assert status != 0
    assert result["torchnode"]["probe"]["complete"], result
    assert outcomes(result)["torch_import"]["result"] == "fail"


def test_check_mode_before_apply():
    status, result = ansible(python="/nowhere/bin/python", check=True)
    assert status == 0
    assert outcomes(result)["environment"]["result"] == "skipped"


@needs_torch
def test_a_real_torch_serves_inference():
    status, result = ansible(python=TORCH_PYTHON)
    assert status == 0, result["msg"]
    assert not result["changed"]
    assert outcomes(result)["kernel.cpu"]["result"] == "pass"


@needs_torch
def test_a_requirement_that_torch_is_too_old_for():
    status, result = ansible(python=TORCH_PYTHON, requirements={"torch": ">=99.0"})
    assert status != 0
    found = outcomes(result)["torch_version"]
    assert found["result"] == "fail"
    assert "is older than 99.0" in found["cause"]


@needs_torch
@pytest.mark.parametrize("workload", ["training", "llm-7b"])
def test_work_that_needs_a_gpu_with_every_gpu_hidden(workload):
    status, result = ansible(
        python=TORCH_PYTHON, workload=workload, environment={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert status != 0
    assert outcomes(result)["accelerator_for_workload"]["result"] == "fail"
