"""Which NVIDIA driver serves a node's GPUs and its torch build: branch, flavour, floor. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, List, Optional, Sequence, Tuple

from . import host_choice
from .data import compatibility as tables
from .data.nvidia_parts import CHIPS, lookup
from .model import Accelerator, Driver, DriverChoice, Facts
from .policy import Conflict, Policy


def driver_floor(row: tables.TorchWheel) -> str:
    """The oldest driver that runs a build's CUDA runtime (minor-version compatibility)."""
    return next(f.minimum for f in tables.DRIVER_FLOORS if f.cuda_major == row.cuda_major)


def serves(version: str, row: tables.TorchWheel) -> bool:
    """Whether a driver version is at or above the build's floor."""
    return tables.version_key(version) >= tables.version_key(driver_floor(row))


def unknown_part(device: Accelerator) -> Conflict:
    """The refusal of a GPU that no table knows."""
    return Conflict(
        "accelerator " + (device.bus or str(device.index)), device.pci_id or device.model,
        "a device whose architecture is known from its PCI id or from its driver",
        "Add a row for it to data/%s_parts.py, or install its driver so that it can be asked."
        % device.vendor,
    )  # fmt: skip


def cuda_driver(facts: Facts) -> Optional[Driver]:
    """NVIDIA's driver as survey saw it."""
    return next((d for d in facts.drivers if d.vendor == "nvidia"), None)


def present_version(facts: Facts) -> Optional[str]:
    """The driver that torch meets now: the loaded module's, under WSL2 what Windows lends."""
    driver = cuda_driver(facts)
    if driver is None:
        return None
    return driver.loaded or ((driver.nvml or driver.userspace) if facts.system.wsl2 else None)


def driver_version(facts: Facts, policy: Policy) -> Tuple[str, str]:
    """The driver that torch will meet: the present one, else the branch that will be installed.

    A branch that the operator names, and that is not the present one's, is a wish to move there.
    A present driver that is too old or too new for a GPU's generation cannot stay. One that is
    installed and not loaded, because of a kernel without its module, say, stays of its branch.
    """
    present = present_version(facts)
    if present and facts.system.wsl2:
        return present, "lent by Windows"
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    first = first_branch(devices)
    default = max(host_choice.default_branch(facts, policy), first, key=lambda b: int(b or 0))
    branch = policy.driver_branch or _installed_branch(facts, policy, devices) or default
    stays = not policy.driver_branch or (present and branch == str(_branch(present)))
    if present and stays and _serves_all(_branch(present), devices):
        return present, "loaded on the node"
    # Branches are long-lived: their current release is past every floor inside the branch.
    return branch + ".999", "branch %s, to be installed" % branch


def _installed_branch(facts: Facts, policy: Policy, devices: Sequence[Accelerator]) -> str:
    """The branch of a driver that is there and not loaded, '' for none that can stay."""
    driver = cuda_driver(facts)
    version = (driver.on_disk or driver.userspace) if driver else None
    if not version:
        return ""
    branch = _branch(version)
    return str(branch) if _serves_all(branch, devices) and _has(facts, policy, str(branch)) else ""


def first_branch(devices: Sequence[Accelerator]) -> str:
    """The first branch that knows every one of these GPUs, '' where no row says."""
    firsts = [_chip_first_branch(device) for device in devices]
    return max((first for first in firsts if first), key=int, default="")


def last_branch(devices: Iterable[Accelerator]) -> str:
    """The last branch that still serves every one of these GPUs, '' where none has ended."""
    lasts = [rule.last_branch for rule in _flavour_rules(devices) if rule.last_branch]
    return min(lasts, key=int, default="")


def _serves_all(branch: int, devices: Sequence[Accelerator]) -> bool:
    return int(first_branch(devices) or 0) <= branch <= int(last_branch(devices) or branch)


def _chip_first_branch(device: Accelerator) -> str:
    number = int((device.pci_id or ":0").partition(":")[2], 16)
    chip = next((c for c in CHIPS if c.first_id <= number <= c.last_id), None)
    return chip.first_branch if chip else ""


def _branch(version: str) -> int:
    return int(version.split(".")[0])


def check_branch(facts: Facts, policy: Policy, devices: Sequence[Accelerator]) -> None:
    """Raises Conflict for a wished branch that nobody makes, or that does not serve every GPU."""
    wished, loaded = policy.driver_branch, (present_version(facts) or "").split(".")[0]
    if not wished or (wished == loaded and _serves_all(int(loaded), devices)):
        _check_default(facts, policy, devices)
        return
    branches = [branch.branch for branch in tables.DRIVER_BRANCHES]
    serving = [branch for branch in branches if _serves_all(int(branch), devices)]
    usable = [branch for branch in serving if _has(facts, policy, branch)]
    if wished in usable:
        return
    if not usable:
        _check_default(facts, replace(policy, driver_version=""), devices)
    why = [
        words
        for words, fewer in (
            ("serve " + _generations(devices), len(serving) < len(branches)),
            ("this system's packages have", len(usable) < len(serving)),
        )
        if fewer
    ]
    default = host_choice.default_branch(facts, policy)
    nearest = next((b for b in (loaded, default, *usable[-1:]) if b in usable), default)
    raise Conflict(
        "torchnode_driver_version", "'%s'" % policy.driver_version,
        "one of %s%s" % (
            ", ".join(usable), ", the branches that " + " and that ".join(why) if why else "",
        ),
        "Choose one of these, or leave it empty for the branch that is loaded, else %s." % default,
        "branch " + nearest,
    )  # fmt: skip


def _generations(devices: Iterable[Accelerator]) -> str:
    return " and ".join(sorted({generation_of(device) for device in devices}))


def _check_default(facts: Facts, policy: Policy, devices: Sequence[Accelerator]) -> None:
    """Raises Conflict where no branch of the node's origin serves every GPU."""
    version = driver_version(facts, policy)[0]
    if version == present_version(facts):
        return
    branch = _branch(version)
    has, last = host_choice.branches_of(facts, policy), last_branch(devices)
    if has and branch > max(map(int, has)):
        expected = "branch %d or later, which knows %s" % (branch, _generations(devices))
        raise _not_there(facts, has, expected, "nvidia")
    if branch > int(last or branch):
        expected = "branch %s or older, which serves %s" % (last, _generations(devices))
        raise _not_there(facts, has, expected, "distribution")


def _not_there(facts: Facts, has: Sequence[str], expected: str, other: str) -> Conflict:
    where = "%s %s" % (facts.system.os_id, facts.system.os_version)
    nearest = "torchnode_nvidia_source " + other
    return Conflict(
        "torchnode_nvidia_source", "%s for %s" % (", ".join(has) or "newer ones", where), expected,
        "Set torchnode_nvidia_source: %s, if that has it; or move these GPUs to a machine with "
        "another system." % other, nearest,
    )  # fmt: skip


def _has(facts: Facts, policy: Policy, branch: str) -> bool:
    """Whether the node's origin has a branch."""
    has = host_choice.branches_of(facts, policy)
    return not has or branch in has


def flavour_of(devices: Sequence[Accelerator], policy: Policy) -> Tuple[str, str]:
    """(flavour, why) that serves every device. Raises Conflict where none does, or where the wished
    branch has it no more."""
    rules = _flavour_rules(devices)
    for device in devices:
        if generation_of(device) not in [rule.generation for rule in rules]:
            raise unknown_part(device)
    names = ", ".join(rule.generation for rule in rules)
    allowed = _allowed_flavours(rules)
    if not allowed:
        raise Conflict(
            "accelerators", "GPUs of %s in one machine" % names,
            "GPUs that one kernel module flavour serves",
            "Move one kind of GPU to another machine.",
        )  # fmt: skip
    made = _made_flavours(policy.driver_branch)
    if policy.driver_flavour in allowed and policy.driver_flavour not in made:
        raise Conflict(
            "torchnode_driver_flavour", "'%s' of branch %s" % (
                policy.driver_flavour, policy.driver_branch,
            ),
            "%s, the flavour that this branch is made in" % " or ".join(made),
            "Set torchnode_driver_flavour to auto, or ask for an earlier branch.",
            "flavour " + made[0],
        )  # fmt: skip
    if policy.driver_flavour == "auto":
        return allowed[0], "%s: %s" % (names, " or ".join(allowed))
    if policy.driver_flavour not in allowed:
        raise Conflict(
            "torchnode_driver_flavour", "'%s'" % policy.driver_flavour,
            "%s, which %s needs" % (" or ".join(allowed), names),
            "Set torchnode_driver_flavour to auto.", "flavour " + allowed[0],
        )  # fmt: skip
    return policy.driver_flavour, "asked for by torchnode_driver_flavour"


def _made_flavours(branch: str) -> Sequence[str]:
    """The flavours that NVIDIA makes of a branch; both where no row says."""
    rows = [row for row in tables.DRIVER_BRANCHES if row.branch == branch]
    return rows[0].flavours if rows else ("open", "proprietary")


def generation_of(device: Accelerator) -> str:
    """The part's generation: by PCI id (it tells Grace Hopper from Hopper), else architecture."""
    part = lookup(int((device.pci_id or ":0").partition(":")[2], 16))
    if part is not None:
        return part.generation
    return next((c.generation for c in CHIPS if c.architecture == device.architecture), "")


def _flavour_rules(devices: Iterable[Accelerator]) -> List[tables.Flavour]:
    generations = sorted({generation_of(device) for device in devices})
    return [rule for rule in tables.FLAVOURS if rule.generation in generations]


def _allowed_flavours(rules: Sequence[tables.Flavour]) -> List[str]:
    """The flavours that serve all, the preferred one ('open') first."""
    return [f for f in ("open", "proprietary") if all(f in rule.allowed for rule in rules)]


def choose_driver(facts: Facts, policy: Policy, row: tables.TorchWheel) -> DriverChoice:
    """Branch, flavour and floor for a node whose torch build is chosen."""
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    version, _origin = driver_version(facts, policy)
    if facts.system.wsl2:  # Windows' driver: no kernel modules on this side, so no flavour
        return DriverChoice(
            "nvidia", version.split(".")[0], "", driver_floor(row), host_choice.PREINSTALLED
        )
    flavour = flavour_of(devices, policy)[0]
    driver = cuda_driver(facts)
    if policy.driver_flavour == "auto" and driver and driver.flavour:
        # A working driver of an allowed flavour is not moved for a preference.
        allowed = _allowed_flavours(_flavour_rules(devices))
        stays = driver.flavour in allowed and driver.flavour in _made_flavours(policy.driver_branch)
        flavour = driver.flavour if stays else flavour
    exact = policy.driver_version if "." in policy.driver_version else ""
    whose = host_choice.origin(facts, policy)[0]
    branch = version.split(".")[0]
    return DriverChoice("nvidia", branch, flavour, driver_floor(row), whose, exact)


def driver_problem(facts: Facts, driver: Optional[Driver], choice: DriverChoice) -> str:
    """Why the driver cannot serve the stack, or '' where it can."""
    if facts.system.blocking_modules:
        return "%s is loaded and claims the GPUs" % " and ".join(facts.system.blocking_modules)
    if driver is None or not (driver.loaded or driver.on_disk or driver.userspace):
        return "no NVIDIA driver is installed"
    if not (driver.loaded or driver.on_disk or driver.device_nodes):
        return "the running kernel has no module of the driver, of which library %s is there" % (
            driver.userspace
        )
    if not driver.loaded:
        return "the driver's kernel module is not loaded"
    devices = [a for a in facts.accelerators if a.backend == "cuda"]
    first = first_branch(devices)
    if _branch(driver.loaded) < int(first or 0):
        return "branch %s is the first that knows these GPUs, and %s is loaded" % (
            first, driver.loaded,
        )  # fmt: skip
    last = last_branch(devices)
    if _branch(driver.loaded) > int(last or _branch(driver.loaded)):
        return "branch %s is the last that serves these GPUs, and %s is loaded" % (
            last, driver.loaded,
        )  # fmt: skip
    if tables.version_key(driver.loaded) < tables.version_key(choice.minimum):
        return "the loaded driver %s is older than %s" % (driver.loaded, choice.minimum)
    if choice.version and driver.loaded != choice.version:
        return "the inventory asks for version %s, and %s is loaded" % (
            choice.version, driver.loaded,
        )  # fmt: skip
    if driver.loaded.split(".")[0] != choice.branch:
        return "the inventory asks for branch %s" % choice.branch
    if driver.flavour and driver.flavour != choice.flavour:
        return "the %s kernel modules are installed" % driver.flavour
    if driver.loaded_flavour and driver.loaded_flavour != choice.flavour:
        return "the %s kernel module is loaded" % driver.loaded_flavour
    if driver.userspace and driver.userspace != driver.loaded:
        return "kernel module %s and library %s differ" % (driver.loaded, driver.userspace)
    return ""
