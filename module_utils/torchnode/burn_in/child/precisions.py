"""The kinds of numbers that products are made of. torch is handed in, never imported here."""

from __future__ import annotations

from typing import Any

BOUND = 8  # whole numbers in [-BOUND, BOUND]: sums of 8192 products stay below 2^24
#: fp8 units of Hopper keep fewer bits of a sum, https://arxiv.org/abs/2412.19437 (section 3.3.2),
#: read 2026-11-23: with -1, 0 and 1 every sum of 8192 products has at most 14.
BOUND_FP8 = 1


class Precision:
    """One kind: types of operands and of the product, and how they are multiplied."""

    def __init__(self, name: str, operand: str, output: str, source: str = "float32") -> None:
        self.name = name
        self._operand, self._output, self._source = operand, output, source

    @property
    def bound(self) -> int:
        """Whole numbers up to this, either sign, are operands whose products stay exact."""
        return BOUND_FP8 if self.name == "fp8" else BOUND

    def output(self, torch: Any) -> Any:
        """The product's dtype."""
        return getattr(torch, self._output)

    def source(self, torch: Any) -> Any:
        """The dtype in which random operands are drawn."""
        return getattr(torch, self._source)

    def left(self, torch: Any, matrix: Any) -> Any:
        """A matrix as the left operand."""
        return matrix.to(getattr(torch, self._operand))

    def right(self, torch: Any, matrix: Any) -> Any:
        """And as the right one: fp8 units want its columns one after the other."""
        if self.name == "fp8":
            return matrix.t().contiguous().to(getattr(torch, self._operand)).t()
        return matrix.to(getattr(torch, self._operand))

    def multiply(self, torch: Any, left: Any, right: Any, output: Any) -> None:
        """``output`` = ``left`` @ ``right``, queued on the device."""
        if self.name == "fp8":
            one = self._one(torch, left)
            torch._scaled_mm(
                left, right, scale_a=one, scale_b=one, out_dtype=output.dtype, out=output
            )
            return
        if left.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.name == "tf32"
        torch.mm(left, right, out=output)

    def _one(self, torch: Any, left: Any) -> Any:
        if not hasattr(self, "_scale"):
            self._scale = torch.ones((), dtype=torch.float32, device=left.device)
        return self._scale


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("fp64", "float64", "float64", "float64"),
        Precision("fp32", "float32", "float32"),
        Precision("tf32", "float32", "float32"),
        Precision("bf16", "bfloat16", "bfloat16"),
        Precision("fp16", "float16", "float16"),
        Precision("fp8", "float8_e4m3fn", "bfloat16"),
    )
}


def usable(torch: Any, device: Any, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """The precisions that this build of torch multiplies here, and why it does not the others.

    Raises RuntimeError where there is none. A device that is broken raises again with the next
    call, so nothing of it is hidden.
    """
    can, left_out = [], {}
    for name in names:
        try:
            _multiply_some(torch, device, PRECISIONS[name])
            can.append(name)
        except (RuntimeError, ValueError, NotImplementedError) as error:
            left_out[name] = str(error).partition("\n")[0][:200]
    torch.ones(1, device=device.handle).cpu()  # raises where the device is gone
    if not can:
        raise RuntimeError("torch multiplies in no precision here: %s" % left_out)
    return can, left_out


def _multiply_some(torch: Any, device: Any, precision: Precision) -> None:
    ones = torch.ones((64, 64), device=device.handle)
    output = torch.empty((64, 64), dtype=precision.output(torch), device=device.handle)
    left, right = precision.left(torch, ones), precision.right(torch, ones)
    precision.multiply(torch, left, right, output)
    device.synchronize()
