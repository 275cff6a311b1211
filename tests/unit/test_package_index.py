"""Where packages come from, and what never reaches a message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible.module_utils.torchnode.package_index import (
    Sources,
    pip_files,
    pip_settings,
    sources,
    usable,
    uv_environment,
)


def chosen(environ: dict[str, str], *files: Path, **stated: object) -> Sources:
    return sources(Sources(**stated), environ, pip_settings(environ, map(str, files)))  # type: ignore[arg-type]  # any field


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://conf/simple\nextra_index_url =\n  https://conf/a\n  https://conf/b\n"
        "cert = /conf/ca.pem\nproxy = http://conf:3128\ntimeout = 60%\n"
        "[install]\nfind-links = https://conf/wheels\n /missing\n"
    )
    return file


def test_pips_files_are_read(conf: Path) -> None:
    found = chosen({}, conf)
    assert found == Sources(
        index_url="https://conf/simple",
        extra_index_urls=("https://conf/a", "https://conf/b"),
        find_links=("https://conf/wheels",),
        proxy="http://conf:3128",
        ca_bundle="/conf/ca.pem",
    )


def test_a_later_file_wins(conf: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.conf"
    later.write_text("[global]\nindex_url = https://later/simple\n")
    assert chosen({}, conf, later).index_url == "https://later/simple"


def test_precedence(conf: Path) -> None:
    environ = {"PIP_INDEX_URL": "https://pip/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_CERT": "/pip"}
    assert chosen(environ, conf).index_url == "https://pip/simple"
    assert chosen(environ, conf).extra_index_urls == ("https://conf/a", "https://conf/b")
    assert chosen(environ, conf).ca_bundle == "/pip"
    environ |= {"UV_DEFAULT_INDEX": "https://uv/simple", "SSL_CERT_FILE": "/ssl"}
    assert chosen(environ, conf).index_url == "https://uv/simple"
    assert chosen(environ, conf).ca_bundle == "/ssl"
    stated = chosen(environ, conf, index_url="https://stated/simple", find_links=("/stated",))
    assert (stated.index_url, stated.find_links) == ("https://stated/simple", ("/stated",))


@pytest.mark.parametrize("name", ["UV_INDEX_URL", "UV_DEFAULT_INDEX"])
def test_both_names_of_uvs_index(name: str) -> None:
    assert chosen({name: "https://uv/simple"}).index_url == "https://uv/simple"


def test_find_links_are_separated_as_each_tool_separates_them(tmp_path: Path) -> None:
    spaced, plain = tmp_path / "a folder", tmp_path / "plain"
    spaced.mkdir()
    plain.mkdir()
    assert chosen({"UV_FIND_LINKS": f"{spaced},{plain}"}).find_links == (str(spaced), str(plain))
    assert chosen({"PIP_FIND_LINKS": f"{plain} https://x"}).find_links == (str(plain), "https://x")
    both = Sources(find_links=(str(spaced), str(plain)))
    assert uv_environment(both, "", {})["UV_FIND_LINKS"] == f"{spaced},{plain}"


def test_a_stated_folder_that_does_not_exist_is_left_to_uv_to_refuse() -> None:
    assert chosen({}, find_links=("/missing",)).find_links == ("/missing",)
    assert chosen({"PIP_FIND_LINKS": "/missing"}).find_links == ()


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_no_index_means_offline(value: str, offline: bool) -> None:
    assert chosen({"PIP_NO_INDEX": value}).offline is offline


@pytest.mark.parametrize("content", [b"no section\n", b"\xff\xfe[global]\n", b"[global]\nx\n"])
def test_a_file_that_pip_refuses_is_passed_over(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pip.conf"
    file.write_bytes(content)
    assert chosen({}, file, tmp_path / "missing") == Sources()


def test_the_files_that_pip_reads(tmp_path: Path) -> None:
    named = tmp_path / "mine.conf"
    named.write_text("")
    machine = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"]
    users = ["/home/w/.pip/pip.conf", "/home/w/.config/pip/pip.conf"]
    assert pip_files({}, "/home/w") == machine + users
    assert pip_files({"XDG_CONFIG_HOME": "/cfg"}, "/home/w")[-1] == "/cfg/pip/pip.conf"
    assert pip_files({"PIP_CONFIG_FILE": str(named)}, "/home/w") == [*machine, str(named)]
    assert pip_files({"PIP_CONFIG_FILE": os.devnull}, "/home/w") == []


# ---- uv's environment --------------------------------------------------------------------------


def test_uv_is_told_everything_in_its_own_words() -> None:
    given = Sources("https://i/simple", ("https://x/simple",), ("/w",), "http://p:1", "/ca", True)
    environment = uv_environment(given, "https://torch/cu130", {"HOME": "/home/w"})
    assert environment == {
        "HOME": "/home/w",
        "UV_DEFAULT_INDEX": "https://i/simple",
        "UV_INDEX": "https://x/simple https://torch/cu130",
        "UV_FIND_LINKS": "/w",
        "SSL_CERT_FILE": "/ca",
        "HTTP_PROXY": "http://p:1",
        "HTTPS_PROXY": "http://p:1",
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_nothing_stated_leaves_the_environment_alone() -> None:
    environ = {"HTTPS_PROXY": "http://env:1", "NETRC": "/netrc", "UV_INDEX_URL": "https://old"}
    environment = uv_environment(Sources(), "", environ)
    assert environment == {
        "HTTPS_PROXY": "http://env:1",
        "NETRC": "/netrc",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_folders_that_do_not_exist_are_no_index(tmp_path: Path) -> None:
    spaced = tmp_path / "a folder"
    spaced.mkdir()
    kept = ["https://pypi.org/simple", tmp_path.as_uri(), spaced.as_uri()]
    assert usable([*kept, (tmp_path / "missing").as_uri()]) == kept


def test_an_index_of_the_environment_that_does_not_exist_is_dropped(tmp_path: Path) -> None:
    environ = {"UV_INDEX": (tmp_path / "missing").as_uri()}
    assert "UV_INDEX" not in uv_environment(chosen(environ), "", environ)
