"""The controller's half of python_stack: the uv that a node lacks, and what is seen of a build."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import progress_watch, uv_controller, uv_install
from ansible.module_utils.torchnode.data.uv import VERSION
from ansible.module_utils.torchnode.outcome import Outcome, Result
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
                self._task.args.update(_bring_uv(action, self._task.args))
        except (NotAvailable, OSError) as error:
            return _no_uv(str(error))
        return progress_watch.execute(self, variables)


def _bring_uv(action: Any, args: dict[str, Any]) -> dict[str, str]:
    """The module's options for the pinned uv; it is sent when the node has not this very file.

    Raises NotAvailable and OSError where the controller cannot get it.
    """
    source = uv_controller.binary_for(args["system"], args["machine"], args)
    target = f"{args['prefix']}/uv/{VERSION}/uv"
    if action._task.check_mode:
        return {"uv": target}
    digest = uv_install.sha256(source)
    if _remote_digest(action, target) == digest:
        return {"uv": target}
    folder = action._make_tmp_path()
    sent = action._transfer_file(source, action._connection._shell.join_path(folder, "uv"))
    action._fixup_perms2((folder, sent))
    return {"uv": target, "uv_sent": sent, "uv_sha256": digest}


def _remote_digest(action: Any, path: str) -> str:
    """The file's SHA-256 on the node; '' where there is no such file. macOS has shasum."""
    name = shlex.quote(path)
    command = f"sha256sum {name} 2>/dev/null || shasum -a 256 {name} 2>/dev/null"
    out = str(action._low_level_execute_command(command)["stdout"]).split()
    return out[0] if out else ""


def _no_uv(why: str) -> dict[str, Any]:
    outcome = Outcome(
        "apply.python_stack", "apply", Result.FAIL, observed=why,
        expected=f"uv {VERSION} on the controller, which brings it to the nodes",
        cause="The program that builds stacks is not to be had. Nothing was changed on the node.",
        remedy="Name an index (torchnode_index_url) or a folder with the wheel "
        "(torchnode_find_links) that the controller reaches, and a cache that it may write.",
    )  # fmt: skip
    said = f"{outcome.observed} {outcome.remedy}"
    return {"failed": True, "msg": said, "torchnode": {
        "stage": "apply", "outcomes": [outcome.as_dict()],
    }}  # fmt: skip
