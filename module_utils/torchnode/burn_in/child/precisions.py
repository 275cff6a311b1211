"""The kinds of numbers that products are made of. torch is handed in, never imported here."""

from __future__ import annotations

from typing import Any

from .errors import not_supported, out_of_memory

BOUND = 8  # whole numbers in [-BOUND, BOUND]: sums of 8192 products stay below 2^24
#: fp8 units of Hopper keep fewer bits of a sum, https://arxiv.org/abs/2412.19437 (section 3.3.2),
#: read 2026-11-23: with -1, 0 and 1 every sum of 8192 products has at most 14.
BOUND_NARROW = 1

#: What four bits say of a magnitude, by code (OCP Microscaling Formats 1.0, section 5.3.3), and the
#: middles between them: a number becomes the nearest.
FP4_MIDDLES = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)  # of 0, 0.5, 1, 1.5, 2, 3, 4, 6
FP4_BLOCK = 16  # elements of a row that share a scale
PACK_ROWS = 2048  # rows that are packed at a time, to bound memory


class Precision:
    """One kind: types of operands and of the product, and how they are multiplied."""

    bound = BOUND  # whole numbers up to this, either sign, are operands whose products stay exact
    #: What torch must have for it, beside its dtypes.
    needs: tuple[str, ...] = ()
    narrow = False  # whether torch and its libraries decide beside the part

    def __init__(self, name: str, operand: str, output: str, source: str = "float32") -> None:
        self.name = name
        self._operand, self._output, self._source = operand, output, source

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
        """And as the right one."""
        return self.left(torch, matrix)

    def shape(self, left: Any, right: Any) -> tuple[int, int, int]:
        """Rows, inner length and columns of the product of two operands, in elements."""
        return int(left.shape[0]), int(left.shape[1]), int(right.shape[1])

    def multiply(self, torch: Any, left: Any, right: Any, output: Any) -> None:
        """``output`` = ``left`` @ ``right``, queued on the device."""
        if left.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.name == "tf32"
        torch.mm(left, right, out=output)


class Fp8(Precision):
    """8 bits an element and one scale for a matrix, which is 1 here."""

    bound = BOUND_NARROW
    narrow = True
    needs: tuple[str, ...] = ("_scaled_mm",)

    def right(self, torch: Any, matrix: Any) -> Any:
        """These units want its columns one after the other."""
        return self.left(torch, matrix.t().contiguous()).t()

    def multiply(self, torch: Any, left: Any, right: Any, output: Any) -> None:
        one = self._one(torch, left)
        torch._scaled_mm(left, right, scale_a=one, scale_b=one, out_dtype=output.dtype, out=output)

    def _one(self, torch: Any, left: Any) -> Any:
        if not hasattr(self, "_scale"):
            self._scale = torch.ones((), dtype=torch.float32, device=left.device)
        return self._scale


class Fp4(Fp8):
    """4 bits an element, two in a byte, and a scale for each 16 of a row, all 1 here (NVFP4).

    Operands are kept as bytes, for torch does little with the narrow dtype but multiply. Not yet
    seen on hardware.
    """

    needs = ("_scaled_mm", "float4_e2m1fn_x2")

    def left(self, torch: Any, matrix: Any) -> Any:
        """Packed: the element of the lower column in the lower half of a byte."""
        middles = torch.tensor(FP4_MIDDLES, dtype=matrix.dtype, device=matrix.device)
        return torch.cat([self._pack(torch, rows, middles) for rows in matrix.split(PACK_ROWS)])

    def shape(self, left: Any, right: Any) -> tuple[int, int, int]:
        return int(left.shape[0]), 2 * int(left.shape[1]), int(right.shape[1])

    def multiply(self, torch: Any, left: Any, right: Any, output: Any) -> None:
        rows, inner, columns = self.shape(left, right)
        torch._scaled_mm(
            left.view(torch.float4_e2m1fn_x2),
            right.view(torch.float4_e2m1fn_x2),
            scale_a=self._ones(torch, rows, inner, left.device),
            scale_b=self._ones(torch, columns, inner, left.device),
            out_dtype=output.dtype,
            out=output,
        )

    @staticmethod
    def _pack(torch: Any, rows: Any, middles: Any) -> Any:
        codes = torch.bucketize(rows.abs(), middles, out_int32=True).to(torch.uint8)
        codes += rows.signbit().to(torch.uint8) * 8
        return codes[:, 0::2] + codes[:, 1::2] * 16

    def _ones(self, torch: Any, rows: int, inner: int, device: Any) -> Any:
        """Scales in the order that the units want: tiles of 128 rows and 4 blocks, filled up.

        https://docs.nvidia.com/cuda/cublas/#d-block-scaling-factors-layout, 2026-11-23
        """
        count = -(-rows // 128) * 128 * (-(-inner // FP4_BLOCK // 4) * 4)
        if not hasattr(self, "_scales"):
            self._scales: dict[tuple[str, int], Any] = {}
        key = (str(device), count)
        if key not in self._scales:
            scales = torch.ones(count, dtype=torch.float32, device=device)
            self._scales[key] = scales.to(torch.float8_e4m3fn)
        return self._scales[key]


PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("fp64", "float64", "float64", "float64"),
        Precision("fp32", "float32", "float32"),
        Precision("tf32", "float32", "float32"),
        Precision("bf16", "bfloat16", "bfloat16"),
        Precision("fp16", "float16", "float16"),
        Fp8("fp8", "float8_e4m3fn", "bfloat16"),
        Fp4("fp4", "uint8", "bfloat16"),
    )
}


def usable(
    torch: Any, device: Any, names: list[str]
) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The precisions that are multiplied here; those that this torch lacks; those that failed.

    The latter two with what was said. Raises what torch raises where memory runs out or a precision
    fails for which the part's units are enough, and RuntimeError where there is none. A device that
    is broken raises again with the next call, so nothing of it is hidden.
    """
    can: list[str] = []
    lacking: dict[str, str] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            _multiply_some(torch, device, PRECISIONS[name])
            can.append(name)
        except (RuntimeError, TypeError, ValueError) as error:
            lacks, narrow = not_supported(error), PRECISIONS[name].narrow
            # Some builds have no kernel of some types for CPUs.
            if out_of_memory(error) or not (narrow or (lacks and device.name == "cpu")):
                raise
            (lacking if lacks else failed)[name] = str(error).partition("\n")[0][:200]
    torch.ones(1, device=device.handle).cpu()  # raises where the device is gone
    if not can:
        raise RuntimeError("torch multiplies in no precision here: %s" % {**lacking, **failed})
    return can, lacking, failed


def _multiply_some(torch: Any, device: Any, precision: Precision) -> None:
    ones = torch.ones((64, 64), device=device.handle)
    output = torch.empty((64, 64), dtype=precision.output(torch), device=device.handle)
    left, right = precision.left(torch, ones), precision.right(torch, ones)
    precision.multiply(torch, left, right, output)
    device.synchronize()
