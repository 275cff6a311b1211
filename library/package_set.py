#!/usr/bin/python
"""The packages of one component, in one transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_set
short_description: Install or remove the packages of one component in one transaction
description:
  - Brings the packages of a component at one version by apt or dnf, and holds them there.
  - What is installed and fits is never moved. A branch takes the newest version that the configured
    sources hold of it.
  - The transaction is tried first. One that removes packages of others, moves a kernel or takes
    packages of the system from another origin is refused, and the message names them.
  - Where it fails, the packages go back to what they were; where that is not possible either, the
    next run repairs them first. A transaction that was cut off is repaired before anything else.
  - Another program's lock is waited for.
options:
  component:
    description: The component's name, for messages and notes.
    type: str
    required: true
  packages:
    description: The packages that must be there.
    type: list
    elements: str
    required: true
  version:
    description: Empty for any, a branch such as C(580), or an exact upstream version.
    type: str
    default: ''
  family:
    description: Patterns (fnmatch) of packages that must all have this one version where installed.
    type: list
    elements: str
    default: []
  absent:
    description: Patterns of packages that cannot stay beside them, removed in the same transaction.
      C({other}) stands for any branch that is not the family's.
    type: list
    elements: str
    default: []
  stream:
    description: The stream of the dnf module C(nvidia-driver) to enable first.
    type: str
    default: ''
  version_of:
    description:
      - Patterns of another component's packages. Where those are installed, their one version is
        taken, and no other of the branch. They have to be there, but in check mode.
    type: list
    elements: str
    default: []
  closure:
    description: Patterns of packages that come along at versions of their own. They are held.
    type: list
    elements: str
    default: []
  files:
    description: Pairs of path and content, such as pins of apt, written before the transaction and
      put back where it fails.
    type: list
    elements: list
    default: []
  hold:
    description: Hold every installed package of the family (apt-mark hold, dnf versionlock).
    type: bool
    default: true
  state:
    description:
      - V(absent) removes the packages, the family, the files, and what had come only for them; held
        ones are released first.
    type: str
    choices: [present, absent]
    default: present
  prefix:
    description: The folder in which torchnode notes what it brought.
    type: path
  proxy:
    description: The proxy for HTTP and HTTPS. Credentials belong into the node's environment.
    type: str
    default: ''
  wait_seconds:
    description: How long to wait for another program's lock.
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
- name: Install a driver of one branch
  package_set:
    component: nvidia_driver
    packages: [nvidia-driver-cuda, nvidia-kernel-open-dkms]
    family: [nvidia-driver*, nvidia-kernel-*, libcuda1]
    version: '580'
"""

RETURN = r"""
diff:
  description: Packages and files before and after, one a line.
  returned: success
  type: dict
torchnode:
  description: The apply stage's outcome, C(apply.<component>_packages).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.system_packages import package_set


def main() -> None:
    """Parse, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "version": {"type": "str", "default": ""},
            "family": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
            "stream": {"type": "str", "default": ""},
            "version_of": {"type": "list", "elements": "str", "default": []},
            "closure": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "list", "default": []},
            "hold": {"type": "bool", "default": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "prefix": {"type": "path"},
            "proxy": {"type": "str", "default": ""},
            "wait_seconds": {"type": "int", "default": 600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    applied = package_set.apply(Node(), module.params, module.check_mode)
    result = package_set.result(applied)
    outcome = applied.outcome
    if applied.done is None:
        said = (outcome.observed, outcome.cause, outcome.remedy)
        module.fail_json(msg="%s. %s %s" % said, **result)
    module.exit_json(msg=outcome.observed, **result)


if __name__ == "__main__":
    main()
