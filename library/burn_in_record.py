"""Documentation of the burn_in_record action, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: burn_in_record
short_description: Say whether the node's last burn-in stands for this run's
description:
  - Holds the burn-in part of the node's record against what is asked for. It counts while it has
    not expired, passed, is of the same driver, stack, torch and devices, and of the same level or a
    higher one, with all the stages, at least the time and at least the share of the memory.
  - One that failed, was interrupted, or could not measure never counts.
  - Runs on the controller; the node is not touched.
options:
  facts:
    description: The C(torchnode.facts) of M(accelerator_facts), with the record.
    type: dict
    required: true
  stack:
    description: The C(torchnode.stack) of M(resolve).
    type: dict
    required: true
  verified:
    description: What M(torch_requirements) returned in this run, for the version of torch.
    type: dict
    default: {}
  level:
    description: The level that is asked for.
    type: str
    required: true
  seconds:
    description: The time that is asked for; V(0) is the level's own.
    type: int
    required: true
  stages:
    description: The stages that are asked for; empty means the level's own.
    type: list
    elements: str
    required: true
  memory_fraction:
    description: The share of the free memory that is asked for.
    type: float
    required: true
  force:
    description: No record counts.
    type: bool
    required: true
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Look whether the last burn-in still counts
  burn_in_record:
    facts: "{{ _survey.torchnode.facts }}"
    stack: "{{ _resolved.torchnode.stack }}"
    level: quick
    seconds: 0
    stages: []
    memory_fraction: 0.96
    force: false
  register: _reused
"""

RETURN = r"""
fresh:
  description: Whether the record stands for this run's burn-in.
  returned: always
  type: bool
torchnode:
  description: The outcome C(burn_in.record), which says why not where it does not, and C(wanted),
    the level, seconds of work, stages and share of the memory that are asked for.
  returned: always
  type: dict
"""
