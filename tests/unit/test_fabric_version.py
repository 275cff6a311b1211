"""Fabric Manager and its like at exactly the driver's version: as planned and as judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import pytest
from helpers import B200, LOCKS, driver, machine, policy

from ansible.module_utils.torchnode.host_plan import host_steps
from ansible.module_utils.torchnode.model import Facts, Stack, Step
from ansible.module_utils.torchnode.outcome import Outcome, Result
from ansible.module_utils.torchnode.package_model import HostSoftware, Package, PackageWish
from ansible.module_utils.torchnode.package_versions import problems, settled
from ansible.module_utils.torchnode.requirements.driver_host import driver_outcomes
from ansible.module_utils.torchnode.stack import resolve

STAYS, NEWER = "580.82.07", "580.95.05"
WISH = PackageWish("nvidia_fabric", ("fm", "nvlsm"), "580", ("fm",), version_of=("driver*",))


def installed(**versions: str) -> tuple[Package, ...]:
    return tuple(Package(n.replace("_", "-"), v, held=True) for n, v in versions.items())


@pytest.mark.parametrize(
    ("packages", "version"),
    [
        (installed(driver=STAYS), STAYS),  # the driver stays, whatever the branch has by now
        (installed(driver="570.1"), "580"),  # it has yet to move
        (installed(driver=STAYS, driver_libs=NEWER), "580"),  # half-way: it is mended first
        ((), "580"),
    ],
)
def test_the_version_is_that_of_the_driver_that_is_installed(
    packages: Sequence[Package], version: str
) -> None:
    assert settled(WISH, packages).version == version


def test_a_newer_one_of_the_same_branch_is_a_problem() -> None:
    assert problems(WISH, installed(driver=STAYS, fm=STAYS, nvlsm="2025.10")) == []
    assert problems(WISH, installed(driver=STAYS, fm=NEWER, nvlsm="2025.10")) == ["fm is " + NEWER]


# ---- the plan ----------------------------------------------------------------------------------


def board(*packages: Package) -> tuple[Facts, Stack]:
    """A machine with two B200 whose driver of NVIDIA's is installed, and its stack."""
    facts = machine(
        B200, B200, drivers=(driver(STAYS),), switches=("0000:a5:00.0",),
        host=HostSoftware("apt", packages, "nvidia", "package nvidia-kernel-open-dkms"),
    )  # fmt: skip
    return facts, resolve(facts, policy(driver_version="580"), LOCKS)


def fabric_step(*packages: Package) -> Optional[Step]:
    steps = host_steps(*board(*packages))
    return next((step for step in steps if step.component == "nvidia_fabric"), None)


DRIVER = installed(nvidia_driver_cuda=STAYS + "-1", nvidia_kernel_open_dkms=STAYS + "-1")


def fabric(version: str) -> tuple[Package, ...]:
    names = ("nvidia_fabricmanager", "libnvidia_nscq", "libnvsdm")
    own = {"nvlsm": "2025.10.14-1", "infiniband_diags": "51.0-1"}
    return installed(**dict.fromkeys(names, version + "-1"), **own)


def test_the_plan_names_the_drivers_version_and_none_for_what_has_its_own() -> None:
    step = fabric_step(*DRIVER)
    assert step
    assert "nvidia-fabricmanager %s" % STAYS in step.after
    assert "nvlsm," in step.after


def test_the_plan_brings_back_one_that_went_ahead() -> None:
    assert fabric_step(*DRIVER, *fabric(STAYS)) is None
    step = fabric_step(*DRIVER, *fabric(NEWER))
    assert step
    assert NEWER in step.before
    assert "nvidia-fabricmanager " + STAYS in step.after


@pytest.mark.parametrize("name", ["nvidia-fabricmanager-570", "libnvidia-nscq-570"])
def test_what_another_branch_called_it_has_to_go(name: str) -> None:
    step = fabric_step(*DRIVER, *fabric(STAYS), Package(name, "570.1-1"))
    assert step
    assert name + " cannot stay" in step.why


# ---- what is judged afterwards -----------------------------------------------------------------


def judged(*packages: Package) -> Outcome:
    found = driver_outcomes(*board(*DRIVER, *packages))
    return next(outcome for outcome in found if outcome.id == "apply.driver_fabric")


def test_every_part_must_have_the_drivers_version() -> None:
    assert judged(*fabric(STAYS)).result is Result.PASS
    for missing in ("nvidia-fabricmanager", "libnvidia-nscq", "libnvsdm"):
        others = [package for package in fabric(STAYS) if package.name != missing]
        assert judged(*others).result is Result.FAIL
        wrong = judged(*others, Package(missing, NEWER + "-1"))
        assert wrong.result is Result.FAIL
        assert "%s %s" % (missing, NEWER) in wrong.observed
        assert wrong.remedy


def test_the_drivers_role_alone_leaves_it_to_the_next_one() -> None:
    found = driver_outcomes(*board(*DRIVER), fabric=False)
    assert "apply.driver_packages" in {outcome.id for outcome in found}
    assert "apply.driver_fabric" not in {outcome.id for outcome in found}
    assert judged().result is Result.FAIL
