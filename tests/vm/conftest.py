"""A virtual machine takes minutes: its tests run only where they are asked for, with ``-m vm``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "playbooks"))  # harness


def pytest_configure(config):
    config.addinivalue_line("markers", "vm: boots a virtual machine under emulation (minutes)")


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="boots a virtual machine, minutes: run `pytest -m vm tests/vm`")
    for item in items:
        if item.get_closest_marker("vm"):
            item.add_marker(skip)
