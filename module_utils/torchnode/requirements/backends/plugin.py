"""The package beside torch that brings a backend, as torch_npu does. Pure."""

from __future__ import annotations

from typing import List

from ...outcome import Outcome
from ..subject import Subject, failed, passed, unmeasured
from ..versions import split


def judge_plugin(subject: Subject, package: str) -> Outcome:
    """The package is the one that the stack pins, is of torch's minor version, and imports."""
    metadata = subject.report.sections.get("metadata")
    torch = subject.torch_version
    expected = pinned(subject) or "%s for torch %s" % (package, torch)
    if metadata is None or torch is None:
        return unmeasured("plugin", subject, "metadata", expected)
    version = metadata["versions"].get(package)
    if version is None:
        return failed(
            "plugin", "plugin_missing", "not installed", expected,
            package=package, backend=subject.backend,
        )  # fmt: skip
    observed = "%s==%s" % (package, version)
    if (pinned(subject) or observed) != observed or minor(version) != minor(torch):
        return failed(
            "plugin", "plugin_mismatch", observed, expected,
            package=package, version=version, torch=torch,
        )  # fmt: skip
    if "plugin" not in subject.report.sections:
        # A plugin that raises is backend_available's failure, which knows the cause.
        return unmeasured("plugin", subject, "plugin", expected)
    return passed("plugin", observed, expected)


def pinned(subject: Subject) -> str:
    """The requirement that the stack resolved ('torch-npu==2.14.0'), '' without one."""
    stack = subject.stack
    return stack.torch.plugin if stack is not None and stack.torch is not None else ""


def minor(version: str) -> List[str]:
    """The first two parts of a version; the version itself where it is none."""
    try:
        return split(version)[0].split(".")[:2]
    except ValueError:
        return [version]
