"""The steps that the system's side of a stack is missing, and what must hold first. Pure."""

from __future__ import annotations

import hashlib
from typing import List, Optional, Sequence

from .driver_choice import cuda_driver, driver_problem
from .model import Facts, Stack, Step
from .outcome import Outcome, Result
from .package_model import HostPlan, HostSoftware, PackageWish
from .package_versions import of_family, problems, upstream

GIB = 1 << 30
DRIVER = "nvidia_driver"

#: Room for packages, what they unpack to and a DKMS build. A Debian 12 driver with headers for one
#: kernel took 0.9 GiB in /usr and /var on 2026-11-22; a CUDA toolkit takes 5 to 8 GiB.
VAR_NEEDED_BYTES = 2 * GIB
TOOLKIT_NEEDED_BYTES = 10 * GIB
#: An initramfs of every kernel is written anew beside the old one.
BOOT_NEEDED_BYTES = GIB // 8


def host_steps(facts: Facts, stack: Stack) -> List[Step]:
    """Steps for the driver, its companions and toolkits, in the order to make them."""
    if stack.host is None or facts.system.wsl2:
        return []
    host = facts.host or HostSoftware()
    steps = [_driver_step(facts, stack, host)]
    components = dict.fromkeys(w.component for w in stack.host.wishes if w.component != DRIVER)
    steps += [_component_step(name, stack.host, host) for name in components]
    steps.append(_cudnn_wheel_step(facts, stack.host))
    return [step for step in steps if step is not None]


def driver_wish(stack: Stack) -> Optional[PackageWish]:
    """The driver's packages, None where the driver is not torchnode's to install."""
    wishes = stack.host.wishes if stack.host else ()
    return next((wish for wish in wishes if wish.component == DRIVER), None)


def _driver_step(facts: Facts, stack: Stack, host: HostSoftware) -> Optional[Step]:
    choice = stack.driver
    if choice is None:
        return None
    driver, wish = cuda_driver(facts), driver_wish(stack)
    working = driver_problem(facts, driver, choice)
    why = _not_as_wished(stack.host, wish, host) if wish and stack.host else []
    if not (working or why):
        return None
    installed = (driver.on_disk or driver.loaded) if driver else None
    packages = [p for p in host.packages if wish and of_family(p.name, wish)]
    changes = bool(wish and packages and problems(wish, host.packages, hold=False))
    return Step(
        component=DRIVER,
        action="install" if not installed else "change" if changes or not wish else "mend",
        before=installed or "none",
        after="%s, %s kernel modules, at least %s"
        % (_version_words(choice.version, choice.branch), choice.flavour, choice.minimum),
        why="; ".join([*([working] if working else []), *why]),
        disruptive=True,
        reboot=bool(driver and driver.loaded) or bool(facts.system.blocking_modules),
        operator=wish is None,
        removes=tuple(sorted(_displaced(wish, host))),
    )  # fmt: skip


def _version_words(version: str, branch: str) -> str:
    return "version %s" % version if version else "branch %s" % branch


def _displaced(wish: Optional[PackageWish], host: HostSoftware) -> List[str]:
    if wish is None:
        return []
    gone = PackageWish(wish.component, (), family=wish.absent)
    return [package.name for package in host.packages if of_family(package.name, gone)]


def _not_as_wished(plan: HostPlan, wish: PackageWish, host: HostSoftware) -> List[str]:
    """How the system differs from the plan for its driver, in words."""
    found = problems(wish, host.packages)
    have = dict(host.files)
    for path, content in plan.files:
        digest = hashlib.sha256(content.encode()).hexdigest()
        if path not in have:
            found.append("%s is missing" % path)
        elif have[path] != digest:
            found.append("%s was altered" % path)
    version = _installed_version(wish, host)
    for kernel in host.kernels:
        if version and kernel.module != version:
            found.append("kernel %s has %s" % (
                kernel.release, "module " + kernel.module if kernel.module else "no module",
            ))  # fmt: skip
        elif kernel.initramfs_stale:
            found.append("the initramfs of kernel %s is older than its settings" % kernel.release)
    if host.interrupted:
        found.append("dpkg was interrupted")
    return found


def _installed_version(wish: PackageWish, host: HostSoftware) -> str:
    versions = {upstream(p.version) for p in host.packages if of_family(p.name, wish)}
    return versions.pop() if len(versions) == 1 else ""


def _component_step(name: str, plan: HostPlan, host: HostSoftware) -> Optional[Step]:
    wishes = [wish for wish in plan.wishes if wish.component == name]
    why = [problem for wish in wishes for problem in problems(wish, host.packages)]
    default = "/usr/local/cuda-" + plan.cuda_default
    if name == "cuda_toolkit" and plan.cuda_default and host.cuda_default != default:
        why.append("the default is %s, not %s" % (host.cuda_default or "none", default))
    if not why:
        return None
    have = {package.name: package for package in host.packages}
    names = [name for wish in wishes for name in wish.packages]
    before = ["%s %s" % (n, upstream(have[n].version)) for n in names if n in have]
    return Step(
        component=name,
        action="change" if before else "install",
        before=", ".join(before) or "none",
        after=", ".join("%s %s" % (n, wish.version) if wish.version else n
                        for wish in wishes for n in wish.packages),
        why="; ".join(why),
        disruptive=name == "nvidia_fabric",
    )  # fmt: skip


def _cudnn_wheel_step(facts: Facts, plan: HostPlan) -> Optional[Step]:
    """cuDNN from wheels is there when every one is whole and linked, as survey tells it."""
    have = [item.version for item in facts.cudnn if item.name == "cudnn-wheel"]
    lacking = [wheel.name for wheel in plan.cudnn_wheels if wheel.name not in have]
    if not lacking:
        return None
    return Step(
        component="cudnn",
        action="change" if have else "install",
        before=", ".join(have) or "none",
        after=", ".join(wheel.name for wheel in plan.cudnn_wheels),
        why="%s is not there, or not whole" % ", ".join(lacking),
    )


# ---- preflight ---------------------------------------------------------------------------------


def host_preflight(facts: Facts, stack: Stack, steps: Sequence[Step]) -> List[Outcome]:
    """What must hold before the system's packages are touched; nothing to touch needs nothing."""
    own = [step for step in steps if step.component in _components(stack) and not step.operator]
    if not own or stack.host is None:
        return []
    outcomes = [_root_outcome(facts)]
    toolkit = any(step.component == "cuda_toolkit" for step in own)
    host = facts.host or HostSoftware()
    outcomes.append(_room(
        "preflight.disk_packages", "/var", host.var_free_bytes,
        TOOLKIT_NEEDED_BYTES if toolkit else VAR_NEEDED_BYTES,
    ))  # fmt: skip
    if any(step.component == DRIVER for step in own):
        outcomes.append(_room(
            "preflight.disk_boot", "/boot", host.boot_free_bytes, BOOT_NEEDED_BYTES,
        ))  # fmt: skip
        outcomes += _signing_outcomes(facts, stack.host)
    return outcomes


def _signing_outcomes(facts: Facts, plan: HostPlan) -> List[Outcome]:
    """Where Secure Boot is on, a module that DKMS built loads only when it is signed."""
    if not facts.system.secure_boot:
        return []
    expected = "a key that signs the modules, enrolled on this machine"
    if plan.signing_key and plan.signing_certificate:
        return [Outcome(
            "preflight.secure_boot", "resolve", Result.PASS, "Secure Boot is on, modules are "
            "signed with %s" % plan.signing_key, expected,
        )]  # fmt: skip
    return [Outcome(
        "preflight.secure_boot", "resolve", Result.FAIL, "Secure Boot is on, and no key is named",
        expected,
        cause="The kernel refuses modules that are not signed: the driver would not load.",
        remedy="Make a key (openssl req -new -x509 -newkey rsa:2048 -nodes -outform DER), enrol "
        "its certificate with `mokutil --import` and a reboot at the console, and name both in "
        "torchnode_secure_boot_key and torchnode_secure_boot_certificate. Or turn Secure Boot off "
        "in the firmware.",
    )]  # fmt: skip


def _components(stack: Stack) -> List[str]:
    return [wish.component for wish in stack.host.wishes] if stack.host else []


def _root_outcome(facts: Facts) -> Outcome:
    expected = "root, who may install packages"
    if facts.user.uid == 0:
        return Outcome("preflight.root", "resolve", Result.PASS, facts.user.name, expected)
    return Outcome(
        "preflight.root", "resolve", Result.FAIL, facts.user.name, expected,
        cause="The plan installs packages of the system, and this user may not.",
        remedy="Set become: true for this node (in group_vars: ansible_become: true), or leave the "
        "driver as it is with torchnode_nvidia_source: preinstalled.",
    )  # fmt: skip


def _room(identity: str, path: str, free: Optional[int], needed: int) -> Outcome:
    expected = "%.1f GiB free in %s" % (needed / GIB, path)
    if free is None:
        return Outcome(
            identity, "resolve", Result.INCOMPLETE, "could not be read", expected,
            cause="The file system of %s did not answer." % path,
            remedy="Check the mount that holds %s." % path,
        )  # fmt: skip
    observed = "%.1f GiB free" % (free / GIB)
    if free >= needed:
        return Outcome(identity, "resolve", Result.PASS, observed, expected)
    return Outcome(
        identity, "resolve", Result.FAIL, observed, expected,
        cause="The file system that holds %s is too full for the packages." % path,
        remedy="Free space there (`apt-get clean` or `dnf clean all`, old kernels), and run again.",
    )  # fmt: skip
