"""Where packages come from: the operator's variables, else the environment, else pip's files.

pip's settings are what administrators already have (``PIP_INDEX_URL``, ``/etc/pip.conf``, ...), and
uv reads none of them; this turns them into the variables that uv reads. ``UV_*`` settings that are
already there win.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Sources:
    """Where to look for packages. Empty fields mean 'not stated'; URLs may hold credentials."""

    index_url: str = ""
    extra_index_urls: Tuple[str, ...] = ()
    find_links: Tuple[str, ...] = ()
    proxy: str = ""
    ca_bundle: str = ""
    offline: bool = False


def pip_settings(environ: Mapping[str, str], files: Iterable[str]) -> Dict[str, str]:
    """pip's own settings by option name: files in the order given, then ``PIP_*`` over them."""
    settings: Dict[str, str] = {}
    for file in files:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself refuses such a file; what it says there is not ours to guess
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({_option(name): value for name, value in parser.items(section)})
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[_option(name[4:])] = value
    return settings


def _option(name: str) -> str:
    """An option's name as pip spells it: files and variables may write underscores."""
    return name.lower().replace("_", "-")


def pip_files(environ: Mapping[str, str], home: str) -> List[str]:
    """The configuration files that pip reads, weakest first.

    The file that PIP_CONFIG_FILE names replaces the user's, and os.devnull switches all off.
    Source: https://pip.pypa.io/en/stable/topics/configuration/, read 2026-11-22.
    """
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    machine = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf"]
    if named and os.path.exists(named):
        return [*machine, named]
    config = environ.get("XDG_CONFIG_HOME") or home + "/.config"
    return [*machine, home + "/.pip/pip.conf", config + "/pip/pip.conf"]


_TRUE = ("1", "true", "t", "yes", "y", "on")  # as pip reads a switch


def sources(stated: Sources, environ: Mapping[str, str], settings: Mapping[str, str]) -> Sources:
    """What was stated, completed by ``UV_*`` and then by pip's settings."""
    index = (
        environ.get("UV_DEFAULT_INDEX")
        or environ.get("UV_INDEX_URL")
        or settings.get("index-url", "")
    )
    extra = (
        environ.get("UV_INDEX")
        or environ.get("UV_EXTRA_INDEX_URL")
        or settings.get("extra-index-url", "")
    ).split()
    # uv separates by commas, pip by white space; pip passes over folders that do not exist.
    own = [link.strip() for link in environ.get("UV_FIND_LINKS", "").split(",")]
    links = [link for link in own if link] or settings.get("find-links", "").split()
    return Sources(
        index_url=stated.index_url or index,
        extra_index_urls=stated.extra_index_urls or tuple(extra),
        find_links=stated.find_links or tuple(usable(links)),
        proxy=stated.proxy or settings.get("proxy", ""),
        ca_bundle=stated.ca_bundle or environ.get("SSL_CERT_FILE", "") or settings.get("cert", ""),
        offline=stated.offline or settings.get("no-index", "").lower() in _TRUE,
    )  # fmt: skip


def uv_environment(chosen: Sources, torch_index: str, environ: Mapping[str, str]) -> Dict[str, str]:
    """The environment for uv: ``environ`` with every source of ``chosen`` in uv's own variables.

    ``torch_index`` is the index of the torch build's tag, or '' where it is not needed. The
    strategy may take any index's file: hashes decide what is right, not the order of indexes.
    """
    replaced = ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS")
    result = {name: value for name, value in environ.items() if name not in replaced}
    indexes = [*chosen.extra_index_urls] + ([torch_index] if torch_index else [])
    stated = {
        "UV_DEFAULT_INDEX": chosen.index_url,
        "UV_INDEX": " ".join(usable(indexes)),
        "UV_FIND_LINKS": ",".join(chosen.find_links),
        "SSL_CERT_FILE": chosen.ca_bundle,
        "HTTP_PROXY": chosen.proxy,
        "HTTPS_PROXY": chosen.proxy,
        "UV_NO_INDEX": "1" if chosen.offline else "",
        "UV_OFFLINE": "1" if chosen.offline else "",
    }
    result.update({name: value for name, value in stated.items() if value})
    result["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return result


def usable(places: Iterable[str]) -> List[str]:
    """Places without the local folders that do not exist: pip ignores those, uv stops at them."""
    folders = [(place, local_folder(place)) for place in places]
    return [place for place, folder in folders if folder is None or os.path.isdir(folder)]


def local_folder(place: str) -> Optional[str]:
    """The folder that a place of packages is on the machine itself; None for another URL."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return unquote(parts.path)
    return None if parts.scheme else place
