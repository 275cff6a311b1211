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
from ansible.module_utils.torchnode.locks import Lock
from ansible.module_utils.torchnode.model import Facts, as_data, from_data
from ansible.module_utils.torchnode.policy import Conflict


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
        locks: list[Lock] = []
        try:
            locks = controller.all_locks(str(given.get("locks_folder") or ""))
            decision = self._decide(given, task_vars or {}, locks, requested)
        except Conflict as conflict:
            decision = decide.refused(conflict)
        stack = decision.stack
        chosen = [lock for lock in locks if stack and lock.name == stack.lock]
        result.update(
            changed=False,
            msg=decision.summary,
            failed=decision.failed,
            torchnode={
                "stage": "resolve",
                "stack": as_data(stack),
                "lock_file": str(controller.lock_path(chosen[0])) if chosen else "",
                "plan": as_data(decision.steps),
                "groups": decision.groups,
                "interpreter": stack.interpreter if stack else "",
                "outcomes": [outcome.as_dict() for outcome in decision.outcomes],
            },
        )
        return result

    def _decide(
        self,
        given: dict[str, Any],
        task_vars: dict[str, Any],
        locks: list[Lock],
        requested: list[str],
    ) -> decide.Decision:
        return decide.decide(
            facts=from_data(Facts, given["facts"]),
            wishes=given["policy"],
            allow_busy=bool(given.get("allow_busy", False)),
            variables=[name for name in task_vars if name.startswith("torchnode_")],
            known=decide.known_variables(_PROJECT / "roles"),
            locks=locks,
            now=time.time(),
            requested=requested,
            urls=given.get("urls") or {},
            stated=given.get("settings") or {},
        )
