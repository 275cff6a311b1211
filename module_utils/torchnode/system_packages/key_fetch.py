"""Fetches a repository's key, which is then trusted for its full fingerprint or not at all."""

from __future__ import annotations

import ssl
import urllib.request
from typing import Mapping

from .failures import PackageError, Problem

SECONDS = 60.0
MOST = 1 << 20  # bytes: a key has a few thousand


def fetch(url: str, environ: Mapping[str, str], ca_bundle: str = "") -> bytes:
    """What lies at ``url``, by the proxy of an environment and a CA bundle beside the system's own.

    Raises PackageError.
    """
    try:
        context = ssl.create_default_context()
        if ca_bundle:
            context.load_verify_locations(ca_bundle)
        proxies = {way: environ[way + "_proxy"] for way in ("http", "https") if
                   environ.get(way + "_proxy")}  # fmt: skip
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            # What no_proxy of the node's own environment names is reached without it.
            urllib.request.ProxyHandler(proxies or None),
        )
        with opener.open(url, timeout=SECONDS) as answer:
            content: bytes = answer.read(MOST)
            return content
    except (OSError, ValueError) as error:
        raise PackageError(_failed(url, str(error))) from error


def _failed(url: str, why: str) -> Problem:
    return Problem(
        "key_fetch", "%s: %s" % (url, why),
        "The key that signs this repository lies beside its packages, and could not be fetched.",
        "See that the node reaches this address (torchnode_proxy, torchnode_ca_bundle) and that a "
        "mirror has the file. Or bring the key: torchnode_nvidia_key_file names a copy on the "
        "controller, torchnode_nvidia_key_fingerprint its full fingerprint.",
        expected="the repository's key",
    )  # fmt: skip
