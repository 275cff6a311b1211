"""The controller's half of python_stack: the uv that a node lacks, and what is seen of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import progress_watch, uv_controller
from ansible.module_utils.torchnode.uv_wheel import NotAvailable


class ActionModule(ActionBase):
    """See library/python_stack.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Bring uv where it is missing, run the module, and pass on its progress."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        action: Any = self  # Ansible's own ways to a node carry no types
        try:
            return dict(result, **self._build(action, task_vars or {}))
        finally:
            action._remove_tmp_path(self._connection._shell.tmpdir)

    def _build(self, action: Any, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            if not self._task.args.get("uv"):
                self._task.args.update(uv_controller.bring(action, self._task.args))
        except (NotAvailable, OSError) as error:
            return uv_controller.refusal("apply.python_stack", str(error))
        return progress_watch.execute(self, variables)
