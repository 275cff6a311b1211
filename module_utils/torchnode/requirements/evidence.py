"""What the rules of a diagnosis look at, whichever the backend. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .subject import Subject

Values = Dict[str, object]


@dataclass(frozen=True)
class Evidence:
    """``text`` is every warning and error in which torch, a plugin or a vendor's tool says why
    not; ``nodes`` are the backend's device nodes; ``module`` the loaded NVIDIA module's version."""

    subject: Subject
    text: str
    nodes: Tuple[Mapping[str, Any], ...]

    @property
    def module(self) -> Optional[str]:
        """Version of the NVIDIA kernel module that is loaded."""
        told = self.subject.section("device_nodes").get("nvidia_module")
        return told or self.subject.nvidia.loaded

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment that matters, as the probe found it."""
        return dict(self.subject.section("environment").get("variables", {}))

    @property
    def wsl2(self) -> bool:
        """Whether the GPUs belong to Windows."""
        facts = self.subject.facts
        return any(node["path"] == "/dev/dxg" for node in self.nodes) or bool(
            facts and facts.system.wsl2
        )

    @property
    def container(self) -> Optional[str]:
        """The container's kind as the survey names it."""
        facts = self.subject.facts
        return facts.system.container if facts else None

    def loaded(self, *modules: str) -> bool:
        """Whether one of these kernel modules is in the kernel."""
        return any(m in self.subject.section("device_nodes").get("modules", []) for m in modules)

    def paths(self, pattern: str) -> List[str]:
        """The device nodes of that form."""
        return [node["path"] for node in self.nodes if re.fullmatch(pattern, node["path"])]

    def said(self, pattern: str) -> bool:
        """Whether anything that was said matches."""
        return re.search(pattern, self.text, re.I) is not None


Rule = Callable[[Evidence], Optional[Values]]


def gather(subject: Subject, nodes: str) -> Evidence:
    """The evidence in a subject's report and facts; ``nodes`` is the form of its device nodes."""
    backend, nvml = subject.section("backend"), subject.section("nvml")
    errors = subject.report.errors
    texts = [
        *backend.get("warnings", []),
        backend.get("init_error"),
        errors.get("plugin"),
        errors.get("backend"),
        errors.get("torch_import"),
        nvml.get("error"),
        subject.nvidia.nvml_error,
        subject.section("nvidia_smi").get("output"),
    ]
    found = subject.section("device_nodes").get("nodes", [])
    return Evidence(
        subject=subject,
        text="\n".join(text for text in texts if text),
        nodes=tuple(node for node in found if re.fullmatch(nodes, node["path"])),
    )


def no_device_on_bus(evidence: Evidence) -> Optional[Values]:
    """The survey found none and no device node speaks against it. In a container that says nothing
    of the machine: the container's own rule names what is missing."""
    subject = evidence.subject
    seen = subject.accelerators or evidence.wsl2 or evidence.nodes or evidence.container
    if subject.facts is None or seen:
        return None
    return {}


def container_without(pattern: str, row: str = "container_without_devices") -> Rule:
    """A rule: in a container without the device nodes of single devices. ``row`` is the cause
    whose remedy is the vendor's own."""

    def container_without_devices(evidence: Evidence) -> Optional[Values]:
        if not evidence.container or evidence.wsl2 or evidence.paths(pattern):
            return None
        return {"container": evidence.container}

    container_without_devices.__name__ = row
    return container_without_devices


def rights_on(pattern: str, row: str = "device_node_rights") -> Rule:
    """A rule: this user may not open a device node that is needed. ``row`` is the cause whose
    remedy is the vendor's own."""

    def device_node_rights(evidence: Evidence) -> Optional[Values]:
        closed = [
            n["path"]
            for n in evidence.nodes
            if re.fullmatch(pattern, n["path"]) and not n["usable"]
        ]
        uid = evidence.subject.section("device_nodes").get("uid")
        return {"uid": uid, "nodes": ", ".join(closed)} if closed else None

    device_node_rights.__name__ = row
    return device_node_rights


def hidden_by(variables: Tuple[str, ...]) -> Rule:
    """A rule: a variable leaves no device, by an empty value or by one that begins with -1."""

    def hidden_by_environment(evidence: Evidence) -> Optional[Values]:
        for variable in variables:
            value = evidence.variables.get(variable)
            if value is not None and value.split(",")[0].strip() in ("", "-1"):
                return {"variable": variable, "value": value, "what": "every device"}
        return None

    return hidden_by_environment


def plugin_missing(evidence: Evidence) -> Optional[Values]:
    """The package that brings the backend into torch is not installed."""
    error = evidence.subject.report.errors.get("plugin", "")
    match = re.search(r"No module named '(torch_\w+)'", error)
    return {"package": match.group(1), "backend": evidence.subject.backend} if match else None


def plugin_broken(evidence: Evidence) -> Optional[Values]:
    """The package that brings the backend into torch cannot be imported."""
    error = evidence.subject.report.errors.get("plugin")
    return {"backend": evidence.subject.backend, "text": error} if error else None


def no_backend_in_wheel(made: Callable[[Mapping[str, Any]], bool]) -> Rule:
    """A rule: torch was built for something else; ``made`` reads the section torch_build."""

    def other_backend_wheel(evidence: Evidence) -> Optional[Values]:
        build = evidence.subject.report.sections.get("torch_build")
        if build is None or made(build):
            return None
        return {"version": evidence.subject.torch_version, "backend": evidence.subject.backend}

    return other_backend_wheel
