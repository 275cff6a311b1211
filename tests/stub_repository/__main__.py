"""Builds a stand-in repository; prints where it lies and whose signature to trust, as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .build import FAULTS, build
from .catalogue_deb import DRIVERS


def main() -> None:
    """Read the arguments, build, print."""
    parser = argparse.ArgumentParser(prog="stub_repository", description=__doc__)
    parser.add_argument("root", type=Path, help="the folder that torchnode is told as repository")
    parser.add_argument("distros", nargs="+", help="ubuntu2404, debian12, rhel9, container, ...")
    parser.add_argument("--arch", default="x86_64", choices=("x86_64", "sbsa"))
    parser.add_argument("--drivers", nargs="+", default=DRIVERS, help="the versions it holds")
    faults = "; ".join("%s: %s" % item for item in FAULTS.items() if item[0])
    parser.add_argument("--fault", default="", choices=tuple(FAULTS), help=faults)
    given = parser.parse_args()
    found = build(given.root, given.distros, given.arch, given.drivers, given.fault)
    told = [
        {"folder": str(one.folder), "key": str(one.key), "fingerprint": one.fingerprint}
        for one in found
    ]
    print(json.dumps({"root": str(given.root), "repositories": told}, indent=1))


if __name__ == "__main__":
    main()
