#!/usr/bin/python
"""Whether CUDA toolkits and cuDNN serve a compiler."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cuda_check
short_description: Compile, link and run a program with CUDA toolkits or against cuDNN
description:
  - Compiles a small program by nvcc, runs it, and compares what the header says with what the
    library answers and with what is wished. No GPU and no driver is needed.
  - Changes nothing; the program is built in a temporary folder that goes away with it.
options:
  toolkits:
    description: CUDA toolkits to compile with, such as C(['12.8', '13.0']).
    type: list
    elements: str
    default: []
  cudnn:
    description: As much of cuDNN's version as is wished, such as V(9) or V(9.10.2); empty for none.
    type: str
    default: ''
  stack:
    description: The stack as the C(resolve) action returned it; needed with O(cudnn),
      and where toolkits came from wheels.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    details: Nothing is compiled, because nothing is installed either.
  diff_mode:
    support: full
    details: There is never a difference.
author: torchnode developers
"""

EXAMPLES = r"""
- name: Compile with two toolkits
  cuda_check:
    toolkits: ['12.8', '13.0']
"""

RETURN = r"""
torchnode:
  description: The apply stage's outcomes, C(apply.cuda_toolkit) and C(apply.cudnn).
  returned: always
  type: dict
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import cuda_check
from ansible.module_utils.torchnode.node import Node, run_command


def main() -> None:
    """Parse, compile, exit."""
    module = AnsibleModule(
        argument_spec={
            "toolkits": {"type": "list", "elements": "str", "default": []},
            "cudnn": {"type": "str", "default": ""},
            "stack": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    node = Node(run=partial(run_command, seconds=cuda_check.COMPILE_SECONDS))
    outcomes = cuda_check.skipped() if module.check_mode else cuda_check.check(node, module.params)
    failed, message = cuda_check.words(outcomes)
    said = {"stage": "apply", "outcomes": [outcome.as_dict() for outcome in outcomes]}
    if failed:
        module.fail_json(msg=message, torchnode=said)
    module.exit_json(changed=False, msg=message, diff={"before": "", "after": ""}, torchnode=said)


if __name__ == "__main__":
    main()
