#!/usr/bin/env python3
"""Write hash locks for torch stacks.

    python tools/lock.py shipped                     every lock that ships with the project
    python tools/lock.py check                       exit 1 if a lock is stale
    python tools/lock.py one --torch 2.13.0 --tag cu126 --python 3.12 [--machine x86_64]
                             [--backend npu|tpu] [--extra none|vision|audio] [--index URL]
                             [--find-links DIR] [--output DIR]

PyPI's own builds (--tag pypi) get one universal lock, for every machine and Python of the release;
a build with a tag is locked for one machine and Python, against the index that serves it. A
backend that a plugin brings is named, and the plugin is locked with torch. Credentials for the
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

from ansible.module_utils.torchnode import controller, locks, package_index, uv_failures  # noqa: E402
from ansible.module_utils.torchnode.data.compatibility import (  # noqa: E402
    PREFERRED_TORCH,
    TORCH_BUILDS,
    TorchWheel,
    version_key,
)
from ansible.module_utils.torchnode.redaction import passwords, redacted  # noqa: E402

TORCH_INDEX = "https://download.pytorch.org/whl"
BESIDE_PYPI = ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL")
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
SHIPPED_BACKENDS = ("", "npu")


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
    one.add_argument("--backend", default="", help="of a plugin: npu or tpu")
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
    if given.tag == "pypi":
        pypi(build_rows(given), given.extra, given.packages, given.output)
    else:
        tagged(given, given.packages, given.output)
    return 0


def check() -> int:
    stale = [lock.name for lock in controller.read_locks() if not controller.is_fresh(lock)]
    for name in stale:
        print(f"locks/{name} is stale: its inputs have changed; run `make locks`", file=sys.stderr)
    return 1 if stale else 0


def shipped() -> int:
    """Every build of PyPI that the resolver may choose by itself, and all with a plugin."""
    packages = controller.LOCKS / "packages.in"
    newest = version_key(PREFERRED_TORCH[0])
    for rows in groups():
        version, plugin = rows[0].version, rows[0].plugin
        if not plugin and version not in PREFERRED_TORCH and version_key(version) < newest:
            continue
        for extra in ("none", "vision", "audio"):
            if extra == "none" or getattr(rows[0], "torch" + extra):
                pypi(rows, extra, packages, controller.LOCKS)
    for backend in SHIPPED_BACKENDS:
        given = argparse.Namespace(
            **SHIPPED_TAGGED, backend=backend, extra="none", index="", find_links=""
        )
        tagged(given, packages, controller.LOCKS)
    return 0


def groups() -> list[list[TorchWheel]]:
    """PyPI's builds by release and plugin, oldest first: one lock serves all of a group."""
    found: dict[tuple[str, str], list[TorchWheel]] = {}
    for row in TORCH_BUILDS:
        if row.source == "pypi":
            found.setdefault((row.version, plugin_of(row)), []).append(row)
    return [found[key] for key in sorted(found, key=lambda key: (version_key(key[0]), key[1]))]


def plugin_of(row: TorchWheel | None) -> str:
    return row.plugin.requirement if row and row.plugin else ""


def build_rows(given: argparse.Namespace) -> list[TorchWheel]:
    """The group of PyPI's builds of --torch, with the plugin of --backend where it is one."""
    for rows in groups():
        backend = rows[0].backend if rows[0].plugin else ""
        if (rows[0].version, backend) == (given.torch, given.backend):
            return rows
    raise SystemExit(
        f"--torch {given.torch} --backend '{given.backend}': PyPI has no such build that "
        "data/torch_builds.py knows; choose one of its rows"
    )


def pypi(rows: list[TorchWheel], extra: str, packages: Path, output: Path) -> None:
    pythons = [p for p in rows[0].pythons if version_key(p) >= version_key(OLDEST_PYTHON)]
    lock_for = {
        "torch": rows[0].version,
        "source": "pypi",
        "plugin": plugin_of(rows[0]),
        "extra": extra,
        "machines": " ".join(sorted({row.machine for row in rows})),
        "pythons": " ".join(pythons),
    }
    check_extra(rows[0], rows[0].version, extra)
    arguments = ["--universal", "--python-version", pythons[0], "--no-config"]
    write(output, lock_for, packages, arguments, clean_environment())


def check_extra(row: TorchWheel | None, torch: str, extra: str) -> None:
    if extra != "none" and not getattr(row, "torch" + extra, ""):
        raise SystemExit(
            f"--extra {extra}: no torch{extra} is known for torch {torch}; choose a build of "
            "data/torch_builds.py that has one"
        )


def tagged(given: argparse.Namespace, packages: Path, output: Path) -> None:
    row = tagged_row(given)
    check_extra(row, f"{given.torch}+{given.tag}", given.extra)
    lock_for = {
        "torch": f"{given.torch}+{given.tag}",
        "source": "index",
        "plugin": plugin_of(row),
        "extra": given.extra,
        "machines": given.machine,
        "pythons": given.python,
    }
    links = (
        given.find_links or os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    )
    index = given.index or ("" if holds(links, lock_for["torch"]) else f"{TORCH_INDEX}/{given.tag}")
    platform = f"{given.machine}-manylinux_2_28"
    arguments = ["--python-version", given.python, "--python-platform", platform, "--no-config"]
    environment = clean_environment()
    if index:
        environment["UV_INDEX"] = index
    if links:
        environment["UV_FIND_LINKS"] = ",".join(folders(links))
    write(output, lock_for, packages, arguments, environment)


def tagged_row(given: argparse.Namespace) -> TorchWheel | None:
    """The build's row; None for one that no row knows, which only a wish can choose."""
    for row in TORCH_BUILDS:
        backend = row.backend if row.plugin else ""
        if (row.version, row.tag, row.machine, backend) == (
            given.torch, given.tag, given.machine, given.backend,
        ):  # fmt: skip
            return row
    if given.backend:
        raise SystemExit(
            f"--backend {given.backend}: no plugin for it is known with torch {given.torch}+"
            f"{given.tag} on {given.machine}; choose a row of data/torch_builds.py that has one "
            "(leave --backend out where torch itself brings the backend, as for rocm and xpu)"
        )
    return None


def folders(links: str) -> list[str]:
    """The places in a list of find-links, which uv separates by commas and pip by white space."""
    return links.replace(",", " ").split()


def holds(links: str, torch: str) -> bool:
    """Whether a local folder has a wheel of this build, so that no index is needed for it."""
    return any(any(Path(folder).glob(f"torch-{torch}-*.whl")) for folder in folders(links))


def clean_environment() -> dict[str, str]:
    """The user's own settings for PyPI or its mirror, pip's included, and for nothing beside it.

    An extra index or folder comes first and mostly holds one file of a package: a lock made from
    it would know that file's hash alone, and no other machine or Python could install from it.
    """
    files = package_index.pip_files(os.environ, str(Path.home()))
    settings = package_index.pip_settings(os.environ, files)
    for name in ("find-links", "extra-index-url"):
        settings.pop(name, None)
    environ = {k: v for k, v in os.environ.items() if k not in BESIDE_PYPI}
    chosen = package_index.sources(package_index.Sources(), environ, settings)
    return package_index.uv_environment(chosen, "", environ)


def write(
    output: Path,
    lock_for: dict[str, str],
    packages: Path,
    arguments: list[str],
    environment: dict[str, str],
) -> None:
    """Resolve and write one lock. An empty plugin is no field, so that old locks stay fresh."""
    lock_for = {key: value for key, value in lock_for.items() if value}
    if not output.is_dir():
        raise SystemExit(f"--output: found no folder {output}; make it first, or name another")
    text = packages.read_text(encoding="utf-8")
    requirements = controller.requirements_of(lock_for)
    path = output / locks.file_name(lock_for)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit(
            "uv is not installed: run `make lock` (it uses the development environment)"
        )
    asked = "\n".join([text, *requirements])
    done = run([uv, *COMPILE, *arguments, "-"], asked, environment)
    if done.returncode != 0:
        said = done.stderr.strip()
        if uv_failures.may_be_refused(said):  # uv tells of a refusal only when it asks one by one
            again = {**environment, "UV_INDEX_STRATEGY": "first-index"}
            hints = run([uv, *COMPILE, *arguments, "-"], asked, again).stderr
            said = f"{said}\n{uv_failures.refusals(hints)}".strip()
        raise SystemExit(not_locked(path.name, requirements, said, environment))
    digest = locks.inputs_digest(text, requirements, lock_for)
    path.write_text(locks.header(lock_for, digest) + done.stdout, encoding="utf-8")
    print(path)


def run(
    argv: list[str], asked: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """uv's answer, in text."""
    return subprocess.run(
        argv, input=asked, text=True, capture_output=True, env=environment, check=False
    )


def not_locked(
    name: str, requirements: tuple[str, ...], said: str, environment: dict[str, str]
) -> str:
    """What uv said, without passwords, then cause and next step in a lock maker's words."""
    cause, remedy = uv_failures.explain(said, uv_failures.FOR_A_LOCK)
    told = redacted(said, passwords(environment.values()))
    wanted = ", ".join(requirements)
    return f"{name}: uv could not resolve {wanted}:\n{told}\ncause: {cause}\nnext:  {remedy}"


if __name__ == "__main__":
    sys.exit(main())
