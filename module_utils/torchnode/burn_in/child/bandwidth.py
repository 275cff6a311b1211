"""Bandwidth of the device's memory and of its link to the host, with all data compared.

The result of a stage holds::

    copy_gb_s       GB/s of copies within the device's memory, bytes read and bytes written: median
    copy_bytes      bytes of the buffers copied
    h2d_gb_s        GB/s from the host to the device; None for a CPU, which has no such link
    d2h_gb_s        GB/s from the device to the host; None for a CPU
    copies          how many copies: [memory, to the device, to the host]
    bytes_verified  bytes that arrived and were compared
    pinned, local   of the host's memory: see host_link.py; None for a CPU
    seconds         how long it took

A GB is 10^9 bytes. All devices copy at once here, so links that share a switch or the host's
memory share its rate; the rate of each link alone is measured in links.py.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from .bits import WORD
from .host_link import HostLink, difference, rate

GIB = 1 << 30
CPU_BYTES = 32 << 20  # its rate is not judged; three buffers stay below the plan's bound
SHARE = 8  # a buffer is at most one part in so many of the free memory; there are three
BATCH = 16  # copies between two looks at the clock: few enough to end soon, enough to keep busy
MEASURED = 0.25  # seconds of copies whose rate counts, however short the stage's time
STAGE = "bandwidth"


class Bandwidth:
    """The bandwidth stage of one device."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._seed = config["seed"]

    def run(self, turn: Any) -> dict[str, Any]:
        """A third of the time for copies in memory, the rest for both ways of the host link."""
        began = time.monotonic()
        memory = self._in_memory(turn, max(0.0, turn.left()) / 3)
        self._device.release()
        link = self._host_link(turn, max(0.0, turn.left()))
        self._device.release()
        return {
            **memory,
            **link,
            "copies": memory["copies"] + link["copies"],
            "bytes_verified": memory["bytes_verified"] + link["bytes_verified"],
            "seconds": round(time.monotonic() - began, 3),
        }

    def size(self) -> int:
        """Bytes of one buffer for copies in memory."""
        most = CPU_BYTES if self._device.name == "cpu" else GIB
        return min(most, int(self._device.free_bytes()) // SHARE) // WORD * WORD

    def _in_memory(self, turn: Any, seconds: float) -> dict[str, Any]:
        """Each copy is made of the one before it, so a wrong bit of any is in the last.

        All are compared; the rate is that of those after ``settling``, when the clocks no longer
        show the load that was before.
        """
        torch, size = self._torch, self.size()
        source = torch.empty(size // WORD, dtype=torch.int64, device=self._device.handle)
        source.random_(-(1 << 63), (1 << 63) - 1)
        pair = [torch.zeros_like(source) for _ in range(2)]
        settled = time.monotonic() + self._device.settling
        until = max(time.monotonic() + seconds, settled + MEASURED)
        chains = 0
        times: list[float] = []
        while size and (time.monotonic() < until or not times):
            counts = time.monotonic() >= settled
            spent = self._chain(source, pair)
            chains += 1
            if counts:
                times.append(spent / BATCH)
            self._injector.copied(pair[1], "copy")
            if not torch.equal(pair[1], source):
                turn.tell([difference(torch, STAGE, "copy", source, pair[1])])
            turn.beat()
        return {
            "copy_gb_s": rate(2 * size, times),
            "copy_bytes": size,
            "copies": [BATCH * chains],
            "bytes_verified": BATCH * chains * size,
        }

    def _chain(self, source: Any, pair: list[Any]) -> float:
        """Seconds of BATCH copies, the first of ``source``, the last into ``pair[1]``."""
        for buffer in pair:
            buffer.zero_()  # so that copies that do nothing cannot pass
        watch = self._device.stopwatch()
        self._device.synchronize()
        watch.start()
        pair[0].copy_(source)
        for number in range(1, BATCH):
            pair[number % 2].copy_(pair[(number - 1) % 2])
        watch.stop()
        self._device.synchronize()
        return float(watch.seconds())

    def _host_link(self, turn: Any, seconds: float) -> dict[str, Any]:
        if self._device.name == "cpu":
            nothing: dict[str, Optional[float]] = dict.fromkeys(
                ("h2d_gb_s", "d2h_gb_s", "pinned", "local")
            )
            return {**nothing, "copies": [0, 0], "bytes_verified": 0}
        link = HostLink(self._torch, self._device, self._injector, STAGE)
        return link.measure(seconds, self._seed, turn.tell, turn.beat)
