"""Huawei Ascend NPUs through torch_npu and CANN. Pure."""

from __future__ import annotations

import re
from typing import Optional

from ...causes import explain
from ...outcome import Outcome, Result
from ..evidence import (
    Evidence,
    Values,
    container_without,
    hidden_by,
    no_device_on_bus,
    plugin_broken,
    plugin_missing,
    rights_on,
)
from ..subject import Subject, passed, skipped, unmeasured, warned
from .base import Backend
from .plugin import judge_plugin
from .toolkit import cause_values, meets, too_old, toolkit_floor, toolkit_in_use

HIDING = ("ASCEND_RT_VISIBLE_DEVICES",)
NODES = r"/dev/davinci.*|/dev/hisi_hdc|/dev/devmm_svm"


def plugin(subject: Subject) -> Outcome:
    """torch_npu belongs to this torch."""
    return judge_plugin(subject, "torch-npu")


def cann(subject: Subject) -> Outcome:
    """The CANN toolkit is one that this torch_npu is compatible with, by Huawei's table."""
    metadata = subject.report.sections.get("metadata")
    if metadata is None:
        return unmeasured("cann", subject, "metadata", "a CANN that fits torch-npu")
    floor = toolkit_floor(release(subject))
    item = toolkit_in_use(subject.facts, "cann", home(subject)) if subject.facts else None
    if floor is None:
        return skipped("cann", "No table names the CANN of this torch-npu.")
    if item is None:
        return skipped("cann", "The survey found no CANN: the import of torch_npu shows it.")
    expected = ">= " + floor.minimum
    fits = meets(item, floor.minimum)
    if fits is None:
        text = "the version of CANN in %s is %s" % (item.path, item.version)
        why, remedy = explain("not_measured", text=text)
        return Outcome(
            "verify.cann", "verify", Result.INCOMPLETE, item.version, expected, why, remedy
        )
    if not fits:
        values = cause_values(item.version, floor)
        return warned("cann", "cann_too_old", item.version, expected, **values)
    return passed("cann", item.version, expected)


def release(subject: Subject) -> str:
    """The installed 'torch-npu==2.14.0'."""
    return "torch-npu==%s" % subject.section("metadata").get("versions", {}).get("torch-npu")


def home(subject: Subject) -> str:
    """The toolkit's folder that set_env.sh put into the environment, '' without one."""
    variables = subject.section("environment").get("variables", {})
    return str(variables.get("ASCEND_HOME_PATH", ""))


def cann_too_old(evidence: Evidence) -> Optional[Values]:
    """torch_npu does not work, and CANN is older than Huawei's table allows."""
    subject = evidence.subject
    found = too_old(subject.facts, release(subject), home(subject)) if subject.facts else None
    return cause_values(*found) if found else None


def npu_driver_missing(evidence: Evidence) -> Optional[Values]:
    """The device manager's node is made by the driver."""
    return None if evidence.paths("/dev/davinci_manager") else {}


def npu_driver_library(evidence: Evidence) -> Optional[Values]:
    """libascend_hal comes with the driver, outside the system's library folders."""
    return {} if evidence.said(r"libascend_hal\.so|libdrvdsmi") else None


def cann_not_sourced(evidence: Evidence) -> Optional[Values]:
    """A library of the CANN toolkit was not found."""
    match = re.search(
        r"(lib(?:hccl|ascendcl|ge_runner|graph|acl_\w+|runtime|opapi)\.so\S*|ASCEND_HOME_PATH|"
        r"No module named '(?:tbe|te|acl)')",
        evidence.text,
    )
    return {"library": match.group(1).rstrip(":")} if match else None


NPU = Backend(
    name="npu",
    expected="torch.npu.is_available() is True",
    nodes=NODES,
    rules=(
        no_device_on_bus,
        container_without(r"/dev/davinci\d+", "container_without_npu"),
        npu_driver_missing,
        rights_on(NODES, "npu_node_rights"),
        plugin_missing,
        npu_driver_library,
        cann_not_sourced,
        cann_too_old,
        plugin_broken,
        hidden_by(HIDING),
    ),
    hiding=HIDING,
    before=(plugin, cann),
)
