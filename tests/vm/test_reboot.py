"""One true reboot, from the kernel that runs to the one that was installed beside it.

The machine, Debian's kernels and NVIDIA's packages are real; the GPU is a stand-in (see files/), so
no module can serve it. What the gate says of such a node after the boot has to be true as well.
The runs follow each other on one machine, as an operator's would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import image
import pytest
from harness import Ended, Fleet
from machine import Machine

pytestmark = pytest.mark.vm

#: An initramfs takes minutes to make under emulation, and a run makes two.
RUN_SECONDS = 3600
ALLOWED = ("-e", "torchnode_reboot=when_needed")


@dataclass
class Node:
    """The machine, the runs against it, and what it said of itself before each."""

    machine: Machine
    fleet: Fleet
    boots: dict[str, str] = field(default_factory=dict)
    kernels: dict[str, str] = field(default_factory=dict)

    def note(self, moment: str) -> None:
        """Remember which boot and which kernel this is."""
        self.boots[moment] = self.machine.read("cat /proc/sys/kernel/random/boot_id")
        self.kernels[moment] = self.machine.read("uname -r")

    def converge(self, *arguments: str) -> Ended:
        """A run up to apply, which ends at the gate on a node without a real GPU."""
        process = self.fleet.start("playbooks/provision.yml", *arguments)
        status = process.wait(RUN_SECONDS)
        print(self.fleet.output(process))
        # Other tests hold reports against the schema; here it would hide what the node did.
        report = json.loads((self.fleet.folder / "reports/latest/fleet.json").read_text("utf-8"))
        return Ended(status, self.fleet.output(process), report)

    def hold(self) -> int:
        """Start a job that holds the GPU's device node; its pid."""
        return int(self.machine.read("/usr/local/lib/stand-in-job"))

    def release(self) -> None:
        """End that job."""
        self.machine.ssh("systemctl stop stand-in-job")


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    lacking = image.missing()
    if lacking:
        pytest.fail("needs the Debian packages " + ", ".join(lacking))
    machine = Machine(image.image(), tmp_path_factory.mktemp("vm"))
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    fleet.hosts["node"] = {
        **machine.variables(),
        "torchnode_nvidia_source": "distribution",
        "torchnode_reboot_wait_seconds": 1800,
    }
    try:
        machine.start()
        fleet.hosts["node"].update(machine.variables())
        found = Node(machine, fleet)
        found.note("begin")
        yield found
    finally:
        fleet.close()
        machine.stop()
        print(machine.console)


@pytest.fixture(scope="session")
def upgraded(node):
    """The kernel's upgrade has ended: the boot menu begins with the newer one."""
    node.machine.ssh("update-grub")
    return node


@pytest.fixture(scope="session")
def forbidden(upgraded):
    """A run that may not reboot."""
    ended = upgraded.converge()
    upgraded.note("forbidden")
    return ended


@pytest.fixture(scope="session")
def busy(upgraded, forbidden):
    """A run that may, and a job that comes after the plan, while packages are looked after.

    The operator's drain check is what runs between the plan and the packages.
    """
    ended = upgraded.converge(*ALLOWED, "-e", "torchnode_drain_check=/usr/local/lib/stand-in-job")
    pid = upgraded.machine.read("systemctl show -p MainPID --value stand-in-job")
    upgraded.note("busy")
    upgraded.release()
    return ended, pid


@pytest.fixture(scope="session")
def rebooted(upgraded, busy):
    """The same run with nothing in its way."""
    ended = upgraded.converge(*ALLOWED)
    upgraded.note("rebooted")
    return ended


def apply_outcomes(ended: Ended, identity: str) -> list[dict]:
    """The run's outcomes of this name."""
    return [o for o in ended.nodes["node"]["outcomes"] if o["id"] == identity]


def blacklisted(node: Node, release: str) -> str:
    """What the initramfs of a kernel says about nouveau, read on the node with Debian's tools."""
    return node.machine.read(
        f"d=$(mktemp -d) && unmkinitramfs /boot/initrd.img-{release} $d && "
        "grep -rhs -E '^[^#]*nouveau' $d/etc/modprobe.d $d/main/etc/modprobe.d "
        "$d/lib/modprobe.d $d/main/lib/modprobe.d; rm -r $d"
    )


def test_begins_on_the_older_kernel_with_nouveau_loaded_from_its_initramfs(node):
    assert node.machine.read("lsmod | grep -c ^nouveau") == "1"
    newest = node.machine.read("ls /lib/modules | sort -V | tail -n 1")
    assert node.kernels["begin"] != newest


def test_without_leave_the_node_is_failed_and_told_to_reboot(node, forbidden):
    assert forbidden.verdicts == {"node": "FAILED"}, forbidden.out
    (gate,) = apply_outcomes(forbidden, "apply.reboot")
    assert gate["result"] == "fail"
    assert "torchnode_reboot=when_needed" in gate["remedy"]
    assert node.boots["forbidden"] == node.boots["begin"]


def test_the_gate_says_what_a_boot_would_change(node, forbidden):
    (gate,) = apply_outcomes(forbidden, "apply.reboot")
    assert "nouveau is loaded" in gate["observed"]


def test_every_initramfs_keeps_nouveau_out(node, forbidden):
    for release in node.machine.read("ls /lib/modules").split():
        # Debian's own file says "blacklist"; this line is torchnode's.
        assert "install nouveau /bin/false" in blacklisted(node, release), release


def test_a_node_in_use_is_not_rebooted_and_the_job_is_named(node, busy):
    ended, pid = busy
    (gate,) = apply_outcomes(ended, "apply.reboot")
    assert gate["result"] == "fail"
    assert f"pid {pid}" in gate["observed"]
    assert node.boots["busy"] == node.boots["begin"]


def test_a_job_that_is_there_from_the_start_stops_the_run_before_it_changes_anything(node, busy):
    pid = node.hold()
    try:
        ended = node.converge(*ALLOWED)
        (found,) = apply_outcomes(ended, "preflight.in_use")
        assert found["result"] == "fail"
        assert f"pid {pid}" in found["observed"]
    finally:
        node.release()


def test_it_boots_into_the_newer_kernel(node, rebooted):
    assert node.boots["rebooted"] != node.boots["begin"]
    newest = node.machine.read("ls /lib/modules | sort -V | tail -n 1")
    assert node.kernels["rebooted"] == newest


def test_the_reason_of_the_reboot_stands_in_the_report(node, rebooted):
    gates = apply_outcomes(rebooted, "apply.reboot")
    assert [gate["result"] for gate in gates][:1] == ["pass"], rebooted.out
    assert "nouveau is loaded" in gates[0]["observed"]


def test_the_state_was_read_again_after_the_boot(node, rebooted):
    assert rebooted.nodes["node"]["system"]["kernel"] == node.kernels["rebooted"]


def test_nouveau_did_not_come_back(node, rebooted):
    assert node.machine.ssh("lsmod | grep ^nouveau", check=False).returncode == 1


def test_the_module_is_there_for_the_kernel_that_runs(node, rebooted):
    built_for = node.machine.read("modinfo -F vermagic nvidia-current-open").split()[0]
    assert built_for == node.kernels["rebooted"]


def test_without_hardware_the_module_stays_out_and_no_second_reboot_is_asked_for(node, rebooted):
    done = node.machine.ssh("modprobe nvidia", check=False)
    assert "No such device" in done.stderr
    assert rebooted.verdicts == {"node": "FAILED"}, "nothing proved the driver"
    said = " ".join(o["cause"] + o["remedy"] for o in rebooted.nodes["node"]["outcomes"])
    assert "A reboot is required" not in said
    assert "-e torchnode_reboot" not in said
