"""The last burn-in as a file on the node."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.torchnode.burn_in import kept


def test_it_is_written_whole_and_forgotten_at_the_next_beginning(tmp_path: Path) -> None:
    path = str(tmp_path / "burn_in.json")
    assert kept.keep(path, {"burn_in": {"devices": []}}) == ""
    assert json.loads(Path(path).read_text()) == {"burn_in": {"devices": []}}
    kept.forget(path)
    assert list(tmp_path.iterdir()) == []
    kept.forget(path)


def test_without_a_path_there_is_no_file() -> None:
    kept.forget(None)
    assert kept.keep(None, {}) == ""


def test_a_disk_that_takes_nothing_loses_no_result(tmp_path: Path) -> None:
    told = kept.keep(str(tmp_path / "no" / "folder.json"), {})
    assert "could not be kept" in told
