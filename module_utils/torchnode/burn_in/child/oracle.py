"""Whole-number operands whose true product is proven on the host.

Their sums are exact in the device's accumulators whatever the order, so a unit that is wrong the
same way every time is found too.
"""

from __future__ import annotations

from typing import Any

from . import bits


class Oracle:
    """Operands in [-bound, bound] (int8, host), their product (float32, host), whether it is true.

    The product is made by the device, with float32 operands, and proven on the host.
    """

    def __init__(
        self, torch: Any, device: Any, size: int, bound: int, seed: int, injector: Any
    ) -> None:
        generator = torch.Generator("cpu").manual_seed(seed + bound)
        self.left, self.right = (
            torch.randint(-bound, bound + 1, (size, size), generator=generator, dtype=torch.int8)
            for _ in range(2)
        )
        operands = [m.to(device.handle).to(torch.float32) for m in (self.left, self.right)]
        output = torch.mm(operands[0], operands[1])
        injector.every_product(output)
        self.exact = output.cpu()
        self.true = bits.proven(torch, self.left, self.right, self.exact, seed)
