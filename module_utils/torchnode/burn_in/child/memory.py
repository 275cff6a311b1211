"""Memory: every cell written with each pattern, then every cell read back and compared.

All chunks are written before the first is read, so that an address line that is stuck, and makes
two cells one, shows as a wrong pattern.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from .compute import hexadecimal

CELL = 8  # bytes: one int64
GIB = 1 << 30
MIB = 1 << 20

#: Repeated bytes as signed 64-bit cells.
CONSTANTS = {
    "zeros": 0,
    "ones": -1,
    "0x55": 0x5555555555555555,
    "0xAA": -0x5555555555555556,
}

PATTERNS = (*CONSTANTS, "address", "random")


def size_of(free: int, fraction: float, cap: int) -> int:
    """Bytes to test: the fraction of what is free, never more than ``cap`` (0: no cap)."""
    wanted = int(free * fraction)
    return (min(wanted, cap) if cap else wanted) // CELL * CELL


def chunk_of(total: int) -> int:
    """Bytes of one chunk: its comparison needs about as much again, out of what is left free."""
    return max(CELL, min(GIB, max(MIB, total // 32)) // CELL * CELL)


class Memory:
    """The memory stage of one device."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._seed = config["seed"]
        self.free = device.free_bytes()
        self.total = size_of(self.free, config["memory_fraction"], config["memory_bytes"])
        self.cycles = 0
        self.checked = 0
        self.wrong = 0
        self.seconds = 0.0
        self.done: list[str] = []  # patterns that covered every cell at least once

    def allocate(self) -> None:
        """Take the memory. Raises what torch raises when there is not enough."""
        size = chunk_of(self.total)
        left, self._chunks = self.total, []
        while left:
            cells = min(size, left) // CELL
            self._chunks.append(
                self._torch.empty(cells, dtype=self._torch.int64, device=self._device.handle)
            )
            left -= cells * CELL

    def pattern(self, name: str, tick: Callable[[], bool]) -> list[dict[str, Any]]:
        """Write one pattern everywhere and read it back; ``tick`` says whether time is left."""
        began = time.perf_counter()
        start = 0
        for number, chunk in enumerate(self._chunks):
            self._fill(name, number, start, chunk)
            start += chunk.numel()
        self._injector.memory_cell(self._chunks[0])
        findings, complete = self._read_back(name, tick)
        self._device.synchronize()
        self.seconds += time.perf_counter() - began
        if complete and name not in self.done:
            self.done.append(name)
        return findings

    def _read_back(self, name: str, tick: Callable[[], bool]) -> tuple[list[dict[str, Any]], bool]:
        findings, start = [], 0
        for number, chunk in enumerate(self._chunks):
            bad = self._torch.ne(chunk, self._expected(name, number, start, chunk))
            if bool(bad.any()):
                findings.append(self._locate(name, number, start, chunk, bad))
                self.wrong += findings[-1]["wrong"]
            start += chunk.numel()
            self.checked += chunk.numel() * CELL
            if not tick():
                return findings, number == len(self._chunks) - 1
        return findings, True

    def _fill(self, name: str, number: int, start: int, chunk: Any) -> None:
        if name in CONSTANTS:
            chunk.fill_(CONSTANTS[name])
        elif name == "address":
            self._torch.arange(start, start + chunk.numel(), out=chunk)
        else:
            chunk.random_(generator=self._generator(number))

    def _expected(self, name: str, number: int, start: int, chunk: Any) -> Any:
        if name in CONSTANTS:
            return CONSTANTS[name]
        again = self._torch.empty_like(chunk)
        self._fill(name, number, start, again)
        return again

    def _generator(self, number: int) -> Any:
        generator = self._torch.Generator(self._device.handle)
        return generator.manual_seed(self._seed + 7919 * (self.cycles + 1) + number)

    def _locate(self, name: str, number: int, start: int, chunk: Any, bad: Any) -> dict[str, Any]:
        places = bad.nonzero()
        first = int(places[0])
        expected = self._expected(name, number, start, chunk)
        kept = expected if isinstance(expected, int) else int(expected[first])
        return {
            "stage": "memory",
            "check": "read-back",
            "pattern": name,
            "wrong": len(places),
            "offset": (start + first) * CELL,
            "expected": hexadecimal(kept, 64),
            "read": hexadecimal(int(chunk[first]), 64),
        }
