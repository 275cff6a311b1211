"""The pinned uv on the controller, found with the operator's sources and Ansible's own client."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

from . import package_index, uv_wheel
from .data.uv import WHEELS

CACHE = "~/.cache/torchnode"


def binary_for(system: str, machine: str, options: Mapping[str, Any]) -> str:
    """The path of the verified uv for a node of this kind; ``options`` are python_stack's.

    Raises uv_wheel.NotAvailable where it is not to be had, also for a machine without a pinned
    uv, and OSError for a cache that cannot be written.
    """
    wheel = WHEELS.get((system, machine))
    if wheel is None:
        known = ", ".join("%s %s" % key for key in WHEELS)
        raise uv_wheel.NotAvailable("machine: found %s %s; expected %s" % (system, machine, known))
    stated = package_index.Sources(
        index_url=options.get("index_url") or "",
        find_links=tuple(options.get("find_links") or ()),
        offline=bool(options.get("offline")),
    )
    files = package_index.pip_files(os.environ, os.path.expanduser("~"))
    settings = package_index.pip_settings(os.environ, files)
    sources = package_index.sources(stated, os.environ, settings)
    return uv_wheel.obtain(wheel, os.path.expanduser(CACHE), sources, fetch)


def fetch(url: str) -> bytes:
    """The URL's bytes: proxies, CA bundle and netrc apply. Raises OSError."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    try:
        with open_url(url, headers=accept, timeout=120, use_netrc=True) as answer:
            content: bytes = answer.read()
    except UrlError as error:  # not an OSError in Ansible's client
        raise OSError(str(error)) from None
    return content
