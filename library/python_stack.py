#!/usr/bin/python
"""One node's torch environment, exactly as locked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: python_stack
short_description: Build, mend or activate a hash-locked torch environment
description:
  - Makes C(<prefix>/current) point to an environment with exactly the packages of a hash lock.
  - An environment is built beside the current one under its own digest, checked (the exact local
    version tag of torch, every package), and made current in one rename; the old one stays usable.
  - A complete, undamaged environment with the same digest is activated without building.
  - With C(--diff) the packages before and after are shown; C(--check) changes nothing.
options:
  prefix:
    description: The folder that holds the stacks.
    type: path
    required: true
  stack:
    description: The stack as the C(resolve) action returned it.
    type: dict
    required: true
  lock:
    description: The lock's text, a requirements file with hashes.
    type: str
    required: true
  uv:
    description:
      - A uv binary on this node.
      - Without it the action brings the pinned one to C(<prefix>/uv), from the controller's cache,
        a find-links folder or the index; O(system) and O(machine) say which.
    type: path
  system:
    description: The node's operating system as Python's C(platform.system()) names it.
    type: str
    default: Linux
  machine:
    description: The node's architecture as C(platform.machine()) names it.
    type: str
    default: x86_64
  uv_sent:
    description: Where the action put uv for the module; not for playbooks.
    type: path
  uv_sha256:
    description: What the sent uv must hash to; not for playbooks.
    type: str
    default: ''
  index_url:
    description: The package index; empty means the node's environment, its pip settings, or PyPI.
    type: str
    default: ''
  extra_index_urls:
    description: Further indexes.
    type: list
    elements: str
    default: []
  find_links:
    description: Folders or pages with wheels.
    type: list
    elements: str
    default: []
  torch_index_url:
    description:
      - The folder of torch's own indexes; the build's tag is appended.
      - Not asked when the build comes from PyPI or lies in a find-links folder.
    type: str
    default: https://download.pytorch.org/whl
  proxy:
    description: The proxy for HTTP and HTTPS. Credentials belong into the node's environment.
    type: str
    default: ''
  ca_bundle:
    description: A CA bundle on the node.
    type: str
    default: ''
  offline:
    description: Use find-links and the cache only.
    type: bool
    default: false
  keep:
    description: How many complete stacks to keep, the current one included.
    type: int
    default: 2
  check_hashes:
    description: Compare every file of the current stack with its recorded SHA-256 before it counts
      as undamaged.
    type: bool
    default: false
  progress:
    description: A file to rewrite about once a second with how far the build is, in words (C(text))
      and as a number (C(rank)). It is removed at the end. Its folder must exist.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Build the resolved stack
  python_stack:
    prefix: /opt/torchnode
    stack: "{{ resolved.torchnode.stack }}"
    lock: "{{ lookup('ansible.builtin.file', resolved.torchnode.lock_file) }}"
    system: Linux
    machine: x86_64
"""

RETURN = r"""
path:
  description: The current stack's folder.
  returned: success, outside check mode
  type: str
torchnode:
  description: The apply stage's outcome, C(apply.python_stack).
  returned: always
  type: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import package_index, stack_apply
from ansible.module_utils.torchnode.model import Stack, from_data
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.stack_builder import Order


def main() -> None:
    """Parse, build, exit."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "stack": {"type": "dict", "required": True},
            "lock": {"type": "str", "required": True},
            "uv": {"type": "path"},
            "system": {"type": "str", "default": "Linux"},
            "machine": {"type": "str", "default": "x86_64"},
            "uv_sent": {"type": "path"},
            "uv_sha256": {"type": "str", "default": ""},
            "index_url": {"type": "str", "default": ""},
            "extra_index_urls": {"type": "list", "elements": "str", "default": []},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "torch_index_url": {"type": "str", "default": "https://download.pytorch.org/whl"},
            "proxy": {"type": "str", "default": ""},
            "ca_bundle": {"type": "str", "default": ""},
            "offline": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 2},
            "check_hashes": {"type": "bool", "default": False},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    stack = from_data(Stack, given["stack"])
    order = Order(
        given["prefix"],
        stack,
        given["lock"],
        given["uv"],
        given["keep"],
        given["check_hashes"],
        given["progress"] or "",
        given["uv_sent"] or "",
        given["uv_sha256"],
    )
    stated = package_index.Sources(
        index_url=given["index_url"],
        extra_index_urls=tuple(given["extra_index_urls"]),
        find_links=tuple(given["find_links"]),
        proxy=given["proxy"],
        ca_bundle=given["ca_bundle"],
        offline=given["offline"],
    )
    environment = stack_apply.environment(stated, given["torch_index_url"], stack, os.environ)
    done = stack_apply.apply(Node(), order, environment, module.check_mode)
    result: dict[str, Any] = {
        "changed": done.changed,
        "path": done.path,
        "diff": {"before": done.before, "after": done.after},
        "torchnode": {"stage": "apply", "outcomes": [done.outcome.as_dict()]},
    }
    if done.outcome.result is Result.FAIL:
        said = (done.outcome.observed, done.outcome.cause, done.outcome.remedy)
        module.fail_json(msg="%s %s %s" % said, **result)
    module.exit_json(msg=done.outcome.observed, **result)


if __name__ == "__main__":
    main()
