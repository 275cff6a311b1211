"""The compute stage: every precision that the device has, on two data patterns.

'random normals' heat the device as real work does and are compared with the device's own first
product; 'exact integers' with the true one. The first precision is the heat: it has most of the
time, comes last, and its rate is the one that is sampled and judged.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Optional

from . import products
from .oracle import Oracle
from .precisions import PRECISIONS, Precision, usable
from .products import Job, Products

SAMPLE_SECONDS = 1.0
SHORTEST_SAMPLE = 0.25  # a shorter first window would be noise

#: Shares of the time: of all precisions but the heat together; and of its integers in what is left.
OTHERS, INTEGERS_SHARE = 0.3, 0.15

#: Beside the ring: operands and what they are drawn in; the reference, and room to compare it.
OPERANDS, OUTPUTS = 4, 3
ROOM = 256 << 20  # bytes for the libraries' workspaces
SMALLEST = 256  # side of the smallest matrices


class Compute:
    """The compute stage of one device. What the host proves is made at once, the rest in run()."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._torch, self._device, self._injector = torch, device, injector
        self._config, self._seed = config, config["seed"]
        wanted = choose(config["precisions"], device.has)
        names, self._left_out, self._failed = usable(torch, device, wanted)
        self.precisions = [PRECISIONS[name] for name in names]
        sizes, inner = config["sizes"], config["inner"]
        self._shapes: dict[str, list[int]] = {
            name: [device.scaled(name, length) for length in (sizes.get(name, sizes[""]), inner)]
            for name in names
        }  # side of the product, inner length
        self._integer_size: int = config["integer_size"]
        self._fit()
        self._oracles = {
            bound: Oracle(torch, device, self._integer_size, bound, self._seed, injector)
            for bound in sorted({p.bound for p in self.precisions})
        }

    def run(self, turn: Any) -> dict[str, Any]:
        """Jobs one after the other.

        {'jobs': [summary, ...], 'ring': bytes, 'left_out': precision -> why torch has none,
        'failed': precision -> what kept it from being multiplied otherwise}.
        """
        mill, ring = self._mill()
        summaries: list[dict[str, Any]] = []
        left = turn.seconds
        for precision, pattern, share in self.schedule():
            left -= turn.seconds * share
            job, findings = self._job(mill, precision, pattern)
            turn.tell(findings)
            heat = precision is self.precisions[0] and not job.oracle
            sampler = Sampler(job, turn.sample) if heat else None
            mill.burn(job, self._while(turn, left, job, sampler, summaries), turn.tell)
            if sampler:
                sampler.end()
            summaries.append(products.summary(job))
            del job, sampler
            self._device.release()
        return {
            "jobs": summaries,
            "ring": ring,
            "left_out": self._left_out,
            "failed": self._failed,
        }

    def schedule(self) -> list[tuple[Precision, str, float]]:
        """(precision, pattern, share of the time) in the order of work, the heat last."""
        heat, *others = self.precisions
        rest = OTHERS if others else 0.0
        listed = [(p, pattern, rest / (2 * len(others))) for p in others for pattern in PATTERNS]
        integers = (1 - rest) * INTEGERS_SHARE
        return [*listed, (heat, INTEGERS, integers), (heat, NORMALS, 1 - rest - integers)]

    def heat_job(self) -> tuple[Products, Job, list[dict[str, Any]]]:
        """The heat alone, with a small ring: for the pulsed load."""
        mill = Products(self._torch, self._device, self._injector)
        mill.take_pool(2 * self._piece(), 0)
        return (mill, *self._job(mill, self.precisions[0], NORMALS))

    def _mill(self) -> tuple[Products, int]:
        mill, piece = Products(self._torch, self._device, self._injector), self._piece()
        room = self._room() - self._beside()
        cap = self._config["memory_bytes"]
        return mill, mill.take_pool(piece, min(room, cap) if cap else room)

    def _fit(self) -> None:
        """Smaller matrices where the free memory does not hold the usual ones and a short ring:
        the largest first, so that the others keep theirs."""
        while self._beside() + 4 * self._piece() > self._room():
            largest = max(self.precisions, key=self._needs)
            shape = self._shapes[largest.name]
            if min(shape) <= SMALLEST:
                return
            shape[:] = [length // 2 for length in shape]
            self._integer_size = min(self._integer_size, *shape)

    def _room(self) -> int:
        return int(self._device.free_bytes() * self._config["memory_fraction"])

    def _piece(self) -> int:
        """Bytes of the largest product."""
        return max(self._output(precision) for precision in self.precisions)

    def _beside(self) -> int:
        """Bytes that are not the ring's."""
        return ROOM + max(self._needs(precision) for precision in self.precisions)

    def _needs(self, precision: Precision) -> int:
        side, inner = self._shapes[precision.name]
        width = self._width(precision.source(self._torch))
        operand = width * max(side * inner, self._integer_size * self._integer_size)
        return OPERANDS * operand + OUTPUTS * self._output(precision)

    def _output(self, precision: Precision) -> int:
        side = max(self._shapes[precision.name][0], self._integer_size)
        return max(4, self._width(precision.output(self._torch))) * side * side

    def _width(self, dtype: Any) -> int:
        return int(self._torch.empty(0, dtype=dtype).element_size())

    def _while(
        self,
        turn: Any,
        until_left: float,
        job: Job,
        sampler: Optional[Sampler],
        before: list[dict[str, Any]],
    ) -> Callable[[], bool]:
        earlier = sum(summary["products"] for summary in before)

        def go_on() -> bool:
            turn.beat(products=earlier + job.products, precision=job.precision.name)
            if sampler:
                sampler.look()
            self._injector.in_mid_burn()
            return bool(turn.left() > until_left or self._injector.waits())

        return go_on

    def _job(
        self, mill: Products, precision: Precision, pattern: str
    ) -> tuple[Job, list[dict[str, Any]]]:
        if pattern == INTEGERS:
            return self._integers(mill, precision)
        generator = self._torch.Generator(self._device.handle).manual_seed(self._seed)
        side, inner = self._shapes[precision.name]
        left = self._random(precision, generator, side, inner)
        right = self._random(precision, generator, inner, side)
        job = Job(
            precision,
            self._config["distribution"],
            precision.left(self._torch, left),
            precision.right(self._torch, right),
        )
        return job, mill.prepare(job)

    def _random(self, precision: Precision, generator: Any, rows: int, columns: int) -> Any:
        settings = {
            "generator": generator,
            "device": self._device.handle,
            "dtype": precision.source(self._torch),
        }
        if self._config["distribution"] == UNIFORM:
            return self._torch.rand((rows, columns), **settings) * 10
        return self._torch.randn((rows, columns), **settings)

    def _integers(self, mill: Products, precision: Precision) -> tuple[Job, list[dict[str, Any]]]:
        oracle, handle = self._oracles[precision.bound], self._device.handle
        job = Job(
            precision,
            INTEGERS,
            precision.left(self._torch, oracle.left.to(handle).float()),
            precision.right(self._torch, oracle.right.to(handle).float()),
        )
        exact = oracle.exact.to(handle).to(precision.output(self._torch))
        findings = mill.prepare(job, exact)
        if not oracle.true:
            # The burn goes on: what the other checks find tells more about the fault.
            words = ("the true product", "another product")
            findings.append(products.defect(job, "oracle", *words))
        return job, findings


INTEGERS, NORMALS, UNIFORM = "exact integers", "random normals", "uniform in [0, 10)"
PATTERNS = (INTEGERS, NORMALS)
DISTRIBUTIONS = {"normal": NORMALS, "uniform": UNIFORM}


class Sampler:
    """The sustained rate of one job, checks and gaps included, about once a second."""

    def __init__(self, job: Job, send: Callable[[float], None]) -> None:
        self._job, self._send = job, send
        self._began, self._before, self._said = time.monotonic(), job.products, False

    def look(self) -> None:
        """Say the rate when a window is full; the first one may be shorter, for short burns."""
        least = SAMPLE_SECONDS if self._said else SHORTEST_SAMPLE
        if time.monotonic() - self._began >= least:
            self._say()

    def end(self) -> None:
        """Say the rate of the whole where no window was ever full."""
        made = self._job.products - self._before
        if not self._said and made and self._job.seconds > 0:
            self._send(made * self._job.flops / self._job.seconds / 1e12)

    def _say(self) -> None:
        now = time.monotonic()
        made = self._job.products - self._before
        if made:
            self._send(made * self._job.flops / (now - self._began) / 1e12)
            self._began, self._before, self._said = now, self._job.products, True


def choose(wanted: list[list[str]], has: Callable[[str], bool]) -> list[str]:
    """From each group of alternatives the first that the device has, each precision once."""
    picked = [next((p for p in group if has(p)), "") for group in wanted]
    return list(dict.fromkeys(precision for precision in picked if precision))
