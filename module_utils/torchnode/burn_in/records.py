"""What the runner saw, as records that the judge reads. No behaviour beyond shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: How a worker can end. Only 'finished' is a clean one.
ENDINGS = (
    "finished",
    "signal",  # killed by a signal that we did not send
    "exit",  # left with a status, without having finished
    "garbage",  # wrote something that is not a result
    "hang",  # still there at its deadline, and killed
    "start",  # not ready within the start allowance, and killed
    "oom",  # memory ran out
    "import",  # torch could not be imported
    "device",  # torch does not see the device
    "exception",  # torch or the worker raised
    "unstarted",  # the interpreter could not be started
    "in_use",  # not given the start, because somebody else computed on a device
    "interrupted",  # we were told to stop
)


@dataclass(frozen=True)
class Ending:
    """How a worker ended: ``kind`` of ENDINGS, one line of detail, the tail of what it printed."""

    kind: str
    detail: str = ""
    output: str = ""


@dataclass
class ChildRun:
    """What one child process said. Times ``t`` are seconds since the start signal."""

    ready: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)  # a stage's each, with its 'name'
    defects: list[dict[str, Any]] = field(default_factory=list)
    told: int = 0  # defects in all, those beyond the detailed ones included
    progress: dict[str, Any] = field(default_factory=dict)
    done: bool = False  # it said that it has come to its end
    ending: Ending | None = None

    def of(self, stage: str) -> list[dict[str, Any]]:
        """A stage's results, one for each round that it came to the end of."""
        return [result for result in self.results if result["name"] == stage]


@dataclass
class DeviceRun(ChildRun):
    """All that was seen of one device."""

    name: str = ""
    index: int = 0
    model: str = ""
    uuid: str | None = None
    visible: int | None = None  # devices that torch saw
    torch: str | None = None
    chosen: tuple[str, ...] = ()  # the stages asked for
    samples: list[dict[str, float]] = field(default_factory=list)
    spans: list[list[Any]] = field(default_factory=list)  # [stage, begin, end or None] as t

    def jobs(self) -> list[dict[str, Any]]:
        """The compute stage's jobs of all rounds, the heat last in each."""
        return [job for result in self.of("compute") for job in result["jobs"]]

    def heat(self) -> dict[str, Any]:
        """The job whose rate is sampled and judged, of the last round; {} before there is one."""
        return self.jobs()[-1] if self.jobs() else {}


@dataclass
class LinksRun(ChildRun):
    """What the one process that drives all devices did and saw."""

    chosen: bool = False
    why_not: str = ""  # why it was not given the start

    def found_on(self, device: str) -> int:
        """Findings that were told of a device; of a flood the first of each check."""
        return sum(found.get("device") == device for found in self.defects)


@dataclass
class Telemetry:
    """What the sampler said: per device key its samples, absent fields and counters."""

    driver: str | None = None
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    final: dict[str, dict[str, int]] | None = None
    failure: str = ""  # why there is none, or why it stopped
    no_library: bool = False  # the failure is that the environment lacks what reads it
    processes: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)  # key -> pid
    kernel_log: list[str] = field(default_factory=list)  # its telling lines, in their order
    kernel_log_absent: str = ""  # why it could not be read
    kernel_log_whole: bool = False  # it was read to the burn-in's end


@dataclass
class Burn:
    """One whole burn-in."""

    backend: str
    devices: list[DeviceRun]
    telemetry: Telemetry = field(default_factory=Telemetry)
    links: LinksRun = field(default_factory=LinksRun)
    level: str = ""
    stages: tuple[str, ...] = ()
    memory_fraction: float = 0.0  # of the free memory, that the memory stage was to test
    pids: list[int] = field(default_factory=list)  # of our own processes
    first_namespace: bool = False  # whether we see every process of the system by its own pid
    started: float = 0.0  # Unix time
    seconds: float = 0.0  # wall time, start-up included
    interrupted: str = ""
    allow_busy: bool = False  # begun although somebody else computed on a device
    injected: str = ""  # a fault that was made on purpose: such a burn proves nothing
