"""Matrix products, every bit of every one checked before it is overwritten.

Two data patterns. 'random normals' heat the device as real work does and are compared, as integers,
with an immutable reference product of the same operands on the same device. 'exact integers' in
[-8, 8] keep every sum below 2^24, exact in fp32 accumulation whatever its order; their expected
product is proven on the host, so a unit that is wrong the same way every time is found too.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
from typing import Any, Callable, Optional

from .device import DTYPES

BOUND = 8  # integers in [-BOUND, BOUND]
WORD = 8  # bytes: comparisons run on 64-bit words
ROWS = 1024  # rows of a host-side proof at a time, to bound its memory
VECTOR_BITS = 20  # 2^13 * 2^19 * 2^20 < 2^53: every sum of the proof is exact in float64


class Job:
    """One precision and data pattern: operands, immutable reference words, and its tally."""

    def __init__(self, precision: str, pattern: str, left: Any, right: Any, weight: float) -> None:
        self.precision, self.pattern, self.weight = precision, pattern, weight
        self.left, self.right = left, right
        self.reference: Any = None
        self.digest = ""
        self.spent = 0.0  # wall seconds, checks included: what the schedule balances
        self.device_seconds = 0.0  # products alone
        self.products = 0
        self.wrong = 0

    @property
    def flops(self) -> float:
        rows, inner = self.left.shape
        return float(2.0 * rows * inner * self.right.shape[1])


class Compute:
    """The compute stage of one device."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._seed = config["seed"]
        precisions = choose(config["precisions"], device.has)
        self._size = fitting_size(
            config["size"], config["ring"], len(precisions), device.free_bytes()
        )
        self._rings = {p: self._ring(p, config["ring"]) for p in precisions}
        self._integers: Optional[tuple[Any, Any, Any, bool]] = None
        self.jobs: list[Job] = []
        self.defects: list[dict[str, Any]] = []
        for precision in precisions:
            share = config["share"] if precision == precisions[0] else config["share_other"]
            self.jobs.append(self._random_job(precision, share))
            self.jobs.append(self._integer_job(precision, config["share_other"]))
        self._integers = None

    def batch(self, job: Job, channel: Any) -> list[dict[str, Any]]:
        """A ring of products, then one look at all their bits. Returns what was wrong."""
        began = time.perf_counter()
        watch = self._device.stopwatch()
        ring = self._rings[job.precision]
        watch.start()
        for output in ring:
            self._multiply(job, output)
        watch.stop()
        for output in ring:
            self._injector.burning_product(output, job, channel)
        flags = [self._torch.ne(words(self._torch, o), job.reference).any() for o in ring]
        wrong = self._torch.stack(flags).tolist()
        defects = [self._locate(job, ring[i], i) for i, bad in enumerate(wrong) if bad]
        job.device_seconds += watch.seconds()
        job.spent += time.perf_counter() - began
        job.products += len(ring)
        job.wrong += len(defects)
        return defects

    def recheck_references(self) -> list[dict[str, Any]]:
        """The references held against their digests taken at the start."""
        return [
            defect(job, "reference", expected="digest " + job.digest, read="digest " + now)
            for job in self.jobs
            for now in [digest(job.reference)]
            if now != job.digest
        ]

    def _ring(self, precision: str, length: int) -> list[Any]:
        kind = dtype(self._torch, precision)
        shape = (self._size, self._size)
        return [
            self._torch.empty(shape, dtype=kind, device=self._device.handle) for _ in range(length)
        ]

    def _multiply(self, job: Job, output: Any) -> None:
        self._torch.mm(job.left, job.right, out=output)
        self._injector.every_product(output)

    def _random_job(self, precision: str, weight: float) -> Job:
        torch, kind = self._torch, dtype(self._torch, precision)
        generator = torch.Generator(self._device.handle).manual_seed(self._seed)
        left, right = (
            torch.randn(
                (self._size, self._size), generator=generator, device=self._device.handle
            ).to(kind)
            for _ in range(2)
        )
        job = Job(precision, "random normals", left, right, weight)
        first = torch.empty_like(left)
        self._multiply(job, first)
        if not bool(torch.isfinite(first).all()):
            self.defects.append(defect(job, "reference", expected="finite", read="NaN or Inf"))
        return self._keep(job, first)

    def _integer_job(self, precision: str, weight: float) -> Job:
        if self._integers is None:
            self._integers = self._exact_integers()
        left, right, exact, true = self._integers
        kind = dtype(self._torch, precision)
        on_device = [matrix.to(self._device.handle).to(kind) for matrix in (left, right)]
        job = Job(precision, "exact integers", on_device[0], on_device[1], weight)
        if not true:
            # The burn goes on: what the other checks find tells more about the fault.
            self.defects.append(
                defect(job, "oracle", expected="the true product", read="another product")
            )
        return self._keep(job, exact.to(kind).to(self._device.handle))

    def _exact_integers(self) -> tuple[Any, Any, Any, bool]:
        """Operands (int8, host), their product in fp32 (device, then host), whether it is true."""
        torch = self._torch
        generator = torch.Generator("cpu").manual_seed(self._seed)
        shape = (self._size, self._size)
        left, right = (
            torch.randint(-BOUND, BOUND + 1, shape, generator=generator, dtype=torch.int8)
            for _ in range(2)
        )
        on_device = [m.to(self._device.handle).to(torch.float32) for m in (left, right)]
        output = torch.mm(on_device[0], on_device[1])
        self._injector.every_product(output)
        exact = output.cpu()
        return left, right, exact, proven(torch, left, right, exact, self._seed)

    def _keep(self, job: Job, product: Any) -> Job:
        # A copy of its own: nothing later writes to these words.
        job.reference = words(self._torch, product).clone()
        job.digest = digest(job.reference)
        return job

    def _locate(self, job: Job, output: Any, slot: int) -> dict[str, Any]:
        """Which elements differ, on integer views so that NaN and Inf are bits like any other."""
        torch = self._torch
        narrow = {2: torch.int16, 4: torch.int32}[output.element_size()]
        read, kept = output.view(-1).view(narrow), job.reference.view(narrow)
        places = torch.ne(read, kept).nonzero()
        check = "oracle" if job.pattern == "exact integers" else "repeat"
        if not len(places):
            return defect(job, check, read="a difference that a second look did not see")
        first = int(places[0])
        bits = 8 * output.element_size()
        return defect(
            job,
            check,
            wrong=len(places),
            offset=list(divmod(first, self._size)),
            expected=hexadecimal(int(kept[first]), bits),
            read=hexadecimal(int(read[first]), bits),
            product=job.products + slot,
        )


def choose(wanted: list[list[str]], has: Callable[[str], bool]) -> list[str]:
    """From each group of alternatives the first that the device has."""
    picked = [next((p for p in group if has(p)), "") for group in wanted]
    return [precision for precision in picked if precision]


def fitting_size(size: int, ring: int, precisions: int, free: int) -> int:
    """``size``, halved until operands, references and rings take at most half of what is free."""
    widest = 4  # bytes of an fp32 element
    while size > 256 and precisions * (ring + 9) * widest * size * size > free // 2:
        size //= 2
    return size


def dtype(torch: Any, precision: str) -> Any:
    return getattr(torch, DTYPES[precision])


def words(torch: Any, tensor: Any) -> Any:
    """A contiguous tensor's bits as a flat int64 view."""
    return tensor.view(-1).view(torch.int64)


def hexadecimal(value: int, bits: int) -> str:
    """A signed integer's bits: hexadecimal(-1, 16) is '0xffff'."""
    return "0x%0*x" % (bits // 4, value & ((1 << bits) - 1))


def digest(tensor: Any) -> str:
    """BLAKE2b of a tensor's bytes, read over the host."""
    host = tensor.cpu().contiguous()
    size = host.numel() * host.element_size()
    raw = (ctypes.c_char * size).from_address(host.data_ptr())
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def defect(
    job: Job,
    check: str,
    expected: str = "",
    read: str = "",
    wrong: int = 1,
    offset: Optional[list[int]] = None,
    product: Optional[int] = None,
) -> dict[str, Any]:
    """One finding as it travels to the parent."""
    return {
        "stage": "compute",
        "check": check,
        "precision": job.precision,
        "pattern": job.pattern,
        "wrong": wrong,
        "offset": offset,
        "expected": expected,
        "read": read,
        "product": product,
    }


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
