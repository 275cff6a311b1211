"""A mirror over HTTPS that only a proxy reaches, for a container without a network.

``python3 tls_mirror.py FOLDER CERTIFICATE KEY LOG`` serves FOLDER on a port of its own, and is an
HTTP proxy on 3128 that leads every CONNECT there, whatever the name, and writes it to LOG.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import socket
import ssl
import sys
import threading

PROXY = 3128
END = b"\r\n\r\n"


def serve(folder: str, certificate: str, key: str) -> int:
    """Start the HTTPS server; its port."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def lead(client: socket.socket, port: int, log: str) -> None:
    """One connection of the proxy's."""
    head = b""
    while END not in head:
        read = client.recv(4096)
        if not read:
            return
        head += read
    with open(log, "a", encoding="ascii") as stream:
        stream.write(head.split(b"\r\n", 1)[0].decode("ascii", "replace") + "\n")
    server = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"HTTP/1.1 200 Connection established" + END)
    threading.Thread(target=copy, args=(client, server), daemon=True).start()
    copy(server, client)


def copy(source: socket.socket, target: socket.socket) -> None:
    """What one says to the other, until it has no more to say."""
    with contextlib.suppress(OSError):
        while True:
            read = source.recv(65536)
            if not read:
                break
            target.sendall(read)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main() -> None:
    """Serve until the end of the container."""
    folder, certificate, key, log = sys.argv[1:]
    port = serve(folder, certificate, key)
    listener = socket.create_server(("127.0.0.1", PROXY))
    while True:
        client, _ = listener.accept()
        threading.Thread(target=lead, args=(client, port, log), daemon=True).start()


if __name__ == "__main__":
    main()
