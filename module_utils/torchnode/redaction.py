"""Secrets taken out of texts before anybody reads them. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Set

#: ``https://user:secret@host`` as other programs repeat it. The second form is a URL that is wrong
#: because its password holds a slash: who cannot serve such a one prints it whole.
_USER_INFO = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://)(?:[^/\s'\"]+|[^/\s'\":@]+:(?!\d+/)[^\s'\"]+)@", re.IGNORECASE
)

#: ``?token=...``, and the signature in the query of a presigned URL.
_QUERY = re.compile(
    r"([?&][\w.-]*(?:token|signature|secret|passw|credential|\bsig|key)[\w.-]*=)[^&\s'\"]+",
    re.IGNORECASE,
)

#: ``user:secret@host`` without a scheme.
_NO_SCHEME = re.compile(r"(?<![\w:@*])([\w.+-]+):[^\s:@/'\"]+@(?=[\w\[])")

#: ``token = ...``, ``"password": "..."``, netrc's ``password ...``, an Authorization header.
#: The packages tokenizers and secretstorage are no secrets.
_NAME = r"(?:password|passwd|token(?!iz)|secret(?!storage)|api[_-]?key|authorization)[\w-]*"
_NAMED = re.compile(
    "(" + _NAME + r"[\"']?(?:\s*[=:]\s*|\s+)[\"']?)((?:basic |bearer )?[^\s\"',;}]+)",
    re.IGNORECASE,
)
_KEY = re.compile(_NAME, re.IGNORECASE)

#: A shorter one replaced everywhere would only make a text unreadable; what stands alone before
#: the @ is more often a user such as root than a token.
_LEAST_PASSWORD, _LEAST_TOKEN = 4, 8


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with ``***`` for the credentials of every URL in it, and for ``secrets``."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _QUERY.sub(r"\1***", _USER_INFO.sub(r"\1***@", text))


def without_secrets(text: str) -> str:
    """``text`` with ``***`` for URLs' credentials and for what is named like a secret.

    For logs and files of other programs: rather a harmless word too many than a secret.
    """
    return _NAMED.sub(r"\1***", _NO_SCHEME.sub(r"***@", redacted(text)))


def json_without_secrets(text: str) -> str:
    """The same for a JSON document, which stays one; a broken one is taken as plain text."""
    try:
        return json.dumps(_clean(json.loads(text)), indent=1) + "\n"
    except ValueError:
        return without_secrets(text)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "***" if isinstance(item, str) and _KEY.search(key) else _clean(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def passwords(values: Iterable[str]) -> Set[str]:
    """The passwords and tokens of the URLs in ``values``, such as an environment's.

    They are then known by their letters, also in a message that repeats half a URL.
    """
    found = set()
    for word in re.split(r"[\s,]+", " ".join(values)):
        user_info, at, _ = word.rpartition("@")
        _, scheme, rest = user_info.rpartition("://")
        _, colon, password = rest.partition(":")
        if at and colon and len(password) >= _LEAST_PASSWORD:
            found.add(password)
        elif at and scheme and not colon and len(rest) >= _LEAST_TOKEN:
            found.add(rest)
    return found
