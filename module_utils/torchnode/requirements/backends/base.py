"""What is one backend's own in the verify stage. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Tuple

from ...model import Accelerator
from ...outcome import Outcome
from ..evidence import Rule
from ..subject import Subject

Check = Callable[[Subject], Outcome]


def surveyed_architecture(subject: Subject, told: Mapping[str, Any]) -> Optional[str]:
    """The architecture that the survey gave this device; None where it gave none."""
    index = told["index"]
    found = subject.accelerators
    return found[index].architecture if index < len(found) else None


def one(_accelerator: Accelerator) -> int:
    """An accelerator is one device to torch."""
    return 1


@dataclass(frozen=True)
class Backend:
    """One backend.

    ``expected`` is the question that torch answers, ``nodes`` the form of its device nodes,
    ``rules`` why torch cannot use it, in the order of a repair, ``hiding`` the variables that hide
    devices.
    ``before`` and ``after`` are the checks of its own, around those that all backends share.
    ``architecture`` names a device as the wheel's list does, None where only a kernel can tell.
    ``devices_of`` says how many devices a surveyed accelerator is to torch.
    """

    name: str
    expected: str
    nodes: str
    rules: Tuple[Rule, ...]
    hiding: Tuple[str, ...] = ()
    before: Tuple[Check, ...] = ()
    after: Tuple[Check, ...] = ()
    architecture: Callable[[Subject, Mapping[str, Any]], Optional[str]] = surveyed_architecture
    devices_of: Callable[[Accelerator], int] = one
