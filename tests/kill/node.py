"""Nodes to be cut short: Debian 12 in containers with systemd, reached over SSH.

The image holds the downloaded packages of DKMS and of the kernel's headers, so a node installs
real packages and asks no mirror. NVIDIA's repository is the stand-in of ``tests/stub_repository``,
and the PCI bus is a captured machine's: eight A100 behind NVSwitches. Nothing answers behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stub_repository.build import Repository, build

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "tnkill-"
MACHINE = ROOT / "tests" / "fixtures" / "nvidia" / "a100-x8.json"
DRIVER = "580.95.05"
#: The newer ones are there so that a run which forgets its pin is seen to.
DRIVERS = ("570.195.03", DRIVER, "580.126.20", "590.48.01")

PACKAGES = (
    "apt,ca-certificates,dbus,init,initramfs-tools,iproute2,kmod,libpam-systemd,"
    "linux-image-cloud-amd64,openssh-server,procps,python3,sudo,systemd,zstd"
)
DOWNLOADED = "dkms linux-headers-cloud-amd64"
#: Makes a run three times as fast. A killed process loses nothing that dpkg has written, synced or
#: not; and what nobody boots may hold few modules.
QUICK = (
    "echo force-unsafe-io >etc/dpkg/dpkg.cfg.d/unsafe-io; "
    "printf 'MODULES=list\\nBUSYBOX=n\\nCOMPRESSLEVEL=1\\n' >etc/initramfs-tools/conf.d/quick"
)
#: What `podman run` is told beside a node's own options; see molecule/default/containers.conf.j2.
ENGINE = ("--runtime=runc", "--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")
SETUP = """
set -eu
install -d -m 0700 /root/.ssh
cat >/root/.ssh/authorized_keys
chmod 0600 /root/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_*
ssh-keygen -A >/dev/null
systemctl reset-failed ssh
systemctl restart ssh
loginctl enable-linger root
cat /etc/ssh/ssh_host_ed25519_key.pub
"""


def podman(*argv: str, given: str = "") -> str:
    """What podman prints. Raises RuntimeError with its words where it fails."""
    done = subprocess.run(["podman", *argv], input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("podman %s: %s" % (argv[0], done.stderr.strip()))
    return done.stdout


def image() -> str:
    """The nodes' image, built where it is not there (2 minutes); its tag names what is inside."""
    mirror = os.environ.get("TORCHNODE_DEBIAN_MIRROR", "")
    inside = hashlib.sha256(repr((PACKAGES, DOWNLOADED, QUICK, mirror)).encode()).hexdigest()[:12]
    name = "localhost/%snode:%s" % (PREFIX, inside)
    there = subprocess.run(["podman", "image", "exists", name]).returncode == 0
    return name if there else _built(name, mirror)


def _built(name: str, mirror: str) -> str:
    """Bootstrap and import it."""
    print("building the nodes' image, once", flush=True)
    fetch = "apt-get --yes --quiet --no-install-recommends --download-only install " + DOWNLOADED
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        tar = folder + "/root.tar"
        argv = [
            "mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt",
            "--include=" + PACKAGES, '--customize-hook=chroot "$1" apt-get clean',
            '--customize-hook=cd "$1"; ' + QUICK,
            '--customize-hook=chroot "$1" %s >/dev/null' % fetch,
            "bookworm", tar, *([mirror] if mirror else []),
        ]  # fmt: skip
        Path(folder).chmod(0o755)  # apt reads as a user of its own
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        podman("import", "--quiet", tar, name)
    return name


class Lab:
    """What all nodes of one matrix share, below one folder: key, repository, PCI bus, image."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder, self.image = folder, image()
        self.key = folder / "id_ed25519"
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kill", "-f", str(self.key))
        _run(
            sys.executable, str(ROOT / "molecule" / "nvidia" / "show_machine.py"),
            str(MACHINE), str(folder / "pci"),
        )  # fmt: skip
        self.repository: Repository = build(folder / "srv", ["debian12"], drivers=DRIVERS)[0]

    def node(self, name: str) -> Node:
        """A fresh node that answers over SSH, and an inventory with it alone."""
        whole = "%s%d-%s" % (PREFIX, os.getpid(), name)
        podman(
            "run", "--detach", "--systemd=always", *ENGINE, "--name=" + whole, "--hostname=node",
            "--publish=127.0.0.1::22", "--volume=%s:/sys/bus/pci/devices:ro" % (
                self.folder / "pci"), "--volume=%s:/srv/nvidia:ro" % (self.folder / "srv"),
            self.image, "/sbin/init",
        )  # fmt: skip
        node = Node(whole, self.folder / name)
        node.boot()
        self._let_in(node)
        return node

    def _let_in(self, node: Node) -> None:
        """The key, the node's host key as the node itself tells it, and the inventory."""
        node.folder.mkdir()
        host_key = podman(
            "exec", "--interactive", node.name, "sh", "-c", SETUP,
            given=self.key.with_suffix(".pub").read_text(encoding="utf-8"),
        )  # fmt: skip
        port = podman("port", node.name, "22/tcp").strip().rpartition(":")[2]
        known = node.folder / "known_hosts"
        line = "[127.0.0.1]:%s %s\n" % (port, " ".join(host_key.split()[:2]))
        known.write_text(line, encoding="utf-8")
        text = json.dumps({"all": {"hosts": {"node": self._variables(int(port), known)}}})
        node.inventory.write_text(text, encoding="utf-8")

    def _variables(self, port: int, known: Path) -> dict[str, object]:
        options = "-o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        return {
            "ansible_host": "127.0.0.1", "ansible_port": port, "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": options % known,
            "ansible_python_interpreter": "/usr/bin/python3",
            "torchnode_backend": "cuda",
            "torchnode_driver_version": DRIVER,
            "torchnode_nvidia_source": "nvidia",
            "torchnode_nvidia_repository_url": "file:///srv/nvidia",
            "torchnode_nvidia_key_file": str(self.repository.key),
            "torchnode_nvidia_key_fingerprint": self.repository.fingerprint,
        }  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One container; ``folder`` holds its inventory, reports and the runs' output."""

    name: str
    folder: Path

    @property
    def inventory(self) -> Path:
        """The inventory with this node alone."""
        return self.folder / "hosts.json"

    def sh(self, script: str) -> str:
        """What a script says on the node. Raises RuntimeError where it fails."""
        return podman("exec", "--interactive", self.name, "sh", "-s", given=script)

    def boot(self) -> None:
        """Wait for systemd; `degraded` is settled too. Raises TimeoutError after a minute."""
        argv = ["podman", "exec", self.name, "systemctl", "is-system-running", "--wait"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            said = subprocess.run(argv, capture_output=True, text=True).stdout.strip()
            if said in ("running", "degraded"):
                return
            time.sleep(0.3)
        raise TimeoutError("%s did not boot" % self.name)

    @property
    def connections(self) -> Path:
        """Where ssh keeps its shared connections to this node."""
        return self.folder / "ssh"

    def crash(self) -> None:
        """End all of its processes at once; its files stay as they are."""
        podman("kill", "--signal=KILL", self.name)
        podman("wait", self.name)
        self._hang_up()

    def start(self) -> None:
        """Boot it again, with the files that it had."""
        podman("start", self.name)
        self.boot()

    def remove(self) -> None:
        """Take the container away; the folder stays for whoever looks at a failure."""
        podman("rm", "--force", "--ignore", "--time=0", self.name)
        self._hang_up()

    def _hang_up(self) -> None:
        """End the shared connections: to a node that is gone they would hang for a minute."""
        for socket in self.connections.glob("*"):
            argv = ["ssh", "-o", "ControlPath=%s" % socket, "-O", "exit", "node"]
            subprocess.run(argv, capture_output=True)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
