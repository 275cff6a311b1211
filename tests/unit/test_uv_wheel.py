"""Getting uv: cache, folder, index; a wrong file is refused wherever it comes from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from ansible.module_utils.torchnode.data.uv import VERSION, WHEELS, UvWheel
from ansible.module_utils.torchnode.package_index import Sources
from ansible.module_utils.torchnode.uv_wheel import NotAvailable, obtain

PROGRAM = b"#!/bin/sh\necho uv\n"


def packed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("uv-%s.data/scripts/uv" % VERSION, PROGRAM)
    return stream.getvalue()


CONTENT = packed()
NAME = "uv-%s-py3-none-any.whl" % VERSION
WHEEL = UvWheel(NAME, hashlib.sha256(CONTENT).hexdigest())
INDEX = "https://user:secret@index/simple"


def serving(pages: dict[str, bytes]) -> Callable[[str], bytes]:
    def fetch(url: str) -> bytes:
        url = url.partition("#")[0]
        if url not in pages:
            raise OSError("HTTP Error 404: Not Found: " + url)
        return pages[url]

    return fetch


def never(url: str) -> bytes:
    raise AssertionError("nothing may be fetched, and was: " + url)


def test_from_a_folder_then_from_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "wheels", tmp_path / "cache"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    binary = obtain(WHEEL, str(cache), Sources(find_links=(folder.as_uri(),)), never)
    assert Path(binary).read_bytes() == PROGRAM
    assert os.access(binary, os.X_OK)
    assert set(os.listdir(cache)) == {os.path.basename(binary), "lock"}
    (folder / NAME).unlink()
    assert obtain(WHEEL, str(cache), Sources(), never) == binary


PAGES = {
    "html": f'<a href="../../files/{NAME}#sha256=00">{NAME}</a>'.encode(),
    "absolute": f'<html><a href="https://user:secret@index/files/{NAME}">x</a>'.encode(),
    "json": json.dumps({"files": [{"filename": "uv-0.1.whl", "url": "no"},
                                  {"filename": NAME, "url": f"../../files/{NAME}"}]}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", PAGES)
def test_from_an_index_in_both_forms(tmp_path: Path, form: str) -> None:
    pages = {INDEX + "/uv/": PAGES[form], "https://user:secret@index/files/" + NAME: CONTENT}
    binary = obtain(WHEEL, str(tmp_path / "cache"), Sources(index_url=INDEX), serving(pages))
    assert Path(binary).read_bytes() == PROGRAM


def refused(cache: Path, sources: Sources, fetch: Callable[[str], bytes]) -> str:
    with pytest.raises(NotAvailable) as caught:
        obtain(WHEEL, str(cache), sources, fetch)
    assert not [name for name in os.listdir(cache) if name.startswith("uv")]
    assert "secret" not in str(caught.value)
    assert NAME in str(caught.value)
    return str(caught.value)


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT + b"!")
    pages = {INDEX + "/uv/": PAGES["html"], "https://user:secret@index/files/" + NAME: b"other"}
    said = refused(tmp_path / "cache", Sources(INDEX, find_links=(str(tmp_path),)), serving(pages))
    assert said.count("instead of " + WHEEL.sha256) == 2


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ({}, "404"),
        ({INDEX + "/uv/": b"<html>nothing</html>"}, "does not list"),
        ({INDEX + "/uv/": b"{not json"}, "@index/simple/uv/"),
        ({INDEX + "/uv/": PAGES["html"]}, "404"),
    ],
)
def test_an_index_without_it(tmp_path: Path, pages: dict[str, bytes], said: str) -> None:
    assert said in refused(tmp_path / "cache", Sources(index_url=INDEX), serving(pages))


def test_offline_asks_no_index(tmp_path: Path) -> None:
    places = ("https://user:secret@host/wheels", str(tmp_path / "missing"))
    said = refused(tmp_path / "cache", Sources(INDEX, find_links=places, offline=True), never)
    assert "offline" in said
    assert str(tmp_path / "missing") in said


def test_pins_are_for_the_pinned_version() -> None:
    for wheel in WHEELS.values():
        assert wheel.filename.startswith("uv-%s-py3-none-" % VERSION)
        assert len(wheel.sha256) == 64
    assert {("Linux", "x86_64"), ("Linux", "aarch64")} <= set(WHEELS)
