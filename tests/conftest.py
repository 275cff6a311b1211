"""Make ``ansible.module_utils.torchnode`` the one import name in tests too."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """For a second run of the same tests on something else, such as the newest ansible-core."""
    parser.addoption("--first-cases", action="store_true", help="one case of each test function")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave each test function its first case."""
    if not config.getoption("first_cases"):
        return
    first: dict[str, pytest.Item] = {}
    for item in items:
        first.setdefault(item.nodeid.partition("[")[0], item)
    kept = {item.nodeid for item in first.values()}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = first.values()
