"""Parameters in, a plan out: what is refused, and how, and what a worker is told."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from helpers import ROOT

from ansible.module_utils.torchnode.burn_in import levels, plan, progress
from ansible.module_utils.torchnode.burn_in.child import faults, payload, precisions

GPU = {
    "backend": "cuda",
    "index": 0,
    "model": "NVIDIA H200",
    "uuid": "GPU-AB",
    "bus": "0000:19:00.0",
}

VALID: dict[str, Any] = {
    "python": "/v/bin/python",
    "backend": "cuda",
    "accelerators": [GPU, {**GPU, "index": 1, "uuid": "GPU-CD"}],
    "level": "quick",
    "seconds": 20,
    "stages": [],
    "start_timeout": 120,
    "slack": 30,
    "memory_fraction": 0.9,
    "memory_bytes": 0,
    "progress": None,
    "inject": None,
}


@pytest.mark.parametrize(
    ("change", "argument", "found"),
    [
        ({"python": "python3"}, "python", "'python3'"),
        ({"backend": "tpu"}, "backend", "'tpu'"),
        ({"accelerators": []}, "accelerators", "0 entries"),
        ({"accelerators": [{**GPU, "backend": "rocm"}]}, "accelerators", "1 entries"),
        ({"accelerators": [{"backend": "cuda"}]}, "accelerators", "{'backend': 'cuda'}"),
        ({"accelerators": [GPU, GPU]}, "accelerators", "[0, 0]"),
        ({"seconds": -1}, "seconds", "-1"),
        ({"level": "slow"}, "level", "'slow'"),
        ({"stages": ["memory", "gpu"]}, "stages", "'gpu'"),
        ({"stages": ["links"], "accelerators": [GPU]}, "stages", "['links']"),
        ({"precisions": ["fp7"]}, "precisions", "'fp7'"),
        ({"distribution": "zeros"}, "distribution", "'zeros'"),
        ({"slack": -1}, "slack", "-1"),
        ({"start_timeout": 0}, "start_timeout", "0"),
        ({"memory_fraction": 1.0}, "memory_fraction", "1.0"),
        ({"memory_bytes": -5}, "memory_bytes", "-5"),
        ({"progress": "here.json"}, "progress", "'here.json'"),
        ({"inject": "nan"}, "inject", "'nan'"),
        ({"inject": "7:nan"}, "inject", "'7:nan'"),
        ({"inject": "0:magic"}, "inject", "'0:magic'"),
        ({"inject": "0:flip:64"}, "inject", "'0:flip:64'"),
    ],
)
def test_bad_parameter_is_named(change: dict[str, Any], argument: str, found: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        plan.make({**VALID, **change})
    assert str(caught.value).startswith("%s: found " % argument)
    assert found in str(caught.value)


def test_each_device_has_its_name_and_only_the_struck_one_its_fault() -> None:
    made = plan.make({**VALID, "inject": "1:sticky:63"})
    assert [device.name for device in made.devices] == ["cuda0", "cuda1"]
    configs = [made.worker_config(device) for device in made.devices]
    assert [config["inject"] for config in configs] == ["", "sticky:63"]
    assert configs[0]["wanted"]["uuid"] == "GPU-AB"


def test_time_is_shared_out_within_the_limits() -> None:
    made = plan.make(VALID)
    own = sum(seconds for _, _, seconds in made.worker["turns"])
    assert own == pytest.approx(made.limits.burn)
    assert own + made.links_seconds == pytest.approx(20)
    assert made.limits.burn + made.worker["grace"] < made.limits.after_go == made.limits.burn + 30


@pytest.mark.parametrize("level", sorted(levels.LEVELS))
def test_a_level_has_every_stage_and_its_own_time(level: str) -> None:
    made = plan.make({**VALID, "level": level, "seconds": 0})
    assert set(made.stages) == set(levels.STAGES) == set(levels.LEVELS[level].shares)
    assert sum(turn.seconds for turn in made.turns) == pytest.approx(levels.LEVELS[level].seconds)
    assert sum(levels.LEVELS[level].shares.values()) == pytest.approx(1)
    assert made.turns[-1].name == "links"


def test_hours_are_cut_into_rounds_of_all_stages() -> None:
    made = plan.make({**VALID, "level": "soak", "seconds": 0})
    own = [turn for turn in made.turns if turn.name != "links"]
    assert max(turn.round for turn in own) == 11
    assert [turn.name for turn in own[:4]] == ["compute", "pulse", "bandwidth", "memory"]
    assert sum(turn.seconds for turn in own if turn.round == 2) <= 1.1 * 1200


def test_one_device_has_no_links_and_one_stage_all_the_time() -> None:
    assert "links" not in plan.make({**VALID, "accelerators": [GPU]}).stages
    made = plan.make({**VALID, "stages": ["memory"]})
    assert [(turn.name, turn.seconds) for turn in made.turns] == [("memory", 20.0)]


@pytest.mark.parametrize("stage", levels.STAGES)
def test_every_stage_can_be_chosen_alone(stage: str) -> None:
    """The workers of links alone have no turns: they count the devices and end."""
    made = plan.make({**VALID, "stages": [stage]})
    assert [(turn.name, turn.seconds) for turn in made.turns] == [(stage, 20.0)]
    assert (made.stages, made.interval) == ((stage,), 1.0)
    together = stage == "links"
    assert (made.links_seconds, made.limits.burn) == ((20.0, 0.0) if together else (0.0, 20.0))
    assert len(made.worker["turns"]) == (0 if together else 1)


@pytest.mark.parametrize(("given", "cap"), [(0, 256 << 20), (1 << 20, 1 << 20)])
def test_cpu_memory_is_bounded(given: int, cap: int) -> None:
    made = plan.make({**VALID, "backend": "cpu", "accelerators": [], "memory_bytes": given})
    assert made.worker["memory_bytes"] == cap
    assert [device.name for device in made.devices] == ["cpu"]


@pytest.mark.parametrize("backend", sorted(plan.BACKENDS))
def test_exact_integers_stay_exact(backend: str) -> None:
    """|sum| <= bound^2 * K must stay below 2^24, or fp32 accumulation would round."""
    size = plan.BACKENDS[backend]["integer_size"]
    for name, precision in precisions.PRECISIONS.items():
        kept = 14 if name in ("fp8", "fp4") else 24
        assert precision.bound**2 * size < 1 << kept


def test_sources_fit_into_the_pipe_that_carries_them() -> None:
    assert len(payload()) < 200 * 1024


def test_a_source_travels_behind_those_that_it_imports() -> None:
    """The child executes them one after the other: what is not there yet cannot be imported."""
    sent: set[str] = set()
    for name, source in json.loads(payload()):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                wanted = {node.module} if node.module else {alias.name for alias in node.names}
                assert wanted <= sent, "%s comes before %s" % (name, wanted - sent)
        sent.add(name)


def test_progress_needs_a_folder(tmp_path: Any) -> None:
    progress.check(None)
    progress.check(str(tmp_path / "p.json"))
    with pytest.raises(ValueError, match="progress: found"):
        progress.check(str(tmp_path / "missing" / "p.json"))


@pytest.mark.parametrize("kind", faults.KINDS)
def test_every_fault_is_documented(kind: str) -> None:
    assert faults.__doc__ is not None
    assert kind in faults.__doc__
    assert faults.parse(kind + ":5") == (kind, 5)


def test_the_page_names_every_level_and_stage_with_its_time() -> None:
    page = (ROOT / "docs" / "burn-in.md").read_text(encoding="utf-8")
    for name in (*levels.LEVELS, *levels.STAGES):
        assert "| `%s` |" % name in page
    words = {"quick": "36 s", "standard": "8 minutes", "soak": "4 hours"}
    seconds = {"36 s": 36, "8 minutes": 480, "4 hours": 14400}
    for name, level in levels.LEVELS.items():
        assert "| `%s` | %s" % (name, words[name]) in page
        assert seconds[words[name]] == level.seconds
