#!/usr/bin/env python3
"""Burn the nodes in, end the run from outside, and see that they stop and say so.

    interrupt.py INVENTORY SIGNAL...

For each signal `playbooks/burn_in.yml` is started with two minutes of work. When every node has
workers the signal goes to the run's process group, as a terminal's Ctrl-C does, and every node must
be without workers ten seconds later; its record must say that it was cut short. Nodes are looked at
by Ansible's raw module: ssh, pgrep and the record itself.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STARTING, STOPPING = 180.0, 10.0  # seconds
#: Bracketed, so that the shell that runs it does not count itself.
WORKERS = "pgrep -fc '[t]orchnode_child'; true"
RECORD = """for file in /opt/torchnode/burn_in.json ~/.local/share/torchnode/burn_in.json; do
    test -r $file && python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))["burn_in"]["interrupted"])' $file
done; true"""


def on_nodes(inventory: str, script: str) -> dict[str, str]:
    """What each node printed."""
    argv = [BIN / "ansible", "nodes", "--inventory", inventory]
    argv += ["--module-name", "ansible.builtin.raw", "--args", script]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    rows = re.findall(r"^(\S+) \| \w+ \| rc=0 >>\s+(.*?)\s*$", done.stdout, re.MULTILINE)
    if done.returncode or not rows:
        sys.exit("the nodes did not answer: " + done.stdout + done.stderr)
    return dict(rows)


def counted(inventory: str) -> dict[str, int]:
    """How many worker processes each node has."""
    return {name: int(said) for name, said in on_nodes(inventory, WORKERS).items()}


def wait(inventory: str, burning: bool, seconds: float) -> float:
    """Seconds until all nodes burn, or none does."""
    began = time.monotonic()
    while True:
        seen = counted(inventory)
        now = time.monotonic() - began
        if all(bool(count) == burning for count in seen.values()):
            return now
        if now > seconds:
            sys.exit("after %.0f s the nodes have these workers: %s" % (now, seen))
        time.sleep(0.2)


def interrupted(inventory: str, number: signal.Signals) -> None:
    """One run, ended by one signal. Exits where a node goes on or is silent."""
    argv = [BIN / "ansible-playbook", "--inventory", inventory, "playbooks/burn_in.yml"]
    argv += ["--extra-vars", '{"torchnode_burn_in_seconds": 120}']
    run = subprocess.Popen(argv, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE)
    wait(inventory, True, STARTING)
    os.killpg(run.pid, number)
    took = wait(inventory, False, STOPPING)
    if run.wait(60) == 0:
        sys.exit("%s: the run ended with 0" % number.name)
    said = on_nodes(inventory, RECORD)
    for name, words in said.items():
        if words in ("", "None"):
            sys.exit("%s: the record of %s does not say so: %r" % (number.name, name, words))
    print("%s: all had stopped %.1f s later, and say %s" % (number.name, took, said), flush=True)


if __name__ == "__main__":
    for word in sys.argv[2:]:
        interrupted(sys.argv[1], signal.Signals[word])
