"""The support bundle: what it holds, what it does not, and that it touches nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from harness import ROOT, Fleet

PLANTED = "s3cr3t-planted"  # a made-up secret


def bundle(fleet: Fleet) -> dict[str, str]:
    """The newest archive's texts by name."""
    with tarfile.open(archive(fleet)) as tar:
        streams = {m.name: tar.extractfile(m) for m in tar.getmembers()}
        return {
            name.removeprefix("support-bundle/"): stream.read().decode()
            for name, stream in streams.items()
            if stream is not None
        }


def archive(fleet: Fleet) -> Path:
    """The newest archive."""
    return max((fleet.folder / "reports").glob("*/support-bundle.tar.gz"))


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh client")
@pytest.mark.parametrize("far", ["far", "0-the-first"])
def test_a_bundle_of_a_node_without_stack_and_one_that_is_silent(fleet, far):
    """Every node is in the MANIFEST, secrets are not, and the nodes stay as they are."""
    fleet.add("a")
    fleet.hosts = {far: {"ansible_host": "127.0.0.1", "ansible_port": 1}, **fleet.hosts}
    fleet.prefix("a").mkdir()
    written = f'{{"why": "https://u:{PLANTED}@host/ failed", "token": "{PLANTED}"}}'
    (fleet.prefix("a") / "record.json").write_text(written)
    fleet.play("playbooks/plan.yml", "--limit", "a")
    before = fleet.tree()
    ended = fleet.play("playbooks/support_bundle.yml", "-vvv")
    assert ended.status == 2, "half a bundle is not taken for a whole one"
    assert f"support bundle: {archive(fleet)}. It holds nothing of: {far}" in ended.out
    found = bundle(fleet)
    assert f"node {far}: unreachable" in found["MANIFEST"]
    assert "node a: answered" in found["MANIFEST"]
    assert "without stack.json: " in found["MANIFEST"]
    assert "***@host" in found["nodes/a/record.json"]
    assert '"torchnode.report/1"' in found["report/fleet.json"]
    assert json.loads(found["nodes/a/facts.json"])["prefix"] == str(fleet.prefix("a"))
    assert "Python 3." in found["nodes/a/versions"]
    assert "ansible-core" in found["controller.json"]
    assert PLANTED not in str(found) + ended.out
    assert fleet.tree() == before


def test_a_bundle_of_a_failed_node(fleet):
    """Its record and its verdict are what the report is about; all answered, so it succeeds."""
    fleet.add("a", torchnode_python=fleet.python("broken", probe="exit 3"))
    assert fleet.play("playbooks/verify.yml").verdicts == {"a": "FAILED"}
    ended = fleet.play("playbooks/support_bundle.yml")
    assert ended.status == 0, ended.out
    assert f"support bundle: {archive(fleet)}" in ended.out
    assert archive(fleet).stat().st_mode & 0o777 == 0o600
    found = bundle(fleet)
    assert json.loads(found["nodes/a/record.json"])["verdict"] == "FAILED"
    assert '"FAILED"' in found["nodes/a/torchnode.fact"]
    assert json.loads(found["report/plan.json"])["schema"] == "torchnode.plan/1"


def test_the_reports_folder_of_ansible_cfg_counts(fleet):
    """Not only that of the environment."""
    fleet.add("a")
    config = fleet.folder / "own.cfg"
    given = (ROOT / "ansible.cfg").read_text().replace("= inventory/", f"= {ROOT}/inventory/")
    config.write_text(f"{given}\n[torchnode]\nreports = {fleet.folder}/elsewhere\n")
    environment = fleet.environment(ANSIBLE_CONFIG=str(config))
    del environment["TORCHNODE_REPORTS"]
    command = fleet.command("playbooks/support_bundle.yml")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((fleet.folder / "elsewhere").glob("*/support-bundle.tar.gz"))) == 1


def test_a_folder_that_cannot_be_written_is_named(fleet):
    """And what to set."""
    fleet.add("a")
    (fleet.folder / "file").write_text("")
    ended = fleet.play(
        "playbooks/support_bundle.yml", TORCHNODE_REPORTS=str(fleet.folder / "file" / "reports")
    )
    assert ended.status == 2
    assert "Set TORCHNODE_REPORTS to one." in " ".join(ended.out.split())
    assert "Traceback" not in ended.out
