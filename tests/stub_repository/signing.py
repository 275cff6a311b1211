"""A key of the stand-in repository, and signatures by it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Sequence


class Signer:
    """A key in a gpg home of its own; made on first use, kept when the home is there already."""

    def __init__(self, home: Path, name: str = "torchnode stand-in") -> None:
        self.home = home
        self.name = name
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        if not self.fingerprints():
            self._gpg("--quick-generate-key", name + " <tests@example.org>", "rsa2048", "sign", "0")

    @property
    def fingerprint(self) -> str:
        """The whole fingerprint, 40 hexadecimal digits."""
        return self.fingerprints()[0]

    def fingerprints(self) -> Sequence[str]:
        """Of every primary key in the home."""
        lines = self._gpg("--list-keys", "--with-colons").decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def export(self, path: Path) -> None:
        """The public key, armoured, into a file."""
        path.write_bytes(self._gpg("--armor", "--export", self.fingerprint))

    def sign_release(self, folder: Path) -> None:
        """InRelease and Release.gpg beside Release."""
        release = folder / "Release"
        (folder / "InRelease").write_bytes(self._gpg("--clearsign", "-o", "-", str(release)))
        self.sign(release, folder / "Release.gpg")

    def sign(self, path: Path, signature: Path) -> None:
        """A detached, armoured signature."""
        signature.write_bytes(self._gpg("--armor", "--detach-sign", "-o", "-", str(path)))

    def stop(self) -> None:
        """End the agent that gpg has started for this home."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True, env=self._env()
        )

    def _env(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home), "LC_ALL": "C.UTF-8"}

    def _gpg(self, *arguments: str) -> bytes:
        """Raises subprocess.CalledProcessError, with gpg's words in stderr."""
        argv = ["gpg", "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"]
        argv += ["--passphrase", "", *arguments]
        return subprocess.run(argv, check=True, capture_output=True, env=self._env()).stdout
