"""The kernel's side of a driver: its modules for every kernel, what may not load, and services.

Each function looks first and does only what is missing, so that a run that was cut short is
finished by the next one. ``run`` executes one command to its end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple

from .data import managed_files
from .host_survey import read_host
from .node import Completed, Node
from .package_model import HostSoftware, Kernel
from .package_versions import fits, upstream
from .system import read_container

Run = Callable[[Sequence[str]], Completed]

SIGNING_FILE = "/etc/dkms/framework.conf.d/torchnode.conf"
_LOG_LINES = 12
_IN_ORDER = ("nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia")


@dataclass(frozen=True)
class Order:
    """What the kernels should have: a driver of ``version`` (a branch or exact, '' any).

    ``devices``: whether the machine has a GPU of NVIDIA's. ``key`` and ``certificate`` sign
    modules where Secure Boot is on, '' for none.
    """

    version: str = ""
    devices: bool = True
    key: str = ""
    certificate: str = ""


@dataclass(frozen=True)
class Problem(Exception):
    """A step that failed: what was seen, and a cause and a next step as sentences."""

    what: str
    cause: str
    remedy: str


def missing(node: Node, order: Order) -> List[str]:
    """What would be done, in words."""
    host = read_host(node) or HostSoftware()
    words = ["build the module for kernel %s" % kernel.release for kernel in unbuilt(host, order)]
    words += ["rebuild the initramfs of kernel %s" % kernel.release for kernel in stale(host)]
    if _signing_text(order) != (node.read(SIGNING_FILE) or ""):
        words.append("let DKMS sign its modules")
    if _unsettled(host, order):
        words.append("settle nvidia-persistenced")
    return words


def settle(node: Node, order: Order, run: Run) -> List[str]:
    """Do what is missing, in order; what was done, in words. Raises Problem."""
    said = _sign(node, order)
    host = read_host(node) or HostSoftware()
    for kernel in unbuilt(host, order):
        _build(node, kernel, run)
        said.append("built the module for kernel %s" % kernel.release)
    for kernel in stale(host):
        _rebuild(node, kernel.release, run)
        said.append("rebuilt the initramfs of kernel %s" % kernel.release)
    said += _load(node, order, run)
    said += _services(node, order, run)
    return said


# ---- modules -----------------------------------------------------------------------------------


def installed_version(host: HostSoftware, order: Order) -> str:
    """The version of the driver's DKMS source that is installed, '' for none."""
    names = ("nvidia-open", "nvidia-kernel", "nvidia-dkms", "kmod-nvidia")
    kernel_packages = [
        package
        for package in host.packages
        if package.name.startswith(names)
        and "dkms" in package.name
        and fits(package.version, order.version)
    ]
    return upstream(kernel_packages[0].version) if kernel_packages else ""


def unbuilt(host: HostSoftware, order: Order) -> List[Kernel]:
    """Kernels whose module is not of the version that is installed."""
    version = installed_version(host, order)
    return [kernel for kernel in host.kernels if version and kernel.module != version]


def _build(node: Node, kernel: Kernel, run: Run) -> None:
    if not kernel.headers:
        raise Problem(
            "kernel %s has no headers" % kernel.release,
            "DKMS builds a module against a kernel's headers, and they are not installed.",
            "Install the headers of that kernel, or remove the kernel if nothing boots it.",
        )
    done = run(["dkms", "autoinstall", "-k", kernel.release])
    after = [k for k in (read_host(node) or HostSoftware()).kernels if k.release == kernel.release]
    if done.rc != 0 or not after or not after[0].module:
        raise Problem(
            "kernel %s: %s" % (kernel.release, _why(node, done)),
            "DKMS could not build the driver's module for this kernel.",
            "Read the log that it names. A driver that is older than the kernel often does not "
            "build: choose a newer torchnode_driver_version, or remove that kernel.",
        )


def _why(node: Node, done: Completed) -> str:
    """The end of what DKMS said, and of the newest build log."""
    logs = node.glob("/var/lib/dkms/nvidia*/*/build/make.log")
    logs += node.glob("/var/lib/dkms/nvidia*/*/*/*/log/make.log")
    text = "\n".join([(done.out or done.err).strip(), *[node.read(log) or "" for log in logs[:1]]])
    return " | ".join([line for line in text.splitlines() if line.strip()][-_LOG_LINES:])


def _signing_text(order: Order) -> str:
    if not (order.key and order.certificate):
        return ""
    lines = ("# Written by torchnode.", "mok_signing_key=%s" % order.key,
             "mok_certificate=%s" % order.certificate)  # fmt: skip
    return "\n".join(lines)


def _sign(node: Node, order: Order) -> List[str]:
    text = _signing_text(order)
    if not text or (node.read(SIGNING_FILE) or "") == text:
        return []
    for path in (order.key, order.certificate):
        if not node.exists(path):
            raise Problem(
                "%s is not there" % path, "The key that signs kernel modules lies on the node.",
                "Bring the key and its certificate to the node, readable by root alone.",
            )  # fmt: skip
    os.makedirs(os.path.dirname(SIGNING_FILE), exist_ok=True)
    with open(SIGNING_FILE, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
    return ["DKMS signs with %s" % order.key]


# ---- initramfs ---------------------------------------------------------------------------------


def stale(host: HostSoftware) -> List[Kernel]:
    """Kernels whose initramfs does not know yet what may not load."""
    return [kernel for kernel in host.kernels if kernel.initramfs_stale]


def _rebuild(node: Node, release: str, run: Run) -> None:
    dracut = not node.exists("/usr/sbin/update-initramfs")
    image = "/boot/initramfs-%s.img" % release if dracut else "/boot/initrd.img-" + release
    command = (
        ["dracut", "--force", image, release]
        if dracut
        else ["update-initramfs", "-u", "-k", release]
    )
    done = run(command)
    if done.rc != 0:
        raise Problem(
            "%s: %s" % (" ".join(command), (done.out or done.err).strip()[-600:]),
            "The initramfs could not be written.",
            "Look for room in /boot and for what the command says; the old image still boots.",
        )
    listing = run(["lsinitrd" if dracut else "lsinitramfs", image])
    if listing.rc == 0 and _may_load_rival(listing.out):
        raise Problem(
            "%s holds %s and not the file that forbids it" % (image, _may_load_rival(listing.out)),
            "An initramfs that loads nouveau gives it the GPUs before the driver is there.",
            "Find the hook in /etc/initramfs-tools or /etc/dracut.conf.d that adds it, take it out "
            "and run again.",
        )


def _may_load_rival(listing: str) -> str:
    """A rival's module inside an image that lacks the settings against it, '' for none."""
    if managed_files.MODPROBE.lstrip("/") in listing:
        return ""
    return next((name for name in managed_files.RIVALS if "/%s.ko" % name in listing), "")


# ---- the running system ------------------------------------------------------------------------


def _load(node: Node, order: Order, run: Run) -> List[str]:
    """Load the module where nothing is in its way; whether a reboot is needed is seen by survey."""
    if not order.devices or read_container(node):
        return []
    said = []
    for rival in managed_files.RIVALS:
        if node.exists("/sys/module/" + rival) and run(["modprobe", "-r", rival]).rc == 0:
            said.append("unloaded %s" % rival)
    loaded = node.read("/sys/module/nvidia/version")
    on_disk = _running_module(node)
    if on_disk and loaded and loaded != on_disk:
        run(["systemctl", "stop", "nvidia-persistenced"])
        for module in _IN_ORDER:  # in use by somebody: the rest stays, and so does this one
            run(["modprobe", "-r", module])
        loaded = node.read("/sys/module/nvidia/version")
    if on_disk and not loaded and run(["modprobe", "nvidia"]).rc == 0:
        run(["modprobe", "nvidia_uvm"])
        said.append("loaded module %s" % on_disk)
    return said


def _running_module(node: Node) -> str:
    release = node.read("/proc/sys/kernel/osrelease")
    kernels = (read_host(node) or HostSoftware()).kernels
    return next((kernel.module for kernel in kernels if kernel.release == release), "")


def _state(host: HostSoftware) -> Optional[str]:
    return dict(host.services).get("nvidia-persistenced")


def _unsettled(host: HostSoftware, order: Order) -> bool:
    """Whether the daemon is not as it should be: running with a GPU, quiet without."""
    state = _state(host)
    if state is None or state == "unknown":
        return False
    return state != "active" if order.devices else state == "failed"


def _services(node: Node, order: Order, run: Run) -> List[str]:
    host = read_host(node) or HostSoftware()
    devices = order.devices and not read_container(node)
    if not _unsettled(host, Order(order.version, devices)):
        return []
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "enable", "nvidia-persistenced"])
    run(["systemctl", "restart", "nvidia-persistenced"])
    after = _state(read_host(node) or HostSoftware())
    return [] if after == _state(host) else ["nvidia-persistenced is %s" % after]


def words(said: Sequence[str]) -> Tuple[bool, str]:
    """(whether anything changed, what was done as one line)."""
    return bool(said), "; ".join(said) or "every kernel has its module"
