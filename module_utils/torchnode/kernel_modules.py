"""The kernel's side of a driver: its modules for every kernel, what may not load, and services.

Each function looks first and does only what is missing, so that a run that was cut short is
finished by the next one. ``run`` executes one command to its end.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from . import dkms, initramfs
from .data import managed_files
from .host_survey import loaded_flavour, read_host, read_module, read_services
from .kernel_order import Order, Problem
from .node import Node, Run
from .package_model import HostSoftware, Kernel
from .system import read_container

#: NVIDIA's modules in the order in which they can be unloaded.
_IN_ORDER = ("nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia")
PERSISTENCED = "nvidia-persistenced"


def missing(node: Node, order: Order) -> List[str]:
    """What would be done, in words."""
    host = read_host(node) or HostSoftware()
    words = ["let DKMS sign with %s" % order.key] if dkms.must_name_key(node, order) else []
    if dkms.must_forget_key(node, order):
        words.append("let DKMS no longer sign with the key in %s" % dkms.SIGNING_FILE)
    words += ["build the module for kernel %s" % k.release for k in dkms.unbuilt(host, order)]
    words += [
        "build the module for kernel %s again, signed" % kernel.release
        for kernel in dkms.unsigned(node, host, order)
    ]
    words += ["rebuild the initramfs of kernel %s" % kernel.release for kernel in stale(host)]
    words += ["load module %s" % version for version in _unloaded(node, order)]
    if _unsettled(node, order):
        words.append("settle " + PERSISTENCED)
    return words


def settle(node: Node, order: Order, run: Run, prefix: str = "") -> List[str]:
    """Do what is missing, in order; what was done, in words. Raises Problem.

    ``prefix`` has the manifest in which a file of ours is noted, '' for none.
    """
    said = []
    host = read_host(node) or HostSoftware()
    if dkms.must_name_key(node, order):
        dkms.name_key(node, order, host, prefix)
        said.append("DKMS signs with %s" % order.key)
    if dkms.must_forget_key(node, order):
        dkms.forget_key(node)
        said.append("DKMS no longer signs with a key of torchnode's settings")
    wanted = [*dkms.unbuilt(host, order), *dkms.unsigned(node, host, order)]
    said += dkms.build_all(node, order, dkms.wanted_version(host, order), wanted, run)
    for kernel in stale(host):
        _rebuild(node, kernel.release, run)
        said.append("rebuilt the initramfs of kernel %s" % kernel.release)
    return said + _load(node, order, run) + _settle_persistenced(node, order, run)


# ---- initramfs ---------------------------------------------------------------------------------


def stale(host: HostSoftware) -> List[Kernel]:
    """Kernels whose initramfs does not know yet what may not load."""
    return [kernel for kernel in host.kernels if kernel.initramfs_stale]


def _rebuild(node: Node, release: str, run: Run) -> None:
    """Write an image anew, and refuse one that would load a rival. Raises Problem."""
    initramfs.write(node, release, run)
    image = initramfs.image(node, release)
    rival = _may_load_rival(initramfs.listing(node, image, run))
    if rival:
        raise Problem(
            "%s holds %s and not %s, which forbids it" % (image, rival, managed_files.MODPROBE),
            "An initramfs that loads %s gives it the GPUs before the driver is there." % rival,
            "Find what adds it in /etc/initramfs-tools or /etc/dracut.conf.d, take it out, or name "
            "the file in install_items there, and run again.",
        )


def _may_load_rival(listing: str) -> str:
    """A rival's module inside an image that lacks the settings against it, '' for none."""
    if managed_files.MODPROBE.lstrip("/") in listing:
        return ""
    files = listing.replace("-", "_")  # a module's file may be spelled with either
    return next((name for name in managed_files.RIVALS if "/%s.ko" % name in files), "")


# ---- the running system ------------------------------------------------------------------------


def _may_load(node: Node, order: Order) -> bool:
    """Whether the kernel that runs is this machine's own, and has a GPU to serve."""
    return order.devices and not read_container(node)


def _loaded(node: Node) -> Optional[str]:
    return node.read("/sys/module/nvidia/version")


def _unloaded(node: Node, order: Order) -> List[str]:
    """The version that is on disk where it, or its flavour, is not the one that is loaded."""
    if not _may_load(node, order):
        return []
    release = node.read("/proc/sys/kernel/osrelease") or ""
    on_disk, flavour = read_module(node, release)
    same = _loaded(node) == on_disk and loaded_flavour(node) in (flavour, None)
    return [on_disk] if on_disk and not same else []


def _load(node: Node, order: Order, run: Run) -> List[str]:
    """Load the module where nothing is in its way.

    What stands in its way stays, and is no failure here: a fresh survey sees it, and whether the
    node may boot for it is decided there.
    """
    said: List[str] = []
    if not _may_load(node, order):
        return said
    for rival in managed_files.RIVALS:
        if node.exists("/sys/module/" + rival) and run(["modprobe", "-r", rival]).rc == 0:
            said.append("unloaded %s" % rival)
    for version in _unloaded(node, order):
        stopped = _unload_old(node, run) if _loaded(node) else []
        if not _loaded(node) and run(["modprobe", "nvidia"]).rc == 0:
            run(["modprobe", "nvidia_uvm"])
            said.append("loaded module %s" % version)
        for service in stopped:
            run(["systemctl", "start", service])
    return said


def _unload_old(node: Node, run: Run) -> List[str]:
    """Unload another version's modules, as far as nobody uses them; the services stopped for it."""
    active = [name for name, state in read_services(node) if state == "active"]
    for service in active:
        run(["systemctl", "stop", service])
    for module in _IN_ORDER:
        run(["modprobe", "-r", module])
    return active


# ---- the daemon --------------------------------------------------------------------------------


def _state(node: Node) -> Optional[str]:
    return dict(read_services(node)).get(PERSISTENCED)


def _enabled(node: Node) -> bool:
    return node.run(["systemctl", "is-enabled", PERSISTENCED]).out.strip() == "enabled"


def _unsettled(node: Node, order: Order) -> bool:
    """Whether the daemon is not as it should be: running with a GPU, at every boot; quiet without
    one."""
    state = _state(node)
    if state is None or state == "unknown":
        return False
    if not _may_load(node, order):
        return state == "failed"
    return state != "active" or not _enabled(node)


def _settle_persistenced(node: Node, order: Order, run: Run) -> List[str]:
    if not _unsettled(node, order):
        return []
    before = (_state(node), _enabled(node))
    run(["systemctl", "daemon-reload"])
    if _may_load(node, order):
        run(["systemctl", "enable", PERSISTENCED])
    # Also one that runs: it may have been started without what the drop-in says.
    run(["systemctl", "restart", PERSISTENCED])
    after = (_state(node), _enabled(node))
    return [] if after == before else ["%s is %s" % (PERSISTENCED, after[0])]


def words(said: Sequence[str]) -> Tuple[bool, str]:
    """(whether anything changed, what was done as one line)."""
    return bool(said), "; ".join(said) or "every kernel has its module"
