"""Write the whole report of 1,000 constructed nodes; run as a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "unit"))

import ansible.module_utils

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

import report_samples

from ansible.module_utils.torchnode import journal


def main() -> None:
    """Print how long the end of the run took, what it wrote, and the memory of it all."""
    run = {"id": "thousand", "requested": list(report_samples.SITE), "playbook": "site.yml",
           "check": False}  # fmt: skip
    made = journal.Journal(Path(sys.argv[1]), run)
    for node in report_samples.fleet(1000):
        made.nodes[node.name] = node
    began = time.monotonic()
    made.finish()
    seconds = time.monotonic() - began
    if made.problem:
        raise SystemExit(made.problem)
    written = {path.name: path.stat().st_size for path in made.path.parent.iterdir()}
    # ru_maxrss is in KiB on Linux.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "mb": memory, "files": written}))


if __name__ == "__main__":
    main()
