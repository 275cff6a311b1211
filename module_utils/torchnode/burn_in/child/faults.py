"""Test-only fault injection: the faults that a burn-in must find, made on purpose.

``FAULT`` or ``FAULT:BIT`` where FAULT is one of

======================  =========================================================================
flip                    once, flip BIT (0-63) of one 64-bit word of a product before its check
nan, inf                once, put NaN or infinity into one element of a product
sticky, sticky-nan      flip BIT, or put NaN, in every product, the one the reference is made from
                        included
input                   flip BIT of an operand after the reference was made
corrupt-reference       flip BIT of the reference itself
late-flip               flip BIT of a product after its check, while it lies in the ring
pulse                   once, flip BIT of a product under the pulsed load
memory-cell             flip BIT of one cell between fill and read-back
copy, h2d, d2h          flip BIT of what a copy brought: in the device, to it, from it
peer                    flip BIT of what a copy from another device brought
reduce                  flip BIT of an all-reduce's result on this device
slow                    rest after each product for twice as long as it took
kill, hang, exit        SIGKILL, SIGSTOP to itself, exit status 7, all in mid-burn
oom                     ask for more memory than there is
garbage                 write something that is not a result to the result channel
----------------------  -------------------------------------------------------------------------
ecc                     the device's count of uncorrected errors has risen by one at the end
thermal                 every sample says that heat slows the device's clock
xid                     the kernel's log says that the device fell off the bus, Xid 79
sampler-kill            SIGKILL of the sampler, after its first sample
sampler-hang            SIGSTOP of the sampler, after its first sample
library-hang            the library that tells of the devices never answers
======================  =========================================================================

Those below the line are the sampler's, see sampler_faults.py; BIT means nothing to them.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

KINDS = (
    "flip",
    "nan",
    "inf",
    "sticky",
    "sticky-nan",
    "input",
    "corrupt-reference",
    "late-flip",
    "pulse",
    "memory-cell",
    "copy",
    "h2d",
    "d2h",
    "peer",
    "reduce",
    "slow",
    "kill",
    "hang",
    "exit",
    "oom",
    "garbage",
    "ecc",
    "thermal",
    "xid",
    "sampler-kill",
    "sampler-hang",
    "library-hang",
)

#: The product at which a one-shot fault strikes: late enough that clean ones went before it.
STRIKE_AT = 3

#: What strikes at that product, however little time there is for it.
BY_COUNT = (
    "flip", "nan", "inf", "input", "corrupt-reference", "late-flip",
    "kill", "hang", "exit", "oom", "garbage",
)  # fmt: skip


def parse(text: str) -> tuple[str, int]:
    """(kind, bit). Raises ValueError naming what was found and what is known."""
    kind, _, bit = text.partition(":")
    if kind not in KINDS:
        raise ValueError("unknown fault %r, expected one of %s" % (kind, ", ".join(KINDS)))
    if bit and not (bit.isdigit() and int(bit) < 64):
        raise ValueError("fault bit %r is not a number from 0 to 63" % bit)
    return kind, int(bit or 0)


def flip(torch: Any, words: Any, index: int, bit: int) -> None:
    """Flip one bit of an int64 tensor in place."""
    mask = (1 << bit) - (1 << 64 if bit == 63 else 0)
    words[index] = torch.bitwise_xor(words[index], mask)


class Injector:
    """Strikes once (or always, when sticky) at the places that the worker offers."""

    def __init__(self, torch: Any, text: str, channel: Any = None) -> None:
        self._torch, self._channel = torch, channel
        self.kind, self._bit = parse(text) if text else ("", 0)
        self._products = self._batches_after = 0
        self._pulsed = self._struck = False

    def every_product(self, output: Any) -> None:
        """Called for every product ever made, those of the set-up included."""
        if self.kind == "sticky":
            self._flip(output)
        elif self.kind == "sticky-nan":
            output[1, 1] = float("nan")

    def burning_product(self, output: Any, job: Any) -> None:
        """Called between a product of the burn and its check."""
        self._products += 1
        if self.kind == "slow":
            time.sleep(2 * job.one)
        if self.kind == "pulse" and self._pulsed and self._once():
            self._flip(output)
        if self._products != STRIKE_AT:
            return
        if self.kind == "flip":
            self._flip(output)
        elif self.kind in ("nan", "inf"):
            output[1, 1] = float(self.kind)
        elif self.kind == "corrupt-reference":
            self._flip(job.reference)
        elif self.kind == "input":
            self._flip(job.left)

    def checked_product(self, output: Any) -> None:
        """Called after a product's check."""
        if self.kind == "late-flip" and self._products >= STRIKE_AT and self._once():
            self._flip(output)

    def waits(self) -> bool:
        """Called once a batch: whether the fault is still to strike, or no batch came after it."""
        self._batches_after += self._products >= STRIKE_AT
        return self.kind in BY_COUNT and self._batches_after < 2

    def pulsed(self) -> None:
        """Called when the pulsed load begins."""
        self._pulsed = True

    def memory_cell(self, chunk: Any) -> None:
        """Called between fill and read-back of the first chunk."""
        if self.kind == "memory-cell":
            flip(self._torch, chunk, min(12345, chunk.numel() - 1), self._bit)

    def copied(self, tensor: Any, way: str) -> None:
        """Called between a copy ('copy', 'h2d', 'd2h') and its check."""
        if self.kind == way:
            self._flip(tensor)

    def peer_copied(self, tensor: Any, source: str, target: str) -> None:
        """Called between a copy to ``target`` and its check; only the struck device's injector."""
        if self.kind == "peer":
            self._flip(tensor)

    def reduced(self, tensor: Any, name: str) -> None:
        """Called between an all-reduce and the check of its result on this device."""
        if self.kind == "reduce":
            self._flip(tensor)

    def in_mid_burn(self) -> None:
        """Called again and again while products are made."""
        if self._products < STRIKE_AT:
            return
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.kind == "exit":
            os._exit(7)
        elif self.kind == "oom":
            self._torch.empty(1 << 52, dtype=self._torch.uint8)
        elif self.kind == "garbage" and self._once():
            self._channel.write(b"Segmentation fault (core dumped)\n")

    def _once(self) -> bool:
        first, self._struck = not self._struck, True
        return first

    def _flip(self, tensor: Any) -> None:
        flip(self._torch, tensor.reshape(-1).view(self._torch.int64), 1, self._bit)
