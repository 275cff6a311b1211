#!/usr/bin/python
"""The beginning and the end of a run, on the node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_run
short_description: Lock a node for a run, and record the run's verdict on it
description:
  - O(state=begun) takes the node's lock for this run, waiting for a live holder and taking over a
    dead one, and with O(invalidate) turns the local fact UNKNOWN.
  - O(state=ended) folds the run's outcomes into the verdict, writes the record and the local fact,
    and releases the lock. While another live run holds the lock nothing is written, because that
    run's own verdict follows.
  - Writing these files never counts as a change of the node.
  - An action plugin adds the run's identity and its outcomes; it fails when the report callback is
    not loaded.
options:
  state:
    description: Which end of the run.
    type: str
    choices: [begun, ended]
    required: true
  prefix:
    description: The folder that holds the record and the lock.
    type: path
    required: true
  facts_folder:
    description: The folder of the local fact. Empty means this user's default.
    type: str
    default: ''
  days:
    description: After how many days the verdict expires.
    type: int
    default: 7
  invalidate:
    description: Turn the local fact UNKNOWN, because changes follow.
    type: bool
    default: false
  burn_in:
    description: A burn-in follows. Until it has ended no earlier one's record counts.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for a live holder.
    type: int
    default: 600
  lease_seconds:
    description: After how long the lock counts as dead when its controller cannot be asked.
    type: int
    default: 3600
  take:
    description: Take the lock over from whoever holds it.
    type: bool
    default: false
  run:
    description: Set by the action plugin. The run's identity.
    type: dict
    default: {}
  dead:
    description: Set by the action plugin. Runs whose controller certainly is gone.
    type: list
    elements: str
    default: []
  only_known:
    description: Set by the action plugin. Write nothing on a node without an earlier verdict.
    type: bool
    default: false
  record:
    description: Set by the action plugin. The record to write, without its times.
    type: dict
    default: {}
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Take the node's lock
  node_run:
    state: begun
    prefix: /opt/torchnode
    invalidate: true
"""

RETURN = r"""
taken:
  description: Whether this run holds the lock.
  returned: when O(state=begun)
  type: bool
holder:
  description: The other run that holds the lock, or that it was taken over from.
  returned: when O(state=begun), or when another run holds the lock
  type: dict
torchnode:
  description: The report stage's verdict, scope and record.
  returned: when O(state=ended)
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import node_files, records
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Verdict
from ansible.module_utils.torchnode.system import read_user


def begin(module: AnsibleModule, node: Node) -> None:
    """Lock and invalidate."""
    given = module.params
    facts = node_files.facts_folder(read_user(node), given["facts_folder"])
    if module.check_mode:
        module.exit_json(changed=False, taken=True, holder=None)
    node_files.prepare(node, given["prefix"], facts)
    mine = node_files.lease(given["run"], given["lease_seconds"])
    taken, holder = node_files.take_lock(node, given["prefix"], mine, given["dead"], time.time())
    if taken and given["invalidate"]:
        run = given["run"]["id"]
        reason = "run %s is at work on this node" % run
        fact = records.fact(Verdict.UNKNOWN, "none", run, time.time(), given["days"], reason)
        node_files.write_fact(facts, dict(fact, prefix=given["prefix"]))
    if taken and given["burn_in"]:
        begun = records.burn_in_begun(given["run"]["id"], time.time())
        node_files.open_burn_in(node, given["prefix"], begun)
    module.exit_json(changed=False, taken=taken, holder=holder)


def end(module: AnsibleModule, node: Node) -> None:
    """Record and release."""
    given = module.params
    facts = node_files.facts_folder(read_user(node), given["facts_folder"])
    record = dict(given["record"], at=records.timestamp(time.time()))
    holder = (
        None
        if module.check_mode
        else node_files.other_holder(
            node, given["prefix"], given["run"]["holder"], given["dead"], time.time()
        )
    )
    if holder is not None:
        module.exit_json(changed=False, holder=holder)
    known = node.exists(node_files.fact_path(facts))
    if not module.check_mode and (known or not given["only_known"]):
        node_files.prepare(node, given["prefix"], facts)
        node_files.write_record(given["prefix"], record)
        fact = records.fact(
            Verdict(record["verdict"]), record["scope"], record["run"], time.time(),
            given["days"], record["reason"],
        )  # fmt: skip
        node_files.write_fact(facts, dict(fact, prefix=given["prefix"]))
        node_files.release_lock(node, given["prefix"], given["run"]["holder"])
    module.exit_json(changed=False, torchnode={"stage": "report", "record": record})


def main() -> None:
    """Parse and do one end of the run."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["begun", "ended"]},
            "prefix": {"type": "path", "required": True},
            "facts_folder": {"type": "str", "default": ""},
            "days": {"type": "int", "default": 7},
            "invalidate": {"type": "bool", "default": False},
            "burn_in": {"type": "bool", "default": False},
            "wait_seconds": {"type": "int", "default": 600},
            "lease_seconds": {"type": "int", "default": 3600},
            "take": {"type": "bool", "default": False},
            "run": {"type": "dict", "default": {}},
            "dead": {"type": "list", "elements": "str", "default": []},
            "only_known": {"type": "bool", "default": False},
            "record": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        (begin if module.params["state"] == "begun" else end)(module, Node())
    except node_files.OtherPrefix as error:
        module.fail_json(msg=str(error))
    except ValueError as error:
        module.fail_json(msg="%s. Move it away, and run again." % error)
    except OSError as error:
        module.fail_json(
            msg="found %s; expected that torchnode_prefix and torchnode_facts_folder name folders "
            "that this user may write. Choose others, or become a user who may write there." % error
        )


if __name__ == "__main__":
    main()
