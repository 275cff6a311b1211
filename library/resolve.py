"""Documentation of the resolve action, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: resolve
short_description: Decide one node's stack and the steps that it is missing
description:
  - Holds the surveyed facts against the policy, the compatibility tables and the shipped locks, and
    returns the stack with a reason for each choice, and the ordered steps.
  - Runs on the controller; the node is not touched.
  - Fails for a wish that cannot be met, naming the conflict and the nearest stack that works, for
    accelerators that are not the expected ones, and for a preflight condition that does not hold.
  - A stack that has no hash lock is returned, with a failed outcome that names the command for one.
options:
  facts:
    description: The C(torchnode.facts) of M(accelerator_facts).
    type: dict
    required: true
  policy:
    description: The wishes, by the names of the C(torchnode_) variables without that prefix.
    type: dict
    required: true
  allow_busy:
    description: Plan disruptive steps although processes hold the accelerators.
    type: bool
    default: false
  settings:
    description: Numbers, folders and requirements by variable name; what cannot work is refused.
    type: dict
    default: {}
  urls:
    description: The package sources by variable name; one with credentials in it is refused.
    type: dict
    default: {}
  locks_folder:
    description: A folder on the controller with locks of your own, beside those of the project.
    type: path
    default: ''
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Resolve the stack
  resolve:
    facts: "{{ survey.torchnode.facts }}"
    policy:
      profile: transformers-v5
      workload: training
  register: resolved
"""

RETURN = r"""
torchnode:
  description:
    - The resolve stage's C(stack), C(plan), C(groups), C(interpreter), C(lock_file) (on the
      controller) and C(outcomes).
  returned: always
  type: dict
"""
