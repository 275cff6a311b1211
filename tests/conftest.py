"""Make ``ansible.module_utils.torchnode`` the one import name in tests too."""

from __future__ import annotations

import random
from pathlib import Path

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """For a second run of the same tests on something else, such as the newest ansible-core."""
    parser.addoption("--first-cases", action="store_true", help="one case of each test function")
    parser.addoption("--sample", type=int, default=0, help="so many tests; 0 for all")
    parser.addoption("--seed", default="", help="any text: chooses the sample")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave each test function its first case, and of what is left a sample, if asked to."""
    chosen = first_cases(items) if config.getoption("first_cases") else list(items)
    size = config.getoption("sample")
    if 0 < size < len(chosen):
        drawn = set(random.Random(config.getoption("seed")).sample(range(len(chosen)), size))
        chosen = [item for place, item in enumerate(chosen) if place in drawn]
    kept = {item.nodeid for item in chosen}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = chosen


def first_cases(items: list[pytest.Item]) -> list[pytest.Item]:
    """The first case of each test function."""
    first: dict[str, pytest.Item] = {}
    for item in items:
        first.setdefault(item.nodeid.partition("[")[0], item)
    return list(first.values())
