"""What a hollow package is made of, and the contents that several of them share."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Tuple

Files = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Stub:
    """A hollow package; relations are in the words of its own packaging format.

    ``version`` is whole, such as '580.95.05-0ubuntu1' or '3:580.95.05-1.el9'. ``files`` are (path,
    text); those below a ``bin`` folder are executable. ``scripts`` are (maintainer script, text).
    ``stream`` is the dnf module stream that the package belongs to.
    """

    name: str
    version: str
    depends: Tuple[str, ...] = ()
    provides: Tuple[str, ...] = ()
    conflicts: Tuple[str, ...] = ()
    replaces: Tuple[str, ...] = ()
    architecture: str = ""  # '' is the repository's own
    source: str = ""
    files: Files = ()
    scripts: Files = ()
    stream: str = ""


def said(text: str) -> str:
    """A text as it stands in the source, without its indentation."""
    return textwrap.dedent(text).lstrip("\n")


def program(message: str, status: int = 1) -> str:
    """A program that says one line on standard error and ends, as the real one without hardware."""
    return "#!/bin/sh\necho '%s' >&2\nexit %d\n" % (message, status)


def nvidia_smi() -> Files:
    """nvidia-smi as it is where no module is loaded (exit status 9)."""
    message = "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."
    return (("/usr/bin/nvidia-smi", program(message, 9)),)


def service(name: str, command: str) -> Files:
    """A unit and its program, which fails as it does without a device."""
    unit = """
        [Unit]
        Description=Stand-in for {name}
        [Service]
        Type=oneshot
        ExecStart=/usr/bin/{command}
        [Install]
        WantedBy=multi-user.target
    """
    return (
        ("/usr/bin/" + command, program(command + ": no NVIDIA device was found")),
        (
            "/lib/systemd/system/%s.service" % name,
            said(unit).format(name=name, command=command),
        ),
    )


def dkms_source(version: str, licence: str) -> Files:
    """A DKMS source tree of a trivial module named nvidia, which modinfo tells apart by licence.

    The real modules say 'Dual MIT/GPL' (open) and 'NVIDIA' (proprietary).
    """
    folder = "/usr/src/nvidia-%s/" % version
    module = """
        #include <linux/module.h>
        static int __init stand_in_init(void) { return -ENODEV; }
        module_init(stand_in_init);
        MODULE_DESCRIPTION("Stand-in for tests; it drives nothing");
        MODULE_LICENSE("%s");
        MODULE_VERSION("%s");
    """
    settings = """
        PACKAGE_NAME="nvidia"
        PACKAGE_VERSION="%s"
        BUILT_MODULE_NAME[0]="nvidia"
        DEST_MODULE_LOCATION[0]="/updates/dkms"
        MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/$module/$module_version/build modules"
        CLEAN="true"
        AUTOINSTALL="yes"
    """
    return (
        (folder + "dkms.conf", said(settings) % version),
        (folder + "Makefile", "obj-m := nvidia.o\n"),
        (folder + "nvidia.c", said(module) % (licence, version)),
    )


OPEN, PROPRIETARY = "Dual MIT/GPL", "NVIDIA"
