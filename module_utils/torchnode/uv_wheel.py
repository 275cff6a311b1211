"""Getting the pinned uv onto the controller: from its cache, a folder, or a package index."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import zipfile
from typing import Callable, Optional
from urllib.parse import urljoin

from .data.uv import VERSION, UvWheel
from .package_index import Sources
from .redaction import redacted

PYPI = "https://pypi.org/simple"

#: Fetches a URL's bytes; raises OSError (or a subclass) when it cannot.
Fetch = Callable[[str], bytes]


class NotAvailable(Exception):
    """The wheel is nowhere to be had; the message says where it was looked for and what to do."""


def obtain(wheel: UvWheel, cache: str, sources: Sources, fetch: Fetch) -> str:
    """The path of the verified uv binary in ``cache``, which is filled when it is not there yet.

    Raises NotAvailable, naming every place that was tried, and OSError for a cache that cannot be
    written. A whole fleet may ask at once: one download serves all.
    """
    binary = os.path.join(cache, "uv-%s-%s" % (VERSION, wheel.sha256[:12]))
    if os.path.exists(binary):
        return binary
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        return binary if os.path.exists(binary) else _obtain(wheel, binary, sources, fetch)


def _obtain(wheel: UvWheel, binary: str, sources: Sources, fetch: Fetch) -> str:
    tried = []
    for find in (_from_folders, _from_index):
        try:
            content = find(wheel, sources, fetch)
        except OSError as error:
            tried.append(str(error))
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == wheel.sha256:
            return _unpack(content, binary)
        tried.append("%s has SHA-256 %s instead of %s" % (wheel.filename, found, wheel.sha256))
    raise NotAvailable(
        "uv %s is not to be had: %s. Put %s into a folder that torchnode_find_links names, or make "
        "the index reachable (torchnode_index_url, a proxy, a CA bundle)."
        % (VERSION, "; ".join(tried), wheel.filename)
    )


def _from_folders(wheel: UvWheel, sources: Sources, fetch: Fetch) -> bytes:
    for place in sources.find_links:
        path = os.path.join(place[7:] if place.startswith("file://") else place, wheel.filename)
        if os.path.exists(path):
            with open(path, "rb") as stream:
                return stream.read()
    places = ", ".join(redacted(place) for place in sources.find_links)
    raise FileNotFoundError("not in the find-links folders (%s)" % (places or "none"))


def _from_index(wheel: UvWheel, sources: Sources, fetch: Fetch) -> bytes:
    if sources.offline:
        raise FileNotFoundError("offline: no index is asked")
    page = (sources.index_url or PYPI).rstrip("/") + "/uv/"
    try:
        url = _link(fetch(page), wheel.filename)
        if url:
            return fetch(urljoin(page, url))
    except (OSError, ValueError) as error:
        # A client's message may repeat the URL that it was given.
        raise OSError("%s: %s" % (redacted(page), redacted(str(error)))) from None
    raise FileNotFoundError("%s does not list %s" % (redacted(page), wheel.filename))


def _link(page: bytes, filename: str) -> Optional[str]:
    """The file's URL in an index page, in either form of the simple repository API."""
    text = page.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        files = json.loads(text).get("files", [])
        return next((str(f["url"]) for f in files if f.get("filename") == filename), None)
    match = re.search(r'href="([^"]*/)?(%s[^"]*)"' % re.escape(filename), text)
    return (match.group(1) or "") + match.group(2) if match else None


def _unpack(content: bytes, binary: str) -> str:
    with tempfile.TemporaryDirectory(dir=os.path.dirname(binary)) as folder:
        path = os.path.join(folder, "wheel")
        with open(path, "wb") as stream:
            stream.write(content)
        with zipfile.ZipFile(path) as archive:
            inside = archive.extract("uv-%s.data/scripts/uv" % VERSION, folder)
        os.chmod(inside, 0o755)
        os.replace(inside, binary)
    return binary
