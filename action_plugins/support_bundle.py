"""The controller's half of support_bundle: silent nodes are named, and one archive is made."""

from __future__ import annotations

import io
import json
import os
import platform
import tarfile
import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__
from ansible.utils.display import Display

_PROJECT = Path(__file__).resolve().parent.parent
if str(_PROJECT / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_PROJECT / "module_utils"))

from ansible.module_utils.torchnode import controller
from ansible.module_utils.torchnode.redaction import json_without_secrets, without_secrets

#: Reports of the last run that go into the archive; other runs' reports stay where they are.
_REPORTS = ("fleet.json", "plan.json")
_LEFT_OUT = (
    "Left out on purpose: inventories, variables, environments, netrc and pip files, keys, and all "
    "processes but those that hold an accelerator. In what is here, URLs' credentials and what is "
    "named like a secret read ***."
)
_NOT_ASKED = {"silent": "it was not asked"}


class ActionModule(ActionBase):
    """See library/support_bundle.py for the documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read a node, or pack what all nodes of the play told."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        if self._task.args.get("state") == "packed":
            return dict(result, changed=False, **_packed(variables))
        try:
            answer: dict[str, Any] = self._execute_module(task_vars=variables)
        except AnsibleConnectionFailure as error:
            return dict(result, **_silent(f"unreachable: {error}"))
        if "support" not in answer:
            said = answer.get("module_stderr") or answer.get("msg")
            return dict(result, **_silent(f"no answer: {said}"))
        return dict(result, **answer)


def _silent(why: str) -> dict[str, Any]:
    """A node that told nothing: the others must still be asked, and packing will say so."""
    why = without_secrets(why)
    return {"changed": False, "msg": why, "support": {"silent": why}}


def _packed(variables: dict[str, Any]) -> dict[str, Any]:
    """The archive's path; failed where a node was silent, so that nobody takes it for whole."""
    nodes = {}
    for name in sorted(variables["ansible_play_hosts_all"]):
        answer = variables["hostvars"][name].get("_support") or {}
        nodes[name] = answer.get("support") or _NOT_ASKED
    reports = _reports_folder()
    path = reports / controller.new_run_name() / "support-bundle.tar.gz"
    try:
        _write(path, _files(nodes, reports / "latest"))
    except OSError as error:
        return {
            "failed": True,
            "msg": f"the archive: found {error}; expected a folder that you may write. Set "
            "TORCHNODE_REPORTS to one.",
        }
    silent = [f"{name} ({told['silent']})" for name, told in nodes.items() if "silent" in told]
    if not silent:
        Display().display(f"support bundle: {path}")  # Ansible shows no message of a success
        return {"path": str(path), "msg": f"support bundle: {path}"}
    return {
        "path": str(path),
        "failed": True,
        "msg": f"support bundle: {path}. It holds nothing of: {'; '.join(silent)}. Mend the "
        "connection and run again, or send it with these nodes' own messages.",
    }


def _reports_folder() -> Path:
    """Where the report's callback writes: TORCHNODE_REPORTS, ansible.cfg, or the project."""
    try:
        folder = constants.config.get_config_value(
            "folder", plugin_type="callback", plugin_name="torchnode_report"
        )
    except AnsibleError:  # a configuration that does not load the callback
        folder = os.environ.get("TORCHNODE_REPORTS")
    return Path(folder or _PROJECT / "reports").absolute()


def _files(nodes: dict[str, dict[str, Any]], latest: Path) -> dict[str, str]:
    """The archive's texts by name, MANIFEST among them."""
    files, lines = {}, [_LEFT_OUT, ""]
    for name, told in nodes.items():
        texts = told.get("texts", {})
        files.update({f"nodes/{name}/{text}": texts[text] for text in texts})
        lines.append(f"node {name}: {told.get('silent') or 'answered'}")
        lines += [f"  without {text}: {why}" for text, why in told.get("missing", {}).items()]
        lines += [f"  of {text} {how}" for text, how in told.get("cut", {}).items()]
    for name in _REPORTS:
        report = latest / name
        if report.is_file():
            files[f"report/{name}"] = json_without_secrets(report.read_text("utf-8"))
        else:
            lines.append(f"without report/{name}: {report} is not there")
    versions = {"ansible-core": __version__, "python": platform.python_version()}
    files["controller.json"] = json.dumps(dict(versions, platform=platform.platform()), indent=1)
    files["MANIFEST"] = "\n".join([*lines, "", *sorted(files)]) + "\n"
    return files


def _write(path: Path, files: dict[str, str]) -> None:
    """Make the archive, for its owner alone: it tells much of a site. Raises OSError."""
    path.parent.mkdir(parents=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        open(descriptor, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:gz") as archive,
    ):
        for name in sorted(files):
            content = files[name].encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"support-bundle/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, time.time()
            archive.addfile(entry, io.BytesIO(content))
