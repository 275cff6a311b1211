"""A pyinfra deploy that asks a node for every item that survey reads, each as one fact."""

from __future__ import annotations

import sys
from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Command

sys.path.insert(0, str(Path(__file__).resolve().parent))
from items import items, items_with_driver

asked = items_with_driver if host.data.get("torchnode_driver") else items
for command in asked(host.data.torchnode_prefix).values():
    host.get_fact(Command, command)
