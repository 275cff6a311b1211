"""What a text loses before anybody reads it, and what it keeps."""

from __future__ import annotations

import json

import pytest

from ansible.module_utils.torchnode.redaction import (
    json_without_secrets,
    passwords,
    redacted,
    without_secrets,
)

URLS = {
    "https://user:s3cret@host/simple": "https://***@host/simple",
    "https://t0ken@host/simple": "https://***@host/simple",
    "http://u:p@ss@host:8080/x": "http://***@host:8080/x",
    "invalid value 'http://u:s/cret@host/x' for": "invalid value 'http://***@host/x' for",
    "https://[::1]:8080/simple": "https://[::1]:8080/simple",
    "http://127.0.0.1:8080/wheels/a@b": "http://127.0.0.1:8080/wheels/a@b",
    "git+ssh://git@host/repo@v1": "git+ssh://***@host/repo@v1",
    "https://host/w.whl?X-Amz-Signature=ab12&x=1": "https://host/w.whl?X-Amz-Signature=***&x=1",
    "https://host/w.whl?token=ab12": "https://host/w.whl?token=***",
    "docker.io/python:3.12@sha256:0a": "docker.io/python:3.12@sha256:0a",
    "mail root@host": "mail root@host",
}


@pytest.mark.parametrize("text", URLS)
def test_urls_lose_their_credentials_and_nothing_else(text: str) -> None:
    """Also a URL that is wrong because of its password: uv repeats that one whole."""
    assert redacted(text) == URLS[text]


NAMED = [
    '{"token": "s3cret"}', "password = s3cret", "machine host login u password s3cret",
    "Authorization: Basic s3cret", "API_KEY=s3cret", "index is u:s3cret@host/simple",
    "AWS_SECRET_ACCESS_KEY=s3cret",
]  # fmt: skip


@pytest.mark.parametrize("text", NAMED)
def test_what_is_named_like_a_secret_goes_out_of_logs(text: str) -> None:
    """The form of many programs' files."""
    assert "s3cret" not in without_secrets(text)


def test_known_passwords_go_in_whatever_form_they_appear() -> None:
    """A message may repeat half a URL."""
    held = ["https://u:s3cret@host/simple", "http://t0ken-alone@proxy:1", "u:b/rev@h"]
    known = passwords([*held, "https://a:12@b https://u:f1ve5@host", "/bin:/sbin", "ssh://root@h"])
    assert known == {"s3cret", "t0ken-alone", "b/rev", "f1ve5"}
    assert redacted("cannot read u:s3cret", known) == "cannot read u:***"


@pytest.mark.parametrize(
    "text",
    ["tokenizers==0.22.1", '{"tokenizers": "0.22.1"}', "secretstorage==3.3", "torch==2.13.0"],
)
def test_packages_keep_their_versions(text: str) -> None:
    """A bug report is about these."""
    assert without_secrets(text) == text


def test_json_stays_json() -> None:
    """Also where a text in it speaks of a token in quotes."""
    content = {"token": "s3cret", "n": [1, None], "said": 'token: "s3cret" at https://u:s3cret@h/'}
    told = json_without_secrets(json.dumps(content))
    assert "s3cret" not in told
    assert json.loads(told)["n"] == [1, None]
    assert json_without_secrets("{half token=s3cret") == "{half token=***"
