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
from typing import List, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import manifest, node_files
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.progress_file import ProgressFile
from ansible.module_utils.torchnode.survey import default_prefix
from ansible.module_utils.torchnode.system import read_user
from ansible.module_utils.torchnode.system_packages import removal
from ansible.module_utils.torchnode.system_packages.failures import PackageError
from ansible.module_utils.torchnode.system_packages.package_set import manager_of
from ansible.module_utils.torchnode.system_packages.runner import Runner, environment
from ansible.module_utils.torchnode.system_packages.turn import turn


def take_out_packages(
    node: Node, prefix: str, check: bool, wait_seconds: float, progress: Optional[str]
) -> List[str]:
    """What was done with packages and sources. Raises PackageError."""
    if not removal.noted(node, prefix):
        return []
    file = ProgressFile(None if check else progress)
    run = Runner(environment(os.environ, ""), file)
    try:
        with turn(node, wait_seconds, run.tell, check):
            return removal.take_out(node, prefix, manager_of(node, run), run, check, wait_seconds)
    finally:
        file.remove()


def told(prefix: str, removed: List[str], kept: List[str], packages: List[str], check: bool) -> str:
    """What was taken out and what stays, in one line."""
    if not (removed or kept or packages):
        return "nothing of torchnode is there: no manifest in %s, and no packages" % prefix
    return "%s %d path%s; kept: %s; packages: %s" % (
        "would remove" if check else "removed", len(removed), "" if len(removed) == 1 else "s",
        ", ".join(kept) or "nothing", "; ".join(packages) or "none",
    )  # fmt: skip


def main() -> None:
    """Parse, remove, exit."""
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "default": ""},
            "take": {"type": "bool", "default": False},
            "wait_seconds": {"type": "int", "default": 600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    node = Node()
    given = module.params["prefix"]
    prefix = os.path.normpath(given) if given else default_prefix(read_user(node))
    holder = node_files.other_holder(node, prefix, "", [], time.time())
    if holder is not None and not module.params["take"]:
        module.fail_json(
            msg="the node's lock: found run %s; expected that no run is at work on this node. Wait "
            "for it, or if it certainly is dead run again with -e torchnode_take_lock=true."
            % holder.get("run")
        )
    try:
        packages = take_out_packages(
            node, prefix, module.check_mode,
            module.params["wait_seconds"], module.params["progress"],
        )  # fmt: skip
    except PackageError as error:
        problem = error.problem
        module.fail_json(msg="%s. %s %s" % (problem.observed, problem.cause, problem.remedy))
    try:
        removed, kept = manifest.remove(node, prefix, pretend=module.check_mode)
    except ValueError as error:
        module.fail_json(msg="%s. Nothing was removed." % error)
    except OSError as error:
        module.fail_json(msg="%s; expected to be allowed to remove it. Become its owner." % error)
    module.exit_json(
        changed=bool(removed or packages),
        removed=removed,
        packages=packages,
        kept=kept,
        msg=told(prefix, removed, kept, packages, module.check_mode),
        diff={"before": "".join(p + "\n" for p in [*packages, *removed]), "after": ""},
    )


if __name__ == "__main__":
    main()
