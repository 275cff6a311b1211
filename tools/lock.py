#!/usr/bin/env python3
"""Write hash locks for torch stacks.

    python tools/lock.py shipped                     every lock that ships with the project
    python tools/lock.py check                       exit 1 if a lock is stale
    python tools/lock.py one --torch 2.13.0 --tag cu126 --python 3.12 [--machine x86_64]
                             [--extra none|vision|audio] [--index URL] [--find-links DIR]

PyPI's own builds get one universal lock (every machine and Python of the release); a build with a
tag is locked for one machine and Python, against the index that serves it. Credentials for the
index come from the environment or netrc.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parent.parent
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

from ansible.module_utils.torchnode import controller, locks, package_index  # noqa: E402
from ansible.module_utils.torchnode.data.compatibility import (  # noqa: E402
    PREFERRED_TORCH,
    TORCH_BUILDS,
    TorchWheel,
    version_key,
)

TORCH_INDEX = "https://download.pytorch.org/whl"
OLDEST_PYTHON = "3.11"  # of the pinned transformers

COMPILE = [
    "pip",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--no-annotate",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
]

#: The tagged build that ships with a lock: its wheel's hash is known for this Python only.
SHIPPED_TAGGED = {"torch": "2.13.0", "tag": "cpu", "machine": "x86_64", "python": "3.11"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("shipped")
    commands.add_parser("check")
    one = commands.add_parser("one")
    one.add_argument("--torch", required=True)
    one.add_argument("--tag", required=True)
    one.add_argument("--python", required=True)
    one.add_argument("--machine", default="x86_64", choices=["x86_64", "aarch64"])
    one.add_argument("--extra", default="none", choices=["none", "vision", "audio"])
    one.add_argument("--index", default="", help=f"default: {TORCH_INDEX}/<tag>")
    one.add_argument("--find-links", default="")
    one.add_argument("--packages", type=Path, default=controller.LOCKS / "packages.in")
    one.add_argument("--output", type=Path, default=controller.LOCKS)
    given = parser.parse_args()
    if given.command == "check":
        return check()
    if given.command == "shipped":
        return shipped()
    tagged(given, given.packages, given.output)
    return 0


def check() -> int:
    stale = [lock.name for lock in controller.read_locks() if not controller.is_fresh(lock)]
    for name in stale:
        print(f"locks/{name} is stale: its inputs have changed; run `make locks`", file=sys.stderr)
    return 1 if stale else 0


def shipped() -> int:
    for version in sorted(
        {row.version for row in TORCH_BUILDS if row.source == "pypi"}, key=version_key
    ):
        if version not in PREFERRED_TORCH and version_key(version) < version_key(
            PREFERRED_TORCH[0]
        ):
            continue
        rows = [row for row in TORCH_BUILDS if row.version == version and row.source == "pypi"]
        extras = ["none"] + [e for e in ("vision", "audio") if getattr(rows[0], "torch" + e)]
        for extra in extras:
            pypi(version, extra, rows)
    given = argparse.Namespace(**SHIPPED_TAGGED, extra="none", index="", find_links="")
    tagged(given, controller.LOCKS / "packages.in", controller.LOCKS)
    return 0


def pypi(version: str, extra: str, rows: list[TorchWheel]) -> None:
    pythons = [p for p in rows[0].pythons if version_key(p) >= version_key(OLDEST_PYTHON)]
    lock_for = {
        "torch": version,
        "source": "pypi",
        "extra": extra,
        "machines": " ".join(sorted({row.machine for row in rows})),
        "pythons": " ".join(pythons),
    }
    suffix = "" if extra == "none" else "-" + extra
    arguments = ["--universal", "--python-version", pythons[0], "--no-config"]
    path, packages = (
        controller.LOCKS / f"torch-{version}-pypi{suffix}.txt",
        controller.LOCKS / "packages.in",
    )
    write(path, lock_for, rows[0], packages, arguments, clean_environment())


def tagged(given: argparse.Namespace, packages: Path, output: Path) -> None:
    row = next((r for r in TORCH_BUILDS if (r.version, r.tag) == (given.torch, given.tag)), None)
    if given.extra != "none" and not getattr(row, "torch" + given.extra, ""):
        raise SystemExit(
            f"--extra {given.extra}: no torch{given.extra} is known for torch "
            f"{given.torch}+{given.tag}; choose a build of data/compatibility.py that has one"
        )
    lock_for = {
        "torch": f"{given.torch}+{given.tag}",
        "source": "index",
        "extra": given.extra,
        "machines": given.machine,
        "pythons": given.python,
    }
    suffix = "" if given.extra == "none" else "-" + given.extra
    minor = given.python.replace(".", "")
    links = (
        given.find_links or os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    )
    index = given.index or ("" if holds(links, lock_for["torch"]) else f"{TORCH_INDEX}/{given.tag}")
    arguments = [
        "--python-version",
        given.python,
        "--python-platform",
        f"{given.machine}-manylinux_2_28",
    ]
    environment = clean_environment()
    if index:
        environment["UV_INDEX"] = index
    if links:
        environment["UV_FIND_LINKS"] = ",".join(folders(links))
    name = f"torch-{given.torch}+{given.tag}-py{minor}-{given.machine}{suffix}.txt"
    write(output / name, lock_for, row, packages, [*arguments, "--no-config"], environment)


def folders(links: str) -> list[str]:
    """The places in a list of find-links, which uv separates by commas and pip by white space."""
    return links.replace(",", " ").split()


def holds(links: str, torch: str) -> bool:
    """Whether a local folder has a wheel of this build, so that no index is needed for it."""
    return any(any(Path(folder).glob(f"torch-{torch}-*.whl")) for folder in folders(links))


def clean_environment() -> dict[str, str]:
    """The user's own settings for PyPI and mirrors, pip's included, without extra find-links."""
    files = package_index.pip_files(os.environ, str(Path.home()))
    settings = package_index.pip_settings(os.environ, files)
    settings.pop("find-links", None)
    environ = {k: v for k, v in os.environ.items() if k != "UV_FIND_LINKS"}
    chosen = package_index.sources(package_index.Sources(), environ, settings)
    return package_index.uv_environment(chosen, "", environ)


def write(
    path: Path,
    lock_for: dict[str, str],
    row: TorchWheel | None,
    packages: Path,
    arguments: list[str],
    environment: dict[str, str],
) -> None:
    text = packages.read_text(encoding="utf-8")
    vision, audio = getattr(row, "torchvision", ""), getattr(row, "torchaudio", "")
    requirements = locks.lock_requirements(
        lock_for["torch"], lock_for["source"], vision, audio, lock_for["extra"]
    )
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit(
            "uv is not installed: run `make lock` (it uses the development environment)"
        )
    done = subprocess.run(
        [uv, *COMPILE, *arguments, "-"],
        input="\n".join([text, *requirements]),
        text=True,
        capture_output=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(
            f"{path.name}: uv could not resolve {', '.join(requirements)}:\n{done.stderr.strip()}"
        )
    digest = locks.inputs_digest(text, requirements, lock_for)
    path.write_text(locks.header(lock_for, digest) + done.stdout, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    sys.exit(main())
