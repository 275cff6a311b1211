"""Builds the disk image of the test's virtual machine: Debian 12 with two kernels and a driver.

No loop device and no mount: mmdebstrap fills a folder, ``mke2fs -d`` makes the file system of it.
An image lies in ``.cache/vm/<digest of what made it>``, so other contents are another image.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Optional

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "vm"
LABEL = "torchnode-vm"
SIZE = "40G"  # sparse; about 2 GB of it are written

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates,dbus,gpgv,grub2-common,grub-pc-bin,init,initramfs-tools,iproute2,kmod,"
    "libpam-systemd,openssh-server,procps,python3,systemd-sysv,udev,zstd"
)
#: What Debian's open driver consists of on a node that computes.
DRIVER_PACKAGES = (
    "nvidia-open-kernel-dkms nvidia-smi libcuda1 nvidia-persistenced firmware-nvidia-gsp"
)
#: Programs that building and running need, with the Debian package of each.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}


def missing() -> list[str]:
    """Debian packages that this machine lacks."""
    return sorted(package for name, package in PROGRAMS.items() if not shutil.which(name))


def image() -> Path:
    """The folder with disk.img, grub.img, id_ed25519 and known_hosts, built if it is not there.

    What the build said stands in build.log there. Raises CalledProcessError where it fails.
    """
    folder = CACHE / _digest()
    if not (folder / "disk.img").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(folder)
    return folder


def _digest() -> str:
    found = hashlib.sha256(repr((SUITE, PACKAGES, DRIVER_PACKAGES, SIZE)).encode())
    for path in sorted([HERE / "provision.sh", *_overlay()]):
        found.update(str(path.relative_to(HERE)).encode() + path.read_bytes())
    return found.hexdigest()[:12]


def _overlay() -> list[Path]:
    return [path for path in (HERE / "files").rglob("*") if path.is_file()]


def _build(folder: Path) -> None:
    key, root = folder / "id_ed25519", folder / "root"
    key.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", LABEL, "-f", str(key))
    with (folder / "build.log").open("w") as log:
        _run(*_mmdebstrap(folder, root), log=log)
        (folder / "grub.img").write_bytes((root / "root" / "grub.img").read_bytes())
        host_key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(" ".join(["node", *host_key]) + "\n")
        partial = folder / "disk.partial"
        partial.unlink(missing_ok=True)
        mke2fs = ("mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-d")
        _run(*mke2fs, str(root), str(partial), SIZE, log=log)
    shutil.rmtree(root)
    partial.replace(folder / "disk.img")


def _mmdebstrap(folder: Path, root: Path) -> list[str]:
    mirror = os.environ.get("TORCHNODE_DEBIAN_MIRROR") or "http://deb.debian.org/debian"
    given = f"SECURITY_MIRROR={mirror.rstrip('/')}-security DRIVER_PACKAGES='{DRIVER_PACKAGES}'"
    # In a mount namespace of its own: what it binds into the folder, this machine's /dev/shm among
    # it, goes with its processes and is never in reach of whoever clears the folder away.
    return [
        "unshare", "--mount", "--propagation", "private",
        "nice", "mmdebstrap", "--mode=root", "--variant=minbase", "--include=" + PACKAGES,
        # The overlay comes before any kernel: their initramfs is made with it.
        f"--customize-hook=tar -C {HERE / 'files'} --owner=0 --group=0 -c . | tar -C \"$1\" -x",
        "--customize-hook=install -D -m 0600 "
        f"{folder}/id_ed25519.pub \"$1\"/root/.ssh/authorized_keys",
        f"--customize-hook=cp {HERE / 'provision.sh'} \"$1\"/root/provision.sh",
        f"--customize-hook=chroot \"$1\" env {given} sh /root/provision.sh",
        SUITE, str(root), f"deb {mirror} {SUITE} main",
    ]  # fmt: skip


def _run(*argv: str, log: Optional[IO[str]] = None) -> None:
    subprocess.run(argv, check=True, stdout=log, stderr=log)


if __name__ == "__main__":
    print(image())
