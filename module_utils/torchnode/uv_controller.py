"""The pinned uv on the controller, found with the operator's sources and Ansible's own client."""

from __future__ import annotations

import os
import shlex
from typing import Any, Dict, Mapping

from ansible.module_utils.urls import ConnectionError as UrlError
from ansible.module_utils.urls import open_url

from . import package_index, uv_install, uv_wheel
from .data.uv import VERSION, WHEELS
from .outcome import Outcome, Result

CACHE = "~/.cache/torchnode"


def binary_for(system: str, machine: str, options: Mapping[str, Any]) -> str:
    """The path of the verified uv for a node of this kind; ``options`` are python_stack's.

    Raises uv_wheel.NotAvailable where it is not to be had, also for a machine without a pinned
    uv, and OSError for a cache that cannot be written.
    """
    wheel = WHEELS.get((system, machine))
    if wheel is None:
        known = ", ".join("%s %s" % key for key in WHEELS)
        raise uv_wheel.NotAvailable("machine: found %s %s; expected %s" % (system, machine, known))
    stated = package_index.Sources(
        index_url=options.get("index_url") or "",
        find_links=tuple(options.get("find_links") or ()),
        offline=bool(options.get("offline")),
    )
    files = package_index.pip_files(os.environ, os.path.expanduser("~"))
    settings = package_index.pip_settings(os.environ, files)
    sources = package_index.sources(stated, os.environ, settings)
    return uv_wheel.obtain(wheel, os.path.expanduser(CACHE), sources, fetch)


def fetch(url: str) -> bytes:
    """The URL's bytes: proxies, CA bundle and netrc apply. Raises OSError."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    try:
        with open_url(url, headers=accept, timeout=120, use_netrc=True) as answer:
            content: bytes = answer.read()
    except UrlError as error:  # not an OSError in Ansible's client
        raise OSError(str(error)) from None
    return content


def bring(action: Any, args: Mapping[str, Any]) -> Dict[str, str]:
    """A module's options for the pinned uv; it is sent when the node has not this very file.

    ``action`` is Ansible's action plugin of python_stack or wheel_folder, ``args`` its options.

    Raises NotAvailable and OSError where the controller cannot get it.
    """
    source = binary_for(args["system"], args["machine"], args)
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


def refusal(identity: str, why: str) -> Dict[str, Any]:
    """A task's result where the controller has no uv: the outcome ``identity`` says it."""
    outcome = Outcome(
        identity, "apply", Result.FAIL, observed=why,
        expected=f"uv {VERSION} on the controller, which brings it to the nodes",
        cause="The program that fetches packages is not to be had. Nothing was changed.",
        remedy="Name an index (torchnode_index_url) or a folder with the wheel "
        "(torchnode_find_links) that the controller reaches, and a cache that it may write.",
    )  # fmt: skip
    said = f"{outcome.observed} {outcome.remedy}"
    return {"failed": True, "msg": said, "torchnode": {
        "stage": "apply", "outcomes": [outcome.as_dict()],
    }}  # fmt: skip


def _remote_digest(action: Any, path: str) -> str:
    """The file's SHA-256 on the node; '' where there is no such file. macOS has shasum."""
    name = shlex.quote(path)
    command = f"sha256sum {name} 2>/dev/null || shasum -a 256 {name} 2>/dev/null"
    out = str(action._low_level_execute_command(command)["stdout"]).split()
    return out[0] if out else ""
