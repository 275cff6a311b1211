"""Hold the devices of a run against one another, once all nodes have burned in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode.burn_in import fleet
from ansible.module_utils.torchnode.burn_in.judge import told
from ansible.module_utils.torchnode.outcome import Outcome, Result, fold


class ActionModule(ActionBase):
    """See library/burn_in_fleet.py for the documentation."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge all nodes, or say what was judged of this one."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.args.get("state") == "judged":
            return dict(result, changed=False, **_judged(task_vars or {}))
        given = self._task.args.get("outcomes") or []
        return dict(result, changed=False, **_told([Outcome.from_dict(dict(o)) for o in given]))


def _judged(variables: dict[str, Any]) -> dict[str, Any]:
    """The outcomes of every node that burned in during this run, failed ones included."""
    burned, recorded, cpus = {}, {}, {}
    for name in variables["ansible_play_hosts_all"]:
        # Unlike hostvars[name] this does not prepare every value for templates.
        known = variables["hostvars"].raw_get(name)
        facts = _returned(known, "_survey").get("facts") or {}
        cpus[name] = str((facts.get("system") or {}).get("cpu_model") or "")
        summary = _returned(known, "_burned").get("burn_in")
        if summary:
            burned[name] = summary
        elif (known.get("_reused") or {}).get("fresh"):
            recorded[name] = facts["record"]["burn_in"].get("figures") or {}
    found = fleet.judge(burned, cpus, recorded)
    nodes = {name: [outcome.as_dict() for outcome in outcomes] for name, outcomes in found.items()}
    msg = f"{len(burned)} node(s) held against one another and against {len(recorded)} record(s)"
    return {"nodes": nodes, "msg": msg}


def _returned(known: dict[str, Any], name: str) -> dict[str, Any]:
    """What a task of torchnode registered under this name, {} where it did not run."""
    return (known.get(name) or {}).get("torchnode") or {}


def _told(outcomes: list[Outcome]) -> dict[str, Any]:
    """A node's own part. Failed where a device is out of line with its likes."""
    result: dict[str, Any] = {"torchnode": {"stage": "burn_in"}}
    result["torchnode"]["outcomes"] = [outcome.as_dict() for outcome in outcomes]
    measured = [o for o in outcomes if o.result is not Result.SKIPPED]
    result["failed"] = bool(measured) and fold(measured) in (Result.FAIL, Result.INCOMPLETE)
    result["msg"] = told(outcomes) if measured else "nothing to compare with"
    return result
