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
    "interrupted",  # we were told to stop
)


@dataclass(frozen=True)
class Ending:
    """How a worker ended: ``kind`` of ENDINGS, one line of detail, the tail of what it printed."""

    kind: str
    detail: str = ""
    output: str = ""


@dataclass
class DeviceRun:
    """All that was seen of one device. Times ``t`` are seconds since the start signal."""

    name: str
    index: int
    model: str = ""
    uuid: str | None = None
    visible: int | None = None  # devices that torch saw
    torch: str | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, float]] = field(default_factory=list)
    defects: list[dict[str, Any]] = field(default_factory=list)
    told: int = 0  # defects in all, those beyond the detailed ones included
    progress: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Any] | None = None
    ending: Ending | None = None


@dataclass
class Telemetry:
    """What the sampler said: per device key its samples, absent fields and counters."""

    driver: str | None = None
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    final: dict[str, dict[str, int]] | None = None
    failure: str = ""  # why there is none, or why it stopped


@dataclass
class Burn:
    """One whole burn-in."""

    backend: str
    devices: list[DeviceRun]
    telemetry: Telemetry = field(default_factory=Telemetry)
    started: float = 0.0  # Unix time
    seconds: float = 0.0  # wall time, start-up included
    interrupted: str = ""
    injected: str = ""  # a fault that was made on purpose: such a burn proves nothing
