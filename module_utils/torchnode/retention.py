"""Which stacks go when another one becomes current. Pure: the plan shows what pruning will do."""

from __future__ import annotations

from typing import List, Sequence


def superseded(
    complete: Sequence[str],
    unfinished: Sequence[str],
    damaged: Sequence[str],
    current: str,
    keep: int,
) -> List[str]:
    """The folders to remove: what is of no use, and all but the newest ``keep`` complete stacks.

    ``complete`` is newest first. ``current`` is the one that will be current, '' where it does not
    exist yet: it counts among those that are kept.
    """
    others = [path for path in complete if path != current]
    usable = [path for path in others if path not in damaged]
    useless = [path for path in others if path in damaged] + list(unfinished)
    return sorted([*useless, *usable[max(keep - 1, 0) :]])
