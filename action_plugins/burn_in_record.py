"""Whether the node's last burn-in stands for this run's: decided on the controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import burn_in_record, records
from ansible.module_utils.torchnode.model import Facts, Stack, as_data, from_data


class ActionModule(ActionBase):
    """See library/burn_in_record.py for the documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hold the record against what this run asks for."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        facts, stack = from_data(Facts, given["facts"]), from_data(Stack, given["stack"])
        devices = max(1, sum(a.backend == stack.backend for a in facts.accelerators))
        asked = burn_in_record.wanted(
            str(given["level"]), float(given["seconds"]), given["stages"], devices,
            float(given["memory_fraction"]),
        )  # fmt: skip
        part = (facts.record or {}).get("burn_in")
        why = burn_in_record.insufficient(
            part, records.identity(facts, stack), asked, _torch(given["verified"]), time.time()
        )
        why = "asked for anew by torchnode_burn_in_force" if given["force"] else why
        outcome = burn_in_record.not_reused(why) if why else burn_in_record.reused(part or {})
        told = {"stage": "burn_in", "outcomes": [outcome.as_dict()], "wanted": as_data(asked)}
        return dict(result, changed=False, fresh=not why, msg=outcome.observed, torchnode=told)


def _torch(verified: dict[str, Any]) -> str:
    """torch's version as it answered in this run; '' where it was not asked."""
    outcomes = (verified.get("torchnode") or {}).get("outcomes") or []
    told = [o["observed"] for o in outcomes if o["id"] == "verify.torch_version"]
    return str(told[-1]) if told else ""
