"""A package index on this machine, as healthy or as sick as a test wants it (a stand-in)."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional


@dataclass
class Index:
    """Where the index listens, and what it was asked: (path, the credentials that came along)."""

    host: str
    scheme: str = "http"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def url(self, user: str = "", password: str = "", path: str = "/simple") -> str:
        """Its address, with credentials where some are given."""
        credentials = f"{user}:{password}@" if user else ""
        return f"{self.scheme}://{credentials}{self.host}{path}"

    @property
    def users(self) -> set[str]:
        """Who asked, as 'user:password'."""
        return {credentials for _, credentials in self.asked if credentials}


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; ``status`` answers all, ``wanted`` are the only good credentials."""

    index: Index
    wanted = ""
    status = 0
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        given = self.headers.get("Authorization", self.headers.get("Proxy-Authorization", ""))
        said = base64.b64decode(given.partition(" ")[2]).decode() if given else ""
        self.index.asked.append((self.path, said))
        if self.status:
            self.send_error(self.status)
        elif self.wanted and said != self.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    do_HEAD = do_GET
    do_CONNECT = do_GET  # as a proxy for HTTPS: only its refusals are of use here

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the tests look at ``asked``."""


@contextlib.contextmanager
def serving(
    folder: Path,
    wanted: str = "",
    status: int = 0,
    certificate: Optional[Path] = None,
    delay: float = 0.0,
) -> Iterator[Index]:
    """Serve ``folder``, which holds ``simple``. ``wanted`` is 'user:password', ``certificate`` a
    file with certificate and key for TLS, ``delay`` seconds pass before each answer."""
    how = {"wanted": wanted, "status": status, "delay": delay}
    handler = type("Handler", (_Handler,), how)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    index = Index(f"127.0.0.1:{server.server_port}", "https" if certificate else "http")
    handler.index = index  # type: ignore[attr-defined]  # the class was made two lines above
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


def self_signed(folder: Path) -> Optional[Path]:
    """A certificate of 127.0.0.1 that nobody has signed, with its key; None without openssl."""
    if not shutil.which("openssl"):
        return None
    path = folder / "self-signed.pem"
    ask = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    ask += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    ask += ["-keyout", str(path), "-out", str(folder / "certificate.pem")]
    subprocess.run(ask, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "certificate.pem").read_text())
    return path
