"""NVIDIA GPUs through CUDA. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Tuple

from ...data.compatibility import DRIVER_FLOORS, version_key
from ...model import Accelerator
from ...outcome import Outcome
from ..diagnosis import diagnose
from ..evidence import (
    Evidence,
    Rule,
    Values,
    container_without,
    no_backend_in_wheel,
    no_device_on_bus,
    rights_on,
)
from ..subject import Subject, failed, passed, unmeasured, warned
from ..versions import at_least, cudnn_version
from .base import Backend

HIDING = ("CUDA_VISIBLE_DEVICES",)
GPU_NODES = r"/dev/nvidia\d+"


def cuda_runtime(subject: Subject) -> Outcome:
    """torch was built for CUDA, and for one that is recent enough."""
    minimum, who = subject.minimum("cuda", subject.profile.cuda)
    expected = "CUDA >= %s" % minimum
    build = subject.report.sections.get("torch_build")
    if build is None:
        return unmeasured("cuda_runtime", subject, "torch_build", expected)
    cuda = build["cuda"]
    if build["hip"]:
        return failed(
            "cuda_runtime", "other_backend_wheel", "ROCm " + build["hip"], expected,
            version=subject.torch_version, backend="cuda",
        )  # fmt: skip
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
        cause, values = diagnose(subject, CUDA.nodes, RULES)
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
    available = subject.section("backend").get("available")
    end = warned if available else failed
    return end(
        "driver", "driver_too_old", version, expected, driver=version, cuda=cuda, floor=floor
    )


def cudnn(subject: Subject) -> Outcome:
    """torch's own cuDNN is recent enough, and no other one is in its way."""
    minimum, who = subject.minimum("cudnn", subject.profile.cudnn)
    expected = "cuDNN >= %s" % minimum
    foreign = ", ".join(subject.section("environment").get("cudnn_on_library_path", []))
    error = subject.report.errors.get("cudnn")
    if error is not None and (foreign or "version incompatibility" in error):
        paths = foreign or "a folder of the loader's path"
        return failed("cudnn", "cudnn_on_library_path", error, expected, paths=paths)
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
    if foreign:
        return warned("cudnn", "cudnn_on_library_path", version, expected, paths=foreign)
    return passed("cudnn", version, expected)


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


def cpu_only_wheel(evidence: Evidence) -> Optional[Values]:
    """torch holds no GPU code."""
    build = evidence.subject.report.sections.get("torch_build")
    if build is None or build["cuda"] or build["hip"]:
        return None
    return {"version": evidence.subject.torch_version}


def nouveau_loaded(evidence: Evidence) -> Optional[Values]:
    """Another kernel module has claimed the GPUs."""
    facts = evidence.subject.facts
    blocking = facts.system.blocking_modules if facts else ()
    return {"module": blocking[0]} if blocking and not evidence.module else None


def module_not_loaded(evidence: Evidence) -> Optional[Values]:
    """The driver is on disk and its module not in the kernel."""
    version = evidence.subject.nvidia.on_disk
    if evidence.subject.facts is None or evidence.module or evidence.wsl2 or not version:
        return None
    return {"version": version}


def no_driver(evidence: Evidence) -> Optional[Values]:
    """Neither a module on disk nor one that is loaded."""
    if evidence.subject.facts is None or evidence.module or evidence.wsl2:
        return None
    return {} if not evidence.nodes else None


def driver_library_mismatch(evidence: Evidence) -> Optional[Values]:
    """Kernel module and user-space library are of different versions."""
    library = evidence.subject.nvidia.userspace
    # NVML works across versions only through the forward-compatibility package: then it is fine.
    answers = evidence.subject.section("nvml").get("driver")
    differ = bool(evidence.module and library and evidence.module != library and not answers)
    if not differ and not re.search(r"driver/library version mismatch", evidence.text, re.I):
        return None
    return {"loaded": evidence.module or "unknown", "library": library or "another version"}


def device_nodes_missing(evidence: Evidence) -> Optional[Values]:
    """The module is loaded and device nodes are absent."""
    if not evidence.module or evidence.wsl2:
        return None
    present = {node["path"] for node in evidence.nodes}
    missing = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm") if path not in present]
    if not evidence.paths(GPU_NODES):
        missing.append("/dev/nvidia0")
    return {"missing": ", ".join(missing)} if missing else None


def fabric_manager(evidence: Evidence) -> Optional[Values]:
    """CUDA says that the NVSwitch fabric is not up."""
    match = re.search(r"\b802\b|system not yet initialized", evidence.text, re.I)
    return {} if match else None


def mig_without_instance(evidence: Evidence) -> Optional[Values]:
    """Every GPU is divided, and nobody made an instance: CUDA then has nothing to offer."""
    gpus = evidence.subject.accelerators
    return {} if gpus and all(gpu.mig == () for gpu in gpus) else None


def driver_too_old(evidence: Evidence) -> Optional[Values]:
    """The driver is older than torch's CUDA allows."""
    driver = evidence.subject.driver_version
    cuda = evidence.subject.section("torch_build").get("cuda")
    floor = driver_floor(cuda)
    said = re.search(
        r"driver on your system is too old|driver version is insufficient", evidence.text
    )
    older = bool(driver and floor and version_key(driver) < version_key(floor))
    if not said and not older:
        return None
    return {"driver": driver or "", "cuda": cuda, "floor": floor or "a newer one"}


def hidden_by_environment(evidence: Evidence) -> Optional[Values]:
    """CUDA_VISIBLE_DEVICES leaves no device."""
    for variable in HIDING:
        value = evidence.variables.get(variable)
        if value is not None and hides_all(value, evidence.subject.accelerators):
            return {"variable": variable, "value": value, "what": "every GPU"}
    return None


def hides_all(value: str, accelerators: Tuple[Accelerator, ...]) -> bool:
    """Whether a CUDA_VISIBLE_DEVICES leaves no device: CUDA stops at the first that is not there.

    Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#env-vars, read 2026-11-22.
    """
    first = value.split(",")[0].strip()
    if re.fullmatch(r"-?\d+", first):
        return int(first) < 0 or bool(accelerators and int(first) >= len(accelerators))
    return not any(first and (a.uuid or "").startswith(first) for a in accelerators)


def driver_floor(cuda: Optional[str]) -> Optional[str]:
    """The least driver for a CUDA version's major; None where no row knows it."""
    major = int(cuda.split(".")[0]) if cuda else None
    return next((row.minimum for row in DRIVER_FLOORS if row.cuda_major == major), None)


def architecture(_subject: Subject, told: Mapping[str, Any]) -> Optional[str]:
    """'sm_90' from the device's compute capability."""
    return "sm_%d%d" % tuple(told["capability"])


RULES: Tuple[Rule, ...] = (
    no_device_on_bus,
    cpu_only_wheel,
    no_backend_in_wheel(lambda build: bool(build["cuda"])),
    nouveau_loaded,
    container_without(GPU_NODES),
    module_not_loaded,
    no_driver,
    driver_library_mismatch,
    fabric_manager,  # CUDA says so itself: it has reached the driver
    device_nodes_missing,
    rights_on(r"/dev/(nvidia\d+|nvidiactl|nvidia-uvm|dxg)"),
    hidden_by_environment,
    mig_without_instance,
    driver_too_old,
)

CUDA = Backend(
    name="cuda",
    expected="torch.cuda.is_available() is True",
    nodes=r"/dev/nvidia.*|/dev/dxg",
    rules=RULES,
    hiding=HIDING,
    before=(cuda_runtime, driver, cudnn),
    after=(nvidia_smi,),
    architecture=architecture,
)
