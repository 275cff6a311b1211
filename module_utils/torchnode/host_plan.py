"""The steps that the system's side of a stack is missing. Pure."""

from __future__ import annotations

import hashlib
from typing import List, Optional, Sequence, Tuple

from .driver_choice import cuda_driver, driver_problem
from .model import Driver, Facts, Stack, Step
from .package_model import HostPlan, HostSoftware, PackageWish
from .package_versions import of_family, problems, settled, upstream

DRIVER = "nvidia_driver"


def host_steps(facts: Facts, stack: Stack) -> List[Step]:
    """Steps for the driver, its companions and toolkits, in the order to make them."""
    if stack.host is None:
        return []
    host = facts.host or HostSoftware()
    # Under WSL2 the driver is Windows'; toolkits are this side's.
    steps = [None if facts.system.wsl2 else _driver_step(facts, stack, host)]
    components = dict.fromkeys(w.component for w in stack.host.wishes if w.component != DRIVER)
    steps += [_component_step(name, stack.host, host) for name in components]
    steps += [_toolkit_wheel_step(facts, stack.host), _cudnn_wheel_step(facts, stack.host)]
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
    module = (driver.on_disk or driver.loaded) if driver else None
    versions = _family_versions(wish, host)
    changes = bool(wish and versions and problems(wish, host.packages, hold=False))
    # A library that a toolkit brought is no driver: without a module, the origin tells.
    there = module or (versions and host.origin)
    return Step(
        component=DRIVER,
        action="install" if not there else "change" if changes or not wish else "mend",
        before=module or _packages_words(versions),
        after="%s, %s kernel modules, at least %s"
        % (_version_words(choice.version, choice.branch), choice.flavour, choice.minimum),
        why="; ".join([*([working] if working else []), *why]),
        disruptive=True,
        reboot=bool(facts.system.blocking_modules) or _moves(driver, wish, host, working),
        operator=wish is None,
        removes=tuple(sorted(_displaced(wish, host))),
    )  # fmt: skip


def _family_versions(wish: Optional[PackageWish], host: HostSoftware) -> List[str]:
    """The versions of the driver's packages that are installed: one, where all is well."""
    family = [p for p in host.packages if wish and of_family(p.name, wish)]
    return sorted({upstream(package.version) for package in family})


def _packages_words(versions: Sequence[str]) -> str:
    return "packages of %s, and no module" % " and ".join(versions) if versions else "none"


def _moves(
    driver: Optional[Driver], wish: Optional[PackageWish], host: HostSoftware, working: str
) -> bool:
    """Whether the module that is loaded will be another one: what is only held anew, or built for
    another kernel, leaves it where it is."""
    if driver is None or not driver.loaded:
        return False
    versions = _family_versions(wish, host)
    packaged = versions == [driver.loaded] and not _displaced(wish, host)
    return bool(working) or not packaged


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
    versions = _family_versions(wish, host)
    version = versions[0] if len(versions) == 1 else ""
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


def _component_step(name: str, plan: HostPlan, host: HostSoftware) -> Optional[Step]:
    wishes = [settled(w, host.packages) for w in plan.wishes if w.component == name]
    why = [problem for wish in wishes for problem in problems(wish, host.packages)]
    wrong_default = _wrong_default(plan, host) if name == "cuda_toolkit" else None
    if not why and wrong_default is None:
        return None
    displaced = [gone for wish in wishes for gone in _displaced(wish, host)]
    # What has any version, and is there, is no part of the change: tools, headers, a compiler.
    have = {package.name for package in host.packages}
    names = {n for wish in wishes for n in wish.packages if of_family(n, wish) or n not in have}
    there = [p for p in host.packages if p.name in names or p.name in displaced]
    before = ["%s %s" % (p.name, upstream(p.version)) for p in there]
    after = [_wished_words(n, wish) for wish in wishes for n in wish.packages if n in names]
    if wrong_default:
        before, after = [*before, wrong_default[0]], [*after, wrong_default[1]]
        why = [*why, "the default is %s, not %s" % wrong_default]
    return Step(
        component=name,
        action="change" if there else "install",
        before=", ".join(before) or "none",
        after=", ".join(after),
        why="; ".join(why),
        disruptive=name == "nvidia_fabric",
        removes=tuple(sorted(displaced)),
    )


def _wrong_default(plan: HostPlan, host: HostSoftware) -> Optional[Tuple[str, str]]:
    """(the toolkit that /usr/local/cuda is, the one that it should be) where they differ."""
    default = "/usr/local/cuda-" + plan.cuda_default
    if not plan.cuda_default or host.cuda_default == default:
        return None
    return host.cuda_default or "none", default


def _wished_words(name: str, wish: PackageWish) -> str:
    return "%s %s" % (name, wish.version) if wish.version and of_family(name, wish) else name


def _toolkit_wheel_step(facts: Facts, plan: HostPlan) -> Optional[Step]:
    """Toolkits from wheels are there when every one is whole and the first is the default."""
    have = [item.version for item in facts.toolkits if item.name == "cuda-toolkit-wheel"]
    wished = [wish.cuda for wish in plan.toolkit_wheels]
    lacking = [cuda for cuda in wished if cuda not in have]
    if not lacking and (not wished or have[0] == wished[0]):
        return None
    why = "%s is not there, or not whole" % ", ".join(lacking)
    return Step(
        component="cuda_toolkit",
        action="install" if lacking else "change",
        before=", ".join(have) or "none",
        after=", ".join("%s from wheels" % cuda for cuda in wished),
        why=why if lacking else "%s is to be the default" % wished[0],
    )


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
