"""The links of a node's devices, each measured while all others rest; then an all-reduce over all.

One process drives all devices, after every worker has ended. It sends three results::

    host        devices: by name what host_link.py measures, each alone; without CPUs
    peers       bytes of one copy; pairs: for each (source, target) {"source", "target", "gb_s",
                "copies", "direct"}: whether the target's memory is reached directly (None: nobody
                says), else by way of the host
    all_reduce  why_not: why there is none, or ""; library: what adds up; devices: how many;
                sizes: {"bytes", "bus_gb_s", "times"} of each, the largest last

Each has ``bytes_verified`` and ``seconds``. All that a copy brings and all that an all-reduce adds
up is compared with what the receiving device makes by itself, of whole numbers.
"""

from __future__ import annotations

import importlib
import time
from typing import Any, Callable

from . import protocol
from .all_reduce import AllReduce
from .bits import WORD
from .device import BACKENDS
from .faults import Injector
from .host_link import HostLink, difference, rate
from .turn import Teller, Turn
from .worker import enter

STAGE = "links"
GIB = 1 << 30
CPU_BYTES = 1 << 20  # CPUs have no links: a stand-in in tests
SHARE = 8  # a buffer is at most one part in so many of the least free memory
LEAST = 2  # copies of a pair: the first wakes the link and is not timed

#: Of the time: the host's links, the pairs, the rest for the all-reduce.
HOST_SHARE, PEER_SHARE = 0.2, 0.4

#: Odd, so that no two cells of a pattern are equal: the multiplier of Knuth's MMIX generator,
#: https://en.wikipedia.org/wiki/Linear_congruential_generator, 2026-11-23.
SPREAD = 6364136223846793005


class Member:
    """One device among the others: its name in outcomes, and the faults made on it."""

    def __init__(self, torch: Any, backend: str, wanted: dict[str, Any]) -> None:
        self.device = BACKENDS[backend](torch, wanted)
        self.name = wanted["device"]
        self.injector = Injector(torch, wanted["inject"])


def main() -> None:
    """Entry point of the child process."""
    enter(run)


def run(channel: protocol.Channel, config: dict[str, Any]) -> None:
    """Import torch, wait until the devices are free, then measure."""
    torch = importlib.import_module("torch")
    channel.send("ready", torch=torch.__version__)
    protocol.wait_for_go()
    teller = Teller(channel.send)
    members = []
    for wanted in config["devices"]:
        members.append(Member(torch, config["backend"], wanted))
        teller.beat(STAGE)
    turn = Turn(teller, STAGE, config["seconds"], config["grace"])
    stages: list[tuple[str, float, Callable[[Any, float], dict[str, Any]]]] = [
        ("host", HOST_SHARE, HostLinks(torch, members, config["seed"]).run),
        ("peers", PEER_SHARE, Peers(torch, members, config["seed"]).run),
        ("all_reduce", 1 - HOST_SHARE - PEER_SHARE, AllReduce(torch, members).run),
    ]
    for name, share, measure in stages:
        began = time.monotonic()
        result = measure(turn, share * config["seconds"])
        result["seconds"] = round(time.monotonic() - began, 3)
        for member in members:
            member.device.release()
        now = round(teller.elapsed(), 2)
        channel.send("result", name=name, round=1, t=now, errors=teller.told, **result)
    channel.send("done")


class HostLinks:
    """The host link of each device, one after the other."""

    def __init__(self, torch: Any, members: list[Member], seed: int) -> None:
        self._torch, self._members, self._seed = torch, members, seed
        # torch hands locked memory that is given back to the next who asks: if one device's were
        # given back, the next device would get it, perhaps on the wrong socket.
        self._measured: list[HostLink] = []

    def run(self, turn: Any, seconds: float) -> dict[str, Any]:
        """See the result "host" above."""
        found = {
            member.name: self._one(member, turn, seconds / len(self._members))
            for member in self._members
            if member.device.name != "cpu"
        }
        self._measured.clear()
        verified = sum(one["bytes_verified"] for one in found.values())
        return {"devices": found, "bytes_verified": verified}

    def _one(self, member: Member, turn: Any, seconds: float) -> dict[str, Any]:
        def tell(defects: list[dict[str, Any]]) -> None:
            turn.tell([{**defect, "device": member.name} for defect in defects])

        member.device.make_current()
        link = HostLink(self._torch, member.device, member.injector, STAGE)
        self._measured.append(link)
        return link.measure(seconds, self._seed, tell, turn.beat)


class Peers:
    """Copies between all ordered pairs of devices, one at a time."""

    def __init__(self, torch: Any, members: list[Member], seed: int) -> None:
        self._torch, self._members, self._seed = torch, members, seed

    def run(self, turn: Any, seconds: float) -> dict[str, Any]:
        """See the result "peers" above."""
        cells = buffer_bytes(self._members, GIB) // WORD
        sources = [self._pattern(cells, member, member) for member in self._members]
        pairs: list[dict[str, Any]] = []
        share = seconds / (len(self._members) * (len(self._members) - 1))
        for target in self._members:
            arrived = self._torch.empty_like(sources[self._members.index(target)])
            for source, sent in zip(self._members, sources):
                if source is not target:
                    pairs.append(self._pair(source, target, sent, arrived, turn, share))
            del arrived
            target.device.release()
        copies = sum(pair["copies"] for pair in pairs)
        return {"bytes": cells * WORD, "pairs": pairs, "bytes_verified": copies * cells * WORD}

    def _pair(
        self, source: Member, target: Member, sent: Any, arrived: Any, turn: Any, seconds: float
    ) -> dict[str, Any]:
        expected = self._pattern(sent.numel(), source, target)
        until = time.monotonic() + seconds
        times: list[float] = []
        wrong = False
        while not wrong and (time.monotonic() < until or len(times) < LEAST):
            arrived.zero_()  # so that a copy that does nothing cannot pass
            times.append(_timed_copy(source, target, sent, arrived))
            target.injector.peer_copied(arrived, source.name, target.name)
            wrong = not self._torch.equal(arrived, expected)
            turn.beat()
        if wrong:  # told once: the findings of one pair must not hide another's
            found = difference(self._torch, STAGE, "peer", expected, arrived)
            turn.tell([{**found, "device": target.name, "source": source.name}])
        return {
            "source": source.name,
            "target": target.name,
            "gb_s": rate(sent.numel() * WORD, times[1:]),
            "copies": len(times),
            "direct": self._direct(source, target),
        }

    def _pattern(self, cells: int, of: Member, on: Member) -> Any:
        """The cells that are device ``of``'s, made on device ``on``: another value in each."""
        made = self._torch.arange(cells, dtype=self._torch.int64, device=on.device.handle)
        salt = self._seed + (self._members.index(of) << 40)
        return made.add_(salt).mul_(SPREAD)

    def _direct(self, source: Member, target: Member) -> Any:
        numbers = [member.device.handle.index for member in (source, target)]
        if None in numbers:
            return None
        return bool(self._torch.cuda.can_device_access_peer(*numbers))


def buffer_bytes(members: list[Member], most: int) -> int:
    """Bytes of a buffer that every device has room for several times over."""
    if any(member.device.name == "cpu" for member in members):
        most = CPU_BYTES
    free = min(member.device.free_bytes() for member in members)
    return min(most, int(free) // SHARE) // WORD * WORD


def _timed_copy(source: Member, target: Member, sent: Any, arrived: Any) -> float:
    """Seconds of one copy. The clock is the host's: two devices' events cannot be compared."""
    for member in (source, target):
        member.device.synchronize()
    began = time.perf_counter()
    arrived.copy_(sent)
    for member in (source, target):
        member.device.synchronize()
    return time.perf_counter() - began
