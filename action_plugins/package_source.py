"""The controller's half of package_source: what is seen while it waits, and reads an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import progress_watch


class ActionModule(ActionBase):
    """See library/package_source.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, and pass on its progress."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        return dict(result, **progress_watch.execute(self, task_vars or {}))
