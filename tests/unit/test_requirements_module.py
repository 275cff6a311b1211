"""``torch_requirements`` through Ansible's own argument handling."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from verify_samples import facts, make_companions, make_torch, stack, tells

from ansible.module_utils.torchnode.model import InstalledStack, as_data
from ansible.module_utils.torchnode.outcome import Outcome, Result

FILE = Path(__file__).resolve().parents[2] / "library" / "torch_requirements.py"


@pytest.fixture
def run(capsys):
    """Run the module's main with these parameters: (exit status, its result)."""
    spec = importlib.util.spec_from_file_location("torch_requirements", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(**given):
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        return ended.value.code, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    make_torch(tmp_path)
    make_companions(tmp_path)
    return tmp_path


def test_a_sound_environment_passes(run, site):
    status, result = run(python=sys.executable)
    assert status == 0
    assert result["changed"] is False
    assert result["torchnode"]["stage"] == "verify"
    assert result["torchnode"]["probe"]["complete"]


def test_a_failure_fails_the_task_with_cause_and_remedy(run, site):
    status, result = run(python=sys.executable, workload="training")
    assert status == 1
    assert result["failed"]
    assert result["msg"].startswith("verify.accelerator_for_workload")
    assert "Use a node with a GPU" in result["msg"]
    assert result["torchnode"]["outcomes"]


def test_stack_and_facts_are_taken_as_the_stages_return_them(run, site):
    status, result = run(
        python=sys.executable, stack=as_data(stack("cuda")), facts=as_data(facts(1))
    )
    assert status == 1
    failed = [o["id"] for o in result["torchnode"]["outcomes"] if o["result"] == "fail"]
    assert "verify.backend_available" in failed
    assert "verify.wheel_tag" not in failed


def says(text):
    """Source that makes a stand-in torch raise ``text`` when CUDA is begun."""
    return "def begin():\n    raise RuntimeError(%r)\ncuda.init = begin" % text


NOT_YET = "Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized"
TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040)"
NOTHING = {"on_disk": None, "loaded": None, "userspace": None}
HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}
#: Why torch cannot use a GPU, by what a machine without one can be made to show: facts say what
#: survey found, a stand-in torch says what CUDA answers, the environment is real.
UNUSABLE = [
    ("no_device_on_bus", facts(0, **NOTHING), {}, {}),
    ("no_driver", facts(1, **NOTHING), {}, {}),
    ("nouveau_loaded", facts(1, blocking_modules=("nouveau",), **NOTHING), {}, {}),
    ("module_not_loaded", facts(1, loaded=None), {}, {}),
    ("driver_library_mismatch", facts(1, userspace="580.159.04"), {}, {}),
    ("fabric_manager", facts(1), {"late": says(NOT_YET)}, {}),
    ("driver_too_old", facts(1, wsl2=True), {"late": says(TOO_OLD)}, {}),
    ("cpu_only_wheel", facts(1), {"cuda": None}, {}),
    ("other_backend_wheel", facts(1), {"cuda": None, "hip": "6.4"}, {}),
    ("hidden_by_environment", facts(1, wsl2=True), {}, HIDDEN),
    ("device_nodes_missing", facts(1), {}, {}),
    ("container_without_devices", facts(0, container="docker", **NOTHING), {}, {}),
]


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="the machine's own GPU would speak")
@pytest.mark.parametrize(
    ("cause", "surveyed", "torch", "environment"), UNUSABLE, ids=[case[0] for case in UNUSABLE]
)
def test_an_unusable_gpu_is_explained(
    run, tmp_path, monkeypatch, cause, surveyed, torch, environment
):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    make_torch(tmp_path, **torch)
    make_companions(tmp_path)
    status, result = run(
        python=sys.executable, stack=as_data(stack("cuda")), facts=as_data(surveyed)
    )
    told = {o["id"]: o for o in result["torchnode"]["outcomes"]}["verify.backend_available"]
    assert (status, told["result"]) == (1, "fail")
    assert tells(Outcome(**{**told, "result": Result.FAIL}), cause), told["cause"]


@pytest.mark.parametrize(
    ("cause", "kernel", "check"),
    [
        ("no_kernel_image", "CUDA error: no kernel image is available", "verify.kernel.gpu0"),
        ("out_of_memory", "CUDA out of memory. Tried to allocate 20 MiB", "verify.kernel.gpu0"),
    ],
)
def test_a_kernel_that_fails_is_explained(run, tmp_path, monkeypatch, cause, kernel, check):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    make_torch(tmp_path, devices=1, kernel="raise RuntimeError(%r)" % kernel)
    make_companions(tmp_path)
    status, result = run(
        python=sys.executable, stack=as_data(stack("cuda")), facts=as_data(facts(1))
    )
    told = {o["id"]: o for o in result["torchnode"]["outcomes"]}[check]
    assert status == 1
    assert tells(Outcome(**{**told, "result": Result.FAIL}), cause), told["cause"]
    assert ("pid 4711" in told["cause"]) is (cause == "out_of_memory")


def test_check_mode_verifies_what_exists(run, site):
    status, result = run(python=sys.executable, _ansible_check_mode=True)
    assert status == 0
    assert len(result["torchnode"]["outcomes"]) > 10


def test_check_mode_before_apply_is_one_skipped_outcome(run):
    status, result = run(python="/nowhere/bin/python", _ansible_check_mode=True)
    (outcome,) = result["torchnode"]["outcomes"]
    assert (status, outcome["result"]) == (0, "skipped")
    assert "verified after apply" in outcome["cause"]


def test_an_interpreter_that_is_missing_fails_outside_check_mode(run):
    status, result = run(python="/nowhere/bin/python")
    assert status == 1
    assert result["msg"].startswith("verify.interpreter")


def test_no_stack_is_a_cause_of_its_own(run, tmp_path):
    """Nothing under the prefix; not where survey found a stack, nor where a link points nowhere."""
    prefix = str(tmp_path / "torchnode")
    python = prefix + "/current/bin/python"
    wanted = dataclasses.replace(stack("cpu"), prefix=prefix)
    found = InstalledStack(wanted.digest, prefix + "/stacks/1", python)
    bare, damaged = facts(0), dataclasses.replace(facts(0), stack=found)

    def told(surveyed, resolved=wanted):
        status, result = run(python=python, stack=as_data(resolved), facts=as_data(surveyed))
        assert status == 1
        outcome = next(
            o for o in result["torchnode"]["outcomes"] if o["id"] == "verify.interpreter"
        )
        assert outcome["result"] == "fail"
        return outcome

    outcome = told(bare)
    assert (outcome["observed"], outcome["expected"]) == ("no stack", "a stack under " + prefix)
    assert "No stack is installed under " + prefix in outcome["cause"]
    assert "playbooks/provision.yml" in outcome["remedy"]
    assert "probe got no answer" in told(damaged)["cause"]
    adopted = dataclasses.replace(wanted, adopted=True, python=python)
    assert "probe got no answer" in told(bare, adopted)["cause"]
    (tmp_path / "torchnode" / "current" / "bin").mkdir(parents=True)
    (tmp_path / "torchnode" / "current" / "bin" / "python").symlink_to("/nowhere/python3")
    assert "probe got no answer" in told(bare)["cause"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"profile": "transformers-v9"}, "profile: found 'transformers-v9'"),
        ({"workload": "mining"}, "workload: found 'mining'"),
        ({"requirements": {"torch": "~=2"}}, "requirements.torch"),
        ({"timeout": 0}, "timeout: found 0"),
        ({"stack": {"backend": "cuda"}}, "stack:"),
        ({"facts": {"system": "Linux"}}, "facts:"),
    ],
)
def test_bad_parameters_are_refused_by_name(run, given, says):
    status, result = run(python=sys.executable, **given)
    assert status == 1
    assert says in result["msg"]
    assert "torchnode" not in result
