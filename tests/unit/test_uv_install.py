"""The uv that the controller sends: there whole or not at all, and no other file in its place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible.module_utils.torchnode.uv_install import NotTheOne, install, sha256

UV = b"#!/bin/sh\necho uv\n"
DIGEST = hashlib.sha256(UV).hexdigest()


@pytest.fixture
def sent(tmp_path: Path) -> str:
    path = tmp_path / "sent"
    path.write_bytes(UV)
    return str(path)


def test_it_can_be_run_and_nothing_else_is_left(tmp_path: Path, sent: str) -> None:
    target = tmp_path / "prefix/uv/1.0/uv"
    install(sent, str(target), DIGEST)
    assert sha256(str(target)) == DIGEST
    assert os.access(target, os.X_OK)
    assert os.listdir(target.parent) == ["uv"]


def test_an_altered_one_is_replaced(tmp_path: Path, sent: str) -> None:
    target = tmp_path / "uv"
    target.write_bytes(UV[:-1] + b"!")
    install(sent, str(target), DIGEST)
    assert target.read_bytes() == UV


def test_what_was_damaged_on_its_way_replaces_nothing(tmp_path: Path, sent: str) -> None:
    target = tmp_path / "there/uv"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    Path(sent).write_bytes(UV[:-2])
    with pytest.raises(NotTheOne, match=DIGEST):
        install(sent, str(target), DIGEST)
    assert target.read_bytes() == b"the old one"
    assert os.listdir(target.parent) == ["uv"]


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, sent: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        install(sent, str(tmp_path / "file/uv"), DIGEST)
