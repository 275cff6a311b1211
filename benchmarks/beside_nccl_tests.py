"""torchnode's links stage and nccl-tests by turns on all GPUs of a machine: the all-reduce's rate.

Build nccl-tests from its public source, https://github.com/NVIDIA/nccl-tests, against the NCCL
that torch brings, and name the program. LD_LIBRARY_PATH must lead it to that libnccl.so.2:

    make MPI=0 NCCL_HOME=... CUDA_HOME=...
    python benchmarks/beside_nccl_tests.py --program PATH/all_reduce_perf --python PYTHON_WITH_TORCH

Both add up float32 over all GPUs out of place, from one process, at the same size, and compare
every sum. nccl-tests' rate is the mean of its iterations, which it queues one behind the other;
ours the median of all-reduces that are each waited for, as they must be to be compared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from burning import burn

SIZE = 4 << 30  # bytes: the largest of the links stage, whose rate is judged
LINKS_OF = 0.12 / 0.22  # of the time of bandwidth and links, which alone are run: levels.py
BUS_RATE = 7  # column of nccl-tests' out-of-place bus bandwidth, GB/s


def nccl_tests(program: Path, devices: int) -> float:
    """Bus bandwidth in GB/s of one run: 5 all-reduces to warm up, 20 timed."""
    size = str(SIZE)
    argv = [str(program), "-b", size, "-e", size, "-g", str(devices), "-w", "5", "-n", "20"]
    done = subprocess.run(argv, capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[:1] == [size]]
    if done.returncode or not rows:
        sys.exit("nccl-tests failed: %s%s" % (done.stdout[-2000:], done.stderr[-2000:]))
    return float(rows[0][BUS_RATE])


def ours(python: str, devices: int, seconds: float) -> tuple[float, dict[str, Any], dict[str, Any]]:
    """Bus bandwidth in GB/s of one links stage, and the results of its pairs and all-reduces."""
    burned = burn(python, devices, stages=["bandwidth", "links"], seconds=seconds / LINKS_OF)
    links = burned.links
    if not links.done or links.defects:
        sys.exit("the links stage failed: %s %s %s" % (links.ending, links.why_not, links.defects))
    pairs, reduced = links.of("peers")[-1], links.of("all_reduce")[-1]
    if reduced["why_not"] or reduced["sizes"][-1]["bytes"] != SIZE:
        sys.exit("no all-reduce of %d bytes: %s" % (SIZE, reduced))
    return float(reduced["sizes"][-1]["bus_gb_s"]), pairs, reduced


def main() -> None:
    """Print both at every turn, then the medians and ours over nccl-tests'."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="nccl-tests' all_reduce_perf")
    parser.add_argument("--python", required=True, help="an interpreter that has torch")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6, help="of the links stage, each turn")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    theirs, mine = [], []
    for _ in range(options.turns):
        theirs.append(nccl_tests(options.program, options.devices))
        rate, pairs, reduced = ours(options.python, options.devices, options.seconds)
        mine.append(rate)
        print("nccl-tests %.2f, torchnode %.2f GB/s" % (theirs[-1], rate), flush=True)
    middle = [statistics.median(rates) for rates in (theirs, mine)]
    print("medians %.2f, %.2f; ratio %.4f" % (*middle, middle[1] / middle[0]))
    print(reduced)
    print(pairs)


if __name__ == "__main__":
    main()
