"""What uv or the system says when a stack cannot be built, and what it means. Pure.

The patterns are uv's own words, provoked against a local index (tests/unit/test_uv_failures.py).
"""

from __future__ import annotations

import re
from typing import Tuple

_CREDENTIALS = (
    "Put the index's host, user and password into the netrc file of the user that the stack is "
    "built as on the node, or the URL with both into that node's environment or pip "
    "configuration; never into a variable."
)

#: Pattern, cause, remedy; the first that fits counts.
_CAUSES: Tuple[Tuple[str, str, str], ...] = (
    (
        r"No space left on device",
        "The disk is full.",
        "Free space under the prefix and uv's cache, then run again.",
    ),
    (
        r"Hash mismatch",
        "A file is not the one that was locked, or not the one whose SHA-256 the inventory states.",
        "Do not install it. Find out why the index serves another file, or remake the lock; for a "
        "supplied wheel, compare its SHA-256 with its maker's.",
    ),
    (
        r"must have a hash",
        "The lock has a line without a hash.",
        "Remake the lock with `make lock`.",
    ),
    (
        r"no hashes were provided or computed",
        "An index or folder offers a build of that version that the lock does not know.",
        "Take that index or folder out of the node's settings (torchnode_find_links, "
        "torchnode_extra_index_urls, UV_*, PIP_*), or remake the lock.",
    ),
    (
        r"Permission denied|Read-only file system",
        "The prefix cannot be written.",
        "Choose another torchnode_prefix, or become a user who may write there.",
    ),
    (
        # The second is what uv says of a URL without a scheme.
        r"invalid value .* for '--(?:default-index|index|find-links)|Relative paths passed to",
        "A package source in the node's settings is no valid URL.",
        "Correct it where the node has it (UV_*, PIP_*, pip's files): it begins with https:// or "
        "the like. In a user name or password, write / as %2F, @ as %40 and : as %3A.",
    ),
    (
        r"proxy authorization required|407 Proxy",
        "The proxy wants other credentials than it was given.",
        "Set HTTPS_PROXY and HTTP_PROXY with user and password in the node's environment, such as "
        "/etc/environment, and leave torchnode_proxy empty.",
    ),
    (
        r"tunnel error",
        "The proxy cannot be reached from this node, or does not let it through to the index.",
        "Check torchnode_proxy, or HTTPS_PROXY in the node's environment. For an index that needs "
        "no proxy, name its host in NO_PROXY there.",
    ),
    (
        r"401 Unauthorized|lack of valid authentication credentials",
        "The index wants a user and password, and refused what it was given.",
        _CREDENTIALS,
    ),
    (
        r"403 Forbidden",
        "The index forbids this node or user to read it; one that lies in an object store also "
        "answers so for a file that it does not have.",
        _CREDENTIALS + " Where they are right, ask who runs the index for the right to read.",
    ),
    (
        r"certificate|UnknownIssuer|tls handshake",
        "The index's TLS certificate is not one that this node trusts.",
        "Set torchnode_ca_bundle to a file on the node with the certificate of the authority that "
        "signed it: your own, or that of a proxy which reads TLS. Look at it with "
        "`openssl s_client -connect HOST:443`.",
    ),
    (
        r"dns error|failed to lookup address",
        "The name of the package index's host has no address on this node.",
        "Correct the host in torchnode_index_url, mend the node's name service, or set "
        "torchnode_proxy where only a proxy reaches the outside. Without a network, install with "
        "torchnode_find_links and torchnode_offline.",
    ),
    (
        r"HTTP status server error|50[0-9] (?:Internal|Bad|Service|Gateway)",
        "The package index, or a gateway before it, failed by itself.",
        "Try again later, or set torchnode_index_url to another mirror.",
    ),
    (
        r"Connection refused|error sending request|Failed to fetch|client error|timed out",
        "The package index cannot be reached from this node.",
        "Set torchnode_index_url to a mirror or torchnode_proxy to a proxy that the node reaches, "
        "or install offline with torchnode_find_links and torchnode_offline.",
    ),
    (
        # The second is what uv says of --no-index, which goes with offline.
        r"network was disabled|not found in the provided package locations",
        "The node installs offline, and neither torchnode_find_links nor uv's cache has the wheel.",
        "Put the wheel that uv names above into a folder of torchnode_find_links on this node, or "
        "let the node ask an index (torchnode_offline, no-index in pip's or uv's settings).",
    ),
    (
        r"no version of|not found in the package registry|no wheels"
        r"|No solution found|unsatisfiable",
        "The index has no file that the lock lists for this machine, or its URL is wrong.",
        "Check that torchnode_index_url is the page above the packages' own, such as "
        "https://host/simple. Name the index of the torch build (torchnode_torch_index_url) or a "
        "folder with its wheel (torchnode_find_links).",
    ),
)

_FALLBACK = ("uv could not build the environment.", "Read what uv says above, and run again.")

#: An index that answers 401 or 403 reads like one that lacks the package, until uv gives a hint.
_MAY_BE_REFUSED = re.compile(r"not found in the package registry|No solution found")
_REFUSAL = re.compile(r"^hint: An index .*(?:401|403).*|.*HTTP status client error.*", re.MULTILINE)


def explain(text: str) -> Tuple[str, str]:
    """(cause, remedy) for what uv printed."""
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return cause, remedy
    return _FALLBACK


def may_be_refused(text: str) -> bool:
    """Whether an index that refuses its credentials could be behind what uv printed."""
    return bool(_MAY_BE_REFUSED.search(text))


def refusals(text: str) -> str:
    """The lines of uv's output that tell of an index which refused it, each once."""
    return "\n".join(dict.fromkeys(line.strip() for line in _REFUSAL.findall(text)))
