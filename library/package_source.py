#!/usr/bin/python
"""One repository of the system's package manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_source
short_description: Configure one signed repository, or leave the node as it was
description:
  - Makes one file that names the repository and the one key that may sign it, for apt (deb822 with
    Signed-By) or dnf (.repo with gpgcheck).
  - Other entries of the same repository, which would stop apt, and NVIDIA's key of before 2022 are
    taken out.
  - Only this source's index is read. Where that fails, all files are as they were before, and the
    outcome says whether the signature, the date, the address or the network was wrong.
  - The kind C(components) widens the system's own entries and adds no host.
options:
  source:
    description: The source, as M(resolve) returned it (C(kind), C(name), C(uri), C(suite),
      C(components), C(fingerprint), C(signs)).
    type: dict
    required: true
  key_file:
    description: The key on this node, armored or not. Its full fingerprint must be the source's.
    type: path
  state:
    description: V(absent) takes the source's files out, and puts back the components as they were.
    type: str
    choices: [present, absent]
    default: present
  prefix:
    description: The folder in which torchnode notes what files held before.
    type: path
  proxy:
    description: The proxy for HTTP and HTTPS. Credentials belong into the node's environment.
    type: str
    default: ''
  ca_bundle:
    description: A CA bundle on the node, for this repository's host only.
    type: str
    default: ''
  wait_seconds:
    description: How long to wait for another program's lock.
    type: int
    default: 600
  progress:
    description: A file to rewrite about once a second with what is being done, or who is waited
      for. Its folder must exist.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Configure a mirror of NVIDIA's repository
  package_source:
    source:
      kind: deb
      name: torchnode-nvidia-cuda
      uri: https://mirror.example.org/cuda/repos/debian12/x86_64/
      suite: /
      fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC
    key_file: /opt/torchnode/keys/torchnode-nvidia-cuda.asc
"""

RETURN = r"""
diff:
  description: The files that differ, before and after.
  returned: success
  type: dict
torchnode:
  description: The apply stage's outcome, C(apply.source.<name>).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode.node import Node
from ansible.module_utils.torchnode.system_packages import package_set, package_source


def main() -> None:
    """Parse, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "dict", "required": True},
            "key_file": {"type": "path", "no_log": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "prefix": {"type": "path"},
            "proxy": {"type": "str", "default": ""},
            "ca_bundle": {"type": "str", "default": ""},
            "wait_seconds": {"type": "int", "default": 600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    applied = package_source.apply(Node(), module.params, module.check_mode)
    result = package_set.result(applied)
    outcome = applied.outcome
    if applied.done is None:
        said = (outcome.observed, outcome.cause, outcome.remedy)
        module.fail_json(msg="%s. %s %s" % said, **result)
    module.exit_json(msg=outcome.observed, **result)


if __name__ == "__main__":
    main()
