"""Whether a node's accelerators can do the workload, as far as the survey knows. Pure.

What is refused here would fail at verify, after gigabytes were installed. What the survey could
not read is left to verify.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from .causes import explain
from .data.profiles import GIGABYTE, WORKLOADS, Workload, reaches
from .model import Accelerator, Facts
from .outcome import Outcome, Result
from .policy import Conflict

#: In '3g.20gb', '1c.3g.20gb', '1g.10gb+me'. Source: sources.MIG_DEVICE_NAMES.
_MIG_MEMORY = re.compile(r"(\d+)gb\b")


def check_instances(facts: Facts, backend: str, workload: Workload) -> None:
    """Raises Conflict where MIG is on everywhere and no GPU has an instance: CUDA sees nothing."""
    gpus = _devices(facts, backend)
    if not gpus or any(gpu.mig != () for gpu in gpus):
        return
    cause, remedy = explain("mig_without_instance")
    raise Conflict(
        "accelerators", "MIG on at %d of %d GPUs, and no instance" % (len(gpus), len(gpus)),
        "an instance, or MIG off", remedy, _cpu(workload), cause,
    )  # fmt: skip


def instance_outcomes(facts: Facts, backend: str) -> List[Outcome]:
    """A warning where some GPUs are divided without an instance; where all are, it is refused."""
    gpus = _devices(facts, backend)
    empty = [gpu for gpu in gpus if gpu.mig == ()]
    if not empty:
        return []
    where = ", ".join(gpu.bus or "GPU %d" % gpu.index for gpu in empty)
    return [Outcome(
        "preflight.mig", "resolve", Result.WARN,
        observed="MIG on at %d of %d GPUs, and no instance" % (len(empty), len(gpus)),
        expected="an instance on each divided GPU",
        cause="MIG is on and no instance is made on %s: nothing can use these GPUs." % where,
        remedy=explain("mig_without_instance")[1],
    )]  # fmt: skip


def check_memory(facts: Facts, backend: str, workload: Workload) -> None:
    """Raises Conflict for devices that cannot hold the workload, one by one or all together."""
    devices = _devices(facts, backend)
    too_small = _shortfall(devices, workload)
    if not too_small:
        return
    found, expected = too_small
    raise Conflict(
        "torchnode_workload", "'%s' with %s" % (workload.name, found), expected,
        "Use devices with more memory%s, or choose a smaller workload with torchnode_workload."
        % (" or a larger MIG instance" if any(d.mig for d in devices) else ""),
        _nearest(devices, workload), cause="The node's devices cannot hold this workload.",
    )  # fmt: skip


def _devices(facts: Facts, backend: str) -> List[Accelerator]:
    return [a for a in facts.accelerators if a.backend == backend and backend != "cpu"]


def _shortfall(devices: Sequence[Accelerator], workload: Workload) -> Optional[Tuple[str, str]]:
    """(found, expected) where the workload does not fit, None where it does or is not known.

    The rules of requirements.devices: each device holds at least a shard, one or all the whole.
    """
    sizes = _sizes(devices)
    known = [size for size in sizes if size is not None]
    small = [size for size in known if not reaches(size, workload.device_memory_gb)]
    if small:
        least = "at least %d GB on each device" % workload.device_memory_gb
        return "a device of %s" % _spoken(min(small)), least
    if not sizes or len(known) < len(sizes) or reaches(sum(known), workload.memory_gb):
        return None
    noun = "MIG instance" if any(device.mig for device in devices) else "device"
    found = "%s on %d %s%s" % (_spoken(sum(known)), len(known), noun, "s" * (len(known) > 1))
    return found, "at least %d GB over the node" % workload.memory_gb


def _sizes(devices: Sequence[Accelerator]) -> List[Optional[int]]:
    """Bytes of each device that one process can see; None for what is not known.

    Of divided GPUs it sees a single instance, here the largest. Rule: sources.MIG_DEVICE_NAMES.
    """
    instances = [_instance_bytes(name) for device in devices for name in device.mig or ()]
    whole = [device.memory_bytes for device in devices if device.mig is None]
    if not instances:
        return list(whole)
    known = [size for size in instances if size is not None]
    # Beside a whole GPU, CUDA_VISIBLE_DEVICES chooses what is seen.
    return [None] if whole or len(known) < len(instances) else [max(known)]


def _instance_bytes(name: str) -> Optional[int]:
    """The memory of '3g.20gb' at most; None for 'gi1/ci0', by which the driver's files call it."""
    match = _MIG_MEMORY.search(name)
    # Rounded from GiB: some show a little more than so many GB, and none more than so many GiB.
    return int(match.group(1)) << 30 if match else None


def _nearest(devices: Sequence[Accelerator], workload: Workload) -> str:
    """The largest workloads that fit, else the CPU where that will do."""
    backend = devices[0].backend
    fitting = [
        other
        for other in WORKLOADS.values()
        if other.memory_gb < workload.memory_gb
        and backend not in other.not_on
        and _shortfall(devices, other) is None
    ]
    largest = max((other.memory_gb for other in fitting), default=0)
    names = [other.name for other in fitting if other.memory_gb == largest]
    return "torchnode_workload " + ", ".join(names) if names else _cpu(workload)


def _cpu(workload: Workload) -> str:
    return "" if workload.needs_accelerator else "backend cpu"


def _spoken(size: int) -> str:
    return "%.1f GB" % (size / GIGABYTE)
