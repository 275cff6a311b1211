"""An all-reduce over all devices of one process, every element of every sum compared.

Each device adds another constant to the same spread of whole numbers below 2^16, so the sum is
known without any device's help, and a part that is missing or comes twice changes it. The sums of
up to 255 devices stay below 2^24: exact in float32, in whatever order they are added.
"""

from __future__ import annotations

import importlib
import time
from typing import Any, Callable

from .host_link import SLICE, difference, rate

STAGE = "links"
GIB = 1 << 30
SIZES = (64 << 20, GIB, 4 * GIB)  # bytes; the rate of the largest is the one to judge
CPU_SIZES = (1 << 20,)  # CPUs have no links: a stand-in in tests
SHARE = 8  # a buffer is at most one part in so many of the least free memory
ELEMENT = 4  # bytes of a float32
LEAST = 3  # all-reduces of a size: the first wakes the links and is not timed
SPREAD = 2654435761  # Knuth's multiplicative hash, 2^32 over the golden ratio: spreads the cells
BITS = 16


class Nccl:
    """NCCL, or RCCL, which answers by the same names, driving all devices from this process.

    torch.cuda.nccl keeps a communicator for each list of devices, puts the calls into one group
    and uses the current stream of each device (torch/csrc/cuda/nccl.cpp); NCCL's settings are the
    environment's.
    """

    def __init__(self, torch: Any) -> None:
        self._nccl = importlib.import_module("torch.cuda.nccl")
        self.name = "NCCL" if torch.version.hip is None else "RCCL"

    def why_not(self, tensors: list[Any]) -> str:
        """Why it cannot add these up, or ''."""
        available = self._nccl.is_available(tensors)
        return "" if available else "this build of torch has no %s" % self.name

    def library(self) -> str:
        """Name and version."""
        return "%s %s" % (self.name, ".".join(str(part) for part in self._nccl.version()))

    def all_reduce(self, given: list[Any], sums: list[Any]) -> None:
        """Start to add up ``given`` into ``sums``, a tensor of each device."""
        self._nccl.all_reduce(given, sums)


#: What adds up the devices of a backend.
COLLECTIVES: dict[str, Callable[[Any], Any]] = {"cuda": Nccl, "rocm": Nccl}


class AllReduce:
    """The all-reduce over all members; see the result "all_reduce" in links.py."""

    def __init__(self, torch: Any, members: list[Any]) -> None:
        self._torch, self._members = torch, members
        self._backend = members[0].device.name

    def run(self, turn: Any, seconds: float) -> dict[str, Any]:
        """All sizes, those first that take the least time."""
        result: dict[str, Any] = {
            "why_not": "",
            "library": "",
            "devices": len(self._members),
            "sizes": [],
            "bytes_verified": 0,
        }
        make = COLLECTIVES.get(self._backend)
        if make is None:
            words = "torchnode knows no library that adds up over %s devices"
            return {**result, "why_not": words % self._backend}
        collective = make(self._torch)
        why_not = collective.why_not([self._torch.empty(1, device=m) for m in self._handles()])
        if why_not:
            return {**result, "why_not": why_not}
        result["library"] = collective.library()
        sizes = self._sizes()
        self._take_memory(sizes[-1] // ELEMENT)
        for size in sizes:
            one = self._size(collective, size, turn, seconds / len(sizes))
            result["sizes"].append(one)
            result["bytes_verified"] += one["times"] * size * len(self._members)
        del self._given, self._expected, self._sums
        return result

    def _handles(self) -> list[Any]:
        return [member.device.handle for member in self._members]

    def _sizes(self) -> list[int]:
        """Bytes of each all-reduce: those that fit, or the largest that does."""
        sizes = CPU_SIZES if self._backend == "cpu" else SIZES
        room = min(int(member.device.free_bytes()) for member in self._members) // SHARE
        return [s for s in sizes if s <= room] or [room // ELEMENT * ELEMENT]

    def _take_memory(self, elements: int) -> None:
        """On each device what it gives, what must come out, and room for what does."""
        many = len(self._members)
        both = [self._values(elements, number) for number in range(many)]
        self._given = [given for given, _ in both]
        self._expected = [expected for _, expected in both]
        self._sums = [self._torch.empty_like(given) for given in self._given]

    def _values(self, elements: int, number: int) -> tuple[Any, Any]:
        """What device ``number`` gives, and the sum over all: of cell c, spread(c) + number + 1."""
        torch, many, handle = self._torch, len(self._members), self._handles()[number]
        given = torch.empty(elements, dtype=torch.float32, device=handle)
        expected = torch.empty_like(given)
        for start in range(0, elements, SLICE):
            end = min(start + SLICE, elements)
            cells = torch.arange(start, end, dtype=torch.int64, device=handle)
            spread = cells.mul_(SPREAD).bitwise_right_shift_(BITS).bitwise_and_((1 << BITS) - 1)
            given[start:end] = spread + (number + 1)
            expected[start:end] = spread * many + many * (many + 1) // 2
        return given, expected

    def _size(self, collective: Any, size: int, turn: Any, seconds: float) -> dict[str, Any]:
        """All-reduces of ``size`` bytes for about ``seconds``, each one checked."""
        given, expected, sums = (
            [tensor[: size // ELEMENT] for tensor in tensors]
            for tensors in (self._given, self._expected, self._sums)
        )
        until = time.monotonic() + seconds
        times: list[float] = []
        while time.monotonic() < until or len(times) < LEAST:
            for tensor in sums:
                tensor.fill_(float("nan"))  # so that a sum that is not made cannot pass
            times.append(self._timed(collective, given, sums))
            for member, tensor in zip(self._members, sums):
                member.injector.reduced(tensor, member.name)
            turn.tell(self._wrong(expected, sums))
            turn.beat()
        return {
            "bytes": size,
            "bus_gb_s": bus_rate(size, len(self._members), times[1:]),
            "times": len(times),
        }

    def _timed(self, collective: Any, given: list[Any], sums: list[Any]) -> float:
        """Seconds of one all-reduce, by the host's clock: it ends when the last device does."""
        self._synchronize()
        began = time.perf_counter()
        collective.all_reduce(given, sums)
        self._synchronize()
        return time.perf_counter() - began

    def _synchronize(self) -> None:
        for member in self._members:
            member.device.synchronize()

    def _wrong(self, expected: list[Any], sums: list[Any]) -> list[dict[str, Any]]:
        """A finding for each device with a wrong sum. All devices compare before any is asked."""
        unequal = [self._torch.ne(*pair).any() for pair in zip(expected, sums)]
        found = []
        for member, flag, right, read in zip(self._members, unequal, expected, sums):
            if bool(flag):
                here = difference(self._torch, STAGE, "all_reduce", right, read)
                found.append({**here, "device": member.name})
        return found


def bus_rate(size: int, devices: int, times: list[float]) -> float:
    """Bus bandwidth in GB/s: what each link carries, whatever the number of devices.

    2 (n - 1) / n bytes for each byte of the result, as nccl-tests defines it:
    https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md, 2026-11-23.
    """
    return float("%.4g" % (rate(size, times) * 2 * (devices - 1) / devices))
