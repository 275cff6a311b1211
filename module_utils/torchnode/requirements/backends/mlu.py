"""Cambricon MLUs through torch_mlu. Pure."""

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

HIDING = ("MLU_VISIBLE_DEVICES",)
NODES = r"/dev/cambricon_.*"
DEVICES = r"/dev/cambricon_dev\d+"


def plugin(subject: Subject) -> Outcome:
    """torch_mlu belongs to this torch."""
    return judge_plugin(subject, "torch-mlu")


def mlu_driver_missing(evidence: Evidence) -> Optional[Values]:
    """The device nodes are made by the driver."""
    return None if evidence.paths(DEVICES) else {}


def neuware_missing(evidence: Evidence) -> Optional[Values]:
    """A library of CNToolkit was not found."""
    match = re.search(r"(libcn\w+\.so\S*|libmluops\.so\S*|NEUWARE_HOME)", evidence.text)
    return {"library": match.group(1).rstrip(":")} if match else None


MLU = Backend(
    name="mlu",
    expected="torch.mlu.is_available() is True",
    nodes=NODES,
    rules=(
        no_device_on_bus,
        container_without(DEVICES, "container_without_nodes"),
        mlu_driver_missing,
        rights_on(NODES, "owner_node_rights"),
        plugin_missing,
        neuware_missing,
        plugin_broken,
        hidden_by(HIDING),
    ),
    hiding=HIDING,
    before=(plugin,),
)
