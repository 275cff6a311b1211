"""Operands of narrow types on a real torch: what is packed, and what is handed to the product.

No CPU multiplies them: the product itself has a stand-in that unpacks and multiplies in float32.
Needs an interpreter with torch: see test_burn_in_cpu.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("TORCHNODE_TEST_PYTHON", "")

pytestmark = pytest.mark.skipif(
    not PYTHON,
    reason="no interpreter with torch: run `make site` once, then set "
    "TORCHNODE_TEST_PYTHON=<prefix>/current/bin/python",
)

#: Each code's value by the format's own definition, not by the middles that the packing uses.
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
from torchnode.burn_in.child import bits, precisions, products

fp4 = precisions.PRECISIONS["fp4"]
VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])

def unpacked(packed):
    both = torch.stack([packed & 15, packed >> 4], dim=2)
    return VALUES[both.flatten(1).long()]

def scaled_mm(left, right, scale_a, scale_b, out_dtype, out):
    assert left.dtype == right.dtype == torch.float4_e2m1fn_x2
    assert left.is_contiguous() and right.t().is_contiguous()
    for scale, side in ((scale_a, left.shape[0]), (scale_b, right.shape[1])):
        assert scale.dtype == torch.float8_e4m3fn and scale.float().unique().tolist() == [1.0]
        sides = -(-side // 128) * 128, -(-2 * left.shape[1] // 64) * 4
        assert scale.numel() == sides[0] * sides[1], scale.shape
    numbers = [unpacked(m.view(torch.uint8)) for m in (left, right.t())]
    out.copy_(numbers[0] @ numbers[1].t())

torch._scaled_mm = scaled_mm
generator = torch.Generator().manual_seed(1)
normals = torch.randn((4096, 64), generator=generator)
nearest = (normals.unsqueeze(2) - VALUES[[*range(8), *range(9, 16)]]).abs().min(2).values
whole = torch.randint(-1, 2, (96, 256), generator=generator).float()
other = torch.randint(-1, 2, (256, 160), generator=generator).float()
job = products.Job(fp4, "exact integers", fp4.left(torch, whole), fp4.right(torch, other))
output = torch.empty((96, 160), dtype=fp4.output(torch))
fp4.multiply(torch, job.left, job.right, output)
print(json.dumps({
    "packed": [list(job.left.shape), list(job.right.shape), str(job.left.dtype)],
    "shape": list(job.shape), "flops": job.flops,
    "off": float(((unpacked(fp4.left(torch, normals)) - normals).abs() - nearest).abs().max()),
    "exact": bool(torch.equal(output, (whole @ other).to(output.dtype))),
    "words": bits.words(torch, job.left).numel(),
}))
"""


def test_two_elements_lie_in_a_byte_and_each_is_the_nearest() -> None:
    argv = [PYTHON, "-c", SCRIPT, str(ROOT / "module_utils")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["packed"] == [[96, 128], [128, 160], "torch.uint8"]
    assert seen["shape"] == [96, 256, 160]
    assert seen["flops"] == 2 * 96 * 256 * 160
    assert seen["off"] == 0
    assert seen["exact"]
    assert seen["words"] == 96 * 128 / 8
