"""Resolve and plan on the controller: no connection to the node is made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import controller, decide
from ansible.module_utils.torchnode.model import Facts, as_data, from_data


class ActionModule(ActionBase):
    """See library/resolve.py for the documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Decide this node's stack and steps; fail with every reason before anything is touched."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        try:
            requested = controller.current_run()["requested"]
        except controller.NoRun as error:
            return dict(result, failed=True, msg=str(error))
        decision = decide.decide(
            facts=from_data(Facts, given["facts"]),
            wishes=given["policy"],
            allow_busy=bool(given.get("allow_busy", False)),
            variables=[name for name in task_vars or {} if name.startswith("torchnode_")],
            known=decide.known_variables(_PROJECT / "roles"),
            locks=controller.read_locks(),
            now=time.time(),
            requested=requested,
            urls=given.get("urls") or {},
            stated=given.get("settings") or {},
        )
        result.update(
            changed=False,
            msg=decision.summary,
            failed=decision.failed,
            torchnode={
                "stage": "resolve",
                "stack": as_data(decision.stack),
                "plan": as_data(decision.steps),
                "groups": decision.groups,
                "interpreter": decision.stack.interpreter if decision.stack else "",
                "outcomes": [outcome.as_dict() for outcome in decision.outcomes],
            },
        )
        return result
