"""The driver's modules by DKMS: for which kernels they are missing, their build and signature."""

from __future__ import annotations

import os
import re
import shlex
from typing import List, Optional, Sequence, Tuple

from . import manifest
from .data.compatibility import SIGNS_SINCE
from .host_survey import read_module
from .kernel_order import Order, Problem
from .node import Completed, Node, Run
from .package_model import HostSoftware, Kernel
from .package_versions import fits, upstream
from .system_packages import failures

SIGNING_FILE = "/etc/dkms/framework.conf.d/torchnode.conf"

_PACKAGES = ("nvidia-open", "nvidia-kernel", "nvidia-dkms", "kmod-nvidia")


# ---- what is missing ---------------------------------------------------------------------------


def wanted_version(host: HostSoftware, order: Order) -> str:
    """The version of the driver's DKMS package that is installed, '' for none."""
    found = [
        upstream(package.version)
        for package in host.packages
        if package.name.startswith(_PACKAGES)
        and "dkms" in package.name
        and fits(package.version, order.version)
    ]
    return found[0] if found else ""


def unbuilt(host: HostSoftware, order: Order) -> List[Kernel]:
    """Kernels whose module is not of the version that is installed."""
    version = wanted_version(host, order)
    return [kernel for kernel in host.kernels if version and kernel.module != version]


def unsigned(node: Node, host: HostSoftware, order: Order) -> List[Kernel]:
    """Kernels whose module DKMS installed before it was told the key that signs it."""
    version = wanted_version(host, order)
    named = _mtime(node, SIGNING_FILE) if not must_name_key(node, order) else float("inf")
    if not (version and _signs(order)) or named is None:
        return []
    return [
        kernel
        for kernel in host.kernels
        if kernel.module == version and _installed(node, kernel) < named
    ]


def _installed(node: Node, kernel: Kernel) -> float:
    """When the oldest of the driver's modules was put into a kernel's folder."""
    folders = ("updates/dkms", "updates", "extra", "extra/*")
    paths = [
        path
        for folder in folders
        for path in node.glob("/lib/modules/%s/%s/nvidia*.ko*" % (kernel.release, folder))
    ]
    times = [time for time in (_mtime(node, path) for path in paths) if time is not None]
    return min(times, default=float("inf"))


def _mtime(node: Node, path: str) -> Optional[float]:
    try:
        return os.stat(node.path(path)).st_mtime
    except OSError:
        return None


# ---- the key -----------------------------------------------------------------------------------


def _signs(order: Order) -> bool:
    return bool(order.key and order.certificate)


def _signing_text(order: Order) -> str:
    # DKMS reads the file as a shell does.
    return "# Written by torchnode.\nmok_signing_key=%s\nmok_certificate=%s\n" % (
        shlex.quote(order.key), shlex.quote(order.certificate),
    )  # fmt: skip


def must_name_key(node: Node, order: Order) -> bool:
    """Whether DKMS has yet to be told the key."""
    return _signs(order) and node.read_bytes(SIGNING_FILE) != _signing_text(order).encode()


def must_forget_key(node: Node, order: Order) -> bool:
    """Whether DKMS still knows a key of ours, and none is wished any more."""
    return not _signs(order) and node.exists(SIGNING_FILE)


def forget_key(node: Node) -> None:
    """Take our settings out; DKMS goes on as its own say, and modules stay signed as they are."""
    os.remove(node.path(SIGNING_FILE))


def name_key(node: Node, order: Order, host: HostSoftware, prefix: str = "") -> None:
    """Tell DKMS the key that signs its modules; ``prefix`` has the manifest, '' for none.

    A path that is not there is refused: DKMS would make a new key, which no firmware knows.
    Raises Problem.
    """
    version = tuple(int(part) for part in re.findall(r"\d+", upstream(host.dkms))[:3])
    if version < SIGNS_SINCE:
        raise Problem(
            "dkms %s" % (host.dkms or "is not installed"),
            "DKMS takes the key that signs modules from its settings since 3.0.4.",
            "Install a newer dkms; or leave torchnode_secure_boot_key empty and install the "
            "distribution's signed modules by hand, with torchnode_nvidia_source: preinstalled.",
        )
    for path in (order.key, order.certificate):
        if not path.startswith("pkcs11:") and not node.exists(path):
            raise Problem(
                "%s is not there" % path, "The key that signs kernel modules lies on the node.",
                "Bring the key and its certificate to the node, readable by root alone.",
            )  # fmt: skip
    real = node.path(SIGNING_FILE)
    made = manifest.make_folder(node, os.path.dirname(SIGNING_FILE))
    if prefix:
        manifest.add(node, prefix, [*made, (SIGNING_FILE, "file")])
    with open(real + ".new", "w", encoding="utf-8") as stream:
        stream.write(_signing_text(order))
    os.replace(real + ".new", real)


# ---- building ----------------------------------------------------------------------------------


def build_all(
    node: Node, order: Order, version: str, kernels: Sequence[Kernel], run: Run
) -> List[str]:
    """Build for each of the kernels, and sign where a key is named.

    A kernel that does not build keeps none of the others from it. Raises Problem at the end.
    """
    said, problems = [], []
    for kernel in kernels:
        try:
            build(node, version, kernel, run, anew=_signs(order))
            said.append("built the module for kernel %s" % kernel.release)
        except Problem as problem:
            problems.append(problem)
    if problems:
        raise Problem(
            "; ".join([problem.what for problem in problems] + said),
            problems[0].cause,
            problems[0].remedy,
        )
    return said


def build(node: Node, version: str, kernel: Kernel, run: Run, anew: bool = False) -> None:
    """Build and install the module for one kernel. What counts is the module, not what dkms says.

    ``anew``: also where DKMS has one, which an older key may have signed. Raises Problem.
    """
    if not kernel.headers:
        raise Problem(
            "kernel %s has no headers" % kernel.release,
            "DKMS builds a module against a kernel's headers, and they are not installed.",
            "Install the headers of that kernel, or remove the kernel if nothing boots it.",
        )
    name = _name(node, version)
    target = ["%s/%s" % (name, version), "-k", kernel.release]
    done = Completed(0, "")
    if anew:
        done = run(["dkms", "build", "--force", *target])
    if done.rc == 0:
        # Forced: what dkms believes to be installed may have been taken away.
        done = run(["dkms", "install", "--force", *target])
    module = read_module(node, kernel.release)[0]
    if module != version or (anew and done.rc != 0):
        raise _failed(node, name, version, kernel, done)


def _name(node: Node, version: str) -> str:
    """DKMS's name of the driver: 'nvidia', Debian's 'nvidia-current-open'. Raises Problem."""
    end = "-" + version
    folders = [path.split("/")[3] for path in node.glob("/usr/src/nvidia*%s/dkms.conf" % end)]
    if not folders:
        raise Problem(
            "/usr/src/nvidia*%s/dkms.conf is not there" % end,
            "The driver's package is installed, and the sources that DKMS builds are not there.",
            "Install the driver's DKMS package again (`apt-get install --reinstall` or "
            "`dnf reinstall`), and run again.",
        )
    return folders[0][: -len(end)]


def _failed(node: Node, name: str, version: str, kernel: Kernel, done: Completed) -> Problem:
    log, text = _log(node, name, version, kernel.release)
    known = failures.explain("dkms", done.rc, done.out + "\n" + text)
    words = known.observed if done.rc else "dkms ended well and made no module %s" % version
    return Problem(
        "kernel %s: %s%s" % (kernel.release, words, " (%s)" % log if log else ""),
        known.cause if done.rc else "The sources that DKMS has are of another version.",
        known.remedy if done.rc else "Install the driver's DKMS package again, and run again.",
    )


def _log(node: Node, name: str, version: str, release: str) -> Tuple[str, str]:
    """(path, text) of the build's log: of a failed build first, which DKMS leaves in place."""
    base = "/var/lib/dkms/%s/%s" % (name, version)
    paths = [base + "/build/make.log", *node.glob("%s/%s/*/log/make.log" % (base, release))]
    return next(((path, node.read(path) or "") for path in paths if node.exists(path)), ("", ""))
