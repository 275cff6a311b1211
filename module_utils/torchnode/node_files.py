"""The node's own files of a run: the lock, the record and the local fact."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, TextIO, Tuple

from . import manifest, progress_file
from .model import User
from .node import Node

LOCK = "lock.json"
GUARD = ".guard"  # held with flock(2) while one process decides about the lock
GUARD_SECONDS = 5
RECORD = "record.json"
BURN_IN = "burn_in.json"  # the last burn-in with its samples
SYSTEM_FACTS = "/etc/ansible/facts.d"


class OtherPrefix(Exception):
    """The local fact speaks of another prefix, and would be overwritten."""


def facts_folder(user: User, stated: str) -> str:
    """Where local facts lie: as stated, else the system's folder for root, else the user's own."""
    own = SYSTEM_FACTS if user.uid == 0 else user.data_home + "/torchnode/facts.d"
    return os.path.normpath(os.path.expanduser(stated)) if stated else own


def prepare(node: Node, prefix: str, facts: str) -> None:
    """Make the folders and note everything of ours in the manifest, before it is there.

    Raises OtherPrefix, before anything is made, where the fact is that of another prefix.
    """
    _refuse_other_prefix(node, prefix, facts)
    # The prefix first: the manifest itself lies in it.
    made = manifest.make_folder(node, prefix)
    made += manifest.make_folder(node, facts)
    names = (RECORD, BURN_IN, LOCK, LOCK + GUARD, progress_file.NAME)
    files = [*["%s/%s" % (prefix, name) for name in names], fact_path(facts)]
    manifest.add(node, prefix, made + [(path, "file") for path in files])
    manifest.add(node, prefix, [(prefix + name, "tree") for name in ("/uv", "/keys")])


def fact_path(facts: str) -> str:
    """The file that Ansible reads as ``ansible_local.torchnode``."""
    return facts + "/torchnode.fact"


def write_fact(facts: str, fact: Mapping[str, Any]) -> None:
    """Replace the local fact in one rename."""
    manifest.write_json(fact_path(facts), fact)


def read_fact(node: Node, facts: str) -> Optional[Dict[str, Any]]:
    """The local fact; None where there is none that can be read."""
    try:
        fact = json.loads(node.read(fact_path(facts)) or "")
    except ValueError:
        return None
    return fact if isinstance(fact, dict) else None


def _refuse_other_prefix(node: Node, prefix: str, facts: str) -> None:
    """One fact cannot hold two verdicts. A prefix that was removed has none any more."""
    other = str((read_fact(node, facts) or {}).get("prefix") or prefix)
    if other != prefix and node.exists("%s/%s" % (other, RECORD)):
        raise OtherPrefix(
            "torchnode_facts_folder: found in %s the verdict of the prefix %s; expected a facts "
            "folder for each torchnode_prefix. Give %s its own torchnode_facts_folder, or remove "
            "the other with playbooks/remove.yml -e torchnode_prefix=%s."
            % (fact_path(facts), other, prefix, other)
        )


def open_burn_in(node: Node, prefix: str, begun: Mapping[str, Any]) -> None:
    """Note in the record's burn-in part, if it has one, that another burn-in has begun."""
    try:
        record = json.loads(node.read(prefix + "/" + RECORD) or "")
    except ValueError:
        return  # without a record there is nothing that could be reused
    if isinstance(record, dict) and isinstance(record.get("burn_in"), dict):
        write_record(prefix, dict(record, burn_in={**record["burn_in"], **begun}))


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


def other_holder(
    node: Node, prefix: str, run: str, dead: List[str], now: float
) -> Optional[Dict[str, Any]]:
    """The other run that holds the node's lock; None when it is free, this run's, or dead."""
    holder = read_lock(node, prefix)
    if holder is None or holder.get("run") in (run, *dead):
        return None
    return None if _expires(holder) < now else holder


@contextlib.contextmanager
def _alone(path: str) -> Iterator[bool]:
    """Whether this process is the only one that decides about the lock at ``path`` right now.

    Deciding takes microseconds: who has to wait longer meets a stopped process and gives up.
    """
    with open(path + GUARD, "a", encoding="utf-8") as guard:
        deadline = time.monotonic() + GUARD_SECONDS
        while not _flock(guard) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield _flock(guard)  # closing the file lets go of it


def _flock(stream: TextIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_lock(
    node: Node, prefix: str, mine: Mapping[str, Any], dead: List[str], now: float
) -> Tuple[bool, Optional[Dict[str, Any]]]:
    """Try once: (taken, the other holder that is in the way or was taken over).

    Taken when free, when it is this run's own already, when the holder's run is among ``dead`` or
    its lease has ended. Of two runs exactly one gets it, also when both take over a dead one's.
    """
    path = node.path(prefix + "/" + LOCK)
    with _alone(path) as alone:
        holder = read_lock(node, prefix)
        if not alone:
            return False, holder
        own = holder is not None and holder.get("run") == mine["run"]
        if holder is None or own or holder.get("run") in dead or _expires(holder) < now:
            manifest.write_json(path, mine)
            return True, None if own else holder
        return False, holder


def release_lock(node: Node, prefix: str, run: str) -> bool:
    """Remove the lock if it is this run's; whether it was."""
    path = node.path(prefix + "/" + LOCK)
    if not os.path.exists(path):
        return False
    with _alone(path) as alone:
        holder = read_lock(node, prefix)
        if holder is None or holder.get("run") != run:
            return False
        if alone:
            os.remove(path)
        return alone


def _expires(holder: Mapping[str, Any]) -> float:
    """When a holder's lease ends; long ago where that cannot be read."""
    try:
        return float(holder.get("expires", 0))
    except (TypeError, ValueError):
        return 0.0


def lease(run: Mapping[str, Any], seconds: float) -> Dict[str, Any]:
    """The lock's content for this run: who holds it, and until when at most.

    ``holder`` names the run and the node: two names of the inventory may mean one machine.
    """
    now = time.time()
    return {
        "run": run.get("holder", run["id"]),
        "controller": run["controller"],
        "since": now,
        "expires": now + seconds,
    }
