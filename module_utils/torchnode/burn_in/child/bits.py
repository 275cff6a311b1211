"""Bits of tensors: views as integers, checksums, digests, and the proof of a product."""

from __future__ import annotations

import hashlib
from typing import Any

WORD = 8  # bytes: checks run on 64-bit words
ROWS = 1024  # rows of a host-side proof at a time, to bound its memory
VECTOR_BITS = 20  # 2^13 * 2^19 * 2^20 < 2^53: every sum of the proof is exact in float64


def words(torch: Any, tensor: Any) -> Any:
    """A contiguous tensor's bits as a flat int64 view."""
    return tensor.view(-1).view(torch.int64)


def narrow(torch: Any, tensor: Any) -> Any:
    """A tensor's elements as a flat view of integers of the same width."""
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.view(-1).view(kinds[tensor.element_size()])


def hexadecimal(value: int, bits: int) -> str:
    """A signed integer's bits: hexadecimal(-1, 16) is '0xffff'."""
    return "0x%0*x" % (bits // 4, value & ((1 << bits) - 1))


def digest(torch: Any, tensor: Any) -> str:
    """A hash of the sums of all rows and of all columns of a matrix' 64-bit words.

    The sums are modulo 2^64 and made on the device, so that only kilobytes travel. A change of
    any one word changes it; changes of several do unless they cancel in each row and column.
    """
    grid = tensor.view(tensor.shape[0], -1).view(torch.int64)
    sums = torch.cat([grid.sum(0), grid.sum(1)]).cpu()
    return hashlib.blake2b(bytes(str(sums.tolist()), "ascii"), digest_size=16).hexdigest()


def proven(torch: Any, left: Any, right: Any, product: Any, seed: int) -> bool:
    """Whether ``product`` is exactly ``left @ right``: Freivalds' check, on the host.

    Two random vectors of 20-bit integers; every float64 sum stays below 2^53 and so is exact. A
    wrong row passes with a probability of at most 2^-40. NaN equals nothing, so it never passes.
    """
    generator = torch.Generator("cpu").manual_seed(seed + 1)
    shape = (right.shape[1], 2)
    vectors = torch.randint(0, 1 << VECTOR_BITS, shape, generator=generator).double()
    inner = torch.cat([rows.double() @ vectors for rows in right.split(ROWS)])
    return all(
        torch.equal(got.double() @ vectors, rows.double() @ inner)
        for got, rows in zip(product.split(ROWS), left.split(ROWS))
    )
