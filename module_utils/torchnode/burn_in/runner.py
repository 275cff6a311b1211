"""Runs a plan: one worker per device, all at once, bounded in time, nothing left behind.

When every worker has come to its end, one more process that has waited until then drives all
devices together, for the links between them.
"""

from __future__ import annotations

import os
import select
import time

from ..stop_signals import HUNG_UP, LOST, StopSignals
from . import events, judge_processes
from .plan import REPRODUCIBLE, Plan
from .process import Child, in_first_pid_namespace
from .progress import Progress
from .records import Burn, ChildRun, DeviceRun, Ending, LinksRun
from .telemetry import take

TICK = 0.2  # seconds: the longest time between two looks at children and deadlines
SAMPLER_WAIT = 3.0  # seconds for the sampler's last counters
LINKS = "links"  # the key of the one process beside the devices' names


def run(plan: Plan) -> Burn:
    """Burn every device of the plan. Returns what was seen, however the workers ended."""
    devices = [
        DeviceRun(name=d.name, index=d.index, model=d.model, uuid=d.uuid, chosen=plan.stages)
        for d in plan.devices
    ]
    links = LinksRun(chosen=plan.links_seconds > 0)
    burn = Burn(plan.backend, devices, links=links, level=plan.level, stages=plan.stages)
    burn.memory_fraction = float(plan.worker["memory_fraction"])
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
        self._children: dict[str, Child] = {}
        self._heard: dict[str, float] = {}  # when each child last said something
        self._sampler: Child | None = None
        self._progress = Progress(plan)
        self._started = time.monotonic()
        self._ready: float | None = None
        self._go: float | None = None
        self._links_go: float | None = None
        burn.started, burn.allow_busy = time.time(), plan.allow_busy
        burn.first_namespace = in_first_pid_namespace()
        burn.injected = "%d:%s" % plan.inject if plan.inject else ""

    def stop(self, why: str) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self._burn.interrupted = self._burn.interrupted or why

    def start(self) -> None:
        for device, run_ in zip(self._plan.devices, self._burn.devices):
            self._begin(device.name, run_, "worker", self._plan.worker_config(device))
        if self._burn.links.chosen:
            self._begin(LINKS, self._burn.links, "links", self._plan.links_config())
        if self._children:
            config = {
                "backend": self._plan.backend,
                "interval": self._plan.interval,
                "devices": self._plan.links_config()["devices"],  # for the faults of tests
            }
            self._sampler = Child(self._plan.python, "sampler", config, self._environment())
        children = [*self._children.values(), *([self._sampler] if self._sampler else [])]
        self._burn.pids = [child.process.pid for child in children]

    def loop(self) -> None:
        while self._running() and not self._burn.interrupted:
            self._wait()
            for name, run_ in self._running():
                self._look_at(name, run_)
            self._look_at_sampler()
            self._give_the_start()
            self._enforce_deadlines()
            self._progress.write(self._burn, self._go)

    def end(self) -> None:
        """Whatever happened: no process left, every child with an ending."""
        running = self._running()
        self._strike(running)  # before anything else is waited for
        self._stop_sampler()
        why = self._burn.interrupted or "the burn-in itself failed"
        self._finish_all(running, Ending("interrupted", why))
        for run_ in self._burn.devices:
            run_.ending = judge_processes.explained(self._burn, run_)
        self._burn.seconds = round(time.monotonic() - self._started, 2)
        self._progress.end()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **REPRODUCIBLE}

    def _begin(self, name: str, run_: ChildRun, entry: str, config: dict[str, object]) -> None:
        try:
            self._children[name] = Child(self._plan.python, entry, config, self._environment())
        except OSError as error:
            run_.ending = Ending("unstarted", "%s: %s" % (self._plan.python, error.strerror))

    def _running(self) -> list[tuple[str, ChildRun]]:
        """Every child that has not ended, the links' among them."""
        links = self._burn.links
        waiting: list[tuple[str, ChildRun]] = [(d.name, d) for d in self._burning()]
        return [*waiting, *([(LINKS, links)] if links.chosen and not links.ending else [])]

    def _burning(self) -> list[DeviceRun]:
        return [run_ for run_ in self._burn.devices if run_.ending is None]

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(1, 0)  # only errors and hang-ups: nobody reads our result any more
        for child in [*self._children.values(), *([self._sampler] if self._sampler else [])]:
            if child.open and child.status() is None:
                poll.register(child.results, select.POLLIN)
                poll.register(child.output_descriptor, select.POLLIN)
        began = time.monotonic()
        for descriptor, mask in poll.poll(TICK * 1000):
            if descriptor == 1 and mask & HUNG_UP:
                self.stop(LOST)
        # A child that closed its pipes but lives on would make poll return at once, for ever.
        time.sleep(max(0.0, 0.01 - (time.monotonic() - began)))

    def _look_at(self, name: str, run_: ChildRun) -> None:
        child = self._children[name]
        status = child.status()  # before the events: what a dead child sent is all there
        try:
            for event in child.events():
                self._heard[name] = time.monotonic()
                events.take(run_, event)
        except ValueError as error:
            self._finish(name, run_, Ending("garbage", "it wrote %s" % error))
            return
        if status is not None:
            self._finish(name, run_, events.ending(run_, status))

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
        burning, links = self._burning(), self._burn.links
        if self._go is None and burning and all(run_.ready for run_ in burning):
            if self._unseen() or self._refused():
                return
            self._go = time.monotonic()
            for run_ in burning:
                self._children[run_.name].tell("go")
        if burning or not links.chosen or links.ending or self._links_go is not None:
            return
        bad = [run_.name for run_ in self._burn.devices if not run_.done]
        if bad:
            links.why_not = "%s did not come to the end of its own stages" % ", ".join(bad)
            self._finish(LINKS, links, Ending("interrupted", links.why_not))
        elif links.ready:
            self._links_go = time.monotonic()
            self._children[LINKS].tell("go")

    def _unseen(self) -> bool:
        """Whether the sampler has yet to look at devices on which all workers are ready."""
        now = time.monotonic()
        self._ready = now if self._ready is None else self._ready
        seen = all(judge_processes.listed(self._burn, run_) for run_ in self._burning())
        return not seen and now - self._ready < 2 * self._plan.interval + TICK

    def _refused(self) -> bool:
        """Whether a device is in use, which ends every worker before it has begun.

        Of those whose worker has ended already as well: the others would burn beside that work.
        """
        if self._plan.allow_busy:
            return False
        used = [judge_processes.used_by(self._burn, run_) for run_ in self._burn.devices]
        used = [words for words in used if words]
        if not used:
            return False
        self._finish_all(self._running(), Ending("in_use", "; ".join(used)))
        return True

    def _enforce_deadlines(self) -> None:
        """End whoever is late: all are struck before one is waited for."""
        late = [(name, run_, self._late(name, run_)) for name, run_ in self._running()]
        self._strike([(name, run_) for name, run_, why in late if why])
        for name, run_, why in late:
            if why:
                self._finish(name, run_, why)

    def _late(self, name: str, run_: ChildRun) -> Ending | None:
        """Why a child has to be ended, if it has."""
        limits, now = self._plan.limits, time.monotonic()
        if not run_.ready and now - self._started > limits.start:
            return Ending("start", "not ready after %g s" % limits.start)
        go = self._links_go if name == LINKS else self._go
        if go is None:
            return None
        after = self._plan.links_seconds + limits.slack if name == LINKS else limits.after_go
        if now - go > after:
            words = "no end after %g s, last heard of in stage %s"
            return Ending("hang", words % (after, events.stage_of(run_)))
        heard = max(go, self._heard.get(name, go))
        if now - heard > limits.silence:
            words = "no word for %g s, last heard of in stage %s after %.0f s"
            return Ending("hang", words % (limits.silence, events.stage_of(run_), heard - go))
        return None

    def _strike(self, children: list[tuple[str, ChildRun]]) -> None:
        """One that is stuck in the driver must not keep the others' end waiting."""
        for name, _ in children:
            self._children[name].strike()

    def _finish_all(self, children: list[tuple[str, ChildRun]], ending: Ending) -> None:
        self._strike(children)
        for name, run_ in children:
            self._finish(name, run_, ending)

    def _finish(self, name: str, run_: ChildRun, ending: Ending) -> None:
        child = self._children[name]
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
