"""Checks of every single device: architecture, kernel, capability, memory. Pure."""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Sequence, Tuple

from ..data.compatibility import build_runs
from ..data.profiles import GIGABYTE, reaches
from ..outcome import Outcome, Result
from .backends import BACKENDS
from .subject import Subject, failed, passed, skipped, unmeasured

PER_DEVICE = ("architecture", "kernel", "memory")

#: How the backends say it: 'CUDA out of memory' of torch's own allocators (HIP, XPU, NPU, MLU, MPS
#: alike), XLA's two words, and SYCL's UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY.
OUT_OF_MEMORY = r"out of memory|RESOURCE_EXHAUSTED|out of HBM|OUT_OF_DEVICE_MEMORY"


def judge_devices(subject: Subject) -> List[Outcome]:
    """A kernel on the CPU always; else all checks for each device that torch sees."""
    outcomes = [kernel(subject, "cpu")]
    if subject.backend not in BACKENDS:
        return outcomes
    checks = per_device(subject)
    told = subject.report.sections.get("backend")
    if told is None and {"plugin", "backend"} & set(subject.report.errors):
        told = {"devices": []}
    if told is None:
        return outcomes + [unmeasured(check, subject, "backend") for check in checks]
    if not told["devices"] or not (told["available"] or told.get("kind")):
        why = "torch sees no device: see verify.backend_available."
        return outcomes + [skipped(check, why) for check in checks]
    for device in told["devices"]:
        outcomes += judge_device(subject, device)
    return [*outcomes, node_memory(subject, told["devices"])]


def per_device(subject: Subject) -> Tuple[str, ...]:
    """The checks of each device; compute capability is CUDA's word."""
    return (*PER_DEVICE, "compute_capability") if subject.backend == "cuda" else PER_DEVICE


def judge_device(subject: Subject, device: str) -> List[Outcome]:
    """All checks of one device ('gpu0')."""
    told = subject.report.sections.get("device." + device)
    if told is None:
        # The kernel may have run all the same: what is known is told.
        unread = [check for check in per_device(subject) if check != "kernel"]
        section = "device." + device
        return [
            kernel(subject, device),
            *(unmeasured("%s.%s" % (check, device), subject, section) for check in unread),
        ]
    outcomes = [architecture(subject, device, told), kernel(subject, device)]
    if subject.backend == "cuda":
        outcomes.append(compute_capability(subject, device, told))
    return [*outcomes, memory(subject, device, told)]


#: Backends whose wheels list what they hold code for; the others compile for what they find.
LISTED = ("cuda", "rocm", "xpu")


def architecture(subject: Subject, device: str, told: Mapping[str, Any]) -> Outcome:
    """torch holds code for the device."""
    check = "architecture." + device
    if subject.backend not in LISTED:
        return skipped(check, "On %s the code is made for the device." % subject.backend)
    ours = BACKENDS[subject.backend].architecture(subject, told)
    if ours is None:
        return skipped(check, "Nothing names the device's architecture: its kernel shows it.")
    built = tuple(subject.section("torch_build").get("architectures", []))
    if not built:
        return unmeasured(check, subject, "torch_build", ours)
    try:
        runs = build_runs(subject.backend, ours, built)
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
    if re.search(r"no kernel image|invalid device function", error, re.I):
        told = subject.section("device." + device)
        ours = BACKENDS[subject.backend].architecture(subject, told) if told else None
        ours = ours or "of unknown architecture"
        built = " ".join(subject.section("torch_build").get("architectures", [])) or "nothing"
        return "no_kernel_image", {"built": built, "device": ours}
    if re.search(OUT_OF_MEMORY, error, re.I):
        return "out_of_memory", {"holder": holders(subject, device)}
    return "kernel_failed", {"text": error}


def holders(subject: Subject, device: str) -> str:
    """The processes that hold the device's memory, as NVML counts it; where it does not answer and
    for every other vendor, those that hold the device's node open, else any device's node."""
    processes = subject.facts.processes if subject.facts is not None else ()
    names = {p.pid: " (%s of %s)" % (p.command, p.user) for p in processes}
    uuid = subject.section("device." + device).get("uuid")
    told = subject.section("nvml").get("devices", [])
    ours = [d for d in told if uuid and str(d.get("uuid") or "").endswith(uuid)]
    counted = [process for d in ours or told for process in d.get("processes", [])]
    if counted:
        return ", ".join(spoken_holder(process, names) for process in counted)
    # '/dev/davinci0' is npu0's, '/dev/nvidia0' gpu0's; /dev/kfd and render nodes bear no index.
    own = re.compile(r"/dev/(?!dri/).*\D%s" % re.sub(r"\D", "", device))
    on_it = [process for process in processes if any(map(own.fullmatch, process.devices))]
    named = ["pid %d%s" % (p.pid, names[p.pid]) for p in on_it or processes]
    return ", ".join(named) or "no process that this user can see"


def spoken_holder(process: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """'pid 4711 (python of alice) with 79.0 GB'; what is not known is left out."""
    size = process.get("bytes")
    with_memory = " with " + gigabytes(size) if size else ""
    return "pid %d%s%s" % (process["pid"], names.get(process["pid"], ""), with_memory)


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
    if total is None:
        return unmeasured(check, subject, "device." + device, expected)
    if reaches(total, workload.memory_gb):
        return passed(check, gigabytes(total), expected)
    if reaches(total, workload.device_memory_gb):
        observed = "%s: holds this workload only as a shard" % gigabytes(total)
        return passed(check, observed, ">= %d GB for a shard" % workload.device_memory_gb)
    return failed(
        check, "memory_too_small", gigabytes(total), expected,
        workload=workload.name, needed=workload.device_memory_gb, found=gigabytes(total),
    )  # fmt: skip


def node_memory(subject: Subject, devices: Sequence[str]) -> Outcome:
    """All devices together hold the workload's tier."""
    needed = subject.workload.memory_gb
    expected = ">= %d GB over the node (%s)" % (needed, subject.workload.name)
    told = {name: subject.section("device." + name).get("total_memory") for name in devices}
    sizes = [size for size in told.values() if size is not None]
    total = sum(sizes)
    # What is already enough needs no device that could not be read.
    if any(reaches(size, needed) for size in sizes) or reaches(total, needed):
        return passed("memory.node", gigabytes(total), expected)
    unread = [name for name, size in told.items() if size is None]
    if unread:
        return unmeasured("memory.node", subject, "device." + unread[0], expected)
    return failed(
        "memory.node", "memory_too_small", gigabytes(total), expected,
        workload=subject.workload.name, needed=needed, found=gigabytes(total) + " in all",
    )  # fmt: skip


def gigabytes(size: int) -> str:
    """Bytes as '84.9 GB'."""
    return "%.1f GB" % (size / GIGABYTE)
