"""What the operator asks for, checked for shape before anything else looks at it. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from .model import Accelerator


@dataclass(frozen=True)
class Expect:
    """What a node should have. ``memory_bytes`` is the least per device; None means not stated."""

    backend: Optional[str] = None
    model: Optional[str] = None
    count: Optional[int] = None
    memory_bytes: Optional[int] = None
    pci_ids: Tuple[str, ...] = ()  # of the last record: names change with the driver, ids do not
    origin: str = "torchnode_expect"


@dataclass(frozen=True)
class HostPolicy:
    """Wishes about the system's own packages, by the names of the ``torchnode_`` variables."""

    nvidia_source: str = "auto"
    nvidia_repository_url: str = ""
    nvidia_key_file: str = ""
    nvidia_key_fingerprint: str = ""
    cuda_toolkits: Tuple[str, ...] = ()
    cuda_toolkit_source: str = "auto"
    cudnn: str = ""
    cudnn_source: str = "auto"
    container_toolkit: bool = False
    container_repository_url: str = ""
    dcgm: bool = False
    secure_boot_key: str = ""
    secure_boot_certificate: str = ""


@dataclass(frozen=True)
class Policy:
    """One node's wishes; empty strings mean 'choose for me'."""

    profile: str
    workload: str
    backend: str = "auto"
    torch_version: str = ""
    torch_tag: str = ""
    python: str = ""
    python_version: str = ""
    driver_version: str = ""  # a branch ('580') or an exact version ('580.95.05')
    driver_flavour: str = "auto"
    mlu_wheel: str = ""
    mlu_wheel_sha256: str = ""
    expect: Optional[Expect] = None
    host: HostPolicy = HostPolicy()

    @property
    def driver_branch(self) -> str:
        """The branch of the wished driver, '' for none wished."""
        return self.driver_version.partition(".")[0]


class Conflict(Exception):
    """A wish that cannot be met: which argument, what was found, what was expected, what next.

    ``nearest`` describes the closest stack that would work, or is empty where there is none.
    """

    CAUSE = "No stack satisfies the inventory on this machine."

    def __init__(
        self, argument: str, found: str, expected: str, remedy: str, nearest: str = "",
        cause: str = "",
    ) -> None:  # fmt: skip
        super().__init__(argument, found, expected, remedy, nearest)
        self.argument = argument
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.nearest = nearest
        self.cause = cause or self.CAUSE

    def __str__(self) -> str:
        nearest = " Nearest that works: %s." % self.nearest if self.nearest else ""
        return "%s: found %s; expected %s.%s %s" % (
            self.argument, self.found, self.expected, nearest, self.remedy,
        )  # fmt: skip


class Mistake(Conflict):
    """A setting or a file that is wrong by itself: it would be so on every machine."""

    CAUSE = "This is wrong by itself, whatever the machine: a slip in the inventory or in a file."


_EXPECT_KEYS = ("backend", "model", "count", "memory_gb")


def read_expect(given: Mapping[str, Any]) -> Optional[Expect]:
    """``torchnode_expect`` as a record; None for an empty one. Conflict for a bad key or value."""
    if not given:
        return None
    for key in given:
        if key not in _EXPECT_KEYS:
            raise Mistake(
                "torchnode_expect", "the key '%s'" % key, "only " + ", ".join(_EXPECT_KEYS),
                "Correct the key in the inventory%s." % _suggestion(key, _EXPECT_KEYS),
            )  # fmt: skip
    return Expect(
        backend=_text(given.get("backend")),
        model=_text(given.get("model")),
        count=_whole("torchnode_expect.count", given.get("count")),
        memory_bytes=_gigabytes("torchnode_expect.memory_gb", given.get("memory_gb")),
    )


def read_host(given: Mapping[str, Any]) -> HostPolicy:
    """The wishes about the system's packages. Raises Mistake for what is no version or fingerprint.

    YAML reads 12.8 as a number, and 13.0 as one that has lost nothing but its name.
    """
    toolkits = tuple(str(version) for version in given.get("cuda_toolkits") or ())
    for version in toolkits:
        _matches("torchnode_cuda_toolkits", version, r"\d+\.\d+", "versions such as '12.8'")
    cudnn = str(given.get("cudnn") or "")
    if cudnn:
        _matches("torchnode_cudnn", cudnn, r"\d+(\.\d+)*", "a version such as 9 or 9.10.2")
    fingerprint = str(given.get("nvidia_key_fingerprint") or "").replace(" ", "").upper()
    if fingerprint:
        _matches("torchnode_nvidia_key_fingerprint", fingerprint, r"[0-9A-F]{40}",
                 "a full fingerprint of 40 hex digits: short ones can be forged")  # fmt: skip
    text = {
        name: str(given.get(name) or "")
        for name in (
            "nvidia_repository_url", "nvidia_key_file", "container_repository_url",
            "secure_boot_key", "secure_boot_certificate",
        )
    }  # fmt: skip
    return HostPolicy(
        nvidia_source=str(given.get("nvidia_source") or "auto"),
        nvidia_key_fingerprint=fingerprint,
        cuda_toolkits=toolkits,
        cuda_toolkit_source=str(given.get("cuda_toolkit_source") or "auto"),
        cudnn=cudnn,
        cudnn_source=str(given.get("cudnn_source") or "auto"),
        container_toolkit=bool(given.get("container_toolkit")),
        dcgm=bool(given.get("dcgm")),
        **text,
    )


def _matches(argument: str, value: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, value):
        raise Mistake(argument, "'%s'" % value, expected, "Correct it in the inventory.")


def expect_of_record(record: Optional[Mapping[str, Any]]) -> Optional[Expect]:
    """What the node's last record says it had; None without a usable record."""
    had = (record or {}).get("had")
    if not isinstance(had, Mapping) or "backend" not in had:
        return None
    count, ids = had.get("count"), had.get("pci_ids")
    return Expect(
        backend=str(had["backend"]),
        count=count if isinstance(count, int) else None,
        pci_ids=tuple(sorted(str(i) for i in ids)) if isinstance(ids, (list, tuple)) else (),
        origin="the node's last record of %s" % (record or {}).get("at", "an unknown date"),
    )


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> List[str]:
    """A sentence for each ``torchnode_*`` name that no role declares, with the likely spelling."""
    allowed = set(known)
    unknown = sorted(n for n in names if n.startswith("torchnode_") and n not in allowed)
    return ["'%s' is no variable of torchnode%s" % (n, _suggestion(n, allowed)) for n in unknown]


def _suggestion(name: str, known: Iterable[str]) -> str:
    close: List[str] = difflib.get_close_matches(name, sorted(known), 1)
    return " (did you mean '%s'?)" % close[0] if close else ""


def _text(value: Any) -> Optional[str]:
    return None if value is None else str(value)  # YAML reads a model such as 4090 as a number


def _whole(argument: str, value: Any) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+", str(value)):
        raise Mistake(argument, repr(value), "a whole number", "Correct it in the inventory.")
    return int(value)


def _gigabytes(argument: str, value: Any) -> Optional[int]:
    if value is None:
        return None
    try:
        size = -1 if isinstance(value, bool) else int(float(value) * 1e9)
    except (TypeError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise Mistake(
            argument, repr(value), "a number of gigabytes", "Correct it in the inventory."
        )
    return size


def meets(expect: Expect, backend: str, found: Sequence[Accelerator]) -> List[str]:
    """What differs from the expectation, as 'this instead of that' phrases; empty if nothing."""
    differences = []
    if expect.backend is not None and backend != expect.backend:
        differences.append("backend %s instead of %s" % (backend, expect.backend))
    if expect.count is not None and len(found) != expect.count:
        differences.append("%d accelerators instead of %d" % (len(found), expect.count))
    ids = tuple(sorted(a.pci_id or "" for a in found))
    if expect.pci_ids and len(ids) == len(expect.pci_ids) and ids != expect.pci_ids:
        differences.append("%s instead of %s" % (" ".join(ids), " ".join(expect.pci_ids)))
    for accelerator in found:
        differences += _differences(expect, accelerator)
    if not found and expect.count is None and (expect.model or expect.memory_bytes):
        # Without a device nothing could differ from the stated model.
        size = "with %.1f GB" % (expect.memory_bytes / 1e9) if expect.memory_bytes else ""
        wanted = " ".join(part for part in (expect.model or "one", size) if part)
        differences.append("no accelerator instead of %s" % wanted)
    return differences


def _differences(expect: Expect, accelerator: Accelerator) -> List[str]:
    found = []
    # Whole words: 'H200' names an 'NVIDIA H200', and 'B200' names no 'NVIDIA GB200'.
    if expect.model and not set(_words(expect.model)) <= set(_words(accelerator.model)):
        found.append("%s instead of %s" % (accelerator.model, expect.model))
    size = accelerator.memory_bytes
    if expect.memory_bytes is not None and (size is None or size < expect.memory_bytes):
        have = "unreadable" if size is None else "%.1f GB" % (size / 1e9)
        found.append(
            "%s of memory on %s instead of %.1f GB"
            % (have, accelerator.bus or accelerator.model, expect.memory_bytes / 1e9)
        )
    return found


def _words(model: str) -> List[str]:
    return model.lower().replace("-", " ").split()
