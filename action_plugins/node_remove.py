"""The controller's half of node_remove: no misspelt variable, and what is seen while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import decide, progress_file, progress_watch, survey
from ansible.module_utils.torchnode.policy import unknown_variables


class ActionModule(ActionBase):
    """See library/node_remove.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Refuse a variable that does not exist: with torchnode_prefx the default prefix goes."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        unknown = unknown_variables(task_vars or {}, decide.known_variables(_PROJECT / "roles"))
        if unknown:
            msg = (
                f"variables: found that {'; '.join(unknown)}; expected only variables of "
                "docs/variables.md. Correct the name. Nothing was removed."
            )
            return dict(result, failed=True, msg=msg)
        # Packages lie under no other default: who is not root has none to remove.
        prefix = self._task.args.get("prefix") or survey.SYSTEM_PREFIX
        self._task.args.setdefault("progress", f"{prefix}/{progress_file.NAME}")
        return dict(result, **progress_watch.execute(self, task_vars or {}))
