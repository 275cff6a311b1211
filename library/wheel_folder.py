#!/usr/bin/python
"""CUDA toolkits and cuDNN from wheels, for compilers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wheel_folder
short_description: Unpack the resolved wheels of CUDA toolkits or cuDNN where a compiler finds them
description:
  - Fetches each wheel from the sources that the stack's packages come from, compares it with its
    SHA-256, and unpacks it below C(<prefix>/cudnn) or C(<prefix>/cuda), with the names that a
    linker looks for.
  - Of cuDNN C(cu<major>) and C(current) are links to the folders, of toolkits C(current). No loader
    and no torch is told of them.
  - A folder that is whole is left as it is; one that was cut off or altered is made anew beside
    the old one and renamed.
options:
  component:
    description: What to unpack.
    type: str
    choices: [cudnn, cuda_toolkit]
    required: true
  prefix:
    description: The folder that holds the stacks.
    type: path
    required: true
  stack:
    description: The stack as the C(resolve) action returned it.
    type: dict
    required: true
  uv:
    description: A uv binary on this node; without it the action brings the pinned one.
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
  progress:
    description: A file to rewrite about once a second with what is being done.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Unpack the resolved cuDNN
  wheel_folder:
    component: cudnn
    prefix: /opt/torchnode
    stack: "{{ resolved.torchnode.stack }}"
"""

RETURN = r"""
diff:
  description: The links before and after, one a line.
  returned: always
  type: dict
torchnode:
  description: The apply stage's outcome, C(apply.<component>_wheel).
  returned: always
  type: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import (
    cudnn_wheel,
    package_index,
    stack_apply,
    toolkit_wheel,
    wheel_folder,
)
from ansible.module_utils.torchnode.model import Stack, from_data
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.stack_builder import Order

COMPONENTS: dict[str, Any] = {"cudnn": cudnn_wheel, "cuda_toolkit": toolkit_wheel}


def main() -> None:
    """Parse, unpack, exit."""
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "choices": sorted(COMPONENTS), "required": True},
            "prefix": {"type": "path", "required": True},
            "stack": {"type": "dict", "required": True},
            "uv": {"type": "path"},
            "system": {"type": "str", "default": "Linux"},
            "machine": {"type": "str", "default": "x86_64"},
            "uv_sent": {"type": "path"},
            "uv_sha256": {"type": "str", "default": ""},
            "index_url": {"type": "str", "default": ""},
            "extra_index_urls": {"type": "list", "elements": "str", "default": []},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "proxy": {"type": "str", "default": ""},
            "ca_bundle": {"type": "str", "default": ""},
            "offline": {"type": "bool", "default": False},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given, stack = module.params, from_data(Stack, module.params["stack"])
    order = Order(
        given["prefix"], stack, "", given["uv"] or "", progress=given["progress"] or "",
        uv_sent=given["uv_sent"] or "", uv_sha256=given["uv_sha256"],
    )  # fmt: skip
    stated = package_index.Sources(
        index_url=given["index_url"],
        extra_index_urls=tuple(given["extra_index_urls"]),
        find_links=tuple(given["find_links"]),
        proxy=given["proxy"],
        ca_bundle=given["ca_bundle"],
        offline=given["offline"],
    )
    environment = stack_apply.environment(stated, "", stack, os.environ)
    what = COMPONENTS[given["component"]]
    done = wheel_folder.apply(
        Node(), order, what.KIND, what.folders(stack), what.links(stack), environment,
        module.check_mode,
    )  # fmt: skip
    said: dict[str, Any] = {
        "changed": done.changed,
        "diff": {"before": done.before, "after": done.after},
        "torchnode": {"stage": "apply", "outcomes": [done.outcome.as_dict()]},
    }
    if done.outcome.result is Result.FAIL:
        told = (done.outcome.observed, done.outcome.cause, done.outcome.remedy)
        module.fail_json(msg="%s %s %s" % told, **said)
    module.exit_json(msg=done.outcome.observed, **said)


if __name__ == "__main__":
    main()
