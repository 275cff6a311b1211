"""``torch_requirements`` through Ansible's own argument handling."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from verify_samples import facts, make_companions, make_torch, stack

from ansible.module_utils.torchnode.model import as_data

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
