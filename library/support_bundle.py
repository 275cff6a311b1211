#!/usr/bin/python
"""What a bug report needs of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Collect what a bug report needs, without secrets
description:
  - With C(collected), surveys a node and reads its records, versions and logs. Nothing on the node
    is changed.
  - With C(packed), the action plugin packs what all nodes of the play told into one archive on the
    controller, with the last reports and a MANIFEST.
  - A node that does not answer is named in the MANIFEST, and the others go on. Packing then fails
    when the archive is written, so that half a bundle is not taken for a whole one.
options:
  state:
    description: Read one node, or pack what was read.
    type: str
    choices: [collected, packed]
    default: collected
  prefix:
    description: The folder that holds the stacks; empty means this user's default.
    type: path
    default: ''
  facts_folder:
    description: The folder of the local fact. Empty means this user's default.
    type: str
    default: ''
  python:
    description: The interpreter that was adopted, for the survey.
    type: str
    default: ''
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Read what the node can tell
  support_bundle:
  register: _support
"""

RETURN = r"""
support:
  description:
    - C(texts) by name, and by name why one is C(missing), and how one was C(cut).
  returned: with C(collected)
  type: dict
path:
  description: The archive on the controller, which only its owner may read.
  returned: with C(packed), also where a node was silent
  type: str
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import node_files, support
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.survey import default_prefix
from ansible.module_utils.torchnode.system import read_user


def main() -> None:
    """Parse, read, exit."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["collected", "packed"], "default": "collected"},
            "prefix": {"type": "path", "default": ""},
            "facts_folder": {"type": "str", "default": ""},
            "python": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    node = Node()
    user = read_user(node)
    prefix = module.params["prefix"] or default_prefix(user)
    facts = node_files.facts_folder(user, module.params["facts_folder"])
    told = support.collect(node, prefix, facts, module.params["python"])
    msg = "%d texts read" % len(told.texts)
    module.exit_json(changed=False, msg=msg, support=dataclasses.asdict(told))


if __name__ == "__main__":
    main()
