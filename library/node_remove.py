#!/usr/bin/python
"""Removal of what torchnode put on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_remove
short_description: Take out what torchnode put on a node, by its own manifest
description:
  - Removes the packages of the system that torchnode brought, by its notes under the prefix, lifts
    the holds that it set, and puts the components of the system's sources back. What was installed
    before stays.
  - Removes the files, links and folders that C(<prefix>/manifest.json) lists, and nothing else.
  - Folders go only when they are empty afterwards; those that hold something else are named.
  - A node without a manifest is left as it is.
  - An action plugin refuses to remove anything while a C(torchnode_*) variable is misspelt.
options:
  prefix:
    description: The folder that holds the stacks; empty means this user's default.
    type: path
    default: ''
  components:
    description: Take out these alone, with what is nothing without them, and leave all else.
      Empty for everything that torchnode put on the node.
    type: list
    elements: str
    choices: [nvidia_driver, nvidia_fabric, cuda_toolkit, cudnn, nvidia_container_toolkit, dcgm]
    default: []
  facts_folder:
    description: Where the local fact lies that is told when components go; '' for the default.
    type: str
    default: ''
  take:
    description: Remove although another run holds the node's lock.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for another program that holds the package manager's lock.
    type: int
    default: 600
  progress:
    description: A file to rewrite about once a second with what is being done; one beside the
      manifest where nothing is said. Its folder must exist.
    type: path
attributes:
  action:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Remove torchnode's stacks and records
  node_remove:
"""

RETURN = r"""
removed:
  description: What was taken out.
  returned: success
  type: list
  elements: str
packages:
  description: What was done with packages and sources, a line for each component.
  returned: success
  type: list
  elements: str
kept:
  description: Folders that hold something that is not torchnode's.
  returned: success
  type: list
  elements: str
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import node_files, node_removal
from ansible.module_utils.torchnode.component_paths import COMPONENTS
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.survey import default_prefix
from ansible.module_utils.torchnode.system import read_user
from ansible.module_utils.torchnode.system_packages.failures import PackageError


def refuse_a_node_at_work(module: AnsibleModule, node: Node, prefix: str) -> None:
    """Fail where another run holds the node's lock."""
    holder = node_files.other_holder(node, prefix, "", [], time.time())
    if holder is not None and not module.params["take"]:
        module.fail_json(
            msg="the node's lock: found run %s; expected that no run is at work on this node. Wait "
            "for it, or if it certainly is dead run again with -e torchnode_take_lock=true."
            % holder.get("run")
        )


def main() -> None:
    """Parse, remove, exit."""
    components = {"type": "list", "elements": "str", "default": [], "choices": list(COMPONENTS)}
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "default": ""},
            "components": components,
            "facts_folder": {"type": "str", "default": ""},
            "take": {"type": "bool", "default": False},
            "wait_seconds": {"type": "int", "default": 600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given, node = module.params, Node()
    prefix = given["prefix"] and os.path.normpath(given["prefix"])
    order = node_removal.Order(
        prefix or default_prefix(read_user(node)), given["components"], given["facts_folder"],
        given["wait_seconds"], given["progress"], module.check_mode,
    )  # fmt: skip
    refuse_a_node_at_work(module, node, order.prefix)
    try:
        packages = node_removal.packages(node, order)
        removed, kept = node_removal.files(node, order, bool(packages))
    except PackageError as error:
        problem = error.problem
        module.fail_json(msg="%s. %s %s" % (problem.observed, problem.cause, problem.remedy))
    except ValueError as error:
        module.fail_json(msg="%s. Nothing more was removed." % error)
    except OSError as error:
        module.fail_json(msg="%s; expected to be allowed to remove it. Become its owner." % error)
    module.exit_json(
        changed=bool(removed or packages),
        removed=removed,
        packages=packages,
        kept=kept,
        msg=node_removal.told(node, order, removed, kept, packages),
        diff={"before": "".join(p + "\n" for p in [*packages, *removed]), "after": ""},
    )


if __name__ == "__main__":
    main()
