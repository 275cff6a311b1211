"""Services beside the driver, and the CDI specification: systemd is a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode import nvidia_services
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.nvidia_services import Problem, Wish

UNIT = "nvidia-fabricmanager.service"


class Systemd:
    """A unit in these states; ``runs`` says whether a start succeeds."""

    def __init__(self, enabled: str, active: str, runs: bool = True) -> None:
        self.enabled, self.active, self.runs = enabled, active, runs
        self.orders: list[str] = []
        self.loaded: list[str] = []

    def __call__(self, argv: Sequence[str]) -> Completed:
        if argv[0] == "modprobe":
            self.loaded.append(argv[1])
            return Completed(0, "")
        if argv[1] == "is-enabled":
            return Completed(0, self.enabled + "\n")
        if argv[1] == "is-active":
            return Completed(0, self.active + "\n")
        if argv[0] == "journalctl":
            return Completed(0, "request to query NVSwitch device information failed\n")
        self.orders.append(argv[1])
        if argv[1] in ("enable", "disable"):
            self.enabled = argv[1] + "d"
        elif argv[1] in ("start", "restart"):
            self.active = "active" if self.runs else "failed"
        elif argv[1] == "stop":
            self.active = "inactive"
        return Completed(0, "")


@pytest.fixture
def node(tmp_path: Path) -> FixtureNode:
    made = FixtureNode(tmp_path)
    made.write("/run/systemd/system/x", "")
    made.write("/sys/module/nvidia/version", "580.95.05\n")
    return made


@pytest.mark.parametrize(
    ("enabled", "active", "wanted", "orders"),
    [
        ("disabled", "inactive", True, ["enable", "start"]),
        ("enabled", "failed", True, ["reset-failed", "restart"]),
        ("enabled", "active", True, []),
        ("enabled", "active", False, ["stop", "disable"]),
        ("disabled", "inactive", False, []),
    ],
)
def test_it_runs_where_it_is_wanted(
    node: FixtureNode, enabled: str, active: str, wanted: bool, orders: list[str]
) -> None:
    pretended = Systemd(enabled, active)
    assert nvidia_services.service(node, pretended, Wish(UNIT, wanted), True).changed is bool(
        orders
    )
    assert pretended.orders == []
    systemd = Systemd(enabled, active)
    done = nvidia_services.service(node, systemd, Wish(UNIT, wanted), False)
    assert systemd.orders == orders
    assert done.changed is bool(orders)
    assert not nvidia_services.service(node, systemd, Wish(UNIT, wanted), False).changed


def test_before_the_driver_is_loaded_it_is_only_enabled(node: FixtureNode) -> None:
    node.remove("/sys/module/nvidia/version")
    systemd = Systemd("disabled", "inactive")
    done = nvidia_services.service(node, systemd, Wish(UNIT, True), False)
    assert systemd.orders == ["enable"]
    assert "loaded" in done.waits


def test_one_that_does_not_run_says_what_its_journal_says(node: FixtureNode) -> None:
    with pytest.raises(Problem) as raised:
        nvidia_services.service(
            node, Systemd("disabled", "inactive", False), Wish(UNIT, True), False
        )
    assert "NVSwitch" in raised.value.observed


def test_a_unit_that_is_not_there(node: FixtureNode) -> None:
    assert not nvidia_services.service(
        node, Systemd("not-found", ""), Wish(UNIT, False), False
    ).changed
    with pytest.raises(Problem):
        nvidia_services.service(node, Systemd("not-found", ""), Wish(UNIT, True), False)


def test_without_systemd_nothing_is_claimed(tmp_path: Path) -> None:
    done = nvidia_services.service(FixtureNode(tmp_path), Systemd("", ""), Wish(UNIT, True), False)
    assert done.waits


def test_what_a_service_needs_is_loaded_first(tmp_path: Path) -> None:
    node, systemd = FixtureNode(tmp_path), Systemd("disabled", "inactive")
    node.write("/run/systemd/system/x", "")
    node.write("/etc/modules-load.d/x.conf", "# a comment\nmlx5_ib\nib_umad\n")
    node.write("/sys/module/mlx5_ib/refcnt", "0")
    wish = Wish(UNIT, True, "/etc/modules-load.d/x.conf")
    assert nvidia_services.service(node, systemd, wish, False).changed
    assert systemd.loaded == []  # the driver is not there yet
    node.write("/sys/module/nvidia/version", "580.95.05\n")
    systemd.active = "inactive"
    assert nvidia_services.service(node, systemd, wish, False).changed
    assert systemd.loaded == ["ib_umad"]


# ---- CDI ---------------------------------------------------------------------------------------


class Toolkit(Systemd):
    """nvidia-ctk, which writes a specification of ``driver`` where it is told, or its service."""

    def __init__(self, node: FixtureNode, served: bool, driver: str = "580.95.05") -> None:
        super().__init__("enabled" if served else "not-found", "inactive")
        self.node, self.driver = node, driver

    def __call__(self, argv: Sequence[str]) -> Completed:
        if argv[0] == "nvidia-ctk" or argv[1] == "restart":
            served = argv[0] == "systemctl"
            path = nvidia_services.CDI_SERVICE_FILE if served else nvidia_services.CDI_FILE
            self.node.write(path, "libcuda.so.%s" % self.driver)
            self.orders.append(path)
            return Completed(0, "")
        return super().__call__(argv)


@pytest.mark.parametrize("served", [True, False])
def test_cdi_is_of_the_driver_that_is_loaded(node: FixtureNode, served: bool) -> None:
    node.write("/dev/nvidia0", "")
    toolkit = Toolkit(node, served)
    assert nvidia_services.cdi(node, toolkit, "", True).changed
    assert toolkit.orders == []
    assert nvidia_services.cdi(node, toolkit, "", False).changed
    assert not nvidia_services.cdi(node, toolkit, "", False).changed
    node.write("/sys/module/nvidia/version", "590.48.01\n")
    with pytest.raises(Problem):
        nvidia_services.cdi(node, toolkit, "", False)


def test_no_specification_without_a_gpu(node: FixtureNode) -> None:
    toolkit = Toolkit(node, False)
    assert nvidia_services.cdi(node, toolkit, "", False).waits
    assert toolkit.orders == []
