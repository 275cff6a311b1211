#!/usr/bin/python
"""The pinned uv for a node's machine, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: uv_binary
short_description: Get the pinned uv for a machine, verified by its SHA-256
description:
  - Runs on the controller (delegate it to localhost) and returns the path of a static uv binary for
    the node's operating system and machine, so that a node needs no pip, no index and no network.
  - Looks into its cache, then into the find-links folders, then at the package index; pip's and
    uv's settings, proxies, CA bundle and netrc of the controller are honoured.
options:
  system:
    description: The node's operating system as C(platform.system()) names it.
    type: str
    required: true
  machine:
    description: The node's machine as C(platform.machine()) names it.
    type: str
    required: true
  cache:
    description: The folder that keeps verified binaries.
    type: path
    default: ~/.cache/torchnode
  index_url:
    description: The package index; empty means the environment's, pip's, or PyPI.
    type: str
    default: ''
  find_links:
    description: Folders that may hold the wheel.
    type: list
    elements: str
    default: []
  offline:
    description: Ask no index.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Get uv for an Arm node
  uv_binary:
    system: Linux
    machine: aarch64
  delegate_to: localhost
  register: uv
"""

RETURN = r"""
path:
  description: The binary on the controller.
  returned: success
  type: str
version:
  description: The pinned version.
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

from ansible.module_utils.torchnode import package_index, uv_wheel
from ansible.module_utils.torchnode.data.uv import VERSION, WHEELS


def fetch(url: str) -> bytes:
    """The URL's bytes through Ansible's own client: proxies, CA bundle and netrc apply."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    try:
        with open_url(url, headers=accept, timeout=120, use_netrc=True) as answer:
            content: bytes = answer.read()
    except UrlError as error:  # not an OSError in Ansible's client
        raise OSError(str(error)) from None
    return content


def main() -> None:
    """Parse, obtain, exit."""
    module = AnsibleModule(
        argument_spec={
            "system": {"type": "str", "required": True},
            "machine": {"type": "str", "required": True},
            "cache": {"type": "path", "default": "~/.cache/torchnode"},
            "index_url": {"type": "str", "default": ""},
            "find_links": {"type": "list", "elements": "str", "default": []},
            "offline": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    wheel = WHEELS.get((given["system"], given["machine"]))
    if wheel is None:
        known = ", ".join("%s %s" % key for key in WHEELS)
        found = "%s %s" % (given["system"], given["machine"])
        module.fail_json(msg="machine: found %s; expected one of %s" % (found, known))
    stated = package_index.Sources(
        index_url=given["index_url"],
        find_links=tuple(given["find_links"]),
        offline=given["offline"],
    )
    files = package_index.pip_files(os.environ, os.path.expanduser("~"))
    settings = package_index.pip_settings(os.environ, files)
    sources = package_index.sources(stated, os.environ, settings)
    try:
        path = uv_wheel.obtain(wheel, given["cache"], sources, fetch)
    except uv_wheel.NotAvailable as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg="cache: found %s; expected a folder that you may write" % error)
    module.exit_json(changed=False, path=path, version=VERSION)


if __name__ == "__main__":
    main()
