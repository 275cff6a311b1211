"""What is installed beside the stack: toolkits, cuDNN, held packages, device users."""

from __future__ import annotations

import json
import os
import pwd
import re
from typing import Dict, List, Optional, Sequence, Set, Tuple

from . import cudnn_wheel, toolkit_wheel
from .model import Process, SoftwareItem
from .node import Node


def read_toolkits(node: Node, prefix: str = "") -> Tuple[SoftwareItem, ...]:
    """What torch's builds or plugins need below them: CUDA toolkits ('cuda-toolkit') and 'cann'.

    Those that wheels brought below ``prefix`` are 'cuda-toolkit-wheel'.
    """
    wheels = toolkit_wheel.read(node, prefix) if prefix else []
    folder = toolkit_wheel.base(prefix)
    unpacked = [SoftwareItem("cuda-toolkit-wheel", n, "%s/%s" % (folder, n)) for n in wheels]
    return (*_cuda_toolkits(node), *unpacked, *_cann_toolkits(node))


#: Folders of CANN below its root, as its installers of this and of earlier years name them.
_CANN_FOLDERS = ("cann", "cann-[0-9]*", "ascend-toolkit/latest", "ascend-toolkit/[0-9]*")


def _cann_toolkits(node: Node) -> Tuple[SoftwareItem, ...]:
    """Huawei's CANN toolkits, each real folder once (sources.ASCEND_INSTALL)."""
    roots = ["/usr/local/Ascend", node.environ.get("HOME", "") + "/Ascend"]
    folders = [root + "/" + folder for root in roots for folder in _CANN_FOLDERS]
    folders.append(node.environ.get("ASCEND_HOME_PATH", ""))
    found: Dict[str, SoftwareItem] = {}
    for pattern in filter(None, folders):
        for path in node.glob(pattern + "/*-linux/ascend_toolkit_install.info"):
            version = re.search(r"^version=(\S+)$", node.read(path) or "", re.MULTILINE)
            folder = os.path.dirname(os.path.dirname(path))
            item = SoftwareItem("cann", version.group(1) if version else "unreadable", folder)
            found.setdefault(os.path.realpath(node.path(path)), item)
    return tuple(found.values())


def _cuda_toolkits(node: Node) -> Tuple[SoftwareItem, ...]:
    """CUDA toolkits in /usr/local/cuda-*, each real folder once, by their own version.json.

    Container images leave that file out: then the folder's name tells the minor version.
    """
    found: Dict[str, SoftwareItem] = {}
    for path in node.glob("/usr/local/cuda-*"):
        real = os.path.realpath(node.path(path))
        text = node.read(path + "/version.json")
        named = re.search(r"/cuda-(\d+\.\d+)$", real)
        if real in found or not os.path.isdir(real) or not (text or named):
            continue
        version = _toolkit_version(text) if text else named.group(1) if named else ""
        found[real] = SoftwareItem("cuda-toolkit", version, path)
    return tuple(found.values())


def _toolkit_version(text: str) -> str:
    try:
        return str(json.loads(text)["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        return "unreadable version.json"


def read_cudnn(node: Node, prefix: str = "") -> Tuple[SoftwareItem, ...]:
    """Copies of cuDNN for compilers; torch's own lies in its packages and is not counted.

    The system's are told by their headers ('cudnn'), those that a wheel brought below ``prefix`` by
    their folder ('cudnn-wheel', version '9.10.2.21-cu12').
    """
    wheels = cudnn_wheel.read(node, prefix) if prefix else []
    folder = cudnn_wheel.base(prefix)
    return _system_cudnn(node) + tuple(
        SoftwareItem("cudnn-wheel", name, "%s/%s" % (folder, name)) for name in wheels
    )


def _system_cudnn(node: Node) -> Tuple[SoftwareItem, ...]:
    headers: List[str] = []
    for folder in ("/usr/include", "/usr/include/*-linux-gnu", "/usr/local/cuda*/include"):
        headers += node.glob(folder + "/cudnn_version*.h")
    found: Dict[str, SoftwareItem] = {}
    for header in headers:
        numbers = re.findall(
            r"#define CUDNN_(?:MAJOR|MINOR|PATCHLEVEL) (\d+)", node.read(header) or ""
        )
        folder = os.path.dirname(header)
        if len(numbers) == 3:
            found.setdefault(folder, SoftwareItem("cudnn", ".".join(numbers), folder))
    return tuple(found.values())


DPKG_SELECTIONS = ["dpkg-query", "-W", "-f", "${db:Status-Want} ${Package}\\n"]


def read_holds(node: Node) -> Tuple[str, ...]:
    """Packages that the package manager holds back (dpkg's selections, or dnf's versionlock list).

    `apt-mark showhold` says the same and takes a second, because it reads apt's whole cache first.
    """
    wanted = node.run(DPKG_SELECTIONS)
    if wanted.rc == 0:
        selections = (line.partition(" ") for line in wanted.out.splitlines())
        return tuple(name for want, _, name in selections if want == "hold")
    locks = node.read("/etc/dnf/plugins/versionlock.list") or ""
    lines = (line.strip() for line in locks.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def read_processes(node: Node, patterns: Sequence[str]) -> Tuple[Process, ...]:
    """Processes that hold a device node matching ``patterns`` open.

    Without root only the own user's are visible: what this cannot see, preflight must not assume.
    """
    nodes = {os.path.realpath(node.path(path)) for p in patterns for path in node.glob(p)}
    if not nodes:
        return ()
    found = [_process(node, pid, nodes) for pid in node.names("/proc", "[0-9]*")]
    return tuple(process for process in found if process is not None)


def _process(node: Node, pid: str, nodes: Set[str]) -> Optional[Process]:
    base = node.path("/proc/" + pid)
    # Of another user's process nothing is readable, and a descriptor may close meanwhile.
    held = nodes & {node.link(path) for path in node.glob("/proc/%s/fd/*" % pid)}
    if not held:
        return None
    words = (node.read("/proc/%s/cmdline" % pid) or "").split("\0")
    return Process(int(pid), _owner(base), _program(words), tuple(sorted(held)))


def _program(words: Sequence[str]) -> str:
    """'python train.py', 'python -m torch.distributed.run': arguments may hold somebody's token."""
    name, rest = os.path.basename(words[0]), [word for word in words[1:3] if word]
    if rest[:1] == ["-m"]:
        return " ".join([name, *rest])[:80]
    script = [os.path.basename(rest[0])] if rest and not rest[0].startswith("-") else []
    return " ".join([name, *script])[:80]


def _owner(path: str) -> str:
    try:
        uid = os.stat(path).st_uid
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    except OSError:
        return "?"
