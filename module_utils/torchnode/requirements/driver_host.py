"""A driver that torchnode installed, judged as it stands on the machine: facts -> outcomes. Pure.

What needs hardware is skipped where there is none, by the rules of ``_hardware``: a container's
kernel is its host's, and a machine without a GPU loads no module. It is never a pass then.
"""

from __future__ import annotations

import hashlib
from typing import List, Optional

from ..driver_choice import cuda_driver
from ..host_plan import driver_wish
from ..model import Driver, Facts, Stack
from ..outcome import Outcome, Result
from ..package_model import HostPlan, HostSoftware, Package, PackageWish
from ..package_versions import of_family, problems, upstream

STAGE = "apply"


def driver_outcomes(
    facts: Facts, stack: Stack, rebooted: bool = False, fabric: bool = True
) -> List[Outcome]:
    """Outcomes about the driver's packages, files, modules and services; none for one that is not
    torchnode's to install. ``rebooted``: the machine has just booted with it. ``fabric``: Fabric
    Manager has had its turn, and is judged too."""
    wish = driver_wish(stack)
    if wish is None or stack.host is None:
        return []
    host = facts.host or HostSoftware()
    version = installed_version(wish, host)
    return [
        _packages(wish, host, version),
        _files(stack.host, host),
        _modules(host, version),
        _initramfs(host),
        _flavour(stack, host),
        _loaded(facts, host, version, rebooted),
        _rivals(facts),
        _device_nodes(facts),
        *(_fabric(stack.host, host, version) if fabric else []),
        _persistenced(facts, host),
    ]


def installed_version(wish: PackageWish, host: HostSoftware) -> str:
    """The one version of the driver's packages, '' for none or several."""
    versions = {upstream(p.version) for p in host.packages if of_family(p.name, wish)}
    return versions.pop() if len(versions) == 1 else ""


def _hardware(facts: Facts) -> str:
    """Why the hardware's side cannot be judged here, '' where it can."""
    if facts.system.container:
        return "the kernel is that of the container's host"
    gpus = [gpu for gpu in facts.accelerators if gpu.backend == "cuda"]
    return "" if gpus else "no NVIDIA GPU"


def _judged(
    name: str, good: bool, observed: str, expected: str, cause: str, remedy: str
) -> Outcome:
    if good:
        return Outcome("apply.driver_" + name, STAGE, Result.PASS, observed, expected)
    return Outcome(
        "apply.driver_" + name, STAGE, Result.FAIL, observed, expected, cause, remedy
    )  # fmt: skip


def _skipped(name: str, why: str, expected: str) -> Outcome:
    return Outcome(
        "apply.driver_" + name, STAGE, Result.SKIPPED, why, expected, required=False
    )  # fmt: skip


def _packages(wish: PackageWish, host: HostSoftware, version: str) -> Outcome:
    missing = problems(wish, host.packages)
    return _judged(
        "packages", not missing, "; ".join(missing) or "%s, held" % version,
        "%s %s, its whole family of one version, held" % (wish.packages[0], wish.version),
        "The packages are not as resolved after they were installed.",
        "Read the log of the package manager, and run again. If another tool manages these "
        "packages, let one of the two do it.",
    )  # fmt: skip


def _files(plan: HostPlan, host: HostSoftware) -> Outcome:
    have = dict(host.files)
    wrong = [
        path
        for path, content in plan.files
        if have.get(path) != hashlib.sha256(content.encode()).hexdigest()
    ]
    return _judged(
        "files", not wrong, ", ".join(wrong) or "%d files" % len(plan.files),
        "the pins and module settings as written", "Files were altered after they were written.",
        "Find out which tool writes them, stop it, and run again.",
    )  # fmt: skip


def _modules(host: HostSoftware, version: str) -> Outcome:
    wrong = [
        "%s: %s" % (kernel.release, kernel.module or "none")
        for kernel in host.kernels
        if kernel.module != version
    ]
    expected = "module %s for every installed kernel" % (version or "of the driver")
    if not host.kernels:
        return Outcome(
            "apply.driver_modules", STAGE, Result.INCOMPLETE, "no installed kernel was found",
            expected, "Neither an image nor headers of a kernel are there.",
            "Install the kernel's headers, and run again.",
        )  # fmt: skip
    return _judged(
        "modules", bool(version) and not wrong,
        ", ".join(wrong) or ", ".join(kernel.release for kernel in host.kernels), expected,
        "A kernel without the module loses its GPUs at the boot that chooses it.",
        "Read /var/lib/dkms/nvidia*/*/build/make.log for that kernel, install its headers or "
        "remove the kernel, and run again.",
    )  # fmt: skip


def _initramfs(host: HostSoftware) -> Outcome:
    stale = [kernel.release for kernel in host.kernels if kernel.initramfs_stale]
    return _judged(
        "initramfs", not stale, ", ".join(stale) or "newer than the settings",
        "every initramfs knows which modules may not load",
        "nouveau or nova_core could still load from an old initramfs and claim the GPUs.",
        "Run `update-initramfs -u -k all` or `dracut --regenerate-all -f`, and see what it says.",
    )  # fmt: skip


def _flavour(stack: Stack, host: HostSoftware) -> Outcome:
    wanted = stack.driver.flavour if stack.driver else ""
    found = _flavours(host)
    return _judged(
        "flavour", found == [wanted], ", ".join(found) or "none", "%s kernel modules" % wanted,
        "The modules on disk are of another flavour than these GPUs need.",
        "Run again; if it stays so, remove the other flavour's packages.",
    )  # fmt: skip


def _flavours(host: HostSoftware) -> List[str]:
    """The flavours of the modules on disk, of all kernels."""
    return sorted({kernel.flavour for kernel in host.kernels if kernel.module})


def _loaded(facts: Facts, host: HostSoftware, version: str, rebooted: bool) -> Outcome:
    expected = "packages, module loaded, library, and NVML where it answers, of one version"
    why = _hardware(facts)
    if why:
        return _skipped("loaded", why, expected)
    driver: Optional[Driver] = cuda_driver(facts)
    seen = {
        "packages": version,
        "loaded": driver.loaded if driver else None,
        "library": driver.userspace if driver else None,
    }
    if driver and driver.nvml:  # read through the stack's Python, where there is one already
        seen["NVML"] = driver.nvml
    words = ", ".join("%s %s" % (name, value or "none") for name, value in seen.items())
    flavour = driver.loaded_flavour if driver else None
    other = bool(flavour) and flavour not in _flavours(host)
    words += ", the %s module loaded" % flavour if other else ""
    # What is not loaded at all was tried to be: another boot would meet the same.
    silent = rebooted or not seen["loaded"]
    return _judged(
        "loaded", set(seen.values()) == {version} and bool(version) and not other, words, expected,
        "The module did not come up%s." % (" with the boot" if rebooted else "") if silent
        else "What runs is not what is installed: programs meet a driver/library mismatch.",
        "Run `modprobe nvidia` and read `dmesg | grep -i nvidia`: 'No such device' means that no "
        "GPU answers, another message what the module lacks." if silent
        else "Reboot the node (or let the run do it with torchnode_reboot: when_needed).",
    )  # fmt: skip


def _rivals(facts: Facts) -> Outcome:
    expected = "no other module claims the GPUs"
    why = _hardware(facts)
    if why:
        return _skipped("rivals", why, expected)
    rivals = facts.system.blocking_modules
    return _judged(
        "rivals", not rivals, " and ".join(rivals) or "none", expected,
        "A module that cannot serve CUDA has taken the GPUs.", "Reboot the node.",
    )  # fmt: skip


def _device_nodes(facts: Facts) -> Outcome:
    expected = "a device node for every GPU"
    why = _hardware(facts)
    if why:
        return _skipped("device_nodes", why, expected)
    driver = cuda_driver(facts)
    nodes = [
        n for n in (driver.device_nodes if driver else ()) if n[len("/dev/nvidia") :].isdigit()
    ]
    gpus = [gpu for gpu in facts.accelerators if gpu.backend == "cuda"]
    return _judged(
        "device_nodes", len(nodes) >= len(gpus), ", ".join(nodes) or "none", expected,
        "The module has made no node for a GPU: it could not start it, or nothing asked it to.",
        "Read `dmesg | grep NVRM`, and start nvidia-persistenced, which makes the nodes.",
    )  # fmt: skip


def _fabric(plan: HostPlan, host: HostSoftware, version: str) -> List[Outcome]:
    """What NVSwitches need must be of the driver's version, Fabric Manager only where they are."""
    wished = [wish for wish in plan.wishes if wish.component == "nvidia_fabric"]
    found = [
        p for p in host.packages
        if _is_fabric_manager(p) or any(of_family(p.name, wish) for wish in wished)
    ]  # fmt: skip
    if not wished and not found:
        return []
    needed = {name for wish in wished for name in wish.packages if of_family(name, wish)}
    expected = (
        "%s, each %s as the driver" % (", ".join(sorted(needed)), version or "of one version")
        if wished else "no Fabric Manager: there is no NVSwitch"
    )  # fmt: skip
    words = ", ".join("%s %s" % (p.name, upstream(p.version)) for p in found) or "none"
    same = bool(version) and all(upstream(p.version) == version for p in found)
    good = bool(needed) and needed <= {p.name for p in found} and same
    return [_judged(
        "fabric", good, words, expected,
        "Fabric Manager of another version refuses to run, and CUDA then fails with error 802."
        if wished else "It fails at every boot where there is no switch to manage.",
        "Run again." if wished else "Remove the package.",
    )]  # fmt: skip


def _is_fabric_manager(package: Package) -> bool:
    return package.name.startswith(("nvidia-fabricmanager", "nvidia-fabric-manager"))


def _persistenced(facts: Facts, host: HostSoftware) -> Outcome:
    expected = "nvidia-persistenced is active"
    why = _hardware(facts)
    states = dict(host.services)
    state = states.get("nvidia-persistenced", "absent")
    if why:
        # Without a GPU it has to be quiet: skipped by its condition, not failed.
        if state == "failed":
            return _judged(
                "persistenced", False, state, "quiet on a machine without a GPU",
                "The service failed although there is nothing to serve.",
                "Read `systemctl status nvidia-persistenced`.",
            )  # fmt: skip
        return _skipped("persistenced", "%s; it is %s" % (why, state), expected)
    return _judged(
        "persistenced", state == "active", state, expected,
        "Without it the driver is initialised anew by every program, and loses its settings.",
        "Read `systemctl status nvidia-persistenced` and `journalctl -u nvidia-persistenced`.",
    )  # fmt: skip
