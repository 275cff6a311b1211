"""What a node looks like after the run, by the node's own means and none of torchnode's code."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any, cast

import pytest
from testinfra.host import Host

# Run by the node's Python, not the environment's: a damaged environment cannot vouch for itself.
UNSOUND_FILES = r"""
import csv, os, sys
root = os.path.realpath(sys.argv[1])
packages = 0
for site in [os.path.join(p, "site-packages") for p, d, _ in os.walk(root) if "site-packages" in d]:
    for entry in sorted(os.listdir(site)):
        if entry.endswith(".dist-info"):
            packages += 1
            with open(os.path.join(site, entry, "RECORD"), newline="", encoding="utf-8") as stream:
                for path, _, size in csv.reader(stream):
                    where = os.path.join(site, path)
                    if not os.path.exists(where):
                        print("missing", where)
                    elif size and os.path.getsize(where) != int(size):
                        print("size", where)
if not packages:
    print("no package in", root)
"""

MATMUL = r"""
import json, torch
n = 64
left = torch.arange(n * n, dtype=torch.float64).remainder(17).reshape(n, n)
right = torch.arange(n * n, dtype=torch.float64).remainder(13).reshape(n, n)
a, b = left.tolist(), right.tolist()
by_hand = [[sum(a[i][k] * b[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
print(json.dumps({"version": torch.__version__, "equal": (left @ right).tolist() == by_hand}))
"""

VERSIONS = r"""
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"].lower(): d.version for d in m.distributions()}))
"""


@dataclass(frozen=True)
class Layout:
    """Where a node's things belong: one prefix as root, the user's data directory without."""

    user: str
    prefix: str
    fact: str


@pytest.fixture
def layout(host: Host) -> Layout:
    """The layout that this node's user implies."""
    user = host.check_output("id -un")
    if user == "root":
        return Layout(user, "/opt/torchnode", "/etc/ansible/facts.d/torchnode.fact")
    prefix = (
        host.check_output('getent passwd "$(id -un)" | cut -d: -f6') + "/.local/share/torchnode"
    )
    return Layout(user, prefix, prefix + "/facts.d/torchnode.fact")


def file(host: Host, path: str) -> Any:
    """testinfra's file of that path; its modules carry no types of their own."""
    return cast(Any, host).file(path)


def python(host: Host, interpreter: str, code: str, *args: str) -> str:
    """Run code with an interpreter of the node; its output. Fails with the node's own words."""
    result = host.run(" ".join(["%s", "-c", "%s", *["%s"] * len(args)]), interpreter, code, *args)
    assert result.rc == 0, result.stderr
    return str(result.stdout).strip()


def test_current_is_a_complete_stack(host: Host, layout: Layout) -> None:
    """``current`` is a link to a stack under its own digest."""
    link = file(host, layout.prefix + "/current")
    assert link.is_symlink
    target = str(link.linked_to)
    assert target.startswith(layout.prefix + "/stacks/")
    assert file(host, target + "/bin/python").exists


def test_torch_computes(host: Host, layout: Layout) -> None:
    """The installed torch is the expected build and multiplies as arithmetic says."""
    answer = json.loads(python(host, layout.prefix + "/current/bin/python", MATMUL))
    assert answer == {"version": "2.13.0+cpu", "equal": True}


@pytest.mark.parametrize("package", ["torch", "transformers", "accelerate", "nvidia-ml-py"])
def test_package_is_installed(host: Host, layout: Layout, package: str) -> None:
    """The profile's packages are there, by the environment's own metadata."""
    versions = json.loads(python(host, layout.prefix + "/current/bin/python", VERSIONS))
    assert package in versions


def test_every_file_is_as_recorded(host: Host, layout: Layout) -> None:
    """No file of any package is missing or of another size than its RECORD says."""
    assert python(host, "/usr/bin/python3", UNSOUND_FILES, layout.prefix + "/current") == ""


def test_fact_says_ready(host: Host, layout: Layout) -> None:
    """The local fact is a whole, unexpired READY with its scope and run."""
    fact: dict[str, Any] = json.loads(file(host, layout.fact).content_string)
    assert fact["verdict"] == "READY", fact
    assert fact["scope"]
    assert fact["run"]
    expires = datetime.datetime.fromisoformat(str(fact["expires"]).replace("Z", "+00:00"))
    assert expires > datetime.datetime.now(datetime.timezone.utc)


def test_fact_is_readable_by_ansible(host: Host, layout: Layout) -> None:
    """A fact file is data: one that can be executed would be run instead of read."""
    fact = file(host, layout.fact)
    assert fact.user == layout.user
    assert fact.mode & 0o111 == 0
    assert fact.mode & 0o022 == 0


def test_nothing_is_writable_by_others(host: Host, layout: Layout) -> None:
    """Everything under the prefix belongs to its user, and only that user may change it."""
    loose = host.check_output(
        "find %s ! -type l ( ! -user %s -o -perm /022 )".replace("(", r"\(").replace(")", r"\)"),
        layout.prefix,
        layout.user,
    )
    assert loose == ""


def test_no_lock_is_left(host: Host, layout: Layout) -> None:
    """The run has given the node back; only the empty guard that decides between runs stays."""
    found = host.check_output(
        "find %s -maxdepth 1 -name '*lock*' -printf '%%f %%s\\n'", layout.prefix
    )
    assert found in ("", "lock.json.guard 0"), found


def test_no_half_made_stack_is_left(host: Host, layout: Layout) -> None:
    """Under ``stacks`` lie the current one and at most the one before it, each with a torch."""
    stacks = host.check_output("ls -A %s", layout.prefix + "/stacks").split()
    current = str(file(host, layout.prefix + "/current").linked_to).rsplit("/", 1)[-1]
    assert current in stacks
    assert len(stacks) <= 2, stacks
    for stack in stacks:
        found = host.run(
            "ls %s/stacks/%s/lib/python3*/site-packages/torch/version.py" % (layout.prefix, stack)
        )
        assert found.rc == 0, stack


def test_a_user_stays_at_home(host: Host, layout: Layout) -> None:
    """Without root nothing is written outside the home directory."""
    if layout.user == "root":
        pytest.skip("root installs under /opt")
    assert not file(host, "/opt/torchnode").exists
    assert not file(host, "/etc/ansible").exists
    assert (
        host.check_output(
            "find / -xdev -user %s ! -path '/home/*' ! -path '/proc/*' ! -path '/run/*'"
            " ! -path '/dev/*' 2>/dev/null || true",
            layout.user,
        )
        == ""
    )
