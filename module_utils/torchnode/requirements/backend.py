"""Checks of the backend as a whole: runtime, driver, visibility, counts. Pure."""

from __future__ import annotations

from typing import List, Optional

from ..data.compatibility import version_key
from ..outcome import Outcome, Result
from .diagnosis import HIDING, diagnose, driver_floor
from .subject import Subject, failed, passed, skipped, unmeasured, warned
from .versions import at_least, cudnn_version

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
    if subject.backend == "cpu":
        why = "This node's stack is for the CPU."
        outcomes = [skipped(check, why) for check in CUDA_ONLY]
    elif subject.backend == "cuda":
        outcomes = [
            cuda_runtime(subject),
            driver(subject),
            cudnn(subject),
            backend_available(subject),
            device_count(subject),
            nvidia_smi(subject),
        ]
    else:
        outcomes = [unknown_backend(subject)]
    return [*outcomes, accelerator_for_workload(subject)]


def unknown_backend(subject: Subject) -> Outcome:
    """A backend that no check here covers has not been verified, which is not a pass."""
    return Outcome(
        "verify.backend_available",
        "verify",
        Result.INCOMPLETE,
        subject.backend,
        "cuda or cpu",
        "torchnode has no checks for the backend %s yet." % subject.backend,
        "Verify this backend by hand, or choose the cuda or cpu backend.",
    )


def cuda_runtime(subject: Subject) -> Outcome:
    """torch was built for CUDA, and for one that is recent enough."""
    minimum, who = subject.minimum("cuda", subject.profile.cuda)
    expected = "CUDA >= %s" % minimum
    build = subject.report.sections.get("torch_build")
    if build is None:
        return unmeasured("cuda_runtime", subject, "torch_build", expected)
    cuda = build["cuda"]
    if not cuda:
        return failed(
            "cuda_runtime", "cpu_only_wheel", "no CUDA", expected, version=subject.torch_version
        )
    if not at_least(cuda, minimum):
        return failed(
            "cuda_runtime", "package_too_old", cuda, expected,
            package="torch's CUDA", version=cuda, minimum=minimum, who=who,
        )  # fmt: skip
    return passed("cuda_runtime", "CUDA " + cuda, expected)


def driver(subject: Subject) -> Outcome:
    """The running driver meets the floor of torch's CUDA major, and the operator's."""
    cuda: Optional[str] = subject.section("torch_build").get("cuda")
    floor, who = subject.minimum("driver", driver_floor(cuda) or "")
    version = subject.driver_version
    expected = ">= %s" % floor if floor else ""
    if version is None:
        cause, values = diagnose(subject)
        if cause in ("no_driver", "module_not_loaded", "nouveau_loaded"):
            return failed("driver", cause, "no driver runs", expected, **values)
        return unmeasured("driver", subject, "nvml", expected)
    if not floor:
        # A CUDA major without a row: nothing may be assumed of it.
        return unmeasured("driver", subject, "torch_build", "a floor for CUDA %s" % cuda)
    if version_key(version) >= version_key(floor):
        return passed("driver", version, expected)
    if who.startswith("your"):
        return failed(
            "driver", "package_too_old", version, expected,
            package="the NVIDIA driver", version=version, minimum=floor, who=who,
        )  # fmt: skip
    # NVIDIA's forward-compatibility packages make this work on data-centre GPUs: then it is no
    # fault, and still not what the branch's updates are tested with.
    available = subject.section("cuda").get("available")
    end = warned if available else failed
    return end(
        "driver", "driver_too_old", version, expected, driver=version, cuda=cuda, floor=floor
    )


def cudnn(subject: Subject) -> Outcome:
    """torch's own cuDNN is recent enough, and no other one is in its way."""
    minimum, who = subject.minimum("cudnn", subject.profile.cudnn)
    expected = "cuDNN >= %s" % minimum
    error = subject.report.errors.get("cudnn")
    if error is not None:
        return failed("cudnn", "cudnn_missing", error, expected, text=error)
    told = subject.report.sections.get("cudnn")
    if told is None:
        return unmeasured("cudnn", subject, "cudnn", expected)
    if not told["version"]:
        return failed("cudnn", "cudnn_missing", "none", expected, text="no version")
    version = cudnn_version(told["version"])
    if not at_least(version, minimum):
        return failed(
            "cudnn", "package_too_old", version, expected,
            package="torch's cuDNN", version=version, minimum=minimum, who=who,
        )  # fmt: skip
    foreign = subject.section("environment").get("cudnn_on_library_path")
    if foreign:
        return warned("cudnn", "cudnn_on_library_path", version, expected, paths=", ".join(foreign))
    return passed("cudnn", version, expected)


def backend_available(subject: Subject) -> Outcome:
    """torch can use the backend; if not, why."""
    expected = "torch.cuda.is_available() is True"
    cuda = subject.report.sections.get("cuda")
    if cuda is None:
        return unmeasured("backend_available", subject, "cuda", expected)
    if cuda["available"]:
        return passed("backend_available", "True", expected)
    cause, values = diagnose(subject)
    observed = cuda["init_error"] or "False"
    return failed("backend_available", cause, observed, expected, **values)


def device_count(subject: Subject) -> Outcome:
    """torch sees as many devices as survey found."""
    if subject.facts is None:
        return skipped("device_count", "Without facts there is no count to hold torch's against.")
    if not subject.accelerators and subject.facts.system.wsl2:
        return skipped("device_count", "Under WSL2 the PCI bus does not show the GPUs.")
    expected = len(subject.accelerators)
    cuda = subject.report.sections.get("cuda")
    if cuda is None:
        return unmeasured("device_count", subject, "cuda", str(expected))
    found = cuda["device_count"] if cuda["available"] else 0
    if found == expected and found > 0:
        return passed("device_count", str(found), str(expected))
    if found == expected:
        return failed("device_count", "no_device_on_bus", "0", "at least 1")
    return miscounted(subject, found, expected)


def miscounted(subject: Subject, found: int, expected: int) -> Outcome:
    """The count outcome where torch and the survey differ."""
    observed, wanted = str(found), str(expected)
    if found > expected:
        return failed(
            "device_count", "more_devices", observed, wanted, surveyed=expected, found=found
        )
    variables = subject.section("environment").get("variables", {})
    for variable in HIDING:
        if variable in variables:
            return failed(
                "device_count", "hidden_by_environment", observed, wanted,
                variable=variable, value=variables[variable],
                what="%d of %d GPUs" % (expected - found, expected),
            )  # fmt: skip
    return failed("device_count", "fewer_devices", observed, wanted, surveyed=expected, found=found)


def nvidia_smi(subject: Subject) -> Outcome:
    """nvidia-smi is there and works."""
    expected = "exit status 0"
    told = subject.report.sections.get("nvidia_smi")
    if told is None:
        return unmeasured("nvidia_smi", subject, "nvidia_smi", expected)
    if told["path"] is None:
        return failed("nvidia_smi", "nvidia_smi_missing", "not on the PATH", expected)
    status, text = told["exit_status"], told["output"]
    if status != 0 or not told["driver"]:
        return failed(
            "nvidia_smi", "nvidia_smi_failed", "exit status %s" % status, expected,
            status=status, text=text or "no output",
        )  # fmt: skip
    return passed("nvidia_smi", "%s, driver %s" % (told["path"], told["driver"]), expected)


def accelerator_for_workload(subject: Subject) -> Outcome:
    """A workload that needs an accelerator has one that torch can use."""
    check, workload = "accelerator_for_workload", subject.workload
    if not workload.needs_accelerator:
        return skipped(check, "For the workload %s a CPU will do." % workload.name)
    cuda = subject.report.sections.get("cuda")
    if cuda is None:
        return unmeasured(check, subject, "cuda", "an accelerator")
    if cuda["available"] and cuda["device_count"]:
        return passed(check, "%d devices" % cuda["device_count"], "at least 1")
    return failed(check, "no_accelerator", "none", "at least 1", workload=workload.name)
