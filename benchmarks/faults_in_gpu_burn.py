"""The same faults given to gpu-burn and to torchnode's compute stage, on the first GPU.

    python benchmarks/faults_in_gpu_burn.py --gpu-burn FOLDER --python PYTHON_WITH_TORCH

FOLDER holds gpu-burn's public source, https://github.com/wilicc/gpu-burn. A copy of it gets a few
lines that change one element of the last product of each round before its compare kernel runs,
and is built; nothing of the source itself is changed. The rows without a fault and with a high bit
show that the added lines do what they say. In the float row the product is near 2e5, where the
lowest bit is worth 1/64 and so above gpu-burn's tolerance: the low bits are given to the doubles.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from beside_gpu_burn import FLAGS
from burning import burn, module

#: The call before which the element is changed, once in each round.
BEFORE = 'checkError(cuMemsetD32Async(d_faultyElemData, 0, 1, 0), "memset");'
STRIKE = """
        if (const char *fault = getenv("FAULT")) {
            CUdeviceptr at = d_Cdata + (d_iters - 1) * sizeof(T) * SIZE * SIZE;
            unsigned long long word = 0;
            checkError(cuMemcpyDtoH(&word, at, sizeof(T)), "fault");
            if (!strcmp(fault, "nan"))
                word = d_doubles ? 0x7ff8000000000000ull : 0x7fc00000ull;
            else
                word ^= 1ull << atoi(fault);
            checkError(cuMemcpyHtoD(at, &word, sizeof(T)), "fault");
        }
        """
#: (precision, fault as torchnode names it, or '')
ROWS = (
    ("fp32", ""),
    ("fp32", "flip:30"),
    ("fp32", "nan"),
    ("fp64", "flip:62"),
    ("fp64", "flip:8"),
    ("fp64", "flip:0"),
    ("fp64", "nan"),
)


def build(source: Path, folder: Path, make: list[str]) -> None:
    """gpu-burn in `folder`, with the lines that make the fault."""
    shutil.copytree(source, folder)
    program = folder / "gpu_burn-drv.cpp"
    text = program.read_text()
    if text.count(BEFORE) != 1:
        sys.exit("%s: expected once %r, found %d times" % (program, BEFORE, text.count(BEFORE)))
    program.write_text("#include <cstring>\n" + text.replace(BEFORE, STRIKE + BEFORE))
    subprocess.run(["make", "clean"], cwd=folder, check=False, capture_output=True)
    subprocess.run(["make", *make], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def gpu_burn(folder: Path, precision: str, fault: str, seconds: int) -> str:
    """gpu-burn's last word on the first GPU, and its exit status."""
    environment = dict(os.environ)
    if fault:
        environment["FAULT"] = fault.rpartition(":")[2]
    argv = ["./gpu_burn", "-i", "0", "-m", "10%", *FLAGS[precision], str(seconds)]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)
    said = re.findall(r"GPU 0: (\w+)", done.stdout)
    return "%s, exit %d" % (said[-1] if said else "no word", done.returncode)


def ours(python: str, precision: str, fault: str, seconds: int) -> str:
    """What the compute stage's outcome says."""
    work = {"stages": ["compute"], "precisions": [precision], "seconds": seconds}
    inject = "0:" + fault if fault else None
    outcomes = module("judge").judge(burn(python, memory_fraction=0.1, inject=inject, **work))
    (compute,) = (o for o in outcomes if o.id.startswith("burn_in.compute."))
    return str(compute.result.value)


def main() -> None:
    """Print a row for each fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gpu-burn", type=Path, required=True, help="the folder with its source")
    parser.add_argument("--make", default="COMPUTE=90", help="arguments of its make")
    parser.add_argument("--python", required=True, help="an interpreter that has torch")
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "gpu-burn"
        build(options.gpu_burn, folder, options.make.split())
        print("%-6s %-10s %-20s %s" % ("", "fault", "gpu-burn", "torchnode"))
        for precision, fault in ROWS:
            theirs = gpu_burn(folder, precision, fault, options.seconds)
            mine = ours(options.python, precision, fault, options.seconds)
            print("%-6s %-10s %-20s %s" % (precision, fault or "none", theirs, mine), flush=True)


if __name__ == "__main__":
    main()
