"""The operating system, the machine around it, and the user, read without any package."""

from __future__ import annotations

import os
import platform
import pwd
import shlex
from typing import Dict, List, Optional, Tuple

from .model import PythonInterpreter, System, User
from .node import Node

#: In-tree drivers that claim NVIDIA GPUs before NVIDIA's own module can.
BLOCKING_MODULES = ("nouveau", "nova_core")

_EFI_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

#: What hypervisors write into the firmware tables, as /sys/class/dmi/id/{sys_vendor,product_name}.
_HYPERVISORS = {
    "QEMU": "kvm",
    "KVM": "kvm",
    "Amazon EC2": "kvm",
    "Google Compute Engine": "kvm",
    "VMware": "vmware",
    "VirtualBox": "virtualbox",
    "Microsoft Corporation Virtual Machine": "hyperv",
    "Xen": "xen",
    "Firecracker": "firecracker",
}


def read_system(node: Node) -> System:
    """The machine's :class:`System`; fields that cannot be read keep their 'not known' value."""
    return _read_macos(node) if node.system == "Darwin" else _read_linux(node)


def _read_macos(node: Node) -> System:
    """macOS has no /proc and /sys: its own commands tell the little that there is to know."""
    version, memory = node.run(["/usr/bin/sw_vers", "-productVersion"]), node.sysctl("hw.memsize")
    number = version.out.strip() if version.rc == 0 else ""
    cores = node.sysctl("hw.ncpu") or ""
    return System(
        system=node.system,
        machine=node.machine,
        kernel=node.sysctl("kern.osrelease") or "",
        os_id="macos",
        os_version=number,
        os_name=("macOS " + number).strip(),
        cpu_model=node.sysctl("machdep.cpu.brand_string") or "",
        cpu_count=int(cores) if cores.isdigit() else os.cpu_count() or 1,
        memory_bytes=int(memory) if memory and memory.isdigit() else None,
        boot_id=node.sysctl("kern.bootsessionuuid"),
    )


def _read_linux(node: Node) -> System:
    release = _os_release(node)
    kernel = node.read("/proc/sys/kernel/osrelease") or platform.release()
    cpu = _fields(node.read("/proc/cpuinfo") or "")
    return System(
        system=node.system,
        machine=node.machine,
        kernel=kernel,
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        os_name=release.get("PRETTY_NAME", ""),
        cpu_model=cpu.get("model name", cpu.get("Model", "")),
        cpu_count=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(node),
        secure_boot=_secure_boot(node),
        virtualization=_virtualization(node, cpu),
        container=read_container(node),
        wsl2="microsoft" in kernel.lower() and node.exists("/dev/dxg"),
        boot_id=node.read("/proc/sys/kernel/random/boot_id"),
        blocking_modules=tuple(m for m in BLOCKING_MODULES if node.exists("/sys/module/" + m)),
    )


def read_user(node: Node) -> User:
    """Who survey runs as; ``data_home`` follows the XDG base directory specification."""
    try:
        entry = pwd.getpwuid(node.uid)
        name, home = entry.pw_name, entry.pw_dir
    except KeyError:  # a container may run under a number that has no name
        name, home = str(node.uid), node.environ.get("HOME", "/")
    home = node.environ.get("HOME", home) if node.uid != 0 else home
    data = node.environ.get("XDG_DATA_HOME", "")
    data = data if data.startswith("/") else home + "/.local/share"
    return User(name=name, uid=node.uid, home=home, data_home=data)


def read_pythons(node: Node, user: User, own: str) -> Tuple[PythonInterpreter, ...]:
    """The Pythons that answer when run, the system's first, each real interpreter once.

    ``own`` runs this survey and comes last: on the controller it is the one that Ansible uses.
    """
    paths: List[str] = []
    for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", user.home + "/.local/bin"):
        paths += node.glob(folder + "/python3") + node.glob(folder + "/python3.[0-9]*")
    paths += node.glob("/opt/python*/bin/python3") + node.glob(
        user.home + "/.pyenv/versions/*/bin/python3"
    )
    paths.append(own)
    found: Dict[str, PythonInterpreter] = {}
    for path in paths:
        real = os.path.realpath(node.path(path))
        if real in found or real.endswith("-config") or not os.access(real, os.X_OK):
            continue
        version = _python_version(node, path)
        if version:
            found[real] = PythonInterpreter(path=path, version=version)
    return tuple(found.values())


def python_problem(node: Node, path: str) -> str:
    """Why the interpreter at ``path``, which the operator named, does not run; '' where it does."""
    if not path or _python_version(node, os.path.expanduser(path)):
        return ""
    return "it does not run" if node.exists(os.path.expanduser(path)) else "it is not there"


def _python_version(node: Node, path: str) -> Optional[str]:
    # -S skips site packages: a broken .pth file must not hide a working interpreter.
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    done = node.run([path, "-I", "-S", "-c", code])
    return done.out.strip() if done.rc == 0 else None


def _os_release(node: Node) -> Dict[str, str]:
    text = node.read("/etc/os-release") or node.read("/usr/lib/os-release") or ""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return {key.strip(): _unquoted(value) for key, value in pairs}


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:  # an unbalanced quote
        return value.strip()


def _fields(text: str) -> Dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _memory_bytes(node: Node) -> Optional[int]:
    words = _fields(node.read("/proc/meminfo") or "").get("MemTotal", "").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None  # it counts in KiB


def _secure_boot(node: Node) -> Optional[bool]:
    """The EFI variable's fifth byte (four bytes of attributes come first)."""
    if not node.exists("/sys/firmware/efi"):
        return None
    value = node.read_bytes(_EFI_SECURE_BOOT)
    return bool(value[4]) if value and len(value) > 4 else None


def _virtualization(node: Node, cpu: Dict[str, str]) -> str:
    identity = " ".join(
        node.read("/sys/class/dmi/id/" + name) or "" for name in ("sys_vendor", "product_name")
    )
    for words, name in _HYPERVISORS.items():
        if words in identity:
            return name
    if node.read("/sys/hypervisor/type"):
        return str(node.read("/sys/hypervisor/type"))
    # The CPUID bit is set by every hypervisor, also by those that write no firmware tables.
    return "vm" if "hypervisor" in cpu.get("flags", "").split() else "none"


def read_container(node: Node) -> Optional[str]:
    """The kind of container that this is ('docker'), None outside of any."""
    for path in ("/run/systemd/container", "/run/host/container-manager"):
        name = node.read(path)
        if name:
            return name
    for entry in (node.read("/proc/1/environ") or "").split("\0"):
        if entry.startswith("container="):
            return entry.partition("=")[2] or "container"
    if node.exists("/run/.containerenv"):
        return "podman"
    return "docker" if node.exists("/.dockerenv") else None
