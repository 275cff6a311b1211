"""The controller's half of wheel_folder: the uv that a node lacks, and what is seen of its work."""

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
    """See library/wheel_folder.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Bring uv where it is missing, run the module, and pass on its progress."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        action: Any = self  # Ansible's own ways to a node carry no types
        try:
            return dict(result, **self._unpack(action, task_vars or {}))
        finally:
            action._remove_tmp_path(self._connection._shell.tmpdir)

    def _unpack(self, action: Any, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            if not self._task.args.get("uv"):
                self._task.args.update(uv_controller.bring(action, self._task.args))
        except (NotAvailable, OSError) as error:
            identity = "apply.%s_wheel" % self._task.args.get("component")
            return uv_controller.refusal(identity, str(error))
        return progress_watch.execute(self, variables)
