"""The controller's half of node_run: who holds a lock, whether they live, and what to record."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import burn_in_record, controller, records
from ansible.module_utils.torchnode.model import Facts, Stack, as_data, from_data
from ansible.module_utils.torchnode.outcome import Outcome, Result, Stage, Verdict, verdict, worst

#: The registered results whose outcomes make the verdict, in the order of the stages.
_RESULTS = (
    "_survey", "_resolved", "_applied_repository", "_applied_nvidia_driver",
    "_applied_nvidia_kernel", "_applied_nvidia_fabric", "_started_nvidia_fabric",
    "_applied_cuda_toolkit", "_default_cuda_toolkit", "_unpacked_cuda_toolkit",
    "_checked_cuda_toolkit", "_applied_cudnn", "_unpacked_cudnn", "_checked_cudnn",
    "_applied_nvidia_container_toolkit", "_settled_nvidia_container_toolkit",
    "_applied_dcgm", "_started_dcgm", "_rebooted",
    "_applied", "_verified", "_reused", "_burned", "_compared",
)  # fmt: skip
_LOOK_SECONDS = 2.0
#: A run without any of these stages only plans.
_CHANGING = {Stage.APPLY.value, Stage.VERIFY.value, Stage.BURN_IN.value}


class ActionModule(ActionBase):
    """See library/node_run.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Wait for the lock, or record the verdict and fail when it is no good one."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            run = controller.current_run()
        except controller.NoRun as error:
            return dict(result, failed=True, msg=str(error))
        run = dict(run, holder=f"{run['id']} {variables.get('inventory_hostname')}")
        if self._task.args.get("state") == "begun":
            return dict(result, **self._begin(run, variables))
        return dict(result, **self._end(run, variables))

    def _begin(self, run: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + float(self._task.args.get("wait_seconds", 600))
        dead: list[str] = []
        named = False
        while True:
            answer: dict[str, Any] = self._execute_module(
                module_name="node_run",
                module_args=dict(self._task.args, run=run, dead=dead),
                task_vars=variables,
            )
            if answer.get("failed") or answer.get("taken") or "holder" not in answer:
                return answer
            holder = answer["holder"] or {}
            if str(holder.get("run")).partition(" ")[0] == run["id"]:
                return dict(answer, **_same_machine(holder))
            if self._task.args.get("take") or controller.controller_is_gone(holder):
                dead.append(str(holder.get("run")))
                continue
            if not named:
                self._say(variables, f"waits for {_holder(holder)}")
                named = True
            if time.monotonic() >= deadline:
                return dict(answer, **_held(holder, str(variables.get("_torchnode_stage"))))
            time.sleep(_LOOK_SECONDS)

    def _end(self, run: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        if not _CHANGING & set(run["requested"]):
            # A plan says nothing about the node: what an earlier run proved stays as it is.
            return {"msg": "planned only: nothing is recorded", "torchnode": {"stage": "report"}}
        outcomes = _outcomes(variables)
        outcomes += _untold(str(variables.get("_torchnode_stage")), run, outcomes)
        unproven = records.unproven_outcome(run["requested"])
        outcomes += [unproven] if unproven else []
        record = _record(run, variables, outcomes, float(self._task.args.get("days", 7)))
        answer = self._write(run, record, variables)
        if answer.get("holder"):
            return dict(answer, **_not_recorded(answer["holder"]))
        if answer.get("failed") or "torchnode" not in answer:
            return answer
        answer["torchnode"].update(verdict=record["verdict"], scope=record["scope"], outcomes=[])
        answer["msg"] = f"{record['verdict']} ({record['scope']}) {record['reason']}".strip()
        # Where a task failed, that task has said so; a verdict that no task stands for fails here.
        said = variables.get("_torchnode_stage") != Stage.REPORT.value
        bad = record["verdict"] in (Verdict.UNKNOWN.value, Verdict.FAILED.value)
        answer["failed"] = bad and not said
        return answer

    def _write(
        self, run: dict[str, Any], record: dict[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        """The module's answer; with a ``holder`` where a live run of somebody else is at work."""
        dead: list[str] = []
        while True:
            answer: dict[str, Any] = self._execute_module(
                module_name="node_run",
                # Nothing was touched when resolving failed, so only an earlier verdict is replaced.
                module_args=dict(
                    self._task.args, run=run, record=record, dead=dead,
                    only_known=bool(variables["_resolved"].get("failed")),
                ),
                task_vars=variables,
            )  # fmt: skip
            holder = answer.get("holder")
            if not holder or not controller.controller_is_gone(holder):
                return answer
            dead.append(str(holder.get("run")))

    def _say(self, variables: dict[str, Any], text: str) -> None:
        Display().display(f"{variables.get('inventory_hostname')}: {text}")


def _holder(holder: dict[str, Any]) -> str:
    owner = holder.get("controller") or {}
    try:
        until = records.timestamp(float(holder.get("expires", 0)))
    except (TypeError, ValueError):
        until = "an unreadable time"
    name = str(holder.get("run")).partition(" ")[0]
    return (
        f"run {name} of pid {owner.get('pid')} on {owner.get('host')}, "
        f"which holds this node until {until} at the latest"
    )


def _held(holder: dict[str, Any], stage: str) -> dict[str, Any]:
    """Another run has the node: nothing was measured, so it is unknown, not failed."""
    outcome = Outcome(
        f"{stage}.lock", stage, Result.INCOMPLETE,
        observed=f"{_holder(holder)}", expected="the node's lock to be released in time",
        cause="Another run is at work on this node.",
        remedy="Wait for that run, or if it certainly is dead run again with "
        "-e torchnode_take_lock=true.",
    )  # fmt: skip
    return {
        "failed": True,
        "msg": f"the node's lock: found {outcome.observed}; expected it to be released in time. "
        + outcome.remedy,
        "torchnode": {"stage": stage, "outcomes": [outcome.as_dict()]},
    }


def _same_machine(holder: dict[str, Any]) -> dict[str, Any]:
    other = str(holder.get("run")).partition(" ")[2]
    return {
        "failed": True,
        "msg": f"the node's lock: found this very run at work here under the name '{other}'; "
        "expected one name for each machine and prefix. Remove one of the two from the inventory, "
        "or give them different torchnode_prefix folders.",
    }


def _not_recorded(holder: dict[str, Any]) -> dict[str, Any]:
    outcome = Outcome(
        "report.recorded", Stage.REPORT.value, Result.INCOMPLETE,
        observed=f"{_holder(holder)} is at work", expected="no other run at the end of this one",
        cause="The other run may change what this one has proven, so nothing was recorded.",
        remedy="Run again when that run has ended.",
    )  # fmt: skip
    return {
        "failed": True,
        "msg": f"{outcome.observed}. {outcome.cause} {outcome.remedy}",
        "torchnode": {"stage": Stage.REPORT.value, "outcomes": [outcome.as_dict()]},
    }


def _outcomes(variables: dict[str, Any]) -> list[Outcome]:
    results = [each for name in _RESULTS for each in _each(variables.get(name) or {})]
    found = [o for r in results for o in (r.get("torchnode") or {}).get("outcomes") or []]
    return [Outcome.from_dict(dict(outcome)) for outcome in found]


def _each(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A registered result, or those of a loop's items."""
    return list(result.get("results") or [result])


def _untold(stage: str, run: dict[str, Any], outcomes: list[Outcome]) -> list[Outcome]:
    """A stage records only where it failed; a stock task that failed has left no outcome."""
    bad = (Result.FAIL, Result.INCOMPLETE)
    if stage == Stage.REPORT.value or any(o.result in bad for o in outcomes):
        return []
    told = Outcome(
        f"{stage}.task", stage, Result.FAIL,
        observed="a task failed", expected="every task succeeds",
        cause="A task of the run failed on this node.",
        remedy=f"Read its message in the report of run {run['id']} on the controller.",
    )  # fmt: skip
    return [told]


def _stack(variables: dict[str, Any]) -> Stack | None:
    """The resolved stack; None where resolving failed."""
    data = variables["_resolved"]["torchnode"]["stack"]
    return None if data is None else from_data(Stack, data)


def _record(
    run: dict[str, Any], variables: dict[str, Any], outcomes: list[Outcome], days: float
) -> dict[str, Any]:
    facts = from_data(Facts, variables["_survey"]["torchnode"]["facts"])
    stack = _stack(variables)
    of, now = records.identity(facts, stack), time.time()
    reached = verdict(outcomes, run["requested"])
    first = worst(outcomes)
    bad = first is not None and first.remedy
    return {
        "run": run["id"],
        "verdict": reached.value,
        "scope": records.scope(outcomes, run["requested"]),
        "reason": f"{first.id}: {first.observed}" if first and bad else "",
        "expires": records.timestamp(now + days * 86400),
        "of": of,
        "stack": None if stack is None else as_data(stack),
        "had": records.had_after(facts, facts.record, reached),
        "burn_in": burn_in_record.part(
            outcomes, _returned(variables, "_burned").get("burn_in"),
            _returned(variables, "_reused").get("wanted"), facts.record, of, now, days,
        ),
        "outcomes": [outcome.as_dict() for outcome in outcomes],
    }  # fmt: skip


def _returned(variables: dict[str, Any], name: str) -> dict[str, Any]:
    """What a task of torchnode registered under this name, {} where it did not run."""
    return (variables.get(name) or {}).get("torchnode") or {}
