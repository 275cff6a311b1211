"""Documentation of the reboot_gate action, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reboot_gate
short_description: Judge a node whose packages were changed, and decide about a reboot
description:
  - Holds freshly surveyed facts against the resolved stack. Where the running kernel cannot take
    the driver that is installed, it says so, and returns whether the node should boot now.
  - Where a reboot is needed and not allowed, or the node is in use, it fails with that outcome.
  - Where none is needed, the driver is judged as it stands, and a difference fails.
  - Runs on the controller; the node is not touched.
options:
  facts:
    description: The C(torchnode.facts) of M(accelerator_facts), read after the change.
    type: dict
    required: true
  stack:
    description: The C(torchnode.stack) of M(resolve).
    type: dict
    required: true
  reboot:
    description: Whether the node may be rebooted.
    type: str
    choices: [never, when_needed]
    default: never
  rebooted:
    description: The node has just booted, so that no other reboot is asked for.
    type: bool
    default: false
  fabric:
    description: Whether Fabric Manager has had its turn, and is judged with the driver.
    type: bool
    default: true
  allow_busy:
    description: Reboot although processes hold the accelerators.
    type: bool
    default: false
attributes:
  action:
    support: full
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Decide about a reboot
  reboot_gate:
    facts: "{{ survey.torchnode.facts }}"
    stack: "{{ resolved.torchnode.stack }}"
    reboot: when_needed
  register: gate
"""

RETURN = r"""
reboot:
  description: Whether to reboot the node now.
  returned: always
  type: bool
why:
  description: Why a reboot is needed, empty where none is.
  returned: always
  type: str
torchnode:
  description: The apply stage's outcomes about the driver and the reboot.
  returned: always
  type: dict
"""
