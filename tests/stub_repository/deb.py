"""Writes .deb files and the index of a flat repository, as NVIDIA's are."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from pathlib import Path
from typing import Dict, Iterable, List, Tuple

from .stubs import Stub

ARCHITECTURES = {"x86_64": "amd64", "sbsa": "arm64"}
#: One time for all: the same stub is the same file, byte by byte.
MADE = 1767225600


def write_deb(folder: Path, stub: Stub, arch: str) -> Path:
    """The package below ``folder``; its name has no epoch, as in every archive."""
    architecture = stub.architecture or ARCHITECTURES[arch]
    version = stub.version.split(":", 1)[-1]
    path = folder / ("%s_%s_%s.deb" % (stub.name, version, architecture))
    control = [("./control", control_text(stub, architecture) + "\n", 0o644)]
    control += [("./" + name, text, 0o755) for name, text in stub.scripts]
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", tarball(control)),
        ("data.tar.gz", tarball(data_members(stub))),
    )
    path.write_bytes(b"!<arch>\n" + b"".join(ar_member(name, body) for name, body in members))
    return path


def control_text(stub: Stub, architecture: str) -> str:
    """The control file's fields, without the empty line at the end."""
    fields: Dict[str, str] = {
        "Package": stub.name,
        "Version": stub.version,
        "Architecture": architecture,
        # As NVIDIA's own say: by it a driver of NVIDIA is told from one of the distribution.
        "Maintainer": "cudatools <cudatools@nvidia.com>",
        "Section": "multiverse/devel",
        "Priority": "optional",
        "Source": stub.source,
        "Depends": ", ".join(stub.depends),
        "Provides": ", ".join(stub.provides),
        "Conflicts": ", ".join(stub.conflicts),
        "Replaces": ", ".join(stub.replaces),
        "Description": "stand-in for tests, with nothing of the real package inside",
    }
    return "".join("%s: %s\n" % (name, text) for name, text in fields.items() if text).rstrip()


def data_members(stub: Stub) -> List[Tuple[str, str, int]]:
    """(path, text, mode) of the files, with the one that every package has."""
    note = "/usr/share/doc/%s/stand-in" % stub.name
    files = [*stub.files, (note, "%s %s\n" % (stub.name, stub.version))]
    return [("." + path, text, 0o755 if "/bin/" in path else 0o644) for path, text in files]


def tarball(members: Iterable[Tuple[str, str, int]]) -> bytes:
    """A gzipped tar of text files, with the folders above them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        seen = {"."}
        for path, text, mode in members:
            for parent in reversed(Path(path).parents):
                name = "./" + str(parent)
                if str(parent) != "." and name not in seen:
                    seen.add(name)
                    archive.addfile(tar_entry(name, 0o755, tarfile.DIRTYPE, 0))
            body = text.encode()
            archive.addfile(tar_entry(path, mode, tarfile.REGTYPE, len(body)), io.BytesIO(body))
    return gzip.compress(buffer.getvalue(), 1, mtime=MADE)


def tar_entry(name: str, mode: int, kind: bytes, size: int) -> tarfile.TarInfo:
    """An entry that belongs to root."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.size, entry.mtime = mode, kind, size, MADE
    entry.uname = entry.gname = "root"
    return entry


def ar_member(name: str, body: bytes) -> bytes:
    """A member of an ar archive, padded to an even length."""
    head = "%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, MADE, 0, 0, "100644", len(body))
    return head.encode() + body + (b"\n" if len(body) % 2 else b"")


def packages_index(stubs: Iterable[Tuple[Stub, Path]], arch: str) -> str:
    """The text of ``Packages``."""
    return "\n".join(index_entry(stub, path, arch) for stub, path in stubs)


def index_entry(stub: Stub, path: Path, arch: str) -> str:
    """A package's paragraph in the index: its control fields, its file and the file's hash."""
    body = path.read_bytes()
    text = control_text(stub, stub.architecture or ARCHITECTURES[arch])
    return "%s\nFilename: ./%s\nSize: %d\nSHA256: %s\n" % (
        text,
        path.name,
        len(body),
        hashlib.sha256(body).hexdigest(),
    )


def release_text(folder: Path, arch: str, expired: bool) -> str:
    """The text of ``Release``; an expired one was valid until the day before yesterday."""
    now = time.time()
    lines = [
        "Origin: NVIDIA",
        "Label: NVIDIA CUDA",
        "Architectures: %s" % ARCHITECTURES[arch],
        "Date: %s" % rfc2822(now - 7 * 86400 if expired else now),
    ]
    lines += ["Valid-Until: %s" % rfc2822(now - 2 * 86400)] if expired else []
    lines.append("SHA256:")
    for name in ("Packages", "Packages.gz"):
        body = (folder / name).read_bytes()
        lines.append(" %s %d %s" % (hashlib.sha256(body).hexdigest(), len(body), name))
    return "\n".join(lines) + "\n"


def rfc2822(moment: float) -> str:
    """A time as Release files spell it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(moment))


def write_index(folder: Path, stubs: List[Tuple[Stub, Path]], arch: str, expired: bool) -> None:
    """Packages, Packages.gz and Release (unsigned) of the folder."""
    text = packages_index(stubs, arch)
    (folder / "Packages").write_text(text, encoding="utf-8")
    (folder / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=MADE))
    (folder / "Release").write_text(release_text(folder, arch, expired), encoding="utf-8")
