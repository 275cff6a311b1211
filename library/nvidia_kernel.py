#!/usr/bin/python
"""The kernel's side of NVIDIA's driver."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_kernel
short_description: Build the driver's modules for every kernel and keep others from the GPUs
description:
  - Builds the installed driver's modules by DKMS for every installed kernel that lacks them.
  - Rebuilds each initramfs that is older than the settings that keep nouveau and nova_core from
    loading, and looks into it.
  - Loads the module where nothing is in its way, and settles nvidia-persistenced.
  - Whether a reboot is needed is not said here; a fresh survey shows it.
options:
  version:
    description: The driver's branch or exact version, empty for any.
    type: str
    default: ''
  devices:
    description: Whether the machine has a GPU of NVIDIA's; without, nothing is loaded or started.
    type: bool
    default: true
  signing_key:
    description: The private key on the node with which DKMS signs its modules.
    type: str
    default: ''
    no_log: false
  signing_certificate:
    description: The certificate of that key.
    type: str
    default: ''
  prefix:
    description: Where torchnode keeps its manifest, so that removal takes out what is written here.
    type: path
    default: ''
  wait_seconds:
    description: How long to wait for the module of an earlier run that is still at work here.
    type: int
    default: 600
  progress:
    description: A file to rewrite about once a second with what is being done. Its folder must
      exist.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Modules for every kernel
  nvidia_kernel:
    version: '580'
"""

RETURN = r"""
diff:
  description: What is missing before, one a line, and nothing after.
  returned: success
  type: dict
torchnode:
  description: The apply stage's outcome, C(apply.nvidia_kernel).
  returned: always
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import kernel_modules
from ansible.module_utils.torchnode.kernel_order import Order, Problem
from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.progress_file import ProgressFile
from ansible.module_utils.torchnode.system_packages.failures import PackageError
from ansible.module_utils.torchnode.system_packages.runner import Runner, environment
from ansible.module_utils.torchnode.system_packages.turn import turn

EXPECTED = "a module for every kernel, and nothing else that claims the GPUs"


def fail(module: AnsibleModule, problem: Problem) -> None:
    """Exit with a failed outcome."""
    outcome = Outcome(
        "apply.nvidia_kernel", "apply", Result.FAIL,
        problem.what, EXPECTED, problem.cause, problem.remedy,
    )  # fmt: skip
    module.fail_json(
        msg="%s. %s %s" % (problem.what, problem.cause, problem.remedy),
        torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
    )


def main() -> None:
    """Parse, settle, exit."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "default": ""},
            "devices": {"type": "bool", "default": True},
            "signing_key": {"type": "str", "default": "", "no_log": False},
            "signing_certificate": {"type": "str", "default": ""},
            "prefix": {"type": "path", "default": ""},
            "wait_seconds": {"type": "int", "default": 600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given, node = module.params, Node()
    order = Order(
        given["version"], given["devices"], given["signing_key"], given["signing_certificate"]
    )
    progress = ProgressFile(given["progress"])
    try:
        run = Runner(environment(os.environ, ""), progress)
        with turn(node, given["wait_seconds"], run.tell, module.check_mode):
            before = kernel_modules.missing(node, order)
            said = before
            if not module.check_mode:
                said = kernel_modules.settle(node, order, run, given["prefix"])
    except Problem as problem:
        fail(module, problem)
    except PackageError as error:
        waited = error.problem
        fail(module, Problem(waited.observed, waited.cause, waited.remedy))
    finally:
        progress.remove()
    changed, words = kernel_modules.words(said)
    result = Result.SKIPPED if module.check_mode and changed else Result.PASS
    outcome = Outcome("apply.nvidia_kernel", "apply", result, words, EXPECTED, required=False)
    module.exit_json(
        changed=changed,
        msg=words,
        diff={"before": "".join(word + "\n" for word in before), "after": ""},
        torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
    )


if __name__ == "__main__":
    main()
