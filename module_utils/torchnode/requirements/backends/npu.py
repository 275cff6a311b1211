"""Huawei Ascend NPUs through torch_npu and CANN. Pure."""

from __future__ import annotations

import re
from typing import Optional

from ...outcome import Outcome
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
from ..subject import Subject
from .base import Backend
from .plugin import judge_plugin

HIDING = ("ASCEND_RT_VISIBLE_DEVICES",)
NODES = r"/dev/davinci.*|/dev/hisi_hdc|/dev/devmm_svm"


def plugin(subject: Subject) -> Outcome:
    """torch_npu belongs to this torch."""
    return judge_plugin(subject, "torch-npu")


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
        plugin_broken,
        hidden_by(HIDING),
    ),
    hiding=HIDING,
    before=(plugin,),
)
