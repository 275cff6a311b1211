"""What a verification looks at, and the ways in which a check can end. Pure."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

from ..causes import explain
from ..data.profiles import BACKEND_MINIMA, Profile, Workload
from ..model import Accelerator, Driver, Facts, Stack
from ..outcome import Outcome, Result
from ..probe_report import ProbeReport
from .versions import at_least

#: Device nodes that only a machine with accelerators of the backend has.
NODES_OF = (
    ("cuda", r"/dev/nvidia.*|/dev/dxg"),
    ("rocm", r"/dev/kfd"),
    ("npu", r"/dev/davinci.*"),
    ("mlu", r"/dev/cambricon_.*"),
)


@dataclass(frozen=True)
class Subject:
    """One node's environment under one profile and workload.

    ``minima`` are the operator's own minimum versions by name; ``python`` is the interpreter.
    """

    profile: Profile
    workload: Workload
    report: ProbeReport
    stack: Optional[Stack] = None
    facts: Optional[Facts] = None
    minima: Mapping[str, str] = field(default_factory=dict)
    python: str = ""

    def seen(self, report: ProbeReport) -> Subject:
        """The same subject with what the probe saw."""
        return dataclasses.replace(self, report=report)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section's data, empty where the probe did not tell it."""
        return self.report.sections.get(name, {})

    @property
    def adopted(self) -> bool:
        """Whether no stack says what this environment should hold."""
        return self.stack is None or self.stack.adopted

    @property
    def no_stack(self) -> Optional[str]:
        """The prefix under which torchnode's own stack should be and is not; None otherwise.

        A stack that survey found and whose interpreter is gone is a damaged one.
        """
        stack, found = self.stack, self.facts.stack if self.facts is not None else None
        absent = self.report.missing and found is None
        return stack.prefix if stack is not None and not stack.adopted and absent else None

    @property
    def backend(self) -> str:
        """The backend that this node has to show: the stack's, else what hardware says."""
        if self.stack is not None:
            return self.stack.backend
        if self.facts is not None:
            return next((a.backend for a in self.facts.accelerators if a.backend != "cpu"), "cpu")
        told = self.section("backend")
        if told.get("available"):
            return str(told["backend"])
        paths = [node["path"] for node in self.section("device_nodes").get("nodes", [])]
        shown = (b for b, nodes in NODES_OF if any(re.fullmatch(nodes, p) for p in paths))
        return next(shown, "cpu")

    @property
    def wanted(self) -> str:
        """The backend that the probe has to ask torch for; '' where torch itself has to say."""
        return "" if self.stack is None and self.facts is None else self.backend

    @property
    def accelerators(self) -> Tuple[Accelerator, ...]:
        """The surveyed accelerators of this backend."""
        found = self.facts.accelerators if self.facts is not None else ()
        return tuple(accelerator for accelerator in found if accelerator.backend == self.backend)

    def driver(self, vendor: str) -> Driver:
        """The surveyed driver of a vendor, an empty record where there is none."""
        drivers = self.facts.drivers if self.facts is not None else ()
        return next((driver for driver in drivers if driver.vendor == vendor), Driver(vendor))

    @property
    def nvidia(self) -> Driver:
        """The surveyed NVIDIA driver."""
        return self.driver("nvidia")

    @property
    def driver_version(self) -> Optional[str]:
        """The running driver's version from whoever knows it."""
        return (
            self.section("nvml").get("driver")
            or self.section("nvidia_smi").get("driver")
            or self.section("device_nodes").get("nvidia_module")
            or self.nvidia.nvml
            or self.nvidia.loaded
        )

    @property
    def torch_version(self) -> Optional[str]:
        """torch's own version: as imported, else as its version.py spells it."""
        imported = self.section("torch_import").get("version")
        return imported or (self.version_file or {}).get("version")

    @property
    def version_file(self) -> Optional[Mapping[str, Any]]:
        """torch/version.py of the torch that is imported, else of the first one on sys.path."""
        torches = self.section("torch_files").get("torches", [])
        file = self.section("torch_import").get("file") or ""
        ours = [torch for torch in torches if file.startswith(torch["package"] + "/")]
        chosen = (ours or torches)[:1]
        return chosen[0]["version_file"] if chosen else None

    def minimum(self, name: str, profiles: str) -> Tuple[str, str]:
        """(version, who asks for it): the highest of the profile's minimum, the backend's and the
        operator's."""
        least, who = profiles, "the profile " + self.profile.name
        for row in BACKEND_MINIMA:
            if (row.backend, row.package) == (self.backend, name) and higher(row.minimum, least):
                least, who = row.minimum, "Transformers on " + self.backend
        wanted = self.minima.get(name, "")
        if higher(wanted, least):
            least, who = wanted, "your requirement %s >= %s" % (name, wanted)
        return least, who


def higher(wanted: str, least: str) -> bool:
    """Whether a minimum asks for more than another one; '' asks for nothing."""
    return bool(wanted) and not (least and at_least(least, wanted))


def passed(check: str, observed: str, expected: str = "") -> Outcome:
    """The check holds."""
    return Outcome("verify." + check, "verify", Result.PASS, observed, expected)


def skipped(check: str, why: str) -> Outcome:
    """The check does not apply, with the reason."""
    return Outcome("verify." + check, "verify", Result.SKIPPED, cause=why, required=False)


def failed(check: str, cause: str, observed: str, expected: str, **values: object) -> Outcome:
    """The check does not hold, for a reason from the table of causes."""
    why, remedy = explain(cause, **values)
    return Outcome("verify." + check, "verify", Result.FAIL, observed, expected, why, remedy)


def warned(check: str, cause: str, observed: str, expected: str, **values: object) -> Outcome:
    """The check holds with a reservation from the table of causes."""
    why, remedy = explain(cause, **values)
    return Outcome("verify." + check, "verify", Result.WARN, observed, expected, why, remedy)


def unmeasured(check: str, subject: Subject, section: str, expected: str = "") -> Outcome:
    """The check has no data, because ``section`` is missing from the report or does not tell it."""
    report = subject.report
    error = report.errors.get(section)
    if error is None and section in report.sections:
        error = "torch does not tell it here"
    text = "%s: %s" % (section, error) if error else "the probe: " + report.ending()
    why, remedy = explain("not_measured", text=text)
    return Outcome("verify." + check, "verify", Result.INCOMPLETE, "", expected, why, remedy)
