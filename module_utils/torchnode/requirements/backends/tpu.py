"""Google TPUs through torch_xla and PJRT. Pure."""

from __future__ import annotations

import re
from typing import Optional

from ...data.google_parts import DEVICES_PER_CHIP
from ...model import Accelerator
from ...outcome import Outcome
from ..evidence import (
    Evidence,
    Values,
    container_without,
    no_device_on_bus,
    plugin_broken,
    plugin_missing,
    rights_on,
)
from ..subject import Subject, failed, passed, unmeasured
from .base import Backend
from .plugin import judge_plugin

NODES = r"/dev/accel\d+|/dev/vfio/\d+"

#: What Transformers reads as yes. Source: data.profiles.TRANSFORMERS_CODE.
TRUE_WORDS = ("1", "ON", "YES", "TRUE")


def plugin(subject: Subject) -> Outcome:
    """torch_xla belongs to this torch."""
    return judge_plugin(subject, "torch-xla")


def use_torch_xla(subject: Subject) -> Outcome:
    """Transformers is free to use XLA: USE_TORCH_XLA does not turn it off."""
    environment = subject.report.sections.get("environment")
    if environment is None:
        return unmeasured("use_torch_xla", subject, "environment", "not turned off")
    value = environment["variables"].get("USE_TORCH_XLA")
    if value is not None and value.upper() not in TRUE_WORDS:
        return failed("use_torch_xla", "torch_xla_off", value, "unset, or 1", value=value)
    return passed("use_torch_xla", value or "unset", "unset, or 1")


def pjrt_device_wrong(evidence: Evidence) -> Optional[Values]:
    """PJRT was told to drive something else."""
    value = evidence.variables.get("PJRT_DEVICE")
    kind = evidence.subject.section("backend").get("kind")
    if (value is None or value == "TPU") and kind in (None, "TPU"):
        return None
    if value is None and not evidence.nodes:
        return None  # nobody told it: torch_xla itself takes the CPU where there is no TPU
    return {"value": value or "unset", "kind": kind or "nothing"}


def tpu_nodes_missing(evidence: Evidence) -> Optional[Values]:
    """No device node of any TPU: the probe then asks PJRT for none."""
    return None if evidence.nodes else {}


def libtpu_missing(evidence: Evidence) -> Optional[Values]:
    """The TPU's runtime library is neither installed nor found."""
    installed = evidence.subject.section("metadata").get("versions", {}).get("libtpu")
    said = evidence.said(r"libtpu\.so.*(not found|cannot open)|libtpu (is )?not (found|installed)")
    return {} if said or not installed else None


def tpu_busy(evidence: Evidence) -> Optional[Values]:
    """One process at a time owns a TPU."""
    if not evidence.said(r"already in use|device or resource busy|\bEBUSY\b"):
        return None
    match = re.search(r"pid (\d+)", evidence.text)
    facts = evidence.subject.facts
    known = (
        ["pid %d (%s of %s)" % (p.pid, p.command, p.user) for p in facts.processes] if facts else []
    )
    return {"holder": "pid " + match.group(1) if match else ", ".join(known) or "a process unknown"}


def devices_of(accelerator: Accelerator) -> int:
    """A chip of some versions is two devices to PJRT."""
    return DEVICES_PER_CHIP.get(accelerator.architecture or "", 1)


TPU = Backend(
    name="tpu",
    expected="PJRT drives a TPU",
    nodes=NODES,
    rules=(
        no_device_on_bus,
        plugin_missing,
        plugin_broken,
        pjrt_device_wrong,
        container_without(NODES, "container_without_nodes"),
        tpu_nodes_missing,
        rights_on(NODES, "owner_node_rights"),
        tpu_busy,
        libtpu_missing,
    ),
    before=(plugin, use_torch_xla),
    devices_of=devices_of,
)
