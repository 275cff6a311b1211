"""Ansible's own output, without what only the report needs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: torchnode_output
type: stdout
short_description: The default output with readable failures
description:
  - Like P(ansible.builtin.default#callback), but a task's C(torchnode) result, hundreds of lines
    that the report holds in full, is left out; the message says what failed, why, and what next.
  - The check of a role's arguments is shown only when it fails.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
author: torchnode developers
"""

from typing import Any

from ansible.plugins.callback.default import CallbackModule as DefaultCallback

#: The report holds the first in full; the message says all that matters of the others.
_NOT_SHOWN = ("torchnode", "argument_spec_data", "argument_errors", "validate_args_context")


class CallbackModule(DefaultCallback):
    """The default callback with one key less."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "torchnode_output"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Announce a task, unless it only checks a role's arguments."""
        if not _checks_arguments(task):
            # ansible-core is untyped
            super().v2_playbook_on_task_start(task, is_conditional)  # type: ignore[no-untyped-call]

    def v2_runner_on_ok(self, result: Any) -> None:
        """Show a success, unless it is that a role's arguments are right."""
        if not _checks_arguments(result._task):
            super().v2_runner_on_ok(result)

    def _dump_results(self, result: Any, *args: Any, **kwargs: Any) -> str:
        shown = {key: value for key, value in result.items() if key not in _NOT_SHOWN}
        return str(super()._dump_results(shown, *args, **kwargs))


def _checks_arguments(task: Any) -> bool:
    return str(task.action).endswith("validate_argument_spec")
