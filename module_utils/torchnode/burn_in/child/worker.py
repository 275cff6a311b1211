"""The worker: burns one device and tells the parent what it saw."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any, Callable

from . import protocol
from .bandwidth import Bandwidth
from .compute import Compute
from .device import BACKENDS, DeviceMissing
from .errors import out_of_memory
from .faults import Injector
from .memory import Memory
from .pulse import Pulse
from .turn import Teller, turns


def main() -> None:
    """Entry point of the child process."""
    enter(run)


def enter(work: Callable[[protocol.Channel, dict[str, Any]], None]) -> None:
    """Read the configuration and run; what ends it is told to the parent."""
    config = protocol.read_config()
    channel = protocol.Channel(config["descriptor"])
    try:
        work(channel, config)
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
    return "oom" if out_of_memory(error) else "exception"


def run(channel: protocol.Channel, config: dict[str, Any]) -> None:
    """Get ready, wait for the others, take the turns. Each stage's result is told at its end."""
    torch = importlib.import_module("torch")
    device = BACKENDS[config["backend"]](torch, config["wanted"])
    injector = Injector(torch, config["inject"], channel)
    stages = build(torch, device, config, injector)
    device.synchronize()
    device.release()
    channel.send("ready", torch=torch.__version__, visible=device.visible, **device.describe())
    protocol.wait_for_go()
    teller = Teller(channel.send)
    for number, turn in turns(teller, config["turns"], config["grace"]):
        channel.send("stage", name=turn.stage, round=number, t=round(teller.elapsed(), 2))
        result = stages[turn.stage].run(turn)
        now = round(teller.elapsed(), 2)
        channel.send("result", name=turn.stage, round=number, t=now, errors=teller.told, **result)
    channel.send("done")


def build(torch: Any, device: Any, config: dict[str, Any], injector: Injector) -> dict[str, Any]:
    """The stages by name. None holds memory of the device before its turn."""
    names = {name for name, _, _ in config["turns"]}
    stages: dict[str, Any] = {
        "bandwidth": Bandwidth(torch, device, config, injector),
        "memory": Memory(torch, device, config, injector),
    }
    if names & {"compute", "pulse"}:
        stages["compute"] = Compute(torch, device, config, injector)
        stages["pulse"] = Pulse(stages["compute"], device, injector)
    return stages
