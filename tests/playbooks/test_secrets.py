"""A planted password appears in nothing that a run prints, writes or starts: see the last test,
which plants leaks and finds them.

Each node has an environment of its own, as if /etc/environment held it, by the stand-in interpreter
that it is reached with; they build a stand-in stack from an index on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, SECONDS, Ended, Fleet
from index_server import Index, serving
from wheels import hashes, make_simple_index, make_torch, make_wheel

from ansible.module_utils.torchnode import controller, locks

#: A made-up password. Each test process has its own, for the tests look at all processes.
SECRET = f"s3cr3t-planted-{os.getpid()}"
USER = "planted-user"
#: Python 3.11.2, Debian 12's, has no filters yet.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
MINOR = "%d.%d" % sys.version_info[:2]


class Site:
    """A fleet, its index that wants credentials, and what became of both."""

    def __init__(self, fleet: Fleet, index: Index) -> None:
        self.fleet, self.index = fleet, index
        self.secrets = fleet.folder / "secrets"  # where the operator keeps them: not searched
        self.secrets.mkdir()
        self.seen: list[str] = []  # command lines that held the secret
        self.lock = self._make_lock(fleet.folder)

    def _make_lock(self, folder: Path) -> Path:
        """A lock of stand-in wheels, in a folder of the operator's; the index serves them."""
        shipped = next(lock for lock in controller.read_locks() if lock.torch.endswith("+cpu"))
        version = shipped.torch.partition("+")[0]
        torch = make_torch(folder / "wheels", version, "cpu", shipped.torch)
        filelock = make_wheel(folder / "wheels", "filelock", "3.20.0")
        make_simple_index(folder, torch, filelock)
        make_simple_index(folder / "simple", torch, filelock)
        wanted = dict(controller.lock_for(shipped), pythons=MINOR)
        path = folder / "locks" / locks.file_name(wanted)
        path.parent.mkdir()
        head = locks.header(wanted, "sha256:" + "0" * 64)
        made = locks.parse(path.name, head + hashes(torch), "")
        packages = (controller.LOCKS / "packages.in").read_text("utf-8")
        digest = controller.inputs_of(made, packages)
        path.write_text(locks.header(wanted, digest) + hashes(torch, filelock))
        return path

    def url(self, password: str = SECRET, host: str = "") -> str:
        """The index with the planted user and a password."""
        return f"http://{USER}:{password}@{host or self.index.host}/simple"

    def add(self, name: str, environment: dict[str, str], **variables: Any) -> None:
        """A node whose processes have this environment."""
        cache = self.fleet.folder / "cache" / name
        held = {"PIP_CONFIG_FILE": "/dev/null", "UV_CACHE_DIR": str(cache), "UV_HTTP_RETRIES": "0"}
        exports = "".join(f"export {k}='{v}'\n" for k, v in {**held, **environment}.items())
        interpreter = self.secrets / f"python-{name}"
        interpreter.write_text(f'#!/bin/sh\n{exports}exec {sys.executable} "$@"\n')
        interpreter.chmod(0o755)
        stated = {
            "ansible_python_interpreter": str(interpreter),
            "torchnode_locks_folder": str(self.lock.parent),
            "torchnode_torch_index_url": "",
            "torchnode_python_version": MINOR,
        }
        self.fleet.add(name, **{**stated, **variables})

    def play(self, playbook: str, *arguments: str, **environment: str) -> Ended:
        """A whole run, with an eye on every command line of this machine."""
        run = self.fleet.start(playbook, "-vvv", "--diff", *arguments, **environment)
        clock = threading.Event()
        for _ in range(SECONDS * 20):
            if run.poll() is not None:
                break
            self.seen += command_lines()
            clock.wait(0.05)
        return self.fleet.wait(run)

    def leaks(self) -> list[str]:
        """Files that hold the secret: output, reports, records, logs, stacks, caches, bundles."""
        for bundle in self.fleet.folder.glob("reports/*/support-bundle.tar.gz"):
            with tarfile.open(bundle) as tar:
                tar.extractall(bundle.parent, **SAFELY)
        known = {self.secrets, self.fleet.folder / "hosts.json"}  # the inventory is the operator's
        return sorted(
            str(path.relative_to(self.fleet.folder))
            for path in self.fleet.folder.rglob("*")
            if path.is_file() and not known & {path, *path.parents}
            if SECRET.encode() in path.read_bytes()
        )


def command_lines() -> list[str]:
    """The command lines that hold the secret, of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if SECRET.encode() in command:
            found.append(command.decode("utf-8", "replace"))
    return found


@pytest.fixture
def site(fleet: Fleet) -> Iterator[Site]:
    """A site whose index wants the planted credentials, and is slow enough for uv to be seen."""
    with serving(fleet.folder, wanted=f"{USER}:{SECRET}", delay=0.3) as index:
        yield Site(fleet, index)


def add_all_nodes(site: Site) -> dict[str, str]:
    """A node for each way that credentials go, and the words of what becomes of it."""
    site.add("by-pip", {"PIP_INDEX_URL": site.url()})
    site.add("by-uv", {"UV_DEFAULT_INDEX": site.url()})
    netrc = site.secrets / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {SECRET}\n")
    plain = site.index.url()
    site.add("by-netrc", {"NETRC": str(netrc)}, torchnode_index_url=plain)
    site.add("wrong-password", {"PIP_INDEX_URL": site.url(SECRET + "-old")})
    site.add("unreachable", {"PIP_INDEX_URL": site.url(host="127.0.0.1:9")})
    site.add("slash-in-password", {"UV_DEFAULT_INDEX": site.url("a/" + SECRET)})
    proxy = f"http://{USER}:{SECRET}@127.0.0.1:9"
    site.add("proxy", {"HTTPS_PROXY": proxy}, torchnode_index_url="https://index.invalid/simple")
    refused = {
        "torchnode_index_url": site.url(),
        "torchnode_find_links": [site.url()],
        "torchnode_proxy": f"http://{SECRET}@127.0.0.1:9",
        "torchnode_extra_index_urls": [f"https://host/simple?token={SECRET}"],
    }
    for name, value in refused.items():
        site.add(name.replace("_", "-"), {}, **{name: value})
    wrong = site.lock.parent.parent / "wrong-locks" / site.lock.name
    wrong.parent.mkdir()
    wrong.write_text(re.sub("hash=sha256:....", "hash=sha256:0000", site.lock.read_text()))
    by_pip = {"PIP_INDEX_URL": site.url()}
    site.add("wrong-file", by_pip, torchnode_locks_folder=str(wrong.parent))
    return {
        "by-pip": "", "by-uv": "", "by-netrc": "",
        "wrong-password": "wants a user and password",
        "unreachable": "cannot be reached",
        "slash-in-password": "no valid URL",
        "proxy": "The proxy cannot be reached",
        "wrong-file": "not the one that was locked",
        **{name.replace("_", "-"): "wrong by itself" for name in refused},
    }  # fmt: skip


def test_a_secret_is_nowhere_whatever_becomes_of_it(site):
    """Used or refused, in the run with all its output and in the support bundle after it."""
    expected = add_all_nodes(site)
    ended = site.play("site.yml", "--tags", "apply")
    for name, words in expected.items():
        bad = [o for o in ended.nodes[name]["outcomes"] if o["result"] == "fail"]
        assert bool(bad) == bool(words), (name, bad)
        assert words in str(bad), name
    assert f"{USER}:{SECRET}" in site.index.users, "it was really used"
    assert f"{USER}:{SECRET}-old" in site.index.users
    assert (site.fleet.prefix("by-netrc") / "current" / "bin" / "python").exists()
    assert (site.fleet.prefix("wrong-password") / "failed-build.log").exists()
    assert site.play("playbooks/support_bundle.yml").status == 0
    assert site.leaks() == []
    assert site.seen == []


def test_the_controllers_own_index_shows_no_secret(site):
    """The controller fetches uv: nothing is in its cache, and the index refuses it."""
    site.add("a", {})
    home = site.fleet.folder / "home"
    home.mkdir()
    ended = site.play("site.yml", HOME=str(home), PIP_INDEX_URL=site.url(SECRET + "-old"))
    assert "uv" in ended.worst("a", "fail")["observed"]
    assert f"***@{site.index.host}/simple/uv/: HTTP Error 401" in ended.out
    assert site.leaks() == []
    assert site.seen == []


def leaky_copy(folder: Path) -> Path:
    """A copy of the project that takes no secret out, and hands one to uv as an argument."""
    copy = folder / "leaky"
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("action_plugins", "callback_plugins", "library", "module_utils", "roles",
                 "playbooks", "locks", "inventory"):  # fmt: skip
        shutil.copytree(ROOT / name, copy / name, ignore=skip, symlinks=True)
    for name in ("site.yml", "ansible.cfg"):
        shutil.copy(ROOT / name, copy / name)
    utils = copy / "module_utils" / "torchnode"
    with (utils / "redaction.py").open("a") as file:
        for name in ("redacted", "without_secrets", "json_without_secrets"):
            file.write(f"\n\ndef {name}(text, secrets=()):\n    return text\n")
    builder = utils / "stack_builder.py"
    honest = builder.read_text()
    leaky = honest.replace(
        '["pip", "sync", *exact,',
        '["pip", "sync", "--default-index", environment.get("UV_DEFAULT_INDEX", ""), *exact,',
    )
    assert leaky != honest
    builder.write_text(leaky)
    return copy


def test_these_tests_find_a_secret_where_one_is_let_through(site):
    """In what is printed, in every report, on the node, in the bundle, in a process list."""
    copy = leaky_copy(site.fleet.folder)
    config = {"ANSIBLE_CONFIG": str(copy / "ansible.cfg")}
    site.add("slash-in-password", {"UV_DEFAULT_INDEX": site.url("a/" + SECRET)})
    site.add("by-uv", {"UV_DEFAULT_INDEX": site.url()})
    site.play(str(copy / "site.yml"), "--tags", "apply", **config)
    site.play(str(copy / "playbooks" / "support_bundle.yml"), **config)
    found = " ".join(site.leaks())
    for name in ("out.0", "fleet.json", "fleet.html", "junit.xml", "plan.json", "record.json",
                 "torchnode.fact", "failed-build.log",
                 "support-bundle/nodes/slash-in-password/record.json",
                 "support-bundle/report/fleet.json"):  # fmt: skip
        assert name in found, found
    assert any("uv pip sync" in line.replace("\0", " ") for line in site.seen)


def test_an_installed_stack_holds_no_credentials_of_its_index(site):
    """Of what uv writes beside the packages: no direct_url.json, no settings file with a URL."""
    site.add("by-uv", {"UV_DEFAULT_INDEX": site.url()})
    site.play("site.yml", "--tags", "apply")
    stack = (site.fleet.prefix("by-uv") / "current").resolve()
    assert (stack / "torchnode.json").exists()
    done = subprocess.run(["grep", "-rlE", f"{USER}|{SECRET}", str(stack)], capture_output=True)
    assert done.stdout == b""
    assert not list(stack.rglob("direct_url.json"))
