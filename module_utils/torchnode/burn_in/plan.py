"""What a burn-in does and how long it may take. Pure: parameters in, a plan out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from . import levels
from .child import compute, faults
from .child.precisions import PRECISIONS

MIB = 1 << 20

#: Backends that the worker can drive, with the size of the work on each.
#: ``precisions``: from each group the first that the device has; the first group is the heat and
#: the one whose rate is judged. ``sizes``: side of the square product by precision, '' for the
#: rest; ``inner``: its inner length K. A check reads each element of the product, which took 2 K
#: operations: only K and the precision decide what the check costs, at most one percent with this
#: one on an H200 (docs/benchmarks.md). ``integer_size``: side and K of the exact integers; with
#: K = 8192 and whole numbers up to 8 every sum stays at or below 524288 < 2^24.
_GPU = {
    "sizes": {"fp64": 8192, "fp32": 8192, "tf32": 8192, "": 16384},
    "inner": 32768,
    "integer_size": 8192,
    "precisions": [["bf16", "fp16"], ["fp8"], ["fp4"], ["tf32"], ["fp64"], ["fp32"], ["fp16"]],
}
BACKENDS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {
        "sizes": {"": 1024},
        "inner": 1024,
        "integer_size": 1024,
        "precisions": [["fp32"], ["fp64"], ["bf16"]],
    },
    "cuda": _GPU,
    "rocm": _GPU,
}

#: Bytes that a CPU's stages take at most unless told otherwise: a node is in use by its OS.
CPU_MEMORY_BYTES = 256 * MIB

#: Seconds without a word from a worker, which speaks twice a second. The longest silence of a
#: healthy one is the start of NCCL over all devices, of which some seconds are usual; what goes
#: over all memory speaks at every chunk of it, and a look at a whole ring takes less than one.
SILENCE = 120

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
    """Seconds: ``start`` until every worker is ready, ``burn`` of work, ``slack`` on top of it.

    ``silence``: a worker that has said nothing for so long after the start signal hangs.
    """

    start: float
    burn: float
    slack: float
    silence: float

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
    turns: tuple[levels.Turn, ...] = ()
    level: str = ""
    inject: tuple[int, str] | None = None
    allow_busy: bool = False  # begin beside other processes too
    progress: str | None = None
    interval: float = 1.0  # seconds between telemetry samples

    def worker_config(self, device: Device) -> dict[str, Any]:
        """The configuration of one device's worker."""
        return {**self.worker, "wanted": _wanted(device), "inject": self._fault_of(device)}

    def links_config(self) -> dict[str, Any]:
        """The configuration of the process that drives all devices."""
        devices = [{**_wanted(d), "inject": self._fault_of(d)} for d in self.devices]
        return {**self.worker, "devices": devices, "seconds": self.links_seconds}

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that are run, each once."""
        return tuple(dict.fromkeys(turn.name for turn in self.turns))

    @property
    def links_seconds(self) -> float:
        """Time for the links between the devices; 0.0 where they are not burned."""
        return sum(turn.seconds for turn in self.turns if turn.name == levels.TOGETHER)

    def _fault_of(self, device: Device) -> str:
        struck = self.inject is not None and self.inject[0] == device.index
        return self.inject[1] if struck and self.inject else ""


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
    level = _level(parameters)
    seconds = float(parameters["seconds"] or level.seconds)
    stages = _stages(parameters, len(devices))
    turns = levels.turns(level, stages, seconds)
    limits = _limits(parameters, turns)
    return Plan(
        python=python,
        backend=backend,
        devices=devices,
        limits=limits,
        worker=_worker_config(backend, limits, turns, parameters),
        turns=turns,
        level=parameters["level"],
        inject=_injection(parameters.get("inject"), devices),
        allow_busy=bool(parameters.get("allow_busy")),
        progress=progress or None,
        interval=min(1.0, sum(turn.seconds for turn in turns) / 8),
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


def _wanted(device: Device) -> dict[str, Any]:
    return {
        "device": device.name,
        "index": device.index,
        "uuid": device.uuid,
        "bus": device.bus,
    }


def _level(parameters: Mapping[str, Any]) -> levels.Level:
    level = levels.LEVELS.get(parameters["level"])
    if level is None:
        raise _bad("level", parameters["level"], "one of %s" % ", ".join(levels.LEVELS))
    return level


def _stages(parameters: Mapping[str, Any], devices: int) -> tuple[str, ...]:
    chosen = parameters.get("stages") or []
    for name in chosen:
        if name not in levels.STAGES:
            raise _bad("stages", name, "some of %s" % ", ".join(levels.STAGES))
    stages = levels.order(chosen, devices)
    if not stages:
        expected = "a stage beside them, for one device has no links"
        raise _bad("stages", list(chosen), expected)
    return stages


def _limits(parameters: Mapping[str, Any], turns: Sequence[levels.Turn]) -> Limits:
    for name, least in (("seconds", 0), ("start_timeout", 1), ("slack", 1)):
        if parameters[name] < least:
            raise _bad(name, parameters[name], "%d or more" % least)
    own = sum(turn.seconds for turn in turns if turn.name != levels.TOGETHER)
    start = float(parameters["start_timeout"])
    # A node that is given longer to start is slow in the links' start as well.
    return Limits(start, own, float(parameters["slack"]), max(float(SILENCE), start))


def _worker_config(
    backend: str, limits: Limits, turns: Sequence[levels.Turn], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    fraction, cap = parameters["memory_fraction"], parameters.get("memory_bytes") or 0
    if not 0 < fraction < 1:
        raise _bad("memory_fraction", fraction, "more than 0 and less than 1")
    if cap < 0:
        raise _bad("memory_bytes", cap, "a number of bytes, or 0 for no cap")
    if backend == "cpu" and not cap:
        cap = CPU_MEMORY_BYTES
    precisions = parameters.get("precisions") or []
    for name in precisions:
        if name not in PRECISIONS:
            raise _bad("precisions", name, "some of %s" % ", ".join(PRECISIONS))
    distribution = parameters.get("distribution") or "normal"
    if distribution not in compute.DISTRIBUTIONS:
        raise _bad("distribution", distribution, "one of %s" % ", ".join(compute.DISTRIBUTIONS))
    own = [turn for turn in turns if turn.name != levels.TOGETHER]
    return {
        **BACKENDS[backend],
        "backend": backend,
        "seed": SEED,
        "turns": [[turn.name, turn.round, turn.seconds] for turn in own],
        # Half of the slack for a first cycle that takes longer, half for a clean end.
        "grace": limits.slack / 2,
        "memory_fraction": fraction,
        "memory_bytes": cap,
        "distribution": compute.DISTRIBUTIONS[distribution],
        **({"precisions": [[name] for name in precisions]} if precisions else {}),
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
