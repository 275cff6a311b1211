"""What a node tells for a bug report: of a sick machine as well, and without secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible.module_utils.torchnode import support
from ansible.module_utils.torchnode.node import Completed, Node

PLANTED = "s3cr3t-planted"  # a made-up secret

#: What the commands of a made-up machine answer, by their first word.
SAYS = {
    "dmesg": Completed(
        0,
        "[Sun Nov 22] usb 1-1: new device\n[Sun Nov 22] NVRM: Xid (PCI:0000:1b:00): 79, GPU has "
        "fallen off the bus.\n[Sun Nov 22] mlx5_core 0000:03:00.0: up\n",
    ),
    "journalctl": Completed(0, "nvidia-persistenced: started with token=%s\n" % PLANTED),
    "nvidia-smi": Completed(9, "NVIDIA-SMI has failed", ""),
    "df": Completed(0, "x" * (support.MOST_CHARACTERS + 10)),
}


class Machine:
    """Files below a folder, and commands that answer as ``says`` has it."""

    def __init__(self, root: Path) -> None:
        self.root, self.says = root, dict(SAYS)

    def write(self, path: str, text: str) -> None:
        """A file of the machine."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def told(self) -> support.Told:
        """What this machine tells."""
        return support.collect(Node(str(self.root), self.run, {}, 0), "/opt/p", "/etc/facts")

    def run(self, argv: Sequence[str]) -> Completed:
        """One command's answer."""
        return self.says.get(argv[0], Completed(127, "", "no such command"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without a stack."""
    return Machine(tmp_path)


def test_a_bare_machine_says_what_is_missing_and_why(machine: Machine) -> None:
    """Nothing that could not be read is passed over."""
    told = machine.told()
    assert told.missing["record.json"] == "/opt/p/record.json is not there or cannot be read"
    assert told.missing["nvidia-smi"] == "nvidia-smi: NVIDIA-SMI has failed"
    assert told.missing["rocm-smi"] == "amd-smi: no such command; rocm-smi: no such command"
    assert told.cut == {"disk": "the last 200000 of 200010 characters"}
    assert len(told.texts["disk"]) == support.MOST_CHARACTERS
    assert "NVRM: Xid (PCI:0000:1b:00): 79" in told.texts["kernel.log"]
    assert "usb" not in told.texts["kernel.log"]
    assert json.loads(told.texts["facts.json"])["prefix"] == "/opt/p"
    assert told.texts["versions"].startswith("Python 3.")
    assert set(told.texts).isdisjoint(told.missing)


def test_a_quiet_kernel_is_told_from_one_that_was_not_asked(machine: Machine) -> None:
    """An empty file would read like either."""
    machine.says["dmesg"] = Completed(0, "usb 1-1: new device\n")
    assert machine.told().texts["kernel.log"].startswith("none of 1 lines speaks of accelerators")


def test_the_kernels_log_has_a_second_source(machine: Machine) -> None:
    """dmesg may be for root alone."""
    machine.says["dmesg"] = Completed(1, "", "dmesg: read kernel buffer failed")
    machine.says["journalctl"] = Completed(0, "kernel: NVRM: loading\nkernel: usb\n")
    assert machine.told().texts["kernel.log"] == "kernel: NVRM: loading"
    machine.says["journalctl"] = Completed(1, "", "No journal files were found.")
    told = machine.told()
    assert "kernel.log" not in told.texts
    assert "read kernel buffer failed; journalctl: No journal" in told.missing["kernel.log"]


def test_secrets_stay_behind(machine: Machine) -> None:
    """In JSON, in logs, in the reasons for what is missing."""
    machine.write("opt/p/record.json", json.dumps({"why": f"https://u:{PLANTED}@h", "n": 1}))
    machine.write("opt/p/failed-build.log", f"uv: http://u:{PLANTED}@h/simple, u:{PLANTED}@h")
    machine.write("opt/p/current/torchnode.lock", "tokenizers==0.22.1\n")
    machine.says["df"] = Completed(1, "", f"df: //u:{PLANTED}@server/share: stale")
    told = machine.told()
    assert PLANTED not in str(told)
    assert json.loads(told.texts["record.json"]) == {"why": "https://***@h", "n": 1}
    assert told.texts["stack.lock"] == "tokenizers==0.22.1"
    assert "stale" in told.missing["disk"]


def test_a_survey_that_breaks_does_not_break_the_rest(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle is for machines on which something breaks."""

    def breaks(*_: object) -> None:
        raise RuntimeError(f"token={PLANTED}")

    monkeypatch.setattr(support, "survey", breaks)
    told = machine.told()
    assert told.missing["facts.json"] == "survey failed: RuntimeError('token=***')"
    assert "kernel.log" in told.texts
