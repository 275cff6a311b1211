"""Products of one pair of matrices, made over a ring of outputs, every bit of each checked.

Each product's checksum, the sum of its 64-bit words modulo 2^64, is made on the device before the
product can be overwritten, and compared on the host: all bits are read once. Its blind spot,
changes that cancel in the sum, is covered for what is in the ring at the end: that is compared
word by word. Two batches are in flight, so that the device does not wait for the host.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Optional

from . import bits
from .precisions import Precision

BATCH_SECONDS = 0.12  # device time of a batch: short enough to stop in time
MOST_IN_BATCH = 16
PLAIN_EVERY = 8  # one batch of these is timed without its checks, which follow after it
FEWEST = 2  # batches of either kind that tell what the checks cost
LOCATED = 4  # wrong products of a job that are searched for the wrong elements


class Job:
    """One precision and data pattern: operands, what their product must be, and the tally."""

    def __init__(self, precision: Precision, pattern: str, left: Any, right: Any) -> None:
        self.precision, self.pattern = precision, pattern
        self.left, self.right = left, right
        self.reference: Any = None  # the product
        self.checksum = 0
        self.digest = self.operands = ""
        self.seconds = 0.0  # wall, checks included
        self.products = self.wrong = 0
        self.one = 0.0  # device seconds of one product
        self.plain: list[float] = []  # device seconds a product, without its check
        self.checked: list[float] = []  # and with it

    @property
    def flops(self) -> float:
        """Floating-point operations of one product."""
        rows, inner, columns = self.shape
        return float(2.0 * rows * inner * columns)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, inner length and columns of the product."""
        return self.precision.shape(self.left, self.right)

    @property
    def oracle(self) -> bool:
        """Whether the reference is the true product, not just this device's first one."""
        return self.pattern == "exact integers"


class Batch:
    """Products that are in flight."""

    def __init__(self, slots: list[int], sums: Any, watch: Any, plain: bool) -> None:
        self.slots, self.sums, self.watch, self.plain = slots, sums, watch, plain


class Products:
    """Makes and checks the products of jobs on one device, over one pool of memory."""

    def __init__(self, torch: Any, device: Any, injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._pool: list[Any] = []

    def take_pool(self, piece: int, most: int) -> int:
        """The ring's memory: pieces of ``piece`` bytes, as many as fit into ``most``, two at least.

        Returns its bytes. Raises what torch raises when there is not enough.
        """
        count = max(2, most // piece)
        self._pool = [
            self._torch.empty(
                piece // bits.WORD, dtype=self._torch.int64, device=self._device.handle
            )
            for _ in range(count)
        ]
        return count * piece

    def prepare(self, job: Job, expected: Optional[Any] = None) -> list[dict[str, Any]]:
        """Fix what the job's product must be: ``expected``, or the first product. Findings."""
        torch = self._torch
        first, again = (self._multiply(job, self._new(job)) for _ in range(2))
        watch = self._device.stopwatch()
        watch.start()
        self._multiply(job, again)
        watch.stop()
        job.reference = first if expected is None else expected
        job.checksum = int(bits.words(torch, job.reference).sum())
        job.one = watch.seconds()
        job.digest, job.operands = bits.digest(torch, job.reference), self._of_operands(job)
        findings = []
        if not bool(torch.isfinite(job.reference).all()):
            findings.append(defect(job, "reference", expected="finite", read="NaN or Inf"))
        job.products += 1
        if not torch.equal(bits.words(torch, again), bits.words(torch, job.reference)):
            findings.append(self._locate(job, again, 0))
        return findings

    def burn(
        self, job: Job, go_on: Callable[[], bool], tell: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        """Products over the ring while ``go_on``, one batch at least; then the whole ring compared.

        ``go_on`` is asked once a batch.
        """
        began, ring = time.monotonic(), self._ring(job)
        size = self.batch_size(job.one, len(ring))
        pending: Optional[Batch] = None
        number = made = 0
        while not number or go_on():
            slots = [(made + i) % len(ring) for i in range(size)]
            batch = self._enqueue(job, ring, slots, number % PLAIN_EVERY == 1)
            if pending:
                tell(self._settle(job, ring, pending))
            pending, number, made = batch, number + 1, made + size
        if pending:
            tell(self._settle(job, ring, pending))
        job.seconds += time.monotonic() - began
        tell(self._sweep(job, ring[: min(made, len(ring))]))

    @staticmethod
    def batch_size(one: float, slots: int) -> int:
        """Products of a batch: two batches must fit into the ring."""
        wanted = int(BATCH_SECONDS / one) if one > 0 else MOST_IN_BATCH
        return max(1, min(wanted, MOST_IN_BATCH, slots // 2))

    def _enqueue(self, job: Job, ring: list[Any], slots: list[int], plain: bool) -> Batch:
        watch = self._device.stopwatch()
        sums = self._torch.empty(len(slots), dtype=self._torch.int64, device=self._device.handle)
        watch.start()
        for place, slot in enumerate(slots):
            self._multiply(job, ring[slot])
            if not plain:
                self._check(job, ring[slot], sums[place])
        watch.stop()
        if plain:
            for place, slot in enumerate(slots):
                self._check(job, ring[slot], sums[place])
        return Batch(slots, self._device.fetch(sums), watch, plain)

    def _check(self, job: Job, output: Any, into: Any) -> None:
        self._injector.burning_product(output, job)
        self._torch.sum(bits.words(self._torch, output), dim=0, out=into)
        self._injector.checked_product(output)

    def _settle(self, job: Job, ring: list[Any], batch: Batch) -> list[dict[str, Any]]:
        findings = []
        for place, value in enumerate(batch.sums.get()):
            if value != job.checksum:
                job.wrong += 1
                findings.append(self._found(job, ring[batch.slots[place]], job.products + place))
        job.products += len(batch.slots)
        times = job.plain if batch.plain else job.checked
        times.append(batch.watch.seconds() / len(batch.slots))
        return findings

    def _found(self, job: Job, output: Any, product: int) -> dict[str, Any]:
        if job.wrong > LOCATED:
            return defect(job, job_check(job), product=product)
        return self._locate(job, output, product)

    def _sweep(self, job: Job, outputs: list[Any]) -> list[dict[str, Any]]:
        """Operands and reference as they were, and every output in the ring, word by word."""
        torch = self._torch
        findings = [
            defect(job, check, expected="digest " + kept, read="digest " + now)
            for check, kept, now in (
                ("reference", job.digest, bits.digest(torch, job.reference)),
                ("operands", job.operands, self._of_operands(job)),
            )
            if now != kept
        ]
        if findings or job.wrong:
            return findings  # what was wrong is known; every output would only say so again
        kept = bits.words(torch, job.reference)
        flags = [torch.ne(bits.words(torch, output), kept).any() for output in outputs]
        wrong = [i for i, bad in enumerate(torch.stack(flags).tolist()) if bad]
        job.wrong += len(wrong)
        return [self._locate(job, outputs[slot], slot) for slot in wrong[:LOCATED]]

    def _of_operands(self, job: Job) -> str:
        right = job.right if job.right.is_contiguous() else job.right.t()
        return " ".join(bits.digest(self._torch, matrix) for matrix in (job.left, right))

    def _new(self, job: Job) -> Any:
        shape = (job.left.shape[0], job.right.shape[1])
        kind = job.precision.output(self._torch)
        return self._torch.empty(shape, dtype=kind, device=self._device.handle)

    def _ring(self, job: Job) -> list[Any]:
        """The pool as outputs of the job, as many as each piece holds."""
        rows, columns = job.left.shape[0], job.right.shape[1]
        outputs = []
        for piece in self._pool:
            flat = piece.view(job.precision.output(self._torch))
            each = rows * columns
            outputs += [
                flat[i * each : (i + 1) * each].view(rows, columns)
                for i in range(flat.numel() // each)
            ]
        return outputs

    def _multiply(self, job: Job, output: Any) -> Any:
        job.precision.multiply(self._torch, job.left, job.right, output)
        self._injector.every_product(output)
        return output

    def _locate(self, job: Job, output: Any, product: int) -> dict[str, Any]:
        """Which elements differ, on integer views so that NaN and Inf are bits like any other."""
        torch = self._torch
        read, kept = bits.narrow(torch, output), bits.narrow(torch, job.reference)
        places = torch.ne(read, kept).nonzero()
        if not len(places):
            words = "a difference that a second look did not see"
            return defect(job, job_check(job), read=words, product=product)
        first = int(places[0])
        width = 8 * output.element_size()
        return defect(
            job,
            job_check(job),
            wrong=len(places),
            offset=list(divmod(first, int(output.shape[1]))),
            expected=bits.hexadecimal(int(kept[first]), width),
            read=bits.hexadecimal(int(read[first]), width),
            product=product,
        )


def job_check(job: Job) -> str:
    """The name of the check that a job's products undergo."""
    return "oracle" if job.oracle else "repeat"


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
        "precision": job.precision.name,
        "pattern": job.pattern,
        "wrong": wrong,
        "offset": offset,
        "expected": expected,
        "read": read,
        "product": product,
    }


def settled(times: list[float]) -> float:
    """The median after the first third, in which clocks still fall under the load; 0.0 of none."""
    return statistics.median(times[len(times) // 3 :]) if times else 0.0


def check_cost(plain: list[float], checked: list[float]) -> Optional[float]:
    """The checks' share of the time without them; None of so few batches that chance decides."""
    if min(len(plain), len(checked)) < FEWEST or settled(plain) <= 0:
        return None
    return round(settled(checked) / settled(plain) - 1, 5)


def summary(job: Job) -> dict[str, Any]:
    """A job's tally: rates in TFLOP/s."""
    plain, checked = settled(job.plain), settled(job.checked)
    return {
        "precision": job.precision.name,
        "pattern": job.pattern,
        "shape": list(job.shape),
        "products": job.products,
        "wrong": job.wrong,
        "bytes": job.products * job.reference.numel() * job.reference.element_size(),
        "seconds": round(job.seconds, 3),
        "tflops": round(job.flops / plain / 1e12, 4) if plain > 0 else None,
        "verified_tflops": round(job.flops / checked / 1e12, 4) if checked > 0 else None,
        "check_cost": check_cost(job.plain, job.checked),
        "digest": job.digest,
    }
