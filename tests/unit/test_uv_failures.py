"""What the real uv says of a package index in trouble, and the cause that a reader is told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import find_uv
from index_server import self_signed, serving
from wheels import hashes, make_simple_index, make_torch, make_wheel

from ansible.module_utils.torchnode import build_log, controller, stack_apply, stack_builder
from ansible.module_utils.torchnode.model import Stack, TorchBuild
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.package_index import Sources
from ansible.module_utils.torchnode.stack_apply import Applied
from ansible.module_utils.torchnode.stack_builder import Order
from ansible.module_utils.torchnode.uv_failures import FOR_A_LOCK, ON_A_NODE, explain

UV = find_uv()
needs_uv = pytest.mark.skipif(UV is None, reason="needs uv beside Python or on the PATH")
MINOR = "%d.%d" % sys.version_info[:2]
USER, PASSWORD = "planted-user", "s3cr3t-planted"  # made up


class Shop:
    """A node that builds the same small stack from one index after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, folder / "prefix"
        wheels = folder / "wheels"
        torch = make_torch(wheels, "9.9.9", "cu999", "9.9.9+cu999")
        filelock = make_wheel(wheels, "filelock", "3.20.0")
        make_simple_index(folder / "simple", torch, filelock)
        self.lock = hashes(torch, filelock)

    def build(self, url: str, **environ: str) -> Applied:
        """Build from the index at ``url``, without a cache and without uv's patience."""
        packages = controller.lock_packages(self.lock, MINOR, "Linux", "x86_64")
        stack = Stack(
            "cuda", ("sm_90",), "transformers-v5", "inference", str(self.prefix), sys.executable,
            MINOR, TorchBuild("9.9.9", "cu999", "index", "torch==9.9.9+cu999"),
            digest="aaaa", packages=packages,
        )  # fmt: skip
        given = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "UV_HTTP_RETRIES": "0",
            "UV_CACHE_DIR": str(self.folder / "cache"), "PIP_CONFIG_FILE": os.devnull,
            "UV_DEFAULT_INDEX": url, **environ,
        }  # fmt: skip
        environment = stack_apply.environment(Sources(), "", stack, given)
        order = Order(str(self.prefix), stack, self.lock, str(UV))
        return stack_apply.apply(Node("/", environ={}), order, environment, False)

    @property
    def log(self) -> Path:
        """What the node keeps of the last build that failed."""
        return self.prefix / build_log.NAME


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Nothing that these builds leave holds the password."""
    made = Shop(tmp_path)
    yield made
    held = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".netrc"]
    assert [p for p in held if PASSWORD.encode() in p.read_bytes()] == []


def refused(done: Applied, cause: str) -> None:
    """The build failed with this cause and a next step, and told no password."""
    outcome = done.outcome
    assert outcome.result.value == "fail"
    assert cause in outcome.cause, outcome.observed
    assert outcome.remedy
    assert PASSWORD not in str(outcome.as_dict())


STATUS = {
    401: "wants a user and password",
    403: "forbids this node or user",
    404: "no file that the lock lists",
    500: "failed by itself",
    503: "failed by itself",
}


@needs_uv
@pytest.mark.parametrize("status", STATUS)
def test_an_index_that_always_answers_so(shop: Shop, status: int) -> None:
    """uv itself prints the same for 401, 403 and 404 when it may take any index's file."""
    with serving(shop.folder, status=status) as index:
        refused(shop.build(index.url(USER, PASSWORD)), STATUS[status])


@needs_uv
@pytest.mark.parametrize("given", ["none", "wrong", "wrong netrc", "right", "right netrc"])
def test_an_index_that_wants_credentials(shop: Shop, given: str) -> None:
    """From the URL or from netrc; with the right ones the log of the failure goes."""
    right = "right" in given
    password = PASSWORD if right else PASSWORD + "-old"
    if "netrc" in given:
        line = f"machine 127.0.0.1 login {USER} password {password}\n"
        (shop.folder / ".netrc").write_text(line)
    with serving(shop.folder, wanted=f"{USER}:{PASSWORD}") as index:
        refused(shop.build(index.url(USER, "s3cr3t-planted-otherwise")), STATUS[401])
        assert "401 Unauthorized" in shop.log.read_text()
        assert shop.log.stat().st_mode & 0o777 == 0o600
        url = index.url() if given == "none" or "netrc" in given else index.url(USER, password)
        done = shop.build(url)
    if right:
        assert done.outcome.result.value == "pass", done.outcome.observed
        assert f"{USER}:{PASSWORD}" in index.users
        assert not shop.log.exists()
    else:
        refused(done, STATUS[401])


@needs_uv
def test_an_index_that_cannot_be_trusted(shop: Shop) -> None:
    """A certificate that nobody has signed."""
    certificate = self_signed(shop.folder)
    if certificate is None:
        pytest.skip("needs openssl")
    with serving(shop.folder, certificate=certificate) as index:
        refused(shop.build(index.url(USER, PASSWORD)), "TLS certificate")


NOT_REACHED = {
    "no such host": (f"http://{USER}:{PASSWORD}@index.invalid/simple", "no address on this node"),
    "nobody listens": (f"http://{USER}:{PASSWORD}@127.0.0.1:9/simple", "cannot be reached"),
    "no port": (f"http://{USER}:{PASSWORD}@127.0.0.1:x/simple", "no valid URL"),
    "no scheme": (f"{USER}:{PASSWORD}@127.0.0.1:9/simple", "no valid URL"),
    "a slash in the password": (f"http://{USER}:a/{PASSWORD}@host/simple", "no valid URL"),
}


@needs_uv
@pytest.mark.parametrize("case", NOT_REACHED)
def test_an_index_that_is_not_there(shop: Shop, case: str) -> None:
    """Also where uv repeats the whole of a URL that it cannot read."""
    refused(shop.build(NOT_REACHED[case][0]), NOT_REACHED[case][1])


@needs_uv
def test_a_password_that_is_told_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redaction the outcome and the log hold it: what the others look at can go red."""
    monkeypatch.setattr(stack_builder, "redacted", lambda text, secrets: text)
    shop = Shop(tmp_path)
    done = shop.build(NOT_REACHED["no port"][0])
    assert PASSWORD in done.outcome.observed
    assert PASSWORD in shop.log.read_text()


@needs_uv
def test_a_ca_bundle_that_is_not_there(shop: Shop) -> None:
    """uv only warns, and fails with what comes next."""
    environ = {"SSL_CERT_FILE": "/nowhere/ca.pem"}
    done = shop.build("https://127.0.0.1:9/simple", **environ)
    refused(done, "CA bundle that was named is not there")
    assert "torchnode_ca_bundle" in done.outcome.remedy


@needs_uv
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_in_the_way(shop: Shop, scheme: str) -> None:
    """One that wants other credentials, one that is not there."""
    url = f"{scheme}://index.invalid/simple"
    with serving(shop.folder, status=407) as proxy:
        through = proxy.url(USER, PASSWORD, "")
        done = shop.build(url, HTTP_PROXY=through, HTTPS_PROXY=through)
        refused(done, "proxy wants other credentials")
    assert f"{USER}:{PASSWORD}" in proxy.users
    if scheme == "https":
        gone = f"http://{USER}:{PASSWORD}@127.0.0.1:9"
        refused(shop.build(url, HTTPS_PROXY=gone), "proxy cannot be reached")


@needs_uv
def test_a_file_that_is_not_the_locked_one(shop: Shop) -> None:
    """The right index, another file."""
    shop.lock = re.sub("sha256:....", "sha256:0000", shop.lock)
    with serving(shop.folder, wanted=f"{USER}:{PASSWORD}") as index:
        refused(shop.build(index.url(USER, PASSWORD)), "not the one that was locked")


@needs_uv
def test_a_page_of_links_that_wants_credentials(shop: Shop) -> None:
    """find-links pages as well."""
    with serving(shop.folder, wanted=f"{USER}:{PASSWORD}") as index:
        links = index.url(USER, "other")
        refused(shop.build((shop.folder / "simple").as_uri(), UV_FIND_LINKS=links), STATUS[401])


SAID = {
    "failed to write: No space left on device (os error 28)": "The disk is full.",
    "[Errno 13] Permission denied: '/opt/torchnode'": "has to be: the prefix",
    "x has no wheels with a matching platform tag": "no file that the lock lists",
    "Hash-checking is enabled, but no hashes were provided or computed for: torch": "a build of",
    "Because six was not found in the cache, your requirements are unsatisfiable.\n"
    "hint: Packages were unavailable because the network was disabled.": "work offline",
    "something new": "could not build",
}


@pytest.mark.parametrize("text", SAID)
def test_what_else_uv_says(text: str) -> None:
    """Texts of uv that take more than an index to provoke."""
    cause, remedy = explain(text)
    assert SAID[text] in cause
    assert remedy


def test_a_lock_is_told_of_in_its_own_words() -> None:
    """Where `make lock` asks the indexes there is no node and no variable of a run."""
    assert set(FOR_A_LOCK) == set(ON_A_NODE)
    for text in SAID:
        assert not re.search(
            "torchnode_(?!proxy stays)|node\\b", " ".join(explain(text, FOR_A_LOCK))
        )


def test_a_log_that_cannot_be_kept_hides_no_failure(tmp_path: Path) -> None:
    """A full disk is what the log would tell of."""
    (tmp_path / "file").write_text("")
    build_log.keep(Node(), str(tmp_path / "file"), "text")
    build_log.clear(str(tmp_path))
