"""The link between the host and one device: copies each way, every byte of each compared.

Random bytes lie on the host and, sent once, on the device. Each copy to the device is compared
there with those; each copy from it is sent back and compared there as well, because a look by the
host would leave its caches full of what the next copy has to drive out: that took a tenth of the
rate on an H200. The host looks at the first one, and when something is wrong. The two originals are
held against one another by a digest that each side computes for itself, so a finding names its way.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from typing import Any, Callable, Iterator

from . import bits

#: One copy takes 2.4 ms at 55 GB/s, so that the 10 us of a call are no part of the rate.
BYTES = 128 << 20
LEAST = 16  # copies each way, however short the time: the median must not be a first one's
COLUMNS = 4096  # words in a row of the digest's grid
SLICE = 16 << 20  # elements that a search for a difference looks at together


class HostLink:
    """One device's link to the host. It keeps its memory for as long as it lives."""

    def __init__(self, torch: Any, device: Any, injector: Any, stage: str) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._stage = stage
        self._looked = False  # whether the host has compared a copy

    def measure(
        self,
        seconds: float,
        seed: int,
        tell: Callable[[list[dict[str, Any]]], None],
        beat: Callable[[], None],
    ) -> dict[str, Any]:
        """Copies for about ``seconds``, half of them each way; findings to ``tell``.

        Returns ``h2d_gb_s`` and ``d2h_gb_s`` (medians, 10^9 bytes a second), ``copies`` (a pair of
        numbers), ``bytes_verified``, ``pinned`` (whether the host's memory was page-locked) and
        ``local`` (whether it is the device's own NUMA node's; None where nobody says).
        """
        with near(self._device.describe().get("bus")) as local:
            pinned = self._take_memory(seed)
        into = self._repeat(self._to_device, seconds / 2, tell, beat)
        out = self._repeat(self._to_host, seconds / 2, tell, beat)
        return {
            "h2d_gb_s": rate(BYTES, into),
            "d2h_gb_s": rate(BYTES, out),
            "copies": [len(into), len(out)],
            "bytes_verified": BYTES * (len(into) + len(out)),
            "pinned": pinned,
            "local": local,
        }

    def _take_memory(self, seed: int) -> bool:
        """The host's two buffers and the device's two. Whether the host's are page-locked."""
        torch, cells = self._torch, BYTES // bits.WORD
        try:
            buffers = [torch.empty(cells, dtype=torch.int64, pin_memory=True) for _ in range(2)]
            pinned = True
        except RuntimeError:  # no accelerator that could lock them, or no more memory to lock
            buffers = [torch.empty(cells, dtype=torch.int64) for _ in range(2)]
            pinned = False
        self._sent, self._arrived = buffers
        generator = torch.Generator("cpu").manual_seed(seed)
        self._sent.random_(-(1 << 63), (1 << 63) - 1, generator=generator)
        self._kept = self._sent.to(self._device.handle)
        # Copies to the host take these by turns, so that one that does nothing cannot pass.
        self._sources = [self._kept.bitwise_not(), self._kept]
        self._target = torch.empty_like(self._kept)
        return pinned

    def _repeat(
        self,
        copy: Callable[[], tuple[float, list[dict[str, Any]]]],
        seconds: float,
        tell: Callable[[list[dict[str, Any]]], None],
        beat: Callable[[], None],
    ) -> list[float]:
        """The seconds of every copy; a wrong one is the last."""
        until = time.monotonic() + seconds
        times: list[float] = []
        while time.monotonic() < until or len(times) < LEAST:
            spent, found = copy()
            times.append(spent)
            beat()
            if found:  # told once: the findings of one device must not hide another's
                tell(found)
                break
        return times

    def _to_device(self) -> tuple[float, list[dict[str, Any]]]:
        self._target.zero_()  # so that a copy that does nothing cannot pass
        spent = self._timed(self._target, self._sent)
        self._injector.copied(self._target, "h2d")
        if self._torch.equal(self._target, self._kept):
            return spent, []
        return spent, [difference(self._torch, self._stage, "h2d", self._kept, self._target)]

    def _to_host(self) -> tuple[float, list[dict[str, Any]]]:
        self._sources.reverse()
        source = self._sources[1]
        spent = self._timed(self._arrived, source)
        self._injector.copied(self._arrived, "d2h")
        self._target.copy_(self._arrived)
        same = self._torch.equal(self._target, source)
        found = [] if same and self._looked else self._seen_by_host(source)
        self._looked = True
        if not same and not found:  # it was changed on its way back
            found = [difference(self._torch, self._stage, "h2d", source, self._target)]
        return spent, found

    def _seen_by_host(self, source: Any) -> list[dict[str, Any]]:
        expected = self._sent if source is self._kept else self._sent.bitwise_not()
        if self._torch.equal(self._arrived, expected):
            return []
        way = "d2h" if self._originals_agree() else "h2d"
        return [difference(self._torch, self._stage, way, expected, self._arrived)]

    def _timed(self, target: Any, source: Any) -> float:
        watch = self._device.stopwatch()
        self._device.synchronize()
        watch.start()
        target.copy_(source, non_blocking=True)
        watch.stop()
        self._device.synchronize()
        return float(watch.seconds())

    def _originals_agree(self) -> bool:
        digests = [
            bits.digest(self._torch, original.view(-1, COLUMNS))
            for original in (self._sent, self._kept)
        ]
        return digests[0] == digests[1]


def difference(torch: Any, stage: str, check: str, expected: Any, read: Any) -> dict[str, Any]:
    """Where two flat tensors of one type differ, as a finding; by slices, to bound memory."""
    wrong, first = 0, -1
    for start in range(0, expected.numel(), SLICE):
        mask = torch.ne(expected[start : start + SLICE], read[start : start + SLICE])
        here = int(mask.sum())
        if here and not wrong:
            first = start + int(mask.nonzero()[0])
        wrong += here
    found = {"stage": stage, "check": check}
    if not wrong:
        # A comparison saw it and this one did not: the data does not hold still.
        words = {"expected": "", "read": "a difference that a second look did not see"}
        return {**found, "wrong": 1, "offset": 0, **words}
    width = expected.element_size()
    cells = [bits.narrow(torch, tensor[first : first + 1]) for tensor in (expected, read)]
    shown = [bits.hexadecimal(int(cell[0]), 8 * width) for cell in cells]
    offset = first * width
    return {**found, "wrong": wrong, "offset": offset, "expected": shown[0], "read": shown[1]}


def rate(size: int, times: list[float]) -> float:
    """GB/s of copies of ``size`` bytes: the median one's; 0.0 of none."""
    middle = statistics.median(times) if times else 0.0
    return float("%.4g" % (size / middle / 1e9)) if middle > 0 else 0.0


@contextlib.contextmanager
def near(bus: Any) -> Iterator[Any]:
    """Memory taken meanwhile is that of the NUMA node of the device at PCI address ``bus``.

    Gives whether it is so; None where the system does not say which cores are near. Memory of
    the other socket would show the link between the sockets, not the device's own.
    """
    cores = local_cores(_local_cpulist(str(bus))) if bus else set()
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not cores or not before:
        yield None
        return
    if not cores & before:
        yield False  # not ours to use: a container's or a scheduler's choice
        return
    os.sched_setaffinity(0, cores & before)
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


def local_cores(text: str) -> set[int]:
    """The kernel's list of cores: '0-3,8' is {0, 1, 2, 3, 8}; empty for anything else."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            cores.update(range(int(first), int(last or first) + 1))
    return cores


def _local_cpulist(bus: str) -> str:
    try:
        with open("/sys/bus/pci/devices/%s.0/local_cpulist" % bus, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
