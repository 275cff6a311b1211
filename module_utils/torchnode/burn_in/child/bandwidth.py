"""Copies in the device's memory and over the host link. (A first sketch.)"""

from __future__ import annotations

from typing import Any


class Bandwidth:
    """The bandwidth stage of one device."""

    def __init__(self, torch: Any, device: Any, config: dict[str, Any], injector: Any) -> None:
        self._device = device

    def run(self, turn: Any) -> dict[str, Any]:
        """Nothing yet."""
        return {}
