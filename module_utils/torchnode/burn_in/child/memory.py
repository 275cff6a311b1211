"""Memory: every cell written with each pattern, then every cell read back and compared.

All chunks are written before the first is read, so that an address line that is stuck, and makes
two cells one, shows as a wrong pattern.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from .bits import WORD, hexadecimal

GIB = 1 << 30
BLOCK = 1 << 20  # bytes: what is random repeats after so many; a chunk is a multiple of it

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
    return (min(wanted, cap) if cap else wanted) // BLOCK * BLOCK


def chunk_of(total: int) -> int:
    """Bytes of one chunk: its comparison needs about as much again, out of what is left free."""
    return min(GIB, max(BLOCK, total // 64)) // BLOCK * BLOCK


class Memory:
    """The memory stage of one device."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._config, self._seed = config, config["seed"]
        self._chunks: list[Any] = []
        self._block: Optional[tuple[int, Any]] = None

    def run(self, turn: Any) -> dict[str, Any]:
        """Whole cycles of patterns; bytes: free, tested, checked; what was done and what missed.

        ``write_gb_s`` and ``read_gb_s`` are medians over the constant patterns.
        """
        self._cycles = self._checked = self._wrong = 0
        self._done: list[str] = []  # patterns that covered every cell at least once
        free = self._device.free_bytes()
        total = size_of(free, self._config["memory_fraction"], self._config["memory_bytes"])
        self._allocate(total)
        began = time.monotonic()
        rates: dict[str, list[float]] = {"write": [], "read": []}
        # The first cycle may use the slack: a memory that was not covered is not proven.
        while total and not (turn.over() if self._cycles else turn.grace_over()):
            for name in PATTERNS:
                if not (turn.over() if self._cycles else turn.grace_over()):
                    self._pattern(name, turn, rates)
            self._cycles += 1
        self._chunks, self._block = [], None
        self._device.release()
        return {
            "free": free,
            "tested": total,
            "checked": self._checked,
            "cycles": self._cycles,
            "wrong": self._wrong,
            "patterns": self._done,
            "missed": [name for name in PATTERNS if name not in self._done],
            "seconds": round(time.monotonic() - began, 3),
            **{"%s_gb_s" % kind: median(values) for kind, values in rates.items()},
        }

    def _allocate(self, total: int) -> None:
        """Take the memory. Raises what torch raises when there is not enough."""
        size = chunk_of(total)
        left = total
        while left:
            cells = min(size, left) // WORD
            self._chunks.append(
                self._torch.empty(cells, dtype=self._torch.int64, device=self._device.handle)
            )
            left -= cells * WORD

    def _pattern(self, name: str, turn: Any, rates: dict[str, list[float]]) -> None:
        """Write one pattern everywhere and read it back, while there is time."""
        began, start = time.perf_counter(), 0
        for chunk in self._chunks:
            self._fill(name, start, chunk)
            start += chunk.numel()
            turn.beat(bytes=self._checked, pattern=name)  # a CPU fills slowly
        self._device.synchronize()
        written = time.perf_counter()
        self._injector.memory_cell(self._chunks[0])
        complete = self._read_back(name, turn)
        self._device.synchronize()
        read = time.perf_counter()
        if complete and name not in self._done:
            self._done.append(name)
        if complete and name in CONSTANTS:
            rates["write"].append(start * WORD / (written - began) / 1e9)
            rates["read"].append(start * WORD / (read - written) / 1e9)

    def _read_back(self, name: str, turn: Any) -> bool:
        """Whether every cell was read. The answers are looked at two chunks late, so that the
        device need not wait for the host."""
        pending: list[tuple[int, int, Any]] = []
        start = 0
        for number, chunk in enumerate(self._chunks):
            pending.append((number, start, self._device.fetch(self._look(name, start, chunk))))
            start += chunk.numel()
            if len(pending) > 2:
                self._settle(name, turn, *pending.pop(0))
            late = turn.over() if self._cycles else turn.grace_over()
            if late and number < len(self._chunks) - 1:
                break
        else:
            number = len(self._chunks)
        for item in pending:
            self._settle(name, turn, *item)
        return number == len(self._chunks)

    def _look(self, name: str, start: int, chunk: Any) -> Any:
        """Least and greatest of what should be all one value, every cell read once."""
        torch = self._torch
        if name in CONSTANTS:
            return torch.stack(list(torch.aminmax(chunk)))
        if name == "random":
            kept = self._random()
            least, most = torch.aminmax(chunk.view(-1, kept.numel()), dim=0)
            return torch.stack([(least != kept).any(), (most != kept).any()]).long()
        wrong = torch.ne(chunk, self._expected(name, start, chunk)).any().long()
        return torch.stack([wrong, wrong])

    def _settle(self, name: str, turn: Any, number: int, start: int, seen: Any) -> None:
        chunk, sound = self._chunks[number], CONSTANTS.get(name, 0)
        self._checked += chunk.numel() * WORD
        turn.beat(bytes=self._checked, pattern=name)
        if seen.get() != [sound, sound]:
            found = self._locate(name, start, chunk)
            self._wrong += found["wrong"]
            turn.tell([found])

    def _fill(self, name: str, start: int, chunk: Any) -> None:
        if name in CONSTANTS:
            chunk.fill_(CONSTANTS[name])
        elif name == "address":
            self._torch.arange(start, start + chunk.numel(), out=chunk)
        else:
            chunk.view(-1, BLOCK // WORD).copy_(self._random())

    def _random(self) -> Any:
        """This cycle's block of random cells; drawn on the host, so that it is sound."""
        if self._block is None or self._block[0] != self._cycles:
            generator = self._torch.Generator("cpu").manual_seed(self._seed + self._cycles)
            cells = self._torch.randint(
                -(1 << 63), (1 << 63) - 1, (BLOCK // WORD,), generator=generator
            )
            self._block = (self._cycles, cells.to(self._device.handle))
        return self._block[1]

    def _expected(self, name: str, start: int, chunk: Any) -> Any:
        """What the chunk should hold."""
        again = self._torch.empty_like(chunk)
        self._fill(name, start, again)
        return again

    def _locate(self, name: str, start: int, chunk: Any) -> dict[str, Any]:
        expected = self._expected(name, start, chunk)
        places = self._torch.ne(chunk, expected).nonzero()
        found = {"stage": "memory", "check": "read-back", "pattern": name}
        if not len(places):
            # Read twice with two results: the cell, or the way to it, does not hold still.
            words = {"expected": "", "read": "a difference that a second look did not see"}
            return {**found, "wrong": 1, "offset": start * WORD, **words}
        first = int(places[0])
        return {
            **found,
            "wrong": len(places),
            "offset": (start + first) * WORD,
            "expected": hexadecimal(int(expected[first]), 64),
            "read": hexadecimal(int(chunk[first]), 64),
        }


def median(values: list[float]) -> float:
    """The middle one, rounded; 0.0 of none."""
    return float("%.4g" % sorted(values)[len(values) // 2]) if values else 0.0
