"""What a first driver install costs beside its own packages, installed by hand.

Debian 12's real packages: the open kernel module is compiled by DKMS, on both sides.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from measure import Cost
from node import ROOT, Node

IMAGE = "localhost/torchnode-bookworm-two-kernels"
MACHINE = ROOT / "tests" / "fixtures" / "nvidia" / "h100-x1.json"
LINE = "molecule/nvidia/converge.yml"  # as far as a node without hardware can go

#: One kernel, as most machines have; the image has two.
ONE_KERNEL = (
    "apt-get purge -qq --yes linux-image-amd64 $(ls /boot | "
    "sed -n '/cloud/! s/^vmlinuz-/linux-image-/p')"
)
LIST = "dpkg-query -W -f '${db:Status-Abbrev}${Package}=${Version}\\n' | sed -n 's/^.i //p' | sort"
#: On a machine that runs its own kernel the packages' scripts compile the modules for it; in a
#: container, which runs its host's, that is asked for.
BY_HAND = """export DEBIAN_FRONTEND=noninteractive
sed -i 's/ main$/ main contrib non-free non-free-firmware/' /etc/apt/sources.list
apt-get update -qq
apt-get install -qq --yes --no-install-recommends {packages}
for kernel in $(ls /lib/modules); do
    dkms autoinstall -k $kernel
    modinfo -k $kernel -F version nvidia-current-open
done"""


class Machine:
    """Fresh nodes, one after the other, that show an H100 on their PCI bus."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        show = str(ROOT / "molecule" / "nvidia" / "show_machine.py")
        subprocess.run([sys.executable, show, str(MACHINE), str(folder / "pci")], check=True)
        self.node = Node(folder, IMAGE, [f"{folder}/pci:/sys/bus/pci/devices:ro"])

    def fresh(self) -> Node:
        """A node that has never had a driver."""
        self.node.start()
        self.node.shell(ONE_KERNEL)
        return self.node

    def inventory(self) -> Path:
        """The node, with the driver that its distribution has."""
        found: Path = self.node.inventory(
            ["node"], torchnode_backend="cuda", torchnode_nvidia_source="distribution"
        )
        return found

    def packages(self) -> set[str]:
        """What is installed, as name=version."""
        return set(self.node.shell(LIST).split())


def by_hand(node: Node, packages: set[str]) -> Cost:
    """Widen the sources, fetch their lists, install these packages."""
    began = time.monotonic()
    node.shell(BY_HAND.format(packages=" ".join(sorted(packages))))
    return Cost(time.monotonic() - began, 0.0)
