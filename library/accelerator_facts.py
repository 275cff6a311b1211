#!/usr/bin/python
"""Survey of one node, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: accelerator_facts
short_description: Survey a node's accelerators and the software that drives them
description:
  - Reads what accelerators a machine has and what is installed for them, in one call. Known are
    those of NVIDIA, AMD, Intel, Huawei (Ascend), Cambricon, Google (TPU) and Apple.
  - They are found on the PCI bus. Integrated graphics, a server's VGA, NVSwitches and virtual
    functions beside their device are not counted. A part that no table knows is found too, and
    its architecture is null.
  - Under WSL2 and in containers without PCI rights the driver itself is asked.
  - Needs no driver, no root and no Python package; Python 3.9 or later on the node.
  - Where NVIDIA's driver answers and C(nvidia-ml-py) is importable from the current stack, the
    adopted interpreter or the node's Python, NVML adds memory, UUID, exact names and MIG devices.
    AMD's library and C(npu-smi) do the same for theirs.
  - Reads real state every time and changes nothing.
options:
  prefix:
    description:
      - The folder that holds torchnode's stacks and records on this node.
      - Empty means C(/opt/torchnode) for root and C(~/.local/share/torchnode) (or below
        E(XDG_DATA_HOME)) for any other user.
    type: path
    default: ''
  python:
    description: An existing environment's interpreter to adopt; asked for C(nvidia-ml-py) first.
    type: str
    default: ''
  check_hashes:
    description: Compare every file of the current stack with its recorded SHA-256 too.
    type: bool
    default: false
  facts_folder:
    description: The folder for the node's local fact; empty means this user's default. It is only
      asked whether it can be written.
    type: str
    default: ''
  find_links:
    description: Folders on the node that hold wheels. It is only asked whether they can be read.
    type: list
    elements: str
    default: []
  ca_bundle:
    description: The CA bundle on the node. It is only asked whether it can be read.
    type: str
    default: ''
  signing_key:
    description: The private key on the node that is to sign kernel modules. It is only asked
      whether it can be read.
    type: str
    default: ''
    no_log: false
  signing_certificate:
    description: Its certificate. C(mokutil), where there is one, is asked whether it is enrolled.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Survey the node
  accelerator_facts:
  register: survey

- name: Show the accelerators
  ansible.builtin.debug:
    msg: "{{ survey.torchnode.facts.accelerators | map(attribute='model') }}"
"""

RETURN = r"""
torchnode:
  description: The survey stage's result.
  returned: success
  type: dict
  contains:
    stage:
      description: Always C(survey).
      type: str
    facts:
      description: System, user, accelerators, drivers, Pythons, toolkits, cuDNN, holds, the
        current stack with its damage, device users, the last record, and what stands in the way of
        the paths that a run needs.
      type: dict
    outcomes:
      description: One outcome, C(survey.facts).
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode.model import as_data
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.survey import survey


def main() -> None:
    """Parse, survey, exit."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "default": ""},
            "python": {"type": "str", "default": ""},
            "check_hashes": {"type": "bool", "default": False},
            "facts_folder": {"type": "str", "default": ""},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "ca_bundle": {"type": "str", "default": ""},
            "signing_key": {"type": "str", "default": "", "no_log": False},
            "signing_certificate": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    facts = survey(
        Node(),
        given["prefix"],
        given["python"],
        given["check_hashes"],
        facts_folder=given["facts_folder"],
        find_links=given["find_links"],
        ca_bundle=given["ca_bundle"],
        signing=(given["signing_key"], given["signing_certificate"]),
    )
    seen = ", ".join(a.model for a in facts.accelerators) or "no accelerator"
    outcome = Outcome("survey.facts", "survey", Result.PASS, observed=seen, required=False)
    module.exit_json(
        changed=False,
        msg=seen,
        torchnode={"stage": "survey", "facts": as_data(facts), "outcomes": [outcome.as_dict()]},
    )


if __name__ == "__main__":
    main()
