"""Runs of the real ansible-playbook on small made-up fleets, all of them on this machine.

Every 'node' is a local connection with a prefix and a facts folder of its own, so that no test
touches this machine's own verdict.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schema" / "report-1.schema.json").read_text("utf-8"))
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SECONDS = 180  # no run of these tests takes a tenth of it, and machines are busy


@dataclass
class Ended:
    """A run that ended: its exit status, what it printed, and its report."""

    status: int
    out: str
    report: dict[str, Any]

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """The report's nodes by name."""
        return {node["name"]: node for node in self.report.get("nodes", [])}

    @property
    def verdicts(self) -> dict[str, str]:
        """Every node's verdict."""
        return {name: node["verdict"] for name, node in self.nodes.items()}

    def worst(self, name: str, result: str) -> dict[str, Any]:
        """The node's first outcome of this result."""
        return next(o for o in self.nodes[name]["outcomes"] if o["result"] == result)


@dataclass
class Fleet:
    """An inventory, a folder for reports and the environment of its runs, below one folder."""

    folder: Path
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in ("nodes", "data", "reports"):
            (self.folder / name).mkdir()

    # ---- nodes ----------------------------------------------------------------------------------

    def add(self, *names: str, **variables: Any) -> None:
        """Local nodes: CPU is asked for, so that the machine's accelerators do not matter."""
        for name in names:
            self.hosts[name] = {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "torchnode_prefix": str(self.prefix(name)),
                "torchnode_facts_folder": str(self.facts(name).parent),
                "torchnode_backend": "cpu",
                **variables,
            }

    def prefix(self, name: str) -> Path:
        """The node's prefix; its parent is there, it is not."""
        return self.folder / "nodes" / name

    def python(self, name: str, probe: str = "", worker: str = "") -> str:
        """A Python with these shell commands in place of the verify probe and a burn-in worker."""
        path = self.folder / name
        cases = [f'*" - "*) {probe};;'] if probe else []
        cases += [f'*" -u "*) {worker};;'] if worker else []
        choose = f'case " $* " in {" ".join(cases)} esac\n' if cases else ""
        path.write_text(f'#!/bin/sh\n{choose}exec {shlex.quote(sys.executable)} "$@"\n')
        path.chmod(0o755)
        return str(path)

    def facts(self, name: str) -> Path:
        """The node's local fact."""
        return self.folder / "nodes" / f"{name}.facts.d" / "torchnode.fact"

    def fact(self, name: str) -> dict[str, Any]:
        """What a scheduler reads of the node."""
        content: dict[str, Any] = json.loads(self.facts(name).read_text("utf-8"))
        return content

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Every path of the nodes with its mode and content, to see what a run touched.

        Without a live run's progress, which changes every second.
        """
        found = {}
        for base in (self.folder / "nodes", self.folder / "data"):
            for path in sorted(base.rglob("*")):
                if path.name.startswith("progress.json"):
                    continue
                content = path.read_bytes() if path.is_file() else b""
                found[str(path)] = (path.lstat().st_mode, content)
        return found

    # ---- runs -----------------------------------------------------------------------------------

    def environment(self, **changes: str) -> dict[str, str]:
        """The caller's, without what would lead a run to the caller's own packages or settings."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "TORCHNODE_", "PIP_", "UV_", "PYTEST_"))
        }
        return {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "TORCHNODE_REPORTS": str(self.folder / "reports"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "COLUMNS": "140",
            **changes,
        }

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """The command line; a fleet without hosts takes the configuration's inventory."""
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": self.hosts}}))
        given = ["-i", str(inventory)] if self.hosts else []
        return [str(PLAYBOOK), str(ROOT / playbook), *given, *arguments]

    def start(
        self, playbook: str, *arguments: str, cwd: Path = ROOT, **environment: str
    ) -> subprocess.Popen[str]:
        """A run that goes on, as the leader of its process group."""
        log = (self.folder / f"out.{len(self.running)}").open("w+")
        process = subprocess.Popen(
            self.command(playbook, *arguments),
            cwd=cwd,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def output(self, process: subprocess.Popen[str]) -> str:
        """What a run has printed so far."""
        return (self.folder / f"out.{self.running.index(process)}").read_text("utf-8")

    def wait(self, process: subprocess.Popen[str]) -> Ended:
        """The run's end, with its report checked against the schema."""
        try:
            status = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running:\n" + self.output(process)) from None
        return Ended(status, self.output(process), self.report())

    def play(self, playbook: str, *arguments: str, **options: Any) -> Ended:
        """A whole run."""
        return self.wait(self.start(playbook, *arguments, **options))

    def report(self) -> dict[str, Any]:
        """The latest report, which is valid whenever it is read; {} where there is none."""
        path = self.folder / "reports" / "latest" / "fleet.json"
        if not path.exists():
            return {}
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        jsonschema.Draft202012Validator(SCHEMA).validate(content)
        return content

    def until(self, what: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
        """Wait until ``what()`` is true while the process runs."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            self.seen.update(descendants(process.pid))
            found = what()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError("it never came to this:\n" + self.output(process))

    def close(self) -> None:
        """End what a test left running: its own children and what they had started."""
        for process in self.running:
            self.seen.update(descendants(process.pid) if process.poll() is None else ())
            if process.poll() is None:
                process.kill()
                process.wait()
        for pid in self.seen:
            if str(self.folder) in command_of(pid):
                os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> Iterator[int]:
    """The processes below ``pid``; Ansible's workers leave its process group."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        yield from children
        waiting += children


def command_of(pid: int) -> str:
    """A process's command line and environment as far as readable; '' when it is gone."""
    text = b""
    for name in ("cmdline", "environ"):
        try:
            text += Path(f"/proc/{pid}/{name}").read_bytes()
        except OSError:
            continue
    return text.decode("utf-8", "replace")


def why_not() -> Optional[str]:
    """What this machine lacks for these runs, or None."""
    if not sys.platform.startswith("linux"):
        return "the nodes of these runs are Linux processes"
    if not PLAYBOOK.exists():
        return f"no ansible-playbook beside {sys.executable}"
    return None
