"""Journal the report of a run from its start, and end it with one table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: torchnode_report
type: aggregate
short_description: Journal torchnode's report and print the final table
description:
  - Puts every host of the run into C(reports/<run>/fleet.json) as UNKNOWN before the first task,
    and rewrites the file with each result, so that it tells the truth after Ctrl-C, an unreachable
    node, C(--limit), all hosts failed, and a killed controller.
  - Gives the run its identity, which node locks and records carry.
  - Does nothing for plays that are not torchnode's.
author: torchnode developers
options:
  folder:
    description: Where the reports go. Empty means C(reports) in the project's folder.
    type: str
    default: ''
    env:
      - name: TORCHNODE_REPORTS
    ini:
      - section: torchnode
        key: reports
  progress_seconds:
    description:
      - How often long work says how far it is. Nodes are looked at twice as often, but with more
        than 25 of them each is looked at every 0.4 seconds times their number at most.
      - V(0) says nothing and looks at nothing.
    type: float
    default: 20
    env:
      - name: TORCHNODE_PROGRESS_SECONDS
    ini:
      - section: torchnode
        key: progress_seconds
"""

import atexit
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

import ansible.module_utils
from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import (
    controller,
    decide,
    heartbeat,
    journal,
    report,
    report_plan,
    report_table,
    start,
)
from ansible.module_utils.torchnode.outcome import PROVING_STAGES, Stage

#: A node that is told to reboot and does not come back has not failed a check.
_REBOOTS = ("reboot", "ansible.builtin.reboot", "ansible.legacy.reboot")


class CallbackModule(CallbackBase):
    """Aggregates results of plays that carry ``_torchnode_stage``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "torchnode_report"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._journal: journal.Journal | None = None
        self._stage: str | None = None
        self._started: dict[tuple[str, str], float] = {}
        self._heartbeat = heartbeat.Heartbeat()
        self._pid = os.getpid()

    # ---- beginning ----------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Open the journal when the playbook has a stage of torchnode."""
        requested = _requested(playbook)
        self._check(playbook)
        if not requested:
            return
        option = self.get_option("folder")  # type: ignore[no-untyped-call]  # ansible-core is untyped
        folder = Path(option or _PROJECT / "reports").absolute()
        try:
            run = controller.start_run(controller.new_run_name(), requested)
            run.update(playbook=Path(playbook._file_name).name, check=_check_mode())
            self._journal = journal.Journal(folder, run)
        except OSError as error:
            self._refuse(
                f"the report's folder: found {error}; expected a folder that you may write. Set "
                "TORCHNODE_REPORTS to one."
            )
        atexit.register(self._at_exit)
        signal.signal(signal.SIGTERM, self._terminated)
        self._heartbeat.start(self.get_option("progress_seconds"))  # type: ignore[no-untyped-call]

    def _check(self, playbook: Any) -> None:
        """End the run here where it was asked for in a way that cannot be meant."""
        plays = playbook.get_plays()
        stages = [(play.get_vars().get("_torchnode_stage"), frozenset(play.tags)) for play in plays]
        ours = Path(playbook._file_name).resolve().parent in (_PROJECT, _PROJECT / "playbooks")
        # Another playbook may make its nodes in a play of its own, and its tags are its own affair.
        if not ours and not all(stage for stage, _ in stages):
            return
        several = len(context.CLIARGS["args"]) > 1  # a tag may be another's of these playbooks
        only = [] if several else context.CLIARGS["tags"]
        known = decide.known_variables(_PROJECT / "roles")
        manager = plays[0].get_variable_manager()
        hosts = manager._inventory.get_hosts("all")
        first = manager._inventory.groups["all"].get_hosts()[:1]
        try:
            serial = [manager.get_vars(host=host).get("torchnode_serial") for host in first]
        except AnsibleError as error:
            self._refuse(
                f"the inventory's variables: found {_where(error)}{error} Expected files that "
                "Ansible can read. Correct what it names."
            )
        skip, given = context.CLIARGS["skip_tags"], manager.extra_vars
        try:
            start.check(stages, only, skip, len(hosts), given, known, *serial)
        except start.Refused as error:
            self._refuse(str(error))

    def _refuse(self, why: str) -> NoReturn:
        """Exit as Ansible does for a mistake in its arguments.

        ansible-core turns an exception of a callback into a warning and goes on.
        """
        self._display.error(f"{why} Nothing was run, nothing was changed.", wrap_text=False)
        raise SystemExit(1)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Put every host that the play may touch into the report, as UNKNOWN."""
        self._stage = play.get_vars().get("_torchnode_stage")
        if self._journal is None or self._stage is None:
            return
        for host in play.get_variable_manager()._inventory.get_hosts(play.hosts):
            self._journal.node(host.get_name())
        self._journal.write(force=True)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task may take hours: what is known before it belongs into the file."""
        if self._journal is not None:
            self._journal.flush()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Remember when a task began on a host."""
        self._started[(host.get_name(), task._uuid)] = time.monotonic()
        self._heartbeat.began(host.get_name(), task._uuid, task.get_name())

    # ---- results ------------------------------------------------------------------------------

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task succeeded."""
        self._collect(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._collect(result, failed=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task had nothing to do."""
        self._node(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        node = self._node(result)
        if node is not None and self._journal is not None and self._stage is not None:
            node.unreachable(self._stage, journal.message_of(result._result))
            self._journal.write()

    def _collect(self, result: Any, failed: bool) -> None:
        node = self._node(result)
        if node is None or self._journal is None or self._stage is None:
            return
        # A loop's items, or the task itself; some stock modules have words in 'results'.
        items = [each for each in result._result.get("results") or () if isinstance(each, dict)]
        found = [each.get("torchnode") for each in items or [result._result]]
        returned = [part for part in found if isinstance(part, dict)]
        for part in returned:
            node.add(self._stage, part)
        message = journal.message_of(result._result)
        if failed and result._task.action in _REBOOTS:
            node.unreachable(self._stage, message)  # it may come back: unknown is not failed
        elif failed and not returned:
            node.fail(self._stage, result._task.get_name(), message)
        if returned or failed:
            self._journal.write()

    def _node(self, result: Any) -> report.NodeReport | None:
        name = result._host.get_name()
        self._heartbeat.ended(name, result._task._uuid)  # of a play that is not torchnode's, too
        if self._journal is None or self._stage is None:
            return None
        node = self._journal.node(name)
        began = self._started.pop((name, result._task._uuid), None)
        if began is not None:
            node.took(self._stage, time.monotonic() - began)
        return node

    # ---- end ----------------------------------------------------------------------------------

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The playbook ended by itself: final verdicts, one table, and where the report is."""
        if self._journal is None:
            return
        self._show(self._journal.finish())
        if not self._journal.nodes:
            raise SystemExit(1)  # nothing was done, so nothing has succeeded

    def _at_exit(self) -> None:
        """Ctrl-C and errors skip the statistics; forked workers inherit this and must not act."""
        if self._journal is None or self._journal.status != "running" or os.getpid() != self._pid:
            return
        self._show(self._journal.interrupt())

    def _terminated(self, number: int, frame: Any) -> None:
        """End as Ctrl-C does; Ansible's own way would skip everything that follows it."""
        interrupted = signal.getsignal(signal.SIGINT)  # Ansible's: it ends the workers
        if os.getpid() == self._pid and callable(interrupted):
            signal.signal(number, signal.SIG_IGN)  # a second one must not cut the report short
            interrupted(signal.SIGINT, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _show(self, content: dict[str, Any]) -> None:
        self._heartbeat.stop()
        if self._journal is None:
            return
        width = shutil.get_terminal_size((100, 24)).columns
        planned = bool(content["nodes"]) and _only_plans(content["run"]["requested"])
        self._display.banner("PLAN" if planned else "NODES")
        shown = report_plan.text if planned else report_table.table
        self._display.display(shown(content, width))
        if self._journal.status == "interrupted":
            self._display.display("The run was interrupted: what was not proven is UNKNOWN.")
        if self._journal.problem:
            self._display.error(f"The report could not be written: {self._journal.problem}")
        self._display.display(f"\nreport: {self._journal.path}")
        page = self._journal.path.with_name("fleet.html")
        if page.exists():
            self._display.display(f"page:   {page}")


def _where(error: BaseException) -> str:
    """The file and line of an error about a file, which ansible-core's own message leaves out."""
    while (place := getattr(error, "obj", None)) is None and error.__context__ is not None:
        error = error.__context__
    return f"{place}: " if place is not None else ""


def _check_mode() -> bool:
    return bool(context.CLIARGS.get("check", False))


def _only_plans(requested: list[str]) -> bool:
    """Whether a run of these stages ends with a plan, and changes and proves nothing."""
    doing = {Stage.APPLY.value, *(stage.value for stage in PROVING_STAGES)}
    return Stage.RESOLVE.value in requested and not doing & set(requested)


def _requested(playbook: Any) -> list[str]:
    """The stages that this playbook runs with the tags that were given, in order."""
    only = set(context.CLIARGS.get("tags") or ["all"])
    skip = set(context.CLIARGS.get("skip_tags") or [])
    stages: list[str] = []
    for play in playbook.get_plays():
        stage = play.get_vars().get("_torchnode_stage")
        if stage and stage not in stages and _selected(set(play.tags), only, skip):
            stages.append(stage)
    if Stage.SURVEY.value in stages:  # one play holds both: nothing is surveyed but to resolve it
        stages.insert(stages.index(Stage.SURVEY.value) + 1, Stage.RESOLVE.value)
    if _check_mode() and stages:
        plans = [Stage.SURVEY.value, Stage.RESOLVE.value]
        # A play of a component's role alone surveys and resolves under its own stage.
        stages = [stage for stage in stages if stage in plans] or plans
    return stages


def _selected(tags: set[str], only: set[str], skip: set[str]) -> bool:
    """Whether --tags and --skip-tags leave a play of these tags in the run."""
    if tags & skip:
        return False
    return bool(only & {"all", "tagged"} or "always" in tags or tags & only)
