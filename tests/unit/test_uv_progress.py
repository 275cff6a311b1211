"""What uv prints becomes how far a build is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible.module_utils.torchnode import uv_progress, uv_run
from ansible.module_utils.torchnode.progress_file import NAME

#: As uv 0.13.9 writes it into a pipe; the sizes are made up.
STARTED = """Using Python 3.11.2 environment at: v
Resolved 34 packages in 67ms
Downloading torch (1.0GiB)
Downloading triton (100.0MiB)
Downloading numpy (512.0KiB)
"""
HALF = STARTED + " Downloaded triton\n Downloaded numpy\n"


@pytest.mark.parametrize(
    ("output", "written", "text"),
    [
        ("", None, "building, nothing downloaded yet"),
        ("", 3_400_000, "building, 3 MB unpacked"),
        (STARTED, None, "building, downloaded 0.0 of 1.2 GB, 0 of 3 files"),
        (HALF, 2_100_000_000, "building, downloaded 0.1 of 1.2 GB, 2 of 3 files, 2.1 GB unpacked"),
        (HALF + "Prepared 34 packages in 41s\n", 1, "installing, 17 of 34 packages"),
    ],
)
def test_it_is_said_in_words(output: str, written: int | None, text: str) -> None:
    state = uv_progress.state(uv_progress.read(output), written, 17, 34)
    assert state["text"] == text


def test_a_node_further_on_has_a_higher_rank() -> None:
    outputs = (STARTED, HALF, HALF + "Prepared 34 packages in 41s\n")
    ranks = [uv_progress.state(uv_progress.read(o), None, 3, 34)["rank"] for o in outputs]
    assert ranks == sorted(set(ranks))


def test_a_run_keeps_the_file_and_all_that_was_printed(tmp_path: Path) -> None:
    path = tmp_path / NAME
    watch = uv_run.Watch(str(path), str(tmp_path), 2)
    code = "import time; print('Downloading torch (2.0GiB)', flush=True); time.sleep(2.5)"
    done = uv_run.run([sys.executable, "-c", code], {}, 30, watch)
    assert (done.returncode, done.stdout) == (0, b"Downloading torch (2.0GiB)\n")
    assert "0.0 of 2.1 GB" in path.read_text()
    watch.end()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_ends_the_file_and_not_the_work(tmp_path: Path) -> None:
    watch = uv_run.Watch(str(tmp_path / "missing" / NAME), str(tmp_path), 2)
    watch.say("checking", 2)
    watch.say("checking", 2)
    watch.end()
    assert list(tmp_path.iterdir()) == []
