"""What a burn-in does and how long it may take. Pure: parameters in, a plan out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .child import faults

MIB = 1 << 20

#: Backends that the worker can drive, with the size of the work on each.
#: ``precisions``: from each group the first that the device has; the first group is the heat and
#: the one whose rate is judged. ``ring``: products between two looks at their bits. ``size``: side
#: of the square matrices. K = 8192 and integers up to 8 keep sums at or below 524288 < 2^24.
BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"size": 1024, "ring": 2, "precisions": [["fp32"], ["bf16"]]},
    "cuda": {"size": 8192, "ring": 4, "precisions": [["bf16", "fp16"], ["fp32"]]},
}

#: Share of the compute time of the heating job, and of each other job.
SHARE, SHARE_OTHER = 0.7, 0.1

#: Share of ``seconds`` that goes to products; the rest goes to memory.
COMPUTE_SHARE = 0.75

#: Bytes that a CPU's memory stage takes at most unless told otherwise: a node is in use by its OS.
CPU_MEMORY_BYTES = 256 * MIB

#: Fixed, so that equal parts make equal products and a finding can be made again.
SEED = 20261122

#: cuBLAS and MKL choices that keep a product's bits the same from run to run:
#: https://docs.nvidia.com/cuda/cublas/#results-reproducibility and
#: https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/2024-0/obtaining-numerically-reproducible-results.html
REPRODUCIBLE = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "MKL_CBWR": "AUTO",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
}


@dataclass(frozen=True)
class Limits:
    """Seconds: ``start`` until every worker is ready, ``burn`` of work, ``slack`` on top of it."""

    start: float
    burn: float
    slack: float

    @property
    def after_go(self) -> float:
        """A worker that has not finished this long after the start signal is killed."""
        return self.burn + self.slack


@dataclass(frozen=True)
class Device:
    """One device to burn: its name in outcomes and what identifies it."""

    name: str
    index: int
    model: str
    uuid: str | None = None
    bus: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that the runner needs."""

    python: str
    backend: str
    devices: tuple[Device, ...]
    limits: Limits
    worker: Mapping[str, Any]  # configuration common to all workers
    inject: tuple[int, str] | None = None
    progress: str | None = None
    interval: float = 1.0  # seconds between telemetry samples

    def worker_config(self, device: Device) -> dict[str, Any]:
        """The configuration of one device's worker."""
        struck = self.inject is not None and self.inject[0] == device.index
        return {
            **self.worker,
            "wanted": {
                "device": device.name,
                "index": device.index,
                "uuid": device.uuid,
                "bus": device.bus,
            },
            "inject": self.inject[1] if struck and self.inject else "",
        }


def make(parameters: Mapping[str, Any]) -> Plan:
    """The plan for a module's parameters.

    Raises ValueError naming the argument, what was found and what is expected.
    """
    backend = parameters["backend"]
    if backend not in BACKENDS:
        raise _bad("backend", backend, "one of %s" % ", ".join(sorted(BACKENDS)))
    python = parameters["python"]
    if not os.path.isabs(python):
        raise _bad("python", python, "the absolute path of the environment's interpreter")
    progress = parameters.get("progress")
    if progress and not os.path.isabs(progress):
        raise _bad("progress", progress, "an absolute path, or nothing")
    devices = devices_of(backend, parameters["accelerators"] or [])
    limits = _limits(parameters)
    return Plan(
        python=python,
        backend=backend,
        devices=devices,
        limits=limits,
        worker=_worker_config(backend, limits, parameters),
        inject=_injection(parameters.get("inject"), devices),
        progress=progress or None,
        interval=min(1.0, limits.burn / 8),
    )


def devices_of(backend: str, accelerators: Sequence[Mapping[str, Any]]) -> tuple[Device, ...]:
    """The devices to burn: the CPU as one, or the backend's accelerators. Raises ValueError."""
    if backend == "cpu":
        return (Device("cpu", 0, ""),)
    mine = [a for a in accelerators if a.get("backend") == backend]
    if not mine:
        raise _bad(
            "accelerators",
            "%d entries, none of backend %r" % (len(accelerators), backend),
            "at least one, as accelerator_facts returns them",
        )
    for entry in mine:
        if not isinstance(entry.get("index"), int):
            raise _bad("accelerators", entry, "an 'index' that is a whole number in each entry")
    indices = [entry["index"] for entry in mine]
    if len(set(indices)) < len(indices):
        raise _bad("accelerators", "indices %s" % indices, "each index once")
    return tuple(
        Device(
            "%s%d" % (backend, entry["index"]),
            entry["index"],
            str(entry.get("model") or ""),
            entry.get("uuid"),
            entry.get("bus"),
        )
        for entry in mine
    )


def _limits(parameters: Mapping[str, Any]) -> Limits:
    for name, least in (("seconds", 1), ("start_timeout", 1), ("slack", 1)):
        if parameters[name] < least:
            raise _bad(name, parameters[name], "%d or more" % least)
    return Limits(
        float(parameters["start_timeout"]),
        float(parameters["seconds"]),
        float(parameters["slack"]),
    )


def _worker_config(backend: str, limits: Limits, parameters: Mapping[str, Any]) -> dict[str, Any]:
    fraction, cap = parameters["memory_fraction"], parameters.get("memory_bytes") or 0
    if not 0 < fraction < 1:
        raise _bad("memory_fraction", fraction, "more than 0 and less than 1")
    if cap < 0:
        raise _bad("memory_bytes", cap, "a number of bytes, or 0 for no cap")
    if backend == "cpu" and not cap:
        cap = CPU_MEMORY_BYTES
    compute = limits.burn * COMPUTE_SHARE
    return {
        "backend": backend,
        "seed": SEED,
        "share": SHARE,
        "share_other": SHARE_OTHER,
        "compute_seconds": compute,
        "memory_seconds": limits.burn - compute,
        # Half of the slack for a first cycle that takes longer, half for a clean end.
        "memory_limit": limits.burn - compute + limits.slack / 2,
        "memory_fraction": fraction,
        "memory_bytes": cap,
        **BACKENDS[backend],
    }


def _injection(text: str | None, devices: Sequence[Device]) -> tuple[int, str] | None:
    if not text:
        return None
    index, separator, fault = text.partition(":")
    if not separator or not index.isdigit() or int(index) not in {d.index for d in devices}:
        raise _bad("inject", text, "'<device index>:<fault>' with the index of a burned device")
    try:
        faults.parse(fault)
    except ValueError as error:
        raise _bad("inject", text, str(error)) from None
    return int(index), fault


def _bad(argument: str, found: object, expected: str) -> ValueError:
    return ValueError("%s: found %r, expected %s" % (argument, found, expected))
