#!/usr/bin/python
"""The toolkit that /usr/local/cuda is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_default
short_description: Make one CUDA toolkit the default, /usr/local/cuda
description:
  - Chooses it by the alternatives of the toolkit's packages. Where there are none, makes a link and
    notes it, so that it goes when torchnode is removed. A link or folder of somebody else stays.
options:
  version:
    description: The toolkit's version, such as C('12.8').
    type: str
    required: true
  prefix:
    description: The folder in which torchnode notes what it made.
    type: path
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: CUDA 12.8 is the default
  cuda_default:
    version: '12.8'
    prefix: /opt/torchnode
"""

RETURN = r"""
diff:
  description: The folder before and after.
  returned: success
  type: dict
torchnode:
  description: The apply stage's outcome, C(apply.cuda_default).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import cuda_default
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Outcome, Result


def main() -> None:
    """Parse, settle, exit."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "prefix": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    node, pretend = Node(), module.check_mode
    version, prefix = module.params["version"], module.params["prefix"]
    expected, before = "CUDA %s is the default" % version, cuda_default.current(node)
    try:
        changed = cuda_default.settle(node, node.run, version, prefix, pretend)
    except cuda_default.Problem as bad:
        said = (bad.observed, expected, bad.cause, bad.remedy)
        outcome = Outcome("apply.cuda_default", "apply", Result.FAIL, *said)
        module.fail_json(
            msg="%s. %s %s" % (bad.observed, bad.cause, bad.remedy),
            torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
        )
    after = "%s-%s" % (cuda_default.LINK, version) if changed else before
    result = Result.SKIPPED if changed and pretend else Result.PASS
    outcome = Outcome("apply.cuda_default", "apply", result, after, expected, required=False)
    module.exit_json(
        changed=changed,
        msg=after,
        diff={"before": before + "\n", "after": after + "\n"},
        torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
    )


if __name__ == "__main__":
    main()
