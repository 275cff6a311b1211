"""The kernel's log while a burn-in runs: what drivers and the machine itself say of a fault."""

from __future__ import annotations

import os
import re
from typing import Optional

PATH = "/dev/kmsg"
RECORD = 8192  # bytes: the kernel cuts longer ones (Documentation/ABI/testing/dev-kmsg)
MOST = 50  # lines kept of a kind: a broken device can write thousands
LONGEST = 500  # characters kept of a line

#: Kinds of lines: NVIDIA's driver and switches, by number and device where they tell them; AMD's
#: driver, PCIe's error reporting, machine checks and memory, the memory killer. The first that
#: fits, so the grave ones before those that can come in floods: each has room of its own.
XID = re.compile(r"S?Xid \([^)]*\): \d+(?:, Fatal)?")
KINDS = (
    r"fallen off the bus", r"RmInitAdapter", r"NVRM|Xid",
    r"amdgpu.*(?:reset|timeout|RAS)", r"amdgpu.*ring",
    r"AER:.*(?:[Ff]atal|[Uu]ncorrect)|severity=Uncorrected", r"AER:|PCIe Bus Error",
    r"EDAC.*(?:UE|[Uu]ncorrect)", r"mce:|Hardware Error", r"EDAC",
    r"Out of memory: Killed|oom-kill:", r"hung_task|blocked for more than",
)  # fmt: skip


def kind_of(line: str) -> str:
    """What a line counts as: an Xid or SXid of a device, else one of KINDS; '' for no fault."""
    numbered = XID.search(line)
    if numbered:
        return numbered.group(0)
    return next((kind for kind in KINDS if re.search(kind, line)), "")


class KernelLog:
    """Lines from now on that tell of a fault. ``absent`` says why there are none to read."""

    def __init__(self, path: str = PATH) -> None:
        self.absent = ""
        self._descriptor: Optional[int] = None
        self._kept: dict[str, int] = {}  # lines by kind, those without room too
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self._descriptor, 0, os.SEEK_END)
            self._read()  # where it may be opened and not read, the first read says so
        except OSError as error:
            self.absent = "%s: %s" % (path, error.strerror)
            self._descriptor = None

    def lines(self) -> list[str]:
        """What has come since the last call, the telling lines alone."""
        if self._descriptor is None:
            return []
        return [line[:LONGEST] for line in self._read() if self._has_room(line)]

    def _has_room(self, line: str) -> bool:
        kind = kind_of(line)
        self._kept[kind] = self._kept.get(kind, 0) + 1
        return bool(kind) and self._kept[kind] <= MOST

    def _read(self) -> list[str]:
        assert self._descriptor is not None
        lines: list[str] = []
        while True:
            try:
                record = os.read(self._descriptor, RECORD)
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                continue  # records were overwritten before they were read: go on with the next
            if not record:
                return lines
            _, _, text = record.decode("utf-8", "replace").partition(";")
            lines.append(text.partition("\n")[0])
