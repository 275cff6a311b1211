"""The initramfs of a kernel: written, looked into, and freed of settings that are gone."""

from __future__ import annotations

import re
from typing import List

from .host_survey import read_kernels
from .kernel_order import Problem
from .node import Node, Run

#: A setting in a listing: 'etc/modprobe.d/nvidia.conf', behind other columns where dracut lists it.
_SETTING = re.compile(r"(?m)\b(etc/modprobe\.d/[^\s/]+)$")


def image(node: Node, release: str) -> str:
    """The image that is there, by the name that Debian or Enterprise Linux give it."""
    names = ("/boot/initrd.img-" + release, "/boot/initramfs-%s.img" % release)
    return next((path for path in names if node.exists(path)), names[1])


def write(node: Node, release: str, run: Run) -> None:
    """Write a kernel's image anew. Raises Problem."""
    if node.exists("/usr/sbin/update-initramfs"):
        command = ["update-initramfs", "-u", "-k", release]
    else:
        command = ["dracut", "--force", image(node, release), release]
    done = run(command)
    if done.rc != 0:
        raise Problem(
            "%s: %s" % (" ".join(command), (done.out or done.err).strip()[-600:]),
            "The initramfs could not be written.",
            "Look for room in /boot and for what the command says; the old image still boots.",
        )


def listing(node: Node, path: str, run: Run) -> str:
    """The names of what is in an image. Raises Problem where it cannot be read."""
    tool = "lsinitramfs" if node.exists("/usr/bin/lsinitramfs") else "lsinitrd"
    done = run([tool, path])
    if done.rc != 0:
        raise Problem(
            "%s %s: %s" % (tool, path, (done.out or done.err).strip()[-300:]),
            "The initramfs cannot be read, so that nobody knows what it would load.",
            "Look for room in /boot, run the command by hand, and run again.",
        )
    return done.out


def renew(node: Node, run: Run) -> List[str]:
    """Write every image anew that holds settings of modules which are gone; which, in words.

    A package that goes has only the newest kernel's image written. Raises Problem.
    """
    said = []
    for release in [kernel.release for kernel in read_kernels(node)]:
        path = image(node, release)
        if node.exists(path) and _outlived(node, listing(node, path, run)):
            write(node, release, run)
            said.append("rebuilt the initramfs of kernel %s" % release)
    return said


def _outlived(node: Node, listed: str) -> List[str]:
    """Settings of an image that the system no longer has."""
    return [name for name in _SETTING.findall(listed) if not node.exists("/" + name)]
