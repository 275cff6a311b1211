"""Checks of the backend as a whole: what all share, around what each has of its own. Pure."""

from __future__ import annotations

from typing import List

from ..causes import explain
from ..outcome import Outcome, Result
from .backends import BACKENDS
from .backends.base import Backend
from .diagnosis import diagnose
from .subject import Subject, failed, passed, skipped, unmeasured

#: What a CPU node's report says it does without.
CUDA_ONLY = (
    "cuda_runtime",
    "driver",
    "cudnn",
    "backend_available",
    "device_count",
    "nvidia_smi",
)


def judge_backend(subject: Subject) -> List[Outcome]:
    """All checks of the backend; on a CPU node those of CUDA are skipped with the reason."""
    backend = BACKENDS.get(subject.backend)
    if subject.backend == "cpu":
        why = "This node's stack is for the CPU."
        outcomes = [skipped(check, why) for check in CUDA_ONLY]
    elif backend is None:
        outcomes = [unknown_backend(subject)]
    else:
        outcomes = [
            *(check(subject) for check in backend.before),
            backend_available(subject, backend),
            device_count(subject, backend),
            *(check(subject) for check in backend.after),
        ]
    return [*outcomes, accelerator_for_workload(subject)]


def unknown_backend(subject: Subject) -> Outcome:
    """A backend that no check here covers has not been verified, which is not a pass."""
    return Outcome(
        "verify.backend_available",
        "verify",
        Result.INCOMPLETE,
        subject.backend,
        "one of cpu, " + ", ".join(BACKENDS),
        "torchnode has no checks for the backend %s yet." % subject.backend,
        "Verify this backend by hand, or choose one that torchnode knows.",
    )


def backend_available(subject: Subject, backend: Backend) -> Outcome:
    """torch can use the backend; if not, why."""
    check, expected = "backend_available", backend.expected
    told = subject.report.sections.get("backend")
    # A plugin or a backend that raises is an answer; a probe that never got there is none.
    raised = subject.report.errors.get("plugin") or subject.report.errors.get("backend")
    if told is None and raised is None:
        return unmeasured(check, subject, "backend", expected)
    # A torch of another make may own a torch.cuda that works: on a ROCm node that is no ROCm.
    if told is not None and told["available"]:
        return passed(check, "True", expected)
    cause, values = diagnose(subject, backend.nodes, backend.rules)
    observed = raised or (told or {}).get("init_error") or "False"
    return failed(check, cause, observed, expected, **values)


def device_count(subject: Subject, backend: Backend) -> Outcome:
    """torch sees as many devices as survey found."""
    if subject.facts is None:
        return skipped("device_count", "Without facts there is no count to hold torch's against.")
    if not subject.accelerators and subject.facts.system.wsl2:
        return skipped("device_count", "Under WSL2 the PCI bus does not show the GPUs.")
    expected = sum(map(backend.devices_of, subject.accelerators))
    told = subject.report.sections.get("backend")
    if told is None:
        return unmeasured("device_count", subject, "backend", str(expected))
    found = told["device_count"] if told["available"] else 0
    split = partitioned(subject)
    if split and found:
        # A process sees a MIG instance in place of its GPU, and not every one: NVML counts GPUs.
        gpus = subject.section("nvml")["device_count"]
        observed = "%d by NVML: MIG is on at %d, and torch sees %d" % (gpus, split, found)
        if gpus == expected:
            return passed("device_count", observed, str(expected))
        found = gpus
    if found == expected and found > 0:
        return passed("device_count", str(found), str(expected))
    if found and any(gpu.mig is not None for gpu in subject.accelerators) and not split:
        return uncounted(subject, found, expected)
    if found == expected:
        return failed("device_count", "no_device_on_bus", "0", "at least 1")
    return miscounted(subject, backend, found, expected)


def uncounted(subject: Subject, found: int, expected: int) -> Outcome:
    """The survey saw MIG, and NVML, which counts GPUs and not instances, does not answer."""
    why = "torch sees %d, MIG is on, and NVML says: %s" % (
        found,
        subject.section("nvml").get("error") or "nothing of MIG",
    )
    cause, remedy = explain("gpus_not_counted", text=why)
    return Outcome(
        "verify.device_count", "verify", Result.INCOMPLETE, str(found), str(expected), cause, remedy
    )


def partitioned(subject: Subject) -> int:
    """On how many GPUs NVML says that MIG is on."""
    return sum(bool(device.get("mig")) for device in subject.section("nvml").get("devices", []))


def miscounted(subject: Subject, backend: Backend, found: int, expected: int) -> Outcome:
    """The count outcome where torch and the survey differ."""
    observed, wanted = str(found), str(expected)
    if found > expected:
        return failed(
            "device_count", "more_devices", observed, wanted, surveyed=expected, found=found
        )
    variables = subject.section("environment").get("variables", {})
    for variable in backend.hiding:
        if variable in variables:
            return failed(
                "device_count", "hidden_by_environment", observed, wanted,
                variable=variable, value=variables[variable],
                what="%d of %d devices" % (expected - found, expected),
            )  # fmt: skip
    return failed("device_count", "fewer_devices", observed, wanted, surveyed=expected, found=found)


def accelerator_for_workload(subject: Subject) -> Outcome:
    """A workload that needs an accelerator has one that torch can use."""
    check, workload = "accelerator_for_workload", subject.workload
    if not workload.needs_accelerator:
        return skipped(check, "For the workload %s a CPU will do." % workload.name)
    told = subject.report.sections.get("backend")
    raised = {"plugin", "backend"} & set(subject.report.errors)
    if told is None and not raised and subject.backend != "cpu":
        return unmeasured(check, subject, "backend", "an accelerator")
    if told is not None and told["available"] and told["device_count"]:
        return passed(check, "%d devices" % told["device_count"], "at least 1")
    return failed(check, "no_accelerator", "none", "at least 1", workload=workload.name)
