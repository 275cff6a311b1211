"""Measure torchnode's speed beside other tools' on one node in one run, and print the ratios.

make benchmark                     every row
make benchmark ARGS="second-run"   some of them
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from driver import LINE, Machine, by_hand
from items import items, items_with_driver
from measure import Cost, adopt_orphans, cost, median
from node import NODES, ROOT, Node

HERE = Path(__file__).resolve().parent
CACHE: Path = ROOT / ".cache" / "benchmarks"
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
FIRST = "n01"
IMPORT = f'{NODES}/{FIRST}/current/bin/python -c "import torch; torch.cuda.is_available()"'


class Bench:
    """What the rows share: the node, the environment of runs, and the table."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.node = Node(folder)
        self.started = False
        self.rows: list[tuple[str, str, str, str]] = []
        self.environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("ANSIBLE_", "TORCHNODE_"))},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
            "TORCHNODE_REPORTS": str(folder / "reports"),
        }

    def tell(self, what: str, found: str, ratio: str = "", bound: str = "") -> None:
        """Add a line to the table, and show it at once."""
        self.rows.append((what, found, ratio, bound))
        print(f"{what:<58}{found:>18}{ratio:>9}  {bound}", flush=True)

    def play(self, playbook: str | Path, inventory: Path, *arguments: str) -> Cost:
        """A run of ansible-playbook that begins without an SSH connection."""
        argv = [str(ANSIBLE), "-i", str(inventory), str(ROOT / playbook), *arguments]
        return cost(argv, self.environment, ROOT)

    def converged(self) -> Path:
        """The inventory of one converged node, which is made when it is first asked for."""
        if not self.started:
            self.node.start()
            self.started = True
            self.play("playbooks/provision.yml", self.node.inventory([FIRST]))
        inventory: Path = self.node.inventory([FIRST])
        return inventory


# ---- rows ---------------------------------------------------------------------------------------


def survey(bench: Bench) -> None:
    """A made-up machine with eight GPUs, four NVSwitches and 500 other PCI devices."""
    root = bench.folder / "machine"
    for number in range(512):
        gpu, switch = number < 8, 8 <= number < 12
        base = root / "sys/bus/pci/devices" / f"{number >> 5:04x}:{number & 31:02x}:00.0"
        base.mkdir(parents=True)
        device = "0x2335" if gpu else "0x22a3" if switch else "0x1521"
        kind = "0x030200" if gpu else "0x068000" if switch else "0x020000"
        values = {"vendor": "0x10de" if gpu or switch else "0x8086", "device": device,
                  "class": kind, "numa_node": "0", "current_link_speed": "32.0 GT/s PCIe",
                  "current_link_width": "16", "max_link_speed": "32.0 GT/s PCIe",
                  "max_link_width": "16"}  # fmt: skip
        for name, value in values.items():
            (base / name).write_text(value + "\n")
    argv = [sys.executable, "-I", str(HERE / "survey_once.py"), str(root)]
    costs = [cost(argv, bench.environment, ROOT) for _ in range(bench.rounds)]
    told = json.loads(costs[0].out)
    assert told["accelerators"] == 8, told
    wall = sorted(c.wall for c in costs)[len(costs) // 2]
    bench.tell("survey, 8 GPUs of 512 PCI devices, start of Python", f"{wall:.2f} s", "", "0.5 s")
    bench.tell("  memory", f"{told['mb']:.0f} MB", "", "60 MB")


def second_run(bench: Bench) -> None:
    """Survey to plan on a converged node, beside the same questions asked by other tools."""
    inventory = bench.converged()
    pyinfra = [str(_pyinfra()), "-y", str(bench.node.pyinfra_inventory(FIRST)),
               str(HERE / "pyinfra_facts.py")]  # fmt: skip
    task_each = _task_each(bench.folder)
    ways: dict[str, Callable[[], Cost]] = {
        "pyinfra": lambda: cost(_patient(pyinfra), bench.environment, bench.folder),
        "ping": lambda: bench.play(HERE / "ping.yml", inventory),
        "tasks": lambda: bench.play(task_each, inventory),
        "plan": lambda: bench.play("playbooks/plan.yml", inventory),
        "provision": lambda: bench.play("playbooks/provision.yml", inventory),
        "import": lambda: Cost(bench.node.seconds(IMPORT), 0.0),
    }
    found = {name: each.wall for name, each in median(ways, bench.rounds).items()}
    base = found["pyinfra"]
    asked = len(items(NODES))

    def tell(what: str, name: str, bound: str = "") -> None:
        bench.tell(what, f"{found[name]:.2f} s", f"{found[name] / base:.2f}", bound)

    tell(f"pyinfra, {asked} facts", "pyinfra")
    tell("ansible-playbook, one ping", "ping")
    tell(f"ansible-playbook, {asked} tasks", "tasks")
    tell("torchnode, survey to plan, second run", "plan", "1.5 of pyinfra")
    bench.tell("import torch on the node", f"{found['import']:.2f} s")
    limit = found["plan"] + 1.5 * found["import"]
    bench.tell(
        "torchnode, site.yml without burn-in, second run", f"{found['provision']:.2f} s",
        f"{found['provision'] / limit:.2f}", "1 of plan + 1.5 imports",
    )  # fmt: skip
    generous = 1.5 * base + 1.5 * found["import"]
    ratio = f"{found['provision'] / generous:.2f}"
    bench.tell("  the same", "", ratio, "1 of 1.5 pyinfra + 1.5 imports")


def fleet(bench: Bench) -> None:
    """The controller's CPU for each converged node, with 5 and with 50 names at once."""
    bench.converged()
    bench.node.converge_like_first(50)
    for playbook, name in (("plan", "survey to plan"), ("provision", "site.yml without burn-in")):
        each = {}
        for count in (5, 50):
            names = [f"n{number:02d}" for number in range(1, count + 1)]
            costs = bench.play(f"playbooks/{playbook}.yml", bench.node.inventory(names))
            each[count] = costs.cpu / count
            bench.tell(
                f"{name}, {count} nodes: controller CPU each", f"{each[count]:.2f} s", "", "0.5 s"
            )
        bench.tell("  50 nodes against 5, each", "", f"{each[50] / each[5]:.2f}", "flat: 1")


def fresh(bench: Bench) -> None:
    """A new stack with an empty cache beside the bare uv and the same lock, then with a cache."""
    bench.converged()
    empty, first = "rm -rf /root/.cache/uv", f"{NODES}/{FIRST}"
    uv = f"$(ls {first}/uv/*/uv)"
    bare = (
        # The wheels come from where the node's pip finds them: its links, else torch's index.
        f"source /etc/environment; export SSL_CERT_FILE UV_FIND_LINKS=$PIP_FIND_LINKS; "
        f'[ -z "$PIP_INDEX_URL" ] || export UV_DEFAULT_INDEX=$PIP_INDEX_URL; '
        f'[ -n "$PIP_FIND_LINKS" ] || export UV_INDEX=https://download.pytorch.org/whl/cpu '
        f"UV_INDEX_STRATEGY=unsafe-best-match; "
        f"{uv} venv -q --clear --python 3.11 /srv/bare && {uv} pip sync -q --require-hashes "
        f"--python /srv/bare/bin/python {first}/current/torchnode.lock"
    )
    bare_seconds, ours, cached = [], [], []
    for turn in range(bench.rounds):
        bench.node.shell(empty)
        bare_seconds.append(bench.node.seconds(bare))
        bench.node.shell(empty)
        ours.append(_apply_seconds(bench, f"fresh{turn}"))
        cached.append(_apply_seconds(bench, f"cached{turn}"))
    middle = bench.rounds // 2
    base = sorted(bare_seconds)[middle]
    for what, seconds, bound in (
        ("uv venv, uv pip sync of the lock, empty cache", bare_seconds, ""),
        ("torchnode, the apply stage, empty cache", ours, "1.25"),
        ("torchnode, the apply stage of a second node, uv's cache", cached, ""),
    ):
        value = sorted(seconds)[middle]
        bench.tell(what, f"{value:.1f} s", f"{value / base:.2f}", bound)


def report(bench: Bench) -> None:
    """The results of 1,000 nodes become every file of a report."""
    argv = [sys.executable, str(HERE / "thousand.py"), str(bench.folder / "thousand")]
    done = cost(argv, bench.environment, ROOT)
    told = json.loads(done.out.splitlines()[-1])
    bench.tell("report of 1,000 nodes, every file of it", f"{told['seconds']:.1f} s", "", "30 s")
    bench.tell("  memory", f"{told['mb']:.0f} MB", "", "1000 MB")


def driver(bench: Bench) -> None:
    """Debian's driver on a fresh node, beside its very packages by hand; then a second run."""
    machine, packages = Machine(bench.folder / "driver"), set[str]()
    each: dict[str, list[float]] = {"torchnode": [], "by hand": []}
    again: dict[str, Cost] = {}
    try:
        for _ in range(min(bench.rounds, DRIVER_ROUNDS)):
            machine.fresh()
            before = machine.packages()
            each["torchnode"].append(bench.play(LINE, machine.inventory(), *NO_TORCH).wall)
            packages = machine.packages() - before
            again = again or _second_run_with_driver(bench, machine)
            each["by hand"].append(by_hand(machine.fresh(), packages).wall)
    finally:
        machine.node.stop()
    hand, ours = (sorted(each[name])[len(each[name]) // 2] for name in ("by hand", "torchnode"))
    bench.tell(f"{len(packages)} packages of a driver, by hand", f"{hand:.0f} s")
    bench.tell("torchnode, a first driver install", f"{ours:.0f} s", f"{ours / hand:.2f}", "1.15")
    base, plan = again["pyinfra"].wall, again["plan"].wall
    bench.tell(f"pyinfra, {len(items_with_driver(NODES))} facts", f"{base:.2f} s")
    bench.tell(
        "torchnode, survey to plan, second run with a driver", f"{plan:.2f} s",
        f"{plan / base:.2f}", "1.5 of pyinfra",
    )  # fmt: skip


def _second_run_with_driver(bench: Bench, machine: Machine) -> dict[str, Cost]:
    facts = machine.node.pyinfra_inventory("node", torchnode_driver=True)
    pyinfra = _patient([str(_pyinfra()), "-y", str(facts), str(HERE / "pyinfra_facts.py")])
    inventory = machine.inventory()
    ways: dict[str, Callable[[], Cost]] = {
        "pyinfra": lambda: cost(pyinfra, bench.environment, bench.folder),
        "plan": lambda: bench.play("playbooks/plan.yml", inventory),
    }
    return median(ways, bench.rounds)


DRIVER_ROUNDS = 3  # a round takes ten minutes with two cores
NO_TORCH = ("--skip-tags", "python_stack")

ROWS = {
    "survey": survey,
    "second-run": second_run,
    "fleet": fleet,
    "fresh": fresh,
    "report": report,
    "driver": driver,
}


# ---- parts --------------------------------------------------------------------------------------


def _apply_seconds(bench: Bench, name: str) -> float:
    """How long the apply stage of a new name took, by the run's own report."""
    bench.play("playbooks/provision.yml", bench.node.inventory([name]))
    latest = bench.folder / "reports" / "latest" / "fleet.json"
    node = json.loads(latest.read_text(encoding="utf-8"))["nodes"][0]
    bench.node.shell(f"rm -rf {NODES}/{name}")
    return float(node["timings"]["apply"])


def _task_each(folder: Path) -> Path:
    """A playbook with one command task for each item."""
    tasks = [
        {"name": name, "ansible.builtin.shell": {"cmd": command}, "changed_when": False}
        for name, command in items(f"{NODES}/{FIRST}").items()
    ]
    path = folder / "task_each.yml"
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return path


def _patient(argv: list[str]) -> list[str]:
    """The command, begun anew when it hangs: pyinfra 3.10 at times waits for a closed channel.

    Such a round is an outlier of 30 s, which the median passes over.
    """
    again = 'timeout 30 "$@" || timeout 30 "$@"'
    return ["sh", "-c", again, "sh", *argv]


def _pyinfra() -> Path:
    """pyinfra in an environment of its own, by the lock beside this file."""
    venv = CACHE / "venv"
    lock, done = HERE / "requirements.txt", venv / "requirements.txt"
    if not done.exists() or done.read_text() != lock.read_text():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin/pip"), "install", "-qq", "--require-hashes", "-r", str(lock)]
        subprocess.run(pip, check=True)
        shutil.copy(lock, done)
    return venv / "bin" / "pyinfra"


def main() -> None:
    """Measure the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="of " + ", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is run")
    given = parser.parse_args()
    unknown = sorted(set(given.rows) - set(ROWS))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
    adopt_orphans()
    print(f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {os.cpu_count()} cores, "
          f"medians of {given.rounds}, load {os.getloadavg()[0]:.1f} at the start")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="torchnode-benchmark-") as folder:
        bench = Bench(Path(folder), given.rounds)
        try:
            for name in given.rows or ROWS:
                ROWS[name](bench)
        finally:
            if bench.started:
                bench.node.stop()


if __name__ == "__main__":
    main()
