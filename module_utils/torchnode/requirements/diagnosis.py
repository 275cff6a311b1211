"""Why torch cannot use the GPUs, as far as hardware, driver and torch tell it apart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..data.compatibility import DRIVER_FLOORS, version_key
from ..model import Accelerator
from .subject import Subject

#: Variables through which a process loses sight of devices, in the order in which CUDA obeys.
HIDING = ("CUDA_VISIBLE_DEVICES",)

Values = Dict[str, object]


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    subject: Subject
    text: str  # every warning and error in which torch, NVML and nvidia-smi say why not
    module: Optional[str]  # version of the kernel module that is loaded
    nodes: Tuple[Dict[str, Any], ...]

    @property
    def variables(self) -> Dict[str, str]:
        return dict(self.subject.section("environment").get("variables", {}))

    @property
    def wsl2(self) -> bool:
        facts = self.subject.facts
        return any(node["path"] == "/dev/dxg" for node in self.nodes) or bool(
            facts and facts.system.wsl2
        )

    @property
    def container(self) -> Optional[str]:
        facts = self.subject.facts
        return facts.system.container if facts else None


def gather(subject: Subject) -> Evidence:
    """The evidence in a subject's report and facts."""
    cuda, nvml = subject.section("cuda"), subject.section("nvml")
    nodes = subject.section("device_nodes")
    texts = [
        *cuda.get("warnings", []),
        cuda.get("init_error"),
        nvml.get("error"),
        subject.nvidia.nvml_error,
        subject.section("nvidia_smi").get("output"),
    ]
    return Evidence(
        subject=subject,
        text="\n".join(text for text in texts if text),
        module=nodes.get("nvidia_module") or subject.nvidia.loaded,
        nodes=tuple(nodes.get("nodes", [])),
    )


def diagnose(subject: Subject) -> Tuple[str, Values]:
    """(cause id, its values) for a torch that cannot use its GPUs.

    The first rule that applies names the cause. Rules stand in the order in which a repair has to
    be made: hardware, wheel, driver, rights, environment.
    """
    evidence = gather(subject)
    for rule in RULES:
        values = rule(evidence)
        if values is not None:
            return rule.__name__, values
    cuda = subject.section("cuda")
    said = [cuda.get("init_error"), *cuda.get("warnings", [])]
    return "unavailable_unknown", {"text": "; ".join(s for s in said if s) or "nothing"}


def no_device_on_bus(evidence: Evidence) -> Optional[Values]:
    subject = evidence.subject
    if subject.facts is None or subject.accelerators or evidence.wsl2 or evidence.nodes:
        return None
    return {}


def cpu_only_wheel(evidence: Evidence) -> Optional[Values]:
    build = evidence.subject.report.sections.get("torch_build")
    if build is None or build["cuda"] or build["hip"]:
        return None
    return {"version": evidence.subject.torch_version}


def nouveau_loaded(evidence: Evidence) -> Optional[Values]:
    facts = evidence.subject.facts
    blocking = facts.system.blocking_modules if facts else ()
    return {"module": blocking[0]} if blocking and not evidence.module else None


def container_without_devices(evidence: Evidence) -> Optional[Values]:
    if not evidence.container or evidence.wsl2 or gpu_nodes(evidence):
        return None
    return {"container": evidence.container}


def module_not_loaded(evidence: Evidence) -> Optional[Values]:
    version = evidence.subject.nvidia.on_disk
    if evidence.subject.facts is None or evidence.module or evidence.wsl2 or not version:
        return None
    return {"version": version}


def no_driver(evidence: Evidence) -> Optional[Values]:
    if evidence.subject.facts is None or evidence.module or evidence.wsl2:
        return None
    return {} if not evidence.nodes else None


def driver_library_mismatch(evidence: Evidence) -> Optional[Values]:
    library = evidence.subject.nvidia.userspace
    # NVML works across versions only through the forward-compatibility package: then it is fine.
    answers = evidence.subject.section("nvml").get("driver")
    differ = bool(evidence.module and library and evidence.module != library and not answers)
    if not differ and not re.search(r"driver/library version mismatch", evidence.text, re.I):
        return None
    return {"loaded": evidence.module or "unknown", "library": library or "another version"}


def device_nodes_missing(evidence: Evidence) -> Optional[Values]:
    if not evidence.module or evidence.wsl2:
        return None
    present = {node["path"] for node in evidence.nodes}
    missing = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm") if path not in present]
    if not gpu_nodes(evidence):
        missing.append("/dev/nvidia0")
    return {"missing": ", ".join(missing)} if missing else None


def device_node_rights(evidence: Evidence) -> Optional[Values]:
    needed = re.compile(r"/dev/(nvidia\d+|nvidiactl|nvidia-uvm|dxg)")
    closed = [n["path"] for n in evidence.nodes if needed.fullmatch(n["path"]) and not n["usable"]]
    uid = evidence.subject.section("device_nodes").get("uid")
    return {"uid": uid, "nodes": ", ".join(closed)} if closed else None


def fabric_manager(evidence: Evidence) -> Optional[Values]:
    match = re.search(r"\b802\b|system not yet initialized", evidence.text, re.I)
    return {} if match else None


def driver_too_old(evidence: Evidence) -> Optional[Values]:
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


def gpu_nodes(evidence: Evidence) -> List[str]:
    """The device nodes of single GPUs."""
    return [n["path"] for n in evidence.nodes if re.fullmatch(r"/dev/nvidia\d+", n["path"])]


def driver_floor(cuda: Optional[str]) -> Optional[str]:
    """The least driver for a CUDA version's major; None where no row knows it."""
    major = int(cuda.split(".")[0]) if cuda else None
    return next((row.minimum for row in DRIVER_FLOORS if row.cuda_major == major), None)


RULES: Tuple[Callable[[Evidence], Optional[Values]], ...] = (
    no_device_on_bus,
    cpu_only_wheel,
    nouveau_loaded,
    container_without_devices,
    module_not_loaded,
    no_driver,
    driver_library_mismatch,
    device_nodes_missing,
    device_node_rights,
    fabric_manager,
    hidden_by_environment,
    driver_too_old,
)
