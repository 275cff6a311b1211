"""Judge a node after its system's packages were changed. No connection to the node is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import reboot_gate
from ansible.module_utils.torchnode.model import Facts, Stack, from_data
from ansible.module_utils.torchnode.outcome import Result
from ansible.module_utils.torchnode.requirements.driver_host import driver_outcomes


class ActionModule(ActionBase):
    """See library/reboot_gate.py for the documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Whether to reboot; where nothing waits for a boot, what the driver is worth."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        facts, stack = from_data(Facts, given["facts"]), from_data(Stack, given["stack"])
        allowed = str(given.get("reboot") or reboot_gate.NEVER)
        busy, rebooted = bool(given.get("allow_busy")), bool(given.get("rebooted"))
        # Straight after a boot another one would change nothing more.
        outcomes = [] if rebooted else reboot_gate.gate(facts, stack, allowed, busy)
        now = any(outcome.result is Result.PASS for outcome in outcomes)
        if not outcomes:
            outcomes = driver_outcomes(facts, stack, rebooted, given.get("fabric") is not False)
        bad = [o for o in outcomes if o.result in (Result.FAIL, Result.INCOMPLETE)]
        said = [f"{o.id}: {o.observed}. {o.cause} {o.remedy}" for o in bad]
        return dict(
            result,
            changed=False,
            failed=bool(bad),
            reboot=now,
            why=reboot_gate.reason(facts, stack),
            msg=" ".join(said) or (outcomes[0].observed if now else "no reboot is needed"),
            torchnode={"stage": "apply", "outcomes": [outcome.as_dict() for outcome in outcomes]},
        )
