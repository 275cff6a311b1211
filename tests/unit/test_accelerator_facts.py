"""The module `accelerator_facts` behind Ansible's own argument handling."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from helpers import ROOT, FixtureNode

from ansible.module_utils.torchnode.model import Facts, from_data


@pytest.fixture
def module() -> ModuleType:
    path = ROOT / "library" / "accelerator_facts.py"
    spec = importlib.util.spec_from_file_location("accelerator_facts", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def run(
    module: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Run it on a captured machine: (exit status, its result)."""

    def run(machine: str = "nvidia/h200-x2", **given: Any) -> tuple[Any, dict[str, Any]]:
        node = FixtureNode(tmp_path / "machine", machine)
        monkeypatch.setattr(module, "Node", lambda: node)
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        return ended.value.code, json.loads(capsys.readouterr().out)

    return run


def test_the_result_is_the_protocols(run: Any) -> None:
    code, result = run()
    assert (code, result["changed"]) == (0, False)
    assert result["msg"] == "NVIDIA H200, NVIDIA H200"
    told = result["torchnode"]
    assert told["stage"] == "survey"
    assert [outcome["id"] for outcome in told["outcomes"]] == ["survey.facts"]
    facts = from_data(Facts, told["facts"])
    assert len(facts.accelerators) == 2
    assert facts.prefix == "/opt/torchnode"


def test_check_mode_and_options(run: Any) -> None:
    code, result = run("cpu/debian12-vm", _ansible_check_mode=True, prefix="/srv/torchnode")
    assert (code, result["msg"]) == (0, "no accelerator")
    assert result["torchnode"]["facts"]["prefix"] == "/srv/torchnode"


@pytest.mark.parametrize("given", [{"prefiks": "/x"}, {"check_hashes": "perhaps"}])
def test_wrong_arguments_are_refused(run: Any, given: dict[str, Any]) -> None:
    code, result = run(**given)
    assert code == 1
    assert result["failed"]
    assert next(iter(given)) in result["msg"]
