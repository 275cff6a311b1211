"""A container without a network in which the package modules' logic runs, with real apt or dnf."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

#: Runs a module's logic in the container, which has a Python and no Ansible.
CALL = """
import json, os, sys, types
for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
sys.modules["ansible.module_utils"].__path__.append("/opt/module_utils")
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.progress_file import ProgressFile
from ansible.module_utils.torchnode.system_packages import package_set, package_source, removal
from ansible.module_utils.torchnode.system_packages.runner import Runner, environment
what, given, check = json.loads(sys.argv[1])
if what == "removal":
    run = Runner(environment(os.environ, ""), ProgressFile(None))
    manager = package_set.manager_of(Node(), run)
    print(json.dumps({"said": removal.take_out(Node(), given["prefix"], manager, run, check)}))
    sys.exit()
module = {"package_set": package_set, "package_source": package_source}[what]
applied = module.apply(Node(), given, check)
print(json.dumps(package_set.result(applied)))
"""
#: Options of ``podman run`` that every container here takes.
RUN = (
    "--runtime=runc", "--network=none", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096",
)  # fmt: skip


def image(*names: str) -> str:
    """The first image with one of ``names``, whatever its tag; '' where none was made yet."""
    if not shutil.which("podman"):
        return ""
    argv = ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    said = subprocess.run(argv, capture_output=True, text=True).stdout.split()
    return next((line for line in said if line.rpartition(":")[0] in names), "")


def needs(have: bool, what: str) -> pytest.MarkDecorator:
    """Skips a module's tests where ``what`` is missing, unless the whole run is for them."""
    never = os.environ.get("TORCHNODE_TESTS_SKIP") == "never"
    return pytest.mark.skipif(not have and not never, reason="needs " + what)


class Container:
    """A container, and the modules' logic in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def sh(self, command: str) -> str:
        """What a shell there says. Raises where the command fails."""
        argv = ["podman", "exec", self.name, "sh", "-c", command]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def call(self, what: str, check: bool, given: dict[str, Any]) -> dict[str, Any]:
        """The result of the module ``what`` with these options; 'removal' takes all out."""
        told = json.dumps([what, given, check])
        argv = ["podman", "exec", self.name, "python3", "-c", CALL, told]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


#: Where tls_mirror.py is a proxy, in the container.
PROXY = "http://127.0.0.1:3128"
CERTIFICATE = (
    "openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
    "/CN=mirror.test", "-addext", "subjectAltName=DNS:mirror.test", "-keyout", "key.pem",
    "-out", "ca.pem",
)  # fmt: skip


def make_tls(folder: Path) -> None:
    """What tls_mirror.py needs, in ``folder``: its own text, a certificate and its key."""
    folder.mkdir()
    subprocess.run(CERTIFICATE, cwd=folder, check=True, capture_output=True)
    shutil.copy(ROOT / "tests" / "tls_mirror.py", folder)
    for file in folder.iterdir():
        file.chmod(0o644)


def serve_tls(container: Container, folder: str) -> None:
    """Have the container's ``folder`` served as https://mirror.test/, which only PROXY reaches."""
    tls = "/srv/tls/"
    arguments = "%s %sca.pem %skey.pem /tmp/proxy.log" % (folder, tls, tls)
    container.sh("setsid python3 %stls_mirror.py %s >/tmp/mirror.log 2>&1 &" % (tls, arguments))
    look = "import socket; socket.create_connection(('127.0.0.1', 3128))"
    wait = 'for i in $(seq 100); do python3 -c "%s" 2>/dev/null && exit; sleep 0.1; done; exit 1'
    container.sh(wait % look)


@contextlib.contextmanager
def started(tag: str, repository: Path) -> Iterator[Container]:
    """A container of the image ``tag`` that sees the folder ``repository`` as /srv."""
    found = Container("torchnode-packages-" + uuid.uuid4().hex[:8])
    volumes = ["--volume=%s:/srv:ro" % repository]
    volumes.append("--volume=%s:/opt/module_utils:ro" % (ROOT / "module_utils"))
    argv = ["podman", "run", "--detach", "--name", found.name, *RUN, *volumes, tag, "sleep", "900"]
    subprocess.run(argv, check=True, capture_output=True)
    try:
        yield found
    finally:
        subprocess.run(["podman", "rm", "--force", "--time=0", found.name], capture_output=True)


def outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """The one outcome of an answer."""
    found: dict[str, Any] = answer["torchnode"]["outcomes"][0]
    return found
