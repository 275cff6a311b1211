"""Survey a folder as if it were a machine; run as a process of its own, so that starting counts."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "module_utils"))

from torchnode.model import as_data
from torchnode.node import Completed, Node
from torchnode.survey import survey


def main() -> None:
    """Print what was found and the memory that it took."""
    # No command of this machine may answer for the made-up one.
    node = Node(sys.argv[1], run=lambda argv: Completed(127, "", "not there"), environ={}, uid=0)
    facts = survey(node, "/opt/torchnode")
    json.dumps(as_data(facts))
    # ru_maxrss is in KiB on Linux.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"accelerators": len(facts.accelerators), "mb": memory}))


if __name__ == "__main__":
    main()
