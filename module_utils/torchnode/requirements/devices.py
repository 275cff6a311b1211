"""Checks of every single device: architecture, kernel, capability, memory. Pure."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Tuple

from ..data.compatibility import architecture_runs
from ..data.profiles import GIGABYTE, MEMORY_ALLOWANCE
from ..outcome import Outcome, Result
from .subject import Subject, failed, passed, skipped, unmeasured

PER_DEVICE = ("architecture", "kernel", "compute_capability", "memory")


def judge_devices(subject: Subject) -> List[Outcome]:
    """A kernel on the CPU always; on a CUDA node all checks for each device that torch sees."""
    outcomes = [kernel(subject, "cpu")]
    if subject.backend != "cuda":
        return outcomes
    cuda = subject.report.sections.get("cuda")
    if cuda is None:
        return outcomes + [unmeasured(check, subject, "cuda") for check in PER_DEVICE]
    if not (cuda["available"] and cuda["device_count"]):
        why = "torch sees no device: see verify.backend_available."
        return outcomes + [skipped(check, why) for check in PER_DEVICE]
    for index in range(cuda["device_count"]):
        outcomes += judge_device(subject, "gpu%d" % index)
    return [*outcomes, node_memory(subject, cuda["device_count"])]


def judge_device(subject: Subject, device: str) -> List[Outcome]:
    """All checks of one device ('gpu0')."""
    told = subject.report.sections.get("device." + device)
    if told is None:
        # The kernel may have run all the same: what is known is told.
        unread = [check for check in PER_DEVICE if check != "kernel"]
        section = "device." + device
        return [
            kernel(subject, device),
            *(unmeasured("%s.%s" % (check, device), subject, section) for check in unread),
        ]
    return [
        architecture(subject, device, told),
        kernel(subject, device),
        compute_capability(subject, device, told),
        memory(subject, device, told),
    ]


def architecture(subject: Subject, device: str, told: Mapping[str, Any]) -> Outcome:
    """torch holds code for the device."""
    check = "architecture." + device
    ours = "sm_%d%d" % tuple(told["capability"])
    built = subject.section("torch_build").get("architectures", [])
    if not built:
        return unmeasured(check, subject, "torch_build", ours)
    try:
        runs = architecture_runs(ours, built)
    except ValueError as problem:
        return Outcome(
            "verify." + check, "verify", Result.INCOMPLETE, " ".join(built), ours,
            "An architecture of this torch build is unknown to torchnode: %s" % problem,
            "Rely on the kernel check for this device, and report the name as an issue.",
        )  # fmt: skip
    if runs:
        return passed(check, ours, "code for it among " + " ".join(built))
    return failed(
        check, "architecture_not_built", ours, "code for the device",
        device=ours, built=" ".join(built),
    )  # fmt: skip


def kernel(subject: Subject, device: str) -> Outcome:
    """Real kernels ran on the device and gave exactly the integers that Python computes."""
    check, section, expected = "kernel." + device, "kernel." + device, "every value exact"
    told = subject.report.sections.get(section)
    if told is not None and told["wrong"] == 0 and told["values"] > 0:
        return passed(check, "%d values exact" % told["values"], expected)
    if told is not None:
        wrong, values = told["wrong"], told["values"]
        return failed(
            check, "wrong_result", "%s values differ" % wrong, expected, wrong=wrong, values=values
        )
    error = subject.report.errors.get(section)
    if error is not None:
        cause, why = kernel_cause(subject, device, error)
        return failed(check, cause, error, expected, **why)
    if subject.report.unfinished == section and not subject.report.timed_out:
        ending = subject.report.ending()
        return failed(check, "kernel_failed", ending, expected, text=ending)
    return unmeasured(check, subject, section, expected)


def kernel_cause(subject: Subject, device: str, error: str) -> Tuple[str, Mapping[str, object]]:
    """(cause id, its values) for a kernel's exception text."""
    if re.search(r"no kernel image", error, re.I):
        capability = subject.section("device." + device).get("capability")
        ours = "sm_%d%d" % tuple(capability) if capability else "of unknown architecture"
        built = " ".join(subject.section("torch_build").get("architectures", [])) or "nothing"
        return "no_kernel_image", {"built": built, "device": ours}
    if re.search(r"out of memory", error, re.I):
        return "out_of_memory", {"holder": holders(subject, device)}
    return "kernel_failed", {"text": error}


def holders(subject: Subject, device: str) -> str:
    """The processes that hold the device open; every device's where no node's number fits."""
    processes = subject.facts.processes if subject.facts is not None else ()
    number = re.sub(r"\D", "", device)
    on_it = [process for process in processes if "/dev/nvidia" + number in process.devices]
    named = ["pid %d (%s of %s)" % (p.pid, p.command, p.user) for p in on_it or processes]
    return ", ".join(named) or "no process that this user can see"


def compute_capability(subject: Subject, device: str, told: Mapping[str, Any]) -> Outcome:
    """The device is new enough for the profile."""
    check, least = "compute_capability." + device, subject.profile.compute_capability
    found, minimum = "%d.%d" % tuple(told["capability"]), "%d.%d" % least
    if tuple(told["capability"]) < least:
        return failed(
            check, "capability_too_low", found, ">= " + minimum, found=found, minimum=minimum
        )
    return passed(check, found, ">= " + minimum)


def memory(subject: Subject, device: str, told: Mapping[str, Any]) -> Outcome:
    """The device holds the workload's tier, or is large enough to hold a shard of it.

    A smaller device is no fault by itself where the node's sum reaches the tier: node_memory
    judges that.
    """
    workload, check = subject.workload, "memory." + device
    total = told["total_memory"]
    expected = ">= %d GB (%s)" % (workload.memory_gb, workload.name)
    if reaches(total, workload.memory_gb):
        return passed(check, gigabytes(total), expected)
    if reaches(total, workload.device_memory_gb):
        observed = "%s: holds this workload only as a shard" % gigabytes(total)
        return passed(check, observed, ">= %d GB for a shard" % workload.device_memory_gb)
    return failed(
        check, "memory_too_small", gigabytes(total), expected,
        workload=workload.name, needed=workload.device_memory_gb, found=gigabytes(total),
    )  # fmt: skip


def node_memory(subject: Subject, count: int) -> Outcome:
    """All devices together hold the workload's tier."""
    needed = subject.workload.memory_gb
    expected = ">= %d GB over the node (%s)" % (needed, subject.workload.name)
    told = [subject.report.sections.get("device.gpu%d" % index) for index in range(count)]
    sizes = [device["total_memory"] for device in told if device is not None]
    total = sum(sizes)
    # What is already enough needs no device that could not be read.
    if any(reaches(size, needed) for size in sizes) or reaches(total, needed):
        return passed("memory.node", gigabytes(total), expected)
    if len(sizes) < count:
        return unmeasured("memory.node", subject, "device.gpu%d" % told.index(None), expected)
    return failed(
        "memory.node", "memory_too_small", gigabytes(total), expected,
        workload=subject.workload.name, needed=needed, found=gigabytes(total) + " in all",
    )  # fmt: skip


def reaches(size: int, nominal_gb: int) -> bool:
    """Whether ``size`` bytes are a part that is sold with ``nominal_gb``."""
    return size >= nominal_gb * GIGABYTE * (1 - MEMORY_ALLOWANCE)


def gigabytes(size: int) -> str:
    """Bytes as '84.9 GB'."""
    return "%.1f GB" % (size / GIGABYTE)
