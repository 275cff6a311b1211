"""Runs a plan: one worker per device, all at once, bounded in time, nothing left behind."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Any

from ..stop_signals import HUNG_UP, LOST, StopSignals
from .plan import REPRODUCIBLE, Plan
from .process import Child
from .progress import Progress
from .records import Burn, DeviceRun, Ending
from .telemetry import take

TICK = 0.2  # seconds: the longest time between two looks at children and deadlines
SAMPLER_WAIT = 3.0  # seconds for the sampler's last counters


def run(plan: Plan) -> Burn:
    """Burn every device of the plan. Returns what was seen, however the workers ended."""
    burn = Burn(plan.backend, [DeviceRun(d.name, d.index, d.model, d.uuid) for d in plan.devices])
    runner = _Runner(plan, burn)
    with StopSignals(runner.stop):
        try:
            runner.start()
            runner.loop()
        finally:
            runner.end()
    return burn


class _Runner:
    def __init__(self, plan: Plan, burn: Burn) -> None:
        self._plan, self._burn = plan, burn
        self._workers: dict[str, Child] = {}
        self._sampler: Child | None = None
        self._progress = Progress(plan)
        self._started = time.monotonic()
        self._go: float | None = None
        burn.started = time.time()
        burn.injected = "%d:%s" % plan.inject if plan.inject else ""

    def stop(self, why: str) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self._burn.interrupted = self._burn.interrupted or why

    def start(self) -> None:
        environment = {**os.environ, **REPRODUCIBLE}
        for device, run_ in zip(self._plan.devices, self._burn.devices):
            try:
                config = self._plan.worker_config(device)
                self._workers[device.name] = Child(self._plan.python, "worker", config, environment)
            except OSError as error:
                run_.ending = Ending("unstarted", "%s: %s" % (self._plan.python, error.strerror))
        if self._workers:
            config = {"backend": self._plan.backend, "interval": self._plan.interval}
            self._sampler = Child(self._plan.python, "sampler", config, environment)

    def loop(self) -> None:
        while self._running() and not self._burn.interrupted:
            self._wait()
            for run_ in self._running():
                self._look_at(run_)
            self._look_at_sampler()
            self._give_the_start()
            self._enforce_deadline()
            self._progress.write(self._burn, self._go)

    def end(self) -> None:
        """Whatever happened: no process left, every device with an ending."""
        self._stop_sampler()
        for run_ in self._running():
            why = self._burn.interrupted or "the burn-in itself failed"
            self._finish(run_, Ending("interrupted", why))
        self._burn.seconds = round(time.monotonic() - self._started, 2)
        self._progress.end()

    def _running(self) -> list[DeviceRun]:
        return [run_ for run_ in self._burn.devices if run_.ending is None]

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(1, 0)  # only errors and hang-ups: nobody reads our result any more
        for child in [*self._workers.values(), *([self._sampler] if self._sampler else [])]:
            if child.open and child.status() is None:
                poll.register(child.results, select.POLLIN)
                poll.register(child.output_descriptor, select.POLLIN)
        began = time.monotonic()
        for descriptor, mask in poll.poll(TICK * 1000):
            if descriptor == 1 and mask & HUNG_UP:
                self.stop(LOST)
        # A child that closed its pipes but lives on would make poll return at once, for ever.
        time.sleep(max(0.0, 0.01 - (time.monotonic() - began)))

    def _look_at(self, run_: DeviceRun) -> None:
        child = self._workers[run_.name]
        status = child.status()  # before the events: what a dead child sent is all there
        try:
            for event in child.events():
                _record(run_, event)
        except ValueError as error:
            self._finish(run_, Ending("garbage", "it wrote %s" % error))
            return
        if status is not None:
            self._finish(run_, _ending(run_, status))

    def _look_at_sampler(self) -> None:
        if self._sampler is None:
            return
        status = self._sampler.status()
        try:
            for event in self._sampler.events():
                take(self._burn.telemetry, event, self._since_go())
        except ValueError as error:
            self._drop_sampler("the sampler wrote %s" % error)
            return
        if status is not None:
            tail = self._sampler.output().splitlines()[-1:]
            self._drop_sampler(" ".join(["the sampler ended with status %d" % status, *tail]))

    def _since_go(self) -> float:
        return time.monotonic() - self._go if self._go is not None else -1.0

    def _give_the_start(self) -> None:
        waiting = [run_ for run_ in self._running() if not run_.ready]
        if self._go is None and not waiting:
            self._go = time.monotonic()
            for run_ in self._running():
                self._workers[run_.name].tell("go")

    def _enforce_deadline(self) -> None:
        now, limits = time.monotonic(), self._plan.limits
        if self._go is None and now - self._started > limits.start:
            for run_ in self._running():
                if not run_.ready:
                    detail = "not ready after %g s" % limits.start
                    self._finish(run_, Ending("start", detail))
        elif self._go is not None and now - self._go > limits.after_go:
            for run_ in self._running():
                detail = "no end after %g s, last heard of in stage %s" % (
                    limits.after_go,
                    run_.progress.get("stage", "compute"),
                )
                self._finish(run_, Ending("hang", detail))

    def _finish(self, run_: DeviceRun, ending: Ending) -> None:
        child = self._workers[run_.name]
        gone = child.kill()
        child.close()
        detail = ending.detail
        if not gone:
            detail += "; pid %d cannot be killed: it is stuck in the kernel" % child.process.pid
        run_.ending = Ending(ending.kind, detail, child.output())

    def _stop_sampler(self) -> None:
        if self._sampler is None:
            return
        self._sampler.tell("stop")
        until = time.monotonic() + (0.5 if self._burn.interrupted else SAMPLER_WAIT)
        while self._burn.telemetry.final is None and time.monotonic() < until:
            time.sleep(0.02)
            self._look_at_sampler()
            if self._sampler is None:
                return
        self._drop_sampler("" if self._burn.telemetry.final is not None else "it did not stop")

    def _drop_sampler(self, why: str) -> None:
        assert self._sampler is not None
        self._sampler.kill()
        self._sampler.close()
        self._sampler = None
        telemetry = self._burn.telemetry
        if telemetry.final is None:
            telemetry.failure = telemetry.failure or why


def _record(run_: DeviceRun, event: dict[str, Any]) -> None:
    """Take one event of a worker. Raises ValueError for one that has not the agreed shape."""
    kind = event.pop("event")
    try:
        if kind == "ready":
            run_.ready, run_.torch, run_.visible = event, event["torch"], event["visible"]
            run_.model, run_.uuid = event["name"] or run_.model, event["uuid"] or run_.uuid
        elif kind == "sample":
            run_.samples.append({k: float(event[k]) for k in ("t", "tflops", "verified_tflops")})
        elif kind == "defect":
            run_.defects.append(event)
            run_.told += 1
        elif kind == "progress":
            run_.progress = event
            run_.told = max(run_.told, int(event["errors"]))
        elif kind == "done":
            run_.done = {"compute": event["compute"], "memory": event["memory"]}
        elif kind == "fatal":
            run_.visible = event.get("visible", run_.visible)
            run_.progress = {**run_.progress, "fatal": [event["kind"], event["detail"]]}
        else:
            raise ValueError("the event %r instead of a result" % kind)
    except (KeyError, TypeError) as error:
        raise ValueError("a %s event without %s" % (kind, error)) from None


def _ending(run_: DeviceRun, status: int) -> Ending:
    fatal = run_.progress.get("fatal")
    if fatal:
        return Ending(fatal[0], fatal[1])
    if status < 0:
        return Ending("signal", "killed by %s" % _signal_name(-status))
    if status or run_.done is None:
        return Ending("exit", "exit status %d" % status)
    return Ending("finished")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
