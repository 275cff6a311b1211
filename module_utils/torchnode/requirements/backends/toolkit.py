"""The vendor's toolkit on a node against what torch's plugin was released for. Pure."""

from __future__ import annotations

import functools
from typing import Dict, Optional, Tuple

from ...data.vendor_drivers import TOOLKIT_FLOORS, ToolkitFloor
from ...model import Facts, SoftwareItem
from ..versions import at_least


def toolkit_floor(plugin: str) -> Optional[ToolkitFloor]:
    """The row of a pinned plugin ('torch-npu==2.14.0'), None where no source names its toolkit."""
    return next((row for row in TOOLKIT_FLOORS if row.plugin == plugin), None)


def toolkit_in_use(facts: Facts, name: str, home: str = "") -> Optional[SoftwareItem]:
    """The toolkit in ``home``, where the environment names one, else the newest of those whose
    version can be read, else any. None where the survey found none."""
    found = [item for item in facts.toolkits if item.name == name]
    named = [item for item in found if home and item.path.rstrip("/") == home.rstrip("/")]
    readable = [item for item in found if meets(item, "0") is not None]
    if named or not readable:
        return next(iter(named or found), None)
    return functools.reduce(lambda a, b: b if at_least(b.version, a.version) else a, readable)


def meets(item: SoftwareItem, minimum: str) -> Optional[bool]:
    """Whether a toolkit is new enough; None where its version cannot be read."""
    try:
        return at_least(item.version, minimum)
    except ValueError:
        return None


def too_old(facts: Facts, plugin: str, home: str = "") -> Optional[Tuple[str, ToolkitFloor]]:
    """(the toolkit's version, its row) where it is older than the plugin asks; None otherwise."""
    floor = toolkit_floor(plugin)
    item = toolkit_in_use(facts, floor.toolkit, home) if floor else None
    if floor is None or item is None or meets(item, floor.minimum) is not False:
        return None
    return item.version, floor


def cause_values(found: str, floor: ToolkitFloor) -> Dict[str, object]:
    """What the cause cann_too_old is filled in with."""
    plugin = floor.plugin.replace("==", " ")
    return {
        "found": found,
        "plugin": plugin,
        "minimum": floor.minimum,
        "matching": floor.made_for,
    }
