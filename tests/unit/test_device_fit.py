"""Accelerators that cannot do the workload are refused before anything is installed."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest
from helpers import B200, H200, LOCKS, V100, gpu, machine, policy

from ansible.module_utils.torchnode.data.profiles import WORKLOADS
from ansible.module_utils.torchnode.model import Accelerator, Facts
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.plan import plan, preflight
from ansible.module_utils.torchnode.policy import Conflict
from ansible.module_utils.torchnode.stack import resolve

R580 = "580.159.04"
GB = 10**9


def sized(*sizes: Optional[int], **changes: Any) -> Facts:
    """An NVIDIA machine with a GPU of each size, in bytes."""
    gpus = [gpu(H200, i, memory_bytes=size, **changes) for i, size in enumerate(sizes)]
    return machine(loaded=R580, accelerators=tuple(gpus))


def divided(*parts: Optional[tuple[str, ...]]) -> Facts:
    """An H200 for each of ``parts``: its MIG devices, None for a whole one."""
    gpus = [gpu(H200, i, mig=mig) for i, mig in enumerate(parts)]
    return machine(loaded=R580, accelerators=tuple(gpus))


def refused(facts: Facts, workload: str, **wishes: Any) -> Conflict:
    with pytest.raises(Conflict) as caught:
        resolve(facts, policy(workload=workload, **wishes), LOCKS)
    return caught.value


FITS = [
    ("llm-7b", sized(24 * GB)),
    ("llm-7b", sized(23 * GB)),  # an A10 shows a little less than its 24 GB
    ("llm-7b", sized(12 * GB, 12 * GB)),
    ("llm-70b", sized(8 * GB, 80 * GB)),
    ("llm-70b", sized(None)),
    ("llm-70b", sized(24 * GB, None)),
    ("llm-70b", machine(*[V100] * 8, loaded=R580)),
    ("llm-70b", machine(B200, loaded=R580)),
    ("llm-7b", divided(("3g.71gb", "1g.18gb"))),
    ("llm-70b", divided(("gi1/ci0",))),  # its size is not told
    ("llm-70b", divided(("1g.18gb",), None)),  # CUDA_VISIBLE_DEVICES may choose the whole one
    ("llm-7b", divided((), None)),
    ("inference", sized()),
]


@pytest.mark.parametrize(("workload", "facts"), FITS)
def test_what_fits_or_is_not_known_is_left_to_verify(workload: str, facts: Facts) -> None:
    wishes = {"torch_tag": "cu126"} if facts.accelerators[:1] == (gpu(V100),) else {}
    assert resolve(facts, policy(workload=workload, **wishes), LOCKS).workload == workload


TOO_SMALL = [
    ("llm-7b", sized(16 * GB), "16.0 GB on 1 device", "24 GB over the node", "training"),
    ("llm-70b", sized(24 * GB, 24 * GB), "48.0 GB on 2 devices", "80 GB over", "llm-7b"),
    ("llm-70b", sized(80 * GB, 4 * GB), "a device of 4.0 GB", "8 GB on each device", ""),
    ("training", sized(6 * GB, None), "a device of 6.0 GB", "8 GB on each device", ""),
    ("inference", sized(6 * GB), "a device of 6.0 GB", "8 GB on each device", "backend cpu"),
    # Two GPUs in two instances each: a process sees one instance, so sums do not count.
    ("llm-70b", divided(("2g.35gb", "2g.35gb"), ("2g.35gb",)), "37.6 GB", "80 GB", "llm-7b"),
    ("llm-7b", divided(("1g.18gb",) * 7), "19.3 GB on 1 MIG instance", "24 GB over", "training"),
]


@pytest.mark.parametrize(("workload", "facts", "found", "expected", "nearest"), TOO_SMALL)
def test_too_little_memory_is_refused(
    workload: str, facts: Facts, found: str, expected: str, nearest: str
) -> None:
    conflict = refused(facts, workload)
    assert conflict.argument == "torchnode_workload"
    assert found in conflict.found
    assert expected in conflict.expected
    assert nearest in conflict.nearest
    assert bool(nearest) == bool(conflict.nearest)
    assert "MIG instance" in conflict.remedy or facts.accelerators[0].mig is None
    assert conflict.cause == "The node's devices cannot hold this workload."


def test_the_nearest_workload_is_one_that_resolves() -> None:
    facts = sized(24 * GB)
    name = refused(facts, "llm-70b").nearest.split(" ", 1)[1]
    assert resolve(facts, policy(workload=name), LOCKS).workload == name


@pytest.mark.parametrize("backend", ["rocm", "xpu", "npu", "mps", "tpu"])
def test_memory_is_judged_on_every_backend(backend: str) -> None:
    device = Accelerator(backend, "vendor", 0, "Part", memory_bytes=16 * GB)
    conflict = refused(machine(accelerators=(device,)), "llm-7b")
    assert "16.0 GB" in conflict.found
    if backend == "mps":
        assert "distributed" not in conflict.nearest


def test_a_stack_for_the_cpu_asks_nothing_of_the_gpus() -> None:
    facts = sized(4 * GB, mig=())
    assert resolve(facts, policy(backend="cpu"), LOCKS).backend == "cpu"


def test_mig_without_any_instance_is_refused() -> None:
    conflict = refused(divided((), ()), "training")
    assert conflict.found == "MIG on at 2 of 2 GPUs, and no instance"
    assert "nvidia-smi mig -cgi <profile> -C" in conflict.remedy
    assert conflict.nearest == ""
    assert refused(divided(()), "inference").nearest == "backend cpu"
    assert WORKLOADS["training"].needs_accelerator


@pytest.mark.parametrize("converged", [False, True])
def test_a_gpu_without_instance_beside_others_is_a_warning(converged: bool) -> None:
    facts = divided((), None)
    stack = resolve(facts, policy(), LOCKS)
    steps = () if converged else plan(facts, stack)
    (outcome,) = [o for o in preflight(facts, stack, steps, False) if o.id == "preflight.mig"]
    assert outcome.result is Result.WARN
    assert facts.accelerators[0].bus
    assert facts.accelerators[0].bus in outcome.cause
    assert "1 of 2" in outcome.observed


def test_gpus_that_are_whole_or_hold_instances_are_no_warning() -> None:
    facts = divided(("3g.71gb",), None)
    stack = resolve(facts, policy(), LOCKS)
    assert not [o for o in preflight(facts, stack, (), False) if o.id == "preflight.mig"]
    cpu = dataclasses.replace(stack, backend="cpu")
    assert not preflight(divided((), None), cpu, (), False)
