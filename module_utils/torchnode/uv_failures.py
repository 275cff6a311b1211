"""What uv or the system says when a stack cannot be built, and what it means. Pure.

The patterns are uv's own words, provoked against a local index (tests/unit/test_uv_failures.py).
"""

from __future__ import annotations

import re
from typing import Mapping, Tuple

#: What the words in braces below are called where a node builds its stack.
ON_A_NODE: Mapping[str, str] = {
    "here": "this node",
    "folder": "the prefix",
    "another_folder": "torchnode_prefix",
    "index": "torchnode_index_url",
    "torch_index": "torchnode_torch_index_url",
    "links": "torchnode_find_links",
    "more_sources": "torchnode_find_links, torchnode_extra_index_urls, UV_*, PIP_*",
    "offline": "torchnode_offline",
    "proxy": "torchnode_proxy (or HTTPS_PROXY in the node's environment)",
    "ca_bundle": "torchnode_ca_bundle",
    "wanted": "file that the lock lists for this machine",
    "user": "the user that the stack is built as on the node",
}

#: The same where `make lock` asks the indexes, by its own words and uv's.
FOR_A_LOCK: Mapping[str, str] = {
    "here": "this machine",
    "folder": "the folder of OUTPUT=",
    "another_folder": "OUTPUT= or UV_CACHE_DIR",
    "index": "UV_DEFAULT_INDEX or INDEX=",
    "torch_index": "INDEX=",
    "links": "UV_FIND_LINKS",
    "more_sources": "UV_*, PIP_*",
    "offline": "UV_OFFLINE",
    "proxy": "HTTPS_PROXY",
    "ca_bundle": "SSL_CERT_FILE",
    "wanted": "build that is asked for, the versions exclude each other (uv then says so above)",
    "user": "your user",
}

_CREDENTIALS = (
    "Put the index's host, user and password into the netrc file of {user}, or the URL with both "
    "into the environment or pip configuration of {here}; never into a variable or an argument."
)

#: Pattern, cause, remedy; the first that fits counts.
_CAUSES: Tuple[Tuple[str, str, str], ...] = (
    (
        r"No space left on device",
        "The disk is full.",
        "Free space under {folder} and uv's cache, then run again.",
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
        "Take that index or folder out of the settings of {here} ({more_sources}), or remake the "
        "lock.",
    ),
    (
        r"Permission denied|Read-only file system",
        "A folder cannot be written that has to be: {folder} or uv's cache.",
        "Choose another {another_folder}, or become a user who may write there.",
    ),
    (
        # The second is what uv says of a URL without a scheme.
        r"invalid value .* for '--(?:default-index|index|find-links)|Relative paths passed to",
        "A package source in the settings of {here} is no valid URL.",
        "Correct it where it is set ({index}, UV_*, PIP_*, pip's files): it begins with https:// "
        "or the like. In a user name or password, write / as %2F, @ as %40 and : as %3A.",
    ),
    (
        r"proxy authorization required|407 Proxy",
        "The proxy wants other credentials than it was given.",
        "Set HTTPS_PROXY and HTTP_PROXY with user and password in the environment of {here}, such "
        "as /etc/environment, and name no other proxy (torchnode_proxy stays empty).",
    ),
    (
        r"tunnel error",
        "The proxy cannot be reached from {here}, or does not let it through to the index.",
        "Check {proxy}. For an index that needs no proxy, name its host in NO_PROXY in the "
        "environment of {here}.",
    ),
    (
        r"401 Unauthorized|lack of valid authentication credentials",
        "The index wants a user and password, and refused what it was given.",
        _CREDENTIALS,
    ),
    (
        r"403 Forbidden",
        "The index forbids {here} or user to read it; one that lies in an object store also "
        "answers so for a file that it does not have.",
        _CREDENTIALS + " Where they are right, ask who runs the index for the right to read.",
    ),
    (
        # uv warns of it, goes on without any certificate, and ends with something else.
        r"Invalid `SSL_CERT_(?:FILE|DIR)`",
        "The CA bundle that was named is not there on {here}.",
        "Put the file there, or correct {ca_bundle} (SSL_CERT_FILE in the environment).",
    ),
    (
        r"certificate|UnknownIssuer|tls handshake",
        "The index's TLS certificate is not one that {here} trusts.",
        "Set {ca_bundle} to a file on {here} with the certificate of the authority that "
        "signed it: your own, or that of a proxy which reads TLS. Look at it with "
        "`openssl s_client -connect HOST:443`.",
    ),
    (
        r"dns error|failed to lookup address",
        "The name of the package index's host has no address on {here}.",
        "Correct the host in {index}, mend the name service of {here}, or set {proxy} where only a "
        "proxy reaches the outside. Without a network, use {links} and {offline}.",
    ),
    (
        r"HTTP status server error|50[0-9] (?:Internal|Bad|Service|Gateway)",
        "The package index, or a gateway before it, failed by itself.",
        "Try again later, or set {index} to another mirror.",
    ),
    (
        r"Connection refused|error sending request|Failed to fetch|client error|timed out",
        "The package index cannot be reached from {here}.",
        "Set {index} to a mirror, or {proxy} to a proxy, that answers {here}; or work offline with "
        "{links} and {offline}.",
    ),
    (
        # The second is what uv says of --no-index, which goes with offline.
        r"network was disabled|not found in the provided package locations",
        "uv was told to work offline, and neither {links} nor its cache has the wheel.",
        "Put the wheel that uv names above into a folder of {links} on {here}, or let it ask an "
        "index ({offline}, no-index in pip's or uv's settings).",
    ),
    (
        r"no version of|not found in the package registry|no wheels"
        r"|No solution found|unsatisfiable",
        "The index has no {wanted}, or its URL is wrong.",
        "Check that {index} is the page above the packages' own, such as https://host/simple. Name "
        "the index of the torch build ({torch_index}) or a folder with its wheel ({links}).",
    ),
)

_FALLBACK = ("uv could not build the environment.", "Read what uv says above, and run again.")

#: An index that answers 401 or 403 reads like one that lacks the package, until uv gives a hint.
_MAY_BE_REFUSED = re.compile(r"not found in the package registry|No solution found")
_REFUSAL = re.compile(r"^hint: An index .*(?:401|403).*|.*HTTP status client error.*", re.MULTILINE)


def explain(text: str, words: Mapping[str, str] = ON_A_NODE) -> Tuple[str, str]:
    """(cause, remedy) for what uv printed, in the words of the place where it ran."""
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return cause.format_map(words), remedy.format_map(words)
    return _FALLBACK


def may_be_refused(text: str) -> bool:
    """Whether an index that refuses its credentials could be behind what uv printed."""
    return bool(_MAY_BE_REFUSED.search(text))


def refusals(text: str) -> str:
    """The lines of uv's output that tell of an index which refused it, each once."""
    return "\n".join(dict.fromkeys(line.strip() for line in _REFUSAL.findall(text)))
