"""One ``ansible-playbook`` at work on a node, and the ways to cut it short."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .node import ROOT, Node

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
#: As far as a node without hardware can go; what Molecule's scenarios run.
LINE = ROOT / "molecule" / "nvidia" / "converge.yml"
#: No run of these takes half of it.
LIMIT_SECONDS = 900.0


@dataclass(frozen=True)
class Ended:
    """A run that ended by itself: its exit status, how long it took, what it printed."""

    status: int
    seconds: float
    out: str

    @property
    def changed(self) -> Optional[int]:
        """How many tasks changed the node; None where Ansible did not say."""
        found = re.search(r"changed=(\d+)", self.out)
        return int(found.group(1)) if found else None


class Converge:
    """A run from its start on; a process group of its own, as a shell gives it."""

    def __init__(self, node: Node, number: int) -> None:
        self._node = node
        self.log = node.folder / ("run%d.log" % number)
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(node.connections),
            "TORCHNODE_REPORTS": str(node.folder / "reports"),
        }
        argv = [str(PLAYBOOK), "--inventory", str(node.inventory), "--skip-tags", "python_stack",
                str(LINE)]  # fmt: skip
        self._began = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def end(self) -> Ended:
        """Wait for it. Raises subprocess.TimeoutExpired after LIMIT_SECONDS."""
        try:
            status = self._process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGKILL)
            raise
        return Ended(status, time.monotonic() - self._began, self.out())

    def out(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float) -> bool:
        """Whether it still runs so many seconds after its start."""
        left = self._began + seconds - time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(left, 0.0))
            return False
        return True

    def last_ended(self) -> str:
        """The last task that has told of a node, for the line that tells of a kill."""
        tasks = re.findall(r"^TASK \[(.*?)\]", self.out(), re.MULTILINE)
        return tasks[-1] if tasks else "nothing"

    def kill(self, number: signal.Signals) -> None:
        """Signal the process group, as a terminal does for Ctrl-C, and wait for its end."""
        os.killpg(self._process.pid, number)
        self._process.wait(LIMIT_SECONDS)
