"""What the kernels of a machine should have, and how a step towards it fails. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """What the kernels should have: a driver of ``version`` (a branch or exact, '' any).

    ``devices``: whether the machine has a GPU of NVIDIA's. ``key`` and ``certificate`` sign
    modules where Secure Boot is on, '' for none.
    """

    version: str = ""
    devices: bool = True
    key: str = ""
    certificate: str = ""


@dataclass(frozen=True)
class Problem(Exception):
    """A step that failed: what was seen, and a cause and a next step as sentences."""

    what: str
    cause: str
    remedy: str
