"""One virtual machine under QEMU's software emulation, reached over SSH on the loopback address.

It boots as a machine does: the firmware starts GRUB from a disk of its own, GRUB reads the menu
that the node's ``update-grub`` wrote, and a reboot goes through all of that again. What a test
changes is thrown away with the process: the image stays as it was built.
"""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

#: A boot takes about a minute on a core of its own; a machine that shares it may take several.
BOOT_SECONDS = 600
MEMORY = "2G"


@dataclass
class Machine:
    """A machine of ``image`` (see image.py), whose console and sockets lie below ``folder``."""

    image: Path
    folder: Path
    port: int = 0
    process: Optional[subprocess.Popen[bytes]] = field(default=None, repr=False)

    @property
    def console(self) -> Path:
        """What the machine wrote to its serial line, from the boot loader on."""
        return self.folder / "console.log"

    def start(self) -> None:
        """Switch it on and wait until it answers. Raises AssertionError when it does not."""
        self.port = _free_port()
        with (self.folder / "qemu.log").open("wb") as log:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.until_up()

    def _command(self) -> list[str]:
        disks = [
            f"file={self.image / name},format=raw,if=virtio,snapshot=on"
            for name in ("grub.img", "disk.img")
        ]
        return [
            "nice", "qemu-system-x86_64", "-accel", "tcg", "-m", MEMORY, "-smp", "1",
            "-display", "none", "-monitor", "none", "-serial", f"file:{self.console}",
            *[word for disk in disks for word in ("-drive", disk)],
            "-device", "pci-testdev",  # the survey's stand-in takes its place on the bus
            "-device", "virtio-rng-pci",
            "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.port}-:22",
        ]  # fmt: skip

    def until_up(self) -> None:
        """Wait until it answers over SSH."""
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            if self.ssh("true", check=False).returncode == 0:
                return
            time.sleep(2)
        raise AssertionError("the machine did not come up:\n" + self._last_words())

    def _last_words(self) -> str:
        """The end of its console and of what QEMU itself said."""
        files = [path for path in (self.folder / "qemu.log", self.console) if path.exists()]
        return "\n".join(path.read_text("utf-8", "replace")[-3000:] for path in files)

    def ssh(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command on it as root; with ``check``, a failure is an AssertionError."""
        done = subprocess.run(
            ["ssh", "-p", str(self.port), *self.ssh_options(), "root@127.0.0.1", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(f"{command!r} failed on the machine:\n{done.stdout}{done.stderr}")
        return done

    def read(self, command: str) -> str:
        """What a shell command prints, without the ends' white space."""
        return self.ssh(command).stdout.strip()

    def ssh_options(self) -> list[str]:
        """The machine's own key is the only one that is taken for it."""
        settings = {
            "IdentityFile": self.image / "id_ed25519",
            "UserKnownHostsFile": self.image / "known_hosts",
            "HostKeyAlias": "node",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "ConnectTimeout": 20,
            "LogLevel": "ERROR",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def variables(self) -> dict[str, Any]:
        """How Ansible reaches it."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": " ".join(self.ssh_options()),
        }

    def stop(self) -> None:
        """Switch it off, as by its plug."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
