"""The node's own files of a run: the lock, the record and the local fact."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import manifest
from .model import User
from .node import Node

LOCK = "lock.json"
RECORD = "record.json"
SYSTEM_FACTS = "/etc/ansible/facts.d"


def facts_folder(user: User) -> str:
    """Where local facts lie: the system's folder for root, the user's data folder otherwise."""
    return SYSTEM_FACTS if user.uid == 0 else user.data_home + "/torchnode/facts.d"


def prepare(node: Node, prefix: str, user: User) -> None:
    """Make the folders and note everything of ours in the manifest, before it is there."""
    # The prefix first: the manifest itself lies in it.
    made = manifest.make_folder(node, prefix)
    facts = facts_folder(user)
    made += manifest.make_folder(node, facts)
    files = [prefix + "/" + RECORD, prefix + "/" + LOCK, facts + "/torchnode.fact"]
    manifest.add(node, prefix, made + [(path, "file") for path in files])
    manifest.add(node, prefix, [(prefix + "/uv", "tree")])


def write_fact(user: User, fact: Mapping[str, Any]) -> None:
    """Replace the local fact in one rename."""
    manifest.write_json(facts_folder(user) + "/torchnode.fact", fact)


def write_record(prefix: str, record: Mapping[str, Any]) -> None:
    """Replace the record in one rename."""
    manifest.write_json(prefix + "/" + RECORD, record)


def read_lock(node: Node, prefix: str) -> Optional[Dict[str, Any]]:
    """The holder of the node's lock, or None. A broken file is a holder that nobody can be."""
    text = node.read(prefix + "/" + LOCK)
    if text is None:
        return None
    try:
        holder = json.loads(text)
    except ValueError:
        return {"run": "unreadable", "expires": 0}
    return holder if isinstance(holder, dict) else {"run": "unreadable", "expires": 0}


def take_lock(
    node: Node, prefix: str, mine: Mapping[str, Any], dead: List[str], now: float
) -> Tuple[bool, Optional[Dict[str, Any]]]:
    """Try once: (taken, the other holder that is in the way or was taken over).

    Taken when free, when it is this run's own already, when the holder's run is among ``dead`` or
    its lease has ended. The file is made by link(2), so that of two runs exactly one gets it.
    """
    path = node.path(prefix + "/" + LOCK)
    holder = read_lock(node, prefix)
    if holder is not None and holder.get("run") == mine["run"]:
        manifest.write_json(path, mine)
        return True, None
    over = holder is not None and (
        holder.get("run") in dead or float(holder.get("expires", 0)) < now
    )
    if holder is not None and not over:
        return False, holder
    if over:
        # Renamed by one run only: the other finds nothing to rename and tries again.
        stale = "%s.stale.%d" % (path, os.getpid())
        try:
            os.rename(path, stale)
            os.remove(stale)
        except FileNotFoundError:
            return False, holder
    temporary = "%s.%d" % (path, os.getpid())
    manifest.write_json(temporary, mine)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False, read_lock(node, prefix)
    finally:
        os.remove(temporary)
    return True, holder


def release_lock(node: Node, prefix: str, run: str) -> bool:
    """Remove the lock if it is this run's; whether it was."""
    holder = read_lock(node, prefix)
    if holder is None or holder.get("run") != run:
        return False
    os.remove(node.path(prefix + "/" + LOCK))
    return True


def lease(run: Mapping[str, Any], seconds: float) -> Dict[str, Any]:
    """The lock's content for this run: who holds it, and until when at most."""
    now = time.time()
    return {
        "run": run["id"],
        "controller": run["controller"],
        "since": now,
        "expires": now + seconds,
    }
