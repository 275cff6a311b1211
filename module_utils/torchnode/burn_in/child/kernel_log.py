"""The kernel's log while a burn-in runs: what drivers and the machine itself say of a fault."""

from __future__ import annotations

import os
import re
from typing import Optional

PATH = "/dev/kmsg"
RECORD = 8192  # bytes: the kernel cuts longer ones (Documentation/ABI/testing/dev-kmsg)
MOST = 200  # lines kept: a broken device can write thousands

#: NVIDIA's driver, AMD's, PCIe's error reporting, machine checks and memory, the memory killer.
TELLING = re.compile(
    r"NVRM|Xid|amdgpu.*(?:reset|ring|timeout|RAS)|AER:|PCIe Bus Error|mce:|EDAC|Hardware Error|"
    r"Out of memory: Killed|oom-kill:|hung_task|blocked for more than"
)


class KernelLog:
    """Lines from now on that tell of a fault. ``absent`` says why there are none to read."""

    def __init__(self, path: str = PATH) -> None:
        self.absent = ""
        self._descriptor: Optional[int] = None
        self._kept = 0
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
        found = [line for line in self._read() if TELLING.search(line)]
        room = max(0, MOST - self._kept)
        self._kept += len(found)
        return found[:room]

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
