#!/usr/bin/python
"""A service beside NVIDIA's driver, or the CDI specification."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_service
short_description: Start what needs an NVIDIA GPU where there is one, and keep it quiet elsewhere
description:
  - Enables and starts a service where the hardware is, disables and stops it elsewhere. Before
    the reboot that loads the driver it is only enabled.
  - With O(cdi), has a CDI specification that is of the driver that is loaded. The container toolkit
    writes it by its own service since 1.18; an older one is told to write /etc/cdi/nvidia.yaml.
options:
  component:
    description: The component's name, for the outcome.
    type: str
    required: true
  unit:
    description: The service.
    type: str
    default: ''
  wanted:
    description: Whether the hardware is there.
    type: bool
    default: true
  modules_file:
    description: A file of modules-load.d. Where it is there, its modules are loaded before the
      service starts.
    type: path
    default: ''
  cdi:
    description: Write the CDI specification instead.
    type: bool
    default: false
  prefix:
    description: The folder in which torchnode notes what it made.
    type: path
    default: ''
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: torchnode developers
"""

EXAMPLES = r"""
- name: Fabric Manager runs where there are switches
  nvidia_service:
    component: nvidia_fabric
    unit: nvidia-fabricmanager.service
"""

RETURN = r"""
torchnode:
  description: The apply stage's outcome, C(apply.<component>_service) or C(apply.<component>_cdi).
  returned: always
  type: dict
"""

from typing import Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import nvidia_services
from ansible.module_utils.torchnode.node import Completed, Node, run_command
from ansible.module_utils.torchnode.outcome import Outcome, Result

SECONDS = 180  # Fabric Manager trains every link before it says that it runs


def run(argv: Sequence[str]) -> Completed:
    """One command, with the time that a service takes to start."""
    return run_command(argv, SECONDS)


def main() -> None:
    """Parse, settle, exit."""
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "required": True},
            "unit": {"type": "str", "default": ""},
            "wanted": {"type": "bool", "default": True},
            "modules_file": {"type": "path", "default": ""},
            "cdi": {"type": "bool", "default": False},
            "prefix": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    given, pretend = module.params, module.check_mode
    identity = "apply.%s_%s" % (given["component"], "cdi" if given["cdi"] else "service")
    expected = "a specification of the loaded driver" if given["cdi"] else "%s %s" % (
        given["unit"], "runs" if given["wanted"] else "is quiet",
    )  # fmt: skip
    try:
        if given["cdi"]:
            done = nvidia_services.cdi(Node(), run, given["prefix"], pretend)
        else:
            wish = nvidia_services.Wish(given["unit"], given["wanted"], given["modules_file"])
            done = nvidia_services.service(Node(), run, wish, pretend)
    except nvidia_services.Problem as bad:
        said = (bad.observed, expected, bad.cause, bad.remedy)
        outcome = Outcome(identity, "apply", Result.FAIL, *said)
        module.fail_json(
            msg="%s. %s %s" % (bad.observed, bad.cause, bad.remedy),
            torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
        )
    result = Result.SKIPPED if done.waits or (pretend and done.changed) else Result.PASS
    words = " ".join(part for part in (done.observed + ".", done.waits) if part)
    outcome = Outcome(identity, "apply", result, words, expected, required=False)
    module.exit_json(
        changed=done.changed,
        msg=words,
        diff={"before": "" if done.changed else words + "\n", "after": words + "\n"},
        torchnode={"stage": "apply", "outcomes": [outcome.as_dict()]},
    )


if __name__ == "__main__":
    main()
