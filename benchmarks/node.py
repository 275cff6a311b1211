"""One systemd container that answers over SSH, under as many names as a row asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAME = "torchnode-benchmark"
NODES = "/srv/nodes"  # where the prefixes of all names lie, on the node
_WHEELS = "/srv/wheels"


class Node:
    """The container; ``folder`` is this machine's place for its key and inventories.

    ``volumes`` are mounted over its folders, as podman writes them.
    """

    def __init__(
        self, folder: Path, image: str = "localhost/torchnode-node", volumes: Sequence[str] = ()
    ) -> None:
        self.folder, self._image_name = folder, image
        self._volumes = [f"--volume={volume}" for volume in volumes]
        self.environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        self.port = 0

    # ---- container ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it from an image that Molecule has built."""
        runtime = '[engine]\nruntime = "runc"\n' if shutil.which("runc") else ""
        limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        (self.folder / "containers.conf").write_text(f"{runtime}[containers]\n{limits}")
        key = str(self.folder / "key")
        if not Path(key).exists():
            self._run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        self.stop()
        mounts = [f"--volume={p}:{_WHEELS}/{i}:ro" for i, p in enumerate(self._links())]
        self._run(
            ["podman", "run", "--detach", "--systemd=always", f"--name={NAME}",
             "--publish=127.0.0.1::22", *mounts, *self._volumes, self._image(), "/sbin/init"]
        )  # fmt: skip
        self.port = int(self._run(["podman", "port", NAME, "22/tcp"]).rpartition(":")[2])
        self._until_booted()
        self._set_up()

    def stop(self) -> None:
        """Remove it, whether it is there or not."""
        self._run(["podman", "rm", "--force", "--ignore", "--time=2", NAME])

    def shell(self, command: str) -> str:
        """What a command prints on the node. Raises CalledProcessError."""
        return self._run(["podman", "exec", NAME, "bash", "-c", command])

    def seconds(self, command: str) -> float:
        """How long a command takes on the node, by the node's own clock."""
        timed = f"b=$(date +%s.%N); ({command}) >/dev/null || exit 1; e=$(date +%s.%N)"
        began, ended = self.shell(f"{timed}; echo $b $e").split()
        return float(ended) - float(began)

    def converge_like_first(self, count: int) -> None:
        """Give every name a prefix of its own that holds the first one's stack."""
        self.shell(
            f"cd {NODES}; for i in $(seq -f %02g 2 {count}); do mkdir -p n$i; "
            "ln -sfn ../n01/stacks n$i/stacks; ln -sfn $(readlink n01/current) n$i/current; done"
        )

    # ---- inventories ----------------------------------------------------------------------------

    def inventory(self, names: Sequence[str], **variables: Any) -> Path:
        """An inventory of these names, all of them the one container."""
        common = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.folder}/known_hosts "
            "-o IdentitiesOnly=yes",
            "torchnode_backend": "cpu",
            "torchnode_prefix": NODES + "/{{ inventory_hostname }}",
            "torchnode_facts_folder": NODES + "/{{ inventory_hostname }}/facts.d",
            **variables,
        }
        path = self.folder / f"{names[0]}-{len(names)}.json"
        path.write_text(json.dumps({"all": {"vars": common, "hosts": {n: {} for n in names}}}))
        return path

    def pyinfra_inventory(self, name: str, **more: Any) -> Path:
        """The same for pyinfra."""
        data = {
            "ssh_port": self.port,
            "ssh_user": "root",
            "ssh_key": str(self.folder / "key"),
            "ssh_known_hosts_file": str(self.folder / "known_hosts"),
            "torchnode_prefix": f"{NODES}/{name}",
            **more,
        }
        path = self.folder / "pyinfra_inventory.py"
        path.write_text(f"nodes = [('127.0.0.1', {data!r})]\n")
        return path

    # ---- parts ----------------------------------------------------------------------------------

    def _links(self) -> list[str]:
        return [p for p in os.environ.get("PIP_FIND_LINKS", "").split() if p.startswith("/")]

    def _image(self) -> str:
        plain = self._image_name == "localhost/torchnode-node"
        given = os.environ.get("TORCHNODE_NODE_IMAGE") if plain else None
        form = "--format={{.Repository}}:{{.Tag}}"
        named = self._run(["podman", "images", form, self._image_name])
        found = given or named.partition("\n")[0]
        if not found:
            how = "`make molecule`, or set TORCHNODE_NODE_IMAGE" if plain else (
                "`molecule create -s nvidia_debian`"
            )  # fmt: skip
            raise SystemExit(f"no image {self._image_name}: run {how}")
        return found

    def _until_booted(self) -> None:
        for _ in range(60):
            argv = ["podman", "exec", NAME, "systemctl", "is-system-running", "--wait"]
            done = subprocess.run(
                argv, env=self.environment, capture_output=True, text=True, check=False
            )
            if done.stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.5)
        raise SystemExit("the benchmark's container did not boot")

    def _set_up(self) -> None:
        """A key to log in with, this machine's package settings, and room for 50 logins at once."""
        environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        certificate = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
        if certificate:
            self._run(["podman", "cp", certificate, f"{NAME}:/etc/torchnode-ca.pem"])
            environment += [f"{n}=/etc/torchnode-ca.pem" for n in ("SSL_CERT_FILE", "PIP_CERT")]
        if self._links():
            places = " ".join(f"{_WHEELS}/{i}" for i, _ in enumerate(self._links()))
            environment += [f'PIP_FIND_LINKS="{places}"']
        kept = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy", "no_proxy")
        environment += [f'{n}="{os.environ[n]}"' for n in kept if n in os.environ]
        (self.folder / "environment").write_text("\n".join(environment) + "\n")
        self._run(["podman", "cp", str(self.folder / "environment"), f"{NAME}:/etc/environment"])
        self._run(["podman", "cp", str(self.folder / "key.pub"), f"{NAME}:/tmp/key.pub"])
        told = self.shell(
            "set -e; install -d -m 700 /root/.ssh; install -m 600 /tmp/key.pub "
            "/root/.ssh/authorized_keys; rm -f /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; "
            "echo 'MaxStartups 200' >>/etc/ssh/sshd_config; systemctl reset-failed ssh; "
            "systemctl restart ssh; cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"
        )
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {told}")

    def _run(self, argv: Sequence[str]) -> str:
        done = subprocess.run(
            list(argv), env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout.strip()
