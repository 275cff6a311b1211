"""Parameters in, a plan out: what is refused, and how, and what a worker is told."""

from __future__ import annotations

from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in import plan, progress
from ansible.module_utils.torchnode.burn_in.child import faults, payload

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
    "seconds": 20,
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
        ({"seconds": 0}, "seconds", "0"),
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
    worker = made.worker
    assert worker["compute_seconds"] + worker["memory_seconds"] == made.limits.burn == 20
    assert worker["compute_seconds"] + worker["memory_limit"] < made.limits.after_go == 50


@pytest.mark.parametrize(("given", "cap"), [(0, 256 << 20), (1 << 20, 1 << 20)])
def test_cpu_memory_is_bounded(given: int, cap: int) -> None:
    made = plan.make({**VALID, "backend": "cpu", "accelerators": [], "memory_bytes": given})
    assert made.worker["memory_bytes"] == cap
    assert [device.name for device in made.devices] == ["cpu"]


@pytest.mark.parametrize("backend", sorted(plan.BACKENDS))
def test_exact_integers_stay_exact(backend: str) -> None:
    """|sum| <= 8 * 8 * K must stay below 2^24, or fp32 accumulation would round."""
    assert 8 * 8 * plan.BACKENDS[backend]["size"] < 1 << 24


def test_sources_fit_into_the_pipe_that_carries_them() -> None:
    assert len(payload()) < 200 * 1024


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
