"""What a component's note says after a run that was cut short and the one that finished it."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.torchnode.package_model import PackageWish
from ansible.module_utils.torchnode.system_packages import notes
from ansible.module_utils.torchnode.system_packages.base import Order

ORDER = Order(PackageWish("nvidia_driver", ("cuda-drivers",)), prefix="/opt/t")


def test_what_an_unfinished_run_brought_was_not_there_before_it(tmp_path: Path) -> None:
    root = str(tmp_path)
    notes.add(root, ORDER, brought=["cuda-drivers", "libcuda1"], held=["nvidia-smi"])
    # The next run finds all of them installed, and none of the new ones held.
    notes.add(root, ORDER, brought=[], held=["cuda-drivers", "libcuda1"])
    note = notes.read(root, "/opt/t", "nvidia_driver")
    assert note is not None
    assert note.brought == ("cuda-drivers", "libcuda1")
    assert note.held == ("nvidia-smi",)
