#!/usr/bin/env python3
"""Lay out a captured machine's PCI bus as files, to be mounted over a node's /sys/bus/pci/devices.

``show_machine.py tests/fixtures/nvidia/h100-x1.json FOLDER``. The node then has these devices as
far as sysfs tells; nothing answers behind them, and no driver is bound to them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

DEVICES = "/sys/bus/pci/devices/"


def main(fixture: str, folder: str) -> None:
    """Write the files anew."""
    captured = json.loads(Path(fixture).read_text(encoding="utf-8"))
    root = Path(folder)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path, text in captured["files"].items():
        if path.startswith(DEVICES):
            file = root / path[len(DEVICES) :]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
