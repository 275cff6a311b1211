"""The worker: burns one device and tells the parent what it saw. The only importer of torch."""

from __future__ import annotations

import functools
import importlib
import sys
import time
import traceback
from typing import Any

from . import protocol
from .compute import Compute
from .device import BACKENDS, DeviceMissing
from .faults import Injector
from .memory import PATTERNS, Memory

MAX_DEFECTS = 16  # told one by one; the rest is counted
SAMPLE_SECONDS = 1.0
SHORTEST_SAMPLE = 0.25  # a shorter last window would be noise


def main() -> None:
    """Entry point of the child process."""
    config = protocol.read_config()
    channel = protocol.Channel(config["descriptor"])
    try:
        _Worker(channel, config).run()
    except DeviceMissing as error:
        channel.send("fatal", kind="device", detail=str(error), visible=error.visible)
        sys.exit(3)
    except ImportError as error:
        traceback.print_exc()
        channel.send("fatal", kind="import", detail="%s: %s" % (type(error).__name__, error))
        sys.exit(4)
    except Exception as error:
        traceback.print_exc()
        channel.send("fatal", kind=kind_of(error), detail="%s: %s" % (type(error).__name__, error))
        sys.exit(5)


def kind_of(error: BaseException) -> str:
    """'oom' for every way in which torch says that memory ran out, else 'exception'."""
    told = "%s %s" % (type(error).__name__, error)
    signs = ("OutOfMemory", "MemoryError", "out of memory", "can't allocate memory")
    return "oom" if any(sign in told for sign in signs) else "exception"


class _Worker:
    def __init__(self, channel: protocol.Channel, config: dict[str, Any]) -> None:
        self._channel, self._config = channel, config
        self._told = 0
        self._told_of: dict[str, int] = {}
        self._beat = 0.0
        self._share = 0.0

    def run(self) -> None:
        torch = importlib.import_module("torch")
        device = BACKENDS[self._config["backend"]](torch, self._config["wanted"])
        self._injector = Injector(torch, self._config["inject"])
        compute = Compute(torch, device, self._config, self._injector)
        device.synchronize()
        self._channel.send(
            "ready", torch=torch.__version__, visible=device.visible, **device.describe()
        )
        protocol.wait_for_go()
        self._began = time.monotonic()
        self._tell(compute.defects)
        self._burn_compute(compute)
        summary = _compute_summary(compute)
        compute = None  # type: ignore[assignment]  # its memory is to be tested next
        self._channel.send("done", compute=summary, memory=self._burn_memory(torch, device))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _burn_compute(self, compute: Compute) -> None:
        end = self._config["compute_seconds"]
        window, tally = 0.0, _tally(compute)
        while self._elapsed() < end:
            job = min(compute.jobs, key=lambda job: job.spent / job.weight)
            self._tell(compute.batch(job, self._channel))
            now = self._elapsed()
            last = now >= end and now - window >= SHORTEST_SAMPLE
            if now - window >= SAMPLE_SECONDS or last:
                window, tally = now, self._sample(compute, tally, now)
            self._progress("compute", now, compute=compute)
        # Once more each, so that operands damaged since a job's last turn do not go unseen.
        for job in compute.jobs:
            self._tell(compute.batch(job, self._channel))
        self._tell(compute.recheck_references())

    def _sample(
        self, compute: Compute, before: tuple[int, float, float], now: float
    ) -> tuple[int, float, float]:
        """The rate since the last sample, of the first job: the heat, on random normals."""
        after, flops = _tally(compute), compute.jobs[0].flops
        products, device_seconds, spent = (new - old for new, old in zip(after, before))
        if not products or device_seconds <= 0 or spent <= 0:
            return before
        self._channel.send(
            "sample",
            t=round(now, 2),
            tflops=products * flops / device_seconds / 1e12,
            verified_tflops=products * flops / spent / 1e12,
        )
        return after

    def _burn_memory(self, torch: Any, device: Any) -> dict[str, Any]:
        memory = Memory(torch, device, self._config, self._injector)
        if memory.total:
            memory.allocate()
        # The first cycle may use the slack: a memory that was not covered is not proven.
        end = self._elapsed() + self._config["memory_seconds"]
        limit = self._elapsed() + self._config["memory_limit"]
        while memory.total and (not memory.cycles or self._elapsed() < end):
            until = end if memory.cycles else limit
            for name in PATTERNS:
                if self._elapsed() < until:
                    tick = functools.partial(self._memory_tick, memory, until)
                    self._tell(memory.pattern(name, tick))
            memory.cycles += 1
        return {
            "free": memory.free,
            "tested": memory.total,
            "checked": memory.checked,
            "cycles": memory.cycles,
            "wrong": memory.wrong,
            "patterns": memory.done,
            "missed": [name for name in PATTERNS if name not in memory.done],
            "seconds": round(memory.seconds, 3),
        }

    def _memory_tick(self, memory: Memory, until: float) -> bool:
        now = self._elapsed()
        self._progress("memory", now, bytes=memory.checked)
        return now < until

    def _progress(self, stage: str, now: float, **extra: Any) -> None:
        if now - self._beat < 0.5:
            return
        self._beat = now
        compute = extra.pop("compute", None)
        if compute is not None:
            extra["products"] = sum(job.products for job in compute.jobs)
        self._channel.send("progress", stage=stage, t=round(now, 2), errors=self._told, **extra)

    def _tell(self, defects: list[dict[str, Any]]) -> None:
        for found in defects:
            self._told += 1
            # Each kind has room of its own: a flood of one must not hide what explains it.
            kind = str(found.get("check"))
            self._told_of[kind] = self._told_of.get(kind, 0) + 1
            if self._told_of[kind] <= MAX_DEFECTS:
                self._channel.send("defect", **found)


def _tally(compute: Compute) -> tuple[int, float, float]:
    job = compute.jobs[0]
    return job.products, job.device_seconds, job.spent


def _compute_summary(compute: Compute) -> list[dict[str, Any]]:
    return [
        {
            "precision": job.precision,
            "pattern": job.pattern,
            "shape": [job.left.shape[0], job.left.shape[1], job.right.shape[1]],
            "products": job.products,
            "wrong": job.wrong,
            "bytes": job.products * job.reference.numel() * 8,
            "tflops": round(job.products * job.flops / job.device_seconds / 1e12, 4)
            if job.device_seconds > 0
            else None,
            "verified_tflops": round(job.products * job.flops / job.spent / 1e12, 4)
            if job.spent > 0
            else None,
            "digest": job.digest,
        }
        for job in compute.jobs
    ]
