"""torchnode's compute stage and gpu-burn by turns on one GPU, in one run: rate, power, memory.

Build gpu-burn from its public source, https://github.com/wilicc/gpu-burn (COMPUTE is the part's
compute capability, 90 on an H100 or H200), and name its folder:

    make COMPUTE=90
    python benchmarks/beside_gpu_burn.py --gpu-burn FOLDER --python PYTHON_WITH_TORCH

Both draw their operands uniformly from [0, 10), as gpu-burn does: under a power cap the data
changes the rate. Power is the mean of nvidia-smi's readings in the second half of the work. The
rate of gpu-burn is the median of those that it prints after the first third; its figures count
1.0005 times the operations of a product (OPS_PER_MUL in its source), which is taken out.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from burning import burn

OPERATIONS = 1100048498688 / (2 * 8192**3)  # what gpu-burn counts against what a product has
FLAGS = {"tf32": ["-tc"], "fp32": [], "fp64": ["-d"]}


@dataclass
class Seen:
    """One turn: median TFLOP/s, mean W, share of the free memory under test."""

    tflops: float
    watts: float
    memory: float


class Power:
    """Reads the first GPU's power while a block runs."""

    def __enter__(self) -> Power:
        self._readings: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def mean(self) -> float:
        """Mean W while the device worked, above half of the highest, in the second half of that."""
        busy = [watts for watts in self._readings if watts > 0.5 * max(self._readings)]
        return statistics.mean(busy[len(busy) // 2 :])

    def _read(self) -> None:
        query = ["nvidia-smi", "-i", "0", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        while not self._stop.wait(0.3):
            done = subprocess.run(query, capture_output=True, text=True, check=True)
            self._readings.append(float(done.stdout))


def gpu_burn(folder: Path, precision: str, seconds: int) -> Seen:
    """One turn of gpu-burn on the first GPU."""
    argv = ["./gpu_burn", "-i", "0", *FLAGS[precision], str(seconds)]
    with Power() as power:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
    rates = [float(r) for r in re.findall(r"\((\d+) Gflop/s\)", done.stdout) if float(r) > 0]
    settled = rates[len(rates) // 3 :]
    memory = re.search(r"\((\d+) MB available, using (\d+) MB", done.stdout)
    if not settled or memory is None:
        sys.exit("gpu-burn printed no rate or no memory: " + done.stdout[-2000:] + done.stderr)
    share = int(memory[2]) / int(memory[1])
    return Seen(statistics.median(settled) / OPERATIONS / 1e3, power.mean(), share)


def ours(python: str, precision: str, seconds: int) -> Seen:
    """One turn of the compute stage on the first GPU, and the share that the memory stage takes."""
    draw = {"seconds": seconds, "precisions": [precision], "distribution": "uniform"}
    with Power() as power:
        burned = burn(python, stages=["compute"], **draw)
    run = burned.devices[0]
    if not run.done or run.defects:
        sys.exit("the compute stage failed: %s %s" % (run.ending, run.defects))
    settled = [sample["tflops"] for sample in run.samples[len(run.samples) // 3 :]]
    tested = burn(python, stages=["memory"], seconds=1).devices[0].of("memory")[0]
    return Seen(statistics.median(settled), power.mean(), tested["tested"] / tested["free"])


def main() -> None:
    """Print a row for each precision, ours over gpu-burn's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gpu-burn", type=Path, required=True, help="the folder it was built in")
    parser.add_argument("--python", required=True, help="an interpreter that has torch")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precisions", default="tf32,fp64")
    options = parser.parse_args()
    print("%-6s %-10s %10s %8s %8s" % ("", "", "TFLOP/s", "W", "memory"))
    for precision in options.precisions.split(","):
        seen: dict[str, list[Seen]] = {"gpu-burn": [], "torchnode": []}
        for _ in range(options.turns):
            theirs = gpu_burn(options.gpu_burn, precision, options.seconds)
            seen["gpu-burn"].append(theirs)
            seen["torchnode"].append(ours(options.python, precision, options.seconds))
        middle = {name: medians(turns) for name, turns in seen.items()}
        for name, turns in seen.items():
            for turn in [*turns, middle[name]]:
                mark = name if turn is not middle[name] else name + "*"
                print("%-6s %-10s %10.2f %8.1f %8.3f" % (precision, mark, *values(turn)))
        ratios = [a / b for a, b in zip(values(middle["torchnode"]), values(middle["gpu-burn"]))]
        print("%-6s %-10s %10.4f %8.4f %8.3f" % (precision, "ratio", *ratios), flush=True)


def values(turn: Seen) -> tuple[float, float, float]:
    """A turn's three figures."""
    return turn.tflops, turn.watts, turn.memory


def medians(turns: list[Seen]) -> Seen:
    """The median of each figure."""
    return Seen(*(statistics.median(column) for column in zip(*map(values, turns))))


if __name__ == "__main__":
    main()
