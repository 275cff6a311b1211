"""Tiny wheels and an index of them, made in the test: nothing is downloaded."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Optional


def digest(content: bytes) -> str:
    raw = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Optional[dict[str, str]] = None,
    requires: tuple[str, ...] = (),
) -> Path:
    """A pure wheel of ``files`` (default: one module); returns its path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    content = dict(files or {f"{module}/__init__.py": f"__version__ = '{version}'\n"})
    content[f"{info}/METADATA"] = metadata
    content[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    rows = [f"{p},{digest(t.encode())},{len(t.encode())}" for p, t in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in content.items():
            # A fixed time: the same content is the same file, hash by hash.
            archive.writestr(zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0)), text)
    return path


def make_torch(folder: Path, version: str, tag: str, says: str = "") -> Path:
    """A torch wheel: PyPI's form without a local version where ``tag`` is only in version.py."""
    files = {
        "torch/__init__.py": "from torch.version import __version__\n",
        "torch/version.py": f"__version__ = '{says or version}'\n",
        "torch/lib/libtorch.so": "x" * 1000,
    }
    return make_wheel(folder, "torch", version + (f"+{tag}" if tag else ""), files, ("filelock",))


def hashes(*wheels: Path) -> str:
    """A lock's text for these wheels."""
    text = ""
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        text += f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{sha256}\n"
    return text


def make_simple_index(folder: Path, *wheels: Path) -> str:
    """A simple repository of these wheels below ``folder``, as a file:// URL."""
    for wheel in wheels:
        project = folder / wheel.name.split("-")[0].replace("_", "-").lower()
        project.mkdir(parents=True, exist_ok=True)
        (project / wheel.name).write_bytes(wheel.read_bytes())
        links = "".join(f'<a href="{w.name}">{w.name}</a>\n' for w in project.glob("*.whl"))
        (project / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")
    return folder.as_uri()
