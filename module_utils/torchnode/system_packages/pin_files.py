"""Files that go with a transaction: written before it, and put back where it fails."""

from __future__ import annotations

import contextlib
import os
from typing import Dict, List, Optional, Sequence, Tuple


class PinFiles:
    """Files by their paths below ``root``; a content of None is a file that must not be there."""

    def __init__(self, root: str, files: Sequence[Tuple[str, Optional[str]]]) -> None:
        self._root = root
        self._wanted = dict(files)
        self._before: Dict[str, Optional[str]] = {path: self._read(path) for path, _ in files}

    def differing(self) -> List[str]:
        """Paths whose content is not the wanted one."""
        return [path for path, text in self._wanted.items() if self._before[path] != text]

    def before(self) -> Dict[str, Optional[str]]:
        """What the files that differ held; None for one that was not there."""
        return {path: self._before[path] for path in self.differing()}

    def new(self) -> List[str]:
        """Paths that are made anew: those are torchnode's own."""
        return [p for p in self.differing() if self._before[p] is None]

    def shown(self, after: bool) -> str:
        """The files that differ, before or after, for ``--diff``."""
        texts = self._wanted if after else self._before
        return "".join("%s:\n%s" % (p, texts[p]) for p in self.differing() if texts[p] is not None)

    def write(self) -> None:
        """Make them as wanted. Raises OSError."""
        for path in self.differing():
            self._put(path, self._wanted[path])

    def restore(self) -> None:
        """Make them as they were. Raises OSError."""
        for path in self.differing():
            self._put(path, self._before[path])

    def _put(self, path: str, text: Optional[str]) -> None:
        real = self._real(path)
        if text is None:
            with contextlib.suppress(FileNotFoundError):
                os.remove(real)
            return
        os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
        # apt takes no notice of a name that ends like this, should the run be killed here.
        temporary = real + ".torchnode.tmp"
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, real)

    def _read(self, path: str) -> Optional[str]:
        try:
            with open(self._real(path), encoding="utf-8", errors="surrogateescape") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def _real(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))
