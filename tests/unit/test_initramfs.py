"""What goes with the driver goes out of every initramfs; listings as the two tools write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode import initramfs
from ansible.module_utils.torchnode.kernel_order import Problem
from ansible.module_utils.torchnode.node import Completed

OLD, NEW, BARE = "6.1.0-50-amd64", "6.1.0-56-amd64", "6.1.0-60-amd64"
LISTED = {
    OLD: "etc\netc/modprobe.d\netc/modprobe.d/dkms.conf\netc/modprobe.d/nvidia.conf\n",
    # As dracut's lsinitrd writes it.
    NEW: "-rw-r--r--   1 root     root          379 Nov 23 09:00 etc/modprobe.d/dkms.conf\n",
}


def node_of(root: Path, tool: str = "lsinitramfs") -> FixtureNode:
    node = FixtureNode(root)
    node.write("/usr/bin/" + tool, "")
    node.write("/usr/sbin/update-initramfs", "")
    for release in (OLD, NEW, BARE):
        node.write("/boot/vmlinuz-" + release, "")
        node.write(f"/lib/modules/{release}/modules.dep", "")
    for release in (OLD, NEW):  # the third one has no image
        node.write("/boot/initrd.img-" + release, "")
    return node


def renewed(node: FixtureNode, failing: str = "none") -> list[str]:
    written: list[str] = []

    def run(argv: Sequence[str]) -> Completed:
        if argv[0] == failing:
            return Completed(1, "No space left on device")
        if argv[0] == "update-initramfs":
            written.append(argv[-1])
        return Completed(0, LISTED.get(argv[-1].split("img-")[-1], ""))

    said = initramfs.renew(node, run)
    assert said == ["rebuilt the initramfs of kernel %s" % release for release in written]
    return written


@pytest.mark.parametrize("tool", ["lsinitramfs", "lsinitrd"])
def test_images_with_settings_that_are_gone_are_written_anew(tmp_path: Path, tool: str) -> None:
    assert renewed(node_of(tmp_path, tool)) == [OLD, NEW]


def test_settings_that_are_still_there_are_no_reason(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    node.write("/etc/modprobe.d/dkms.conf", "")
    assert renewed(node) == [OLD]
    node.write("/etc/modprobe.d/nvidia.conf", "")
    assert renewed(node) == []


@pytest.mark.parametrize("failing", ["lsinitramfs", "update-initramfs"])
def test_an_image_that_is_not_read_or_written_is_a_problem(tmp_path: Path, failing: str) -> None:
    with pytest.raises(Problem) as raised:
        renewed(node_of(tmp_path), failing)
    assert "No space left" in raised.value.what
    assert "/boot" in raised.value.remedy
