"""Documentation of the burn_in_fleet action, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: burn_in_fleet
short_description: Hold the burned-in devices of all nodes against one another
description:
  - Compares what M(burn_in) returned on all nodes of the play, those that failed included, part by
    part. A device that is slow, or that computes other bits than its likes, is found although it
    passes alone.
  - Rates are compared with the median of at least five devices of the same part with the same
    torch, on two nodes or more. Under it by more than 3 % is a warning, by more than 10 % a
    failure, and neither before it is four times the spread of all (their scaled median absolute
    deviation). For CPUs it is 30 % and 60 %.
  - Products of the same part must have the same bits. The one that differs from two or more fails;
    of two that differ both do.
  - Runs on the controller; no node is touched. What is judged once is said by each node's own task.
options:
  state:
    description:
      - V(judged) judges all nodes of the play, and belongs into a task with C(run_once).
      - V(told) takes one node's outcomes, and fails where one of them is a failure.
    type: str
    choices: [judged, told]
    default: told
  outcomes:
    description: The node's part of what O(state=judged) returned.
    type: list
    elements: dict
    default: []
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Compare all devices of the run
  burn_in_fleet:
    state: judged
  run_once: true
  register: compared

- name: Hold the node against the fleet
  burn_in_fleet:
    outcomes: "{{ compared.nodes[inventory_hostname] | default([]) }}"
"""

RETURN = r"""
nodes:
  description: For each node that burned in its outcomes, C(burn_in.fleet) and
    C(burn_in.fleet_agreement) of each device.
  returned: when O(state=judged)
  type: dict
torchnode:
  description: The burn-in stage's further outcomes of this node.
  returned: when O(state=told)
  type: dict
"""
