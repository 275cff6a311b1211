#!/usr/bin/python
"""What earlier runs have proven about a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_record
short_description: Tell what the last run proved, and whether it still holds
description:
  - Reads the record and the local fact that the last run left, and whether a run is at work now.
  - A record counts while it has not expired, no later run was cut short, and driver, stack and
    accelerators are those that it speaks of. Nothing is proven anew, nothing is changed.
options:
  facts:
    description: The facts that M(accelerator_facts) returned.
    type: dict
    required: true
  facts_folder:
    description: The folder of the local fact. Empty means this user's default.
    type: str
    default: ''
  python:
    description: The adopted interpreter; empty for torchnode's own stack.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Tell what the last run proved
  node_record:
    facts: "{{ _survey.torchnode.facts }}"
"""

RETURN = r"""
torchnode:
  description: The report stage's outcome, C(report.last_proven), and the stack that it speaks of.
  returned: always
  type: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import node_files, records
from ansible.module_utils.torchnode.model import Facts, from_data
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result


def main() -> None:
    """Parse, tell, exit."""
    module = AnsibleModule(
        argument_spec={
            "facts": {"type": "dict", "required": True},
            "facts_folder": {"type": "str", "default": ""},
            "python": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    node, now = Node(), time.time()
    facts = from_data(Facts, module.params["facts"])
    folder = node_files.facts_folder(facts.user, module.params["facts_folder"])
    holder = node_files.other_holder(node, facts.prefix, "", [], now)
    outcome = records.last_proven(
        facts.record,
        node_files.read_fact(node, folder),
        str(holder["run"]).partition(" ")[0] if holder else "",
        records.standing(facts, module.params["python"]),
        now,
    )
    told: dict[str, Any] = {"stage": "report", "outcomes": [outcome.as_dict()]}
    if outcome.result is not Result.INCOMPLETE:
        told["stack"] = (facts.record or {}).get("stack")
    result: dict[str, Any] = {"torchnode": told}
    if outcome.result in (Result.FAIL, Result.INCOMPLETE):
        said = (outcome.observed, outcome.expected, outcome.cause, outcome.remedy)
        module.fail_json(msg="found %s; expected %s. %s %s" % said, **result)
    module.exit_json(changed=False, msg=outcome.observed, **result)


if __name__ == "__main__":
    main()
