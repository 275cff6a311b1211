"""A fleet for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Fleet, why_not


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """An empty fleet; whatever its runs leave behind is ended."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = Fleet(tmp_path)
    yield made
    made.close()
