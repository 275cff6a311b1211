"""The words for long work on nodes: one line a node while few are at work, else one for all. Pure.

Plain lines: a CI log has no cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional

_NODES_NAMED = 4
_OLD = 3  # intervals: what was heard that long ago is said with its age


@dataclass(frozen=True)
class News:
    """What a node's module said last, and how far that is: of two, a lower rank is behind."""

    text: str
    rank: float


@dataclass(frozen=True)
class Running:
    """A task at work on a node. ``began`` and ``heard``, when its news came, are in seconds."""

    node: str
    task_id: str
    task: str
    began: float
    news: Optional[News] = None
    heard: float = 0.0


def lines(
    running: Iterable[Running],
    ended: Mapping[str, int],
    said: Mapping[str, float],
    now: float,
    interval: float,
) -> Dict[str, List[str]]:
    """Task id to lines, for each task of which nothing was said for ``interval`` seconds.

    ``said`` is when each task was last spoken of; a task counts from its first node's beginning.
    ``ended`` is how many nodes are through with it.
    """
    tasks: Dict[str, List[Running]] = {}
    for one in sorted(running, key=lambda one: one.node):
        tasks.setdefault(one.task_id, []).append(one)
    return {
        task_id: _lines(nodes, ended.get(task_id, 0), now, interval)
        for task_id, nodes in tasks.items()
        if now - said.get(task_id, min(one.began for one in nodes)) >= interval
    }


def _lines(nodes: List[Running], ended: int, now: float, interval: float) -> List[str]:
    if not any(one.news for one in nodes):
        return [_without_news(nodes, now)]
    if len(nodes) <= _NODES_NAMED:
        return [_node(one, now, interval) for one in nodes]
    return [_folded(nodes, ended, now, interval)]


def _without_news(nodes: List[Running], now: float) -> str:
    more = len(nodes) - _NODES_NAMED
    where = ", ".join(one.node for one in nodes[:_NODES_NAMED])
    where += " and %d more" % more if more > 0 else ""
    return "... %s: %.0f s so far on %s" % (nodes[0].task, _longest(nodes, now), where)


def _node(one: Running, now: float, interval: float) -> str:
    return "... %s, %.0f s: %s" % (one.node, now - one.began, _news(one, now, interval))


def _folded(nodes: List[Running], ended: int, now: float, interval: float) -> str:
    heard = [one for one in nodes if one.news]
    last = min(heard, key=lambda one: one.news.rank if one.news else 0.0)
    count = "%d nodes at work" % len(nodes) + (", %d done" % ended if ended else "")
    state = _news(last, now, interval)
    what = (nodes[0].task, _longest(nodes, now), count, last.node, state)
    return "... %s, %.0f s: %s; slowest %s: %s" % what


def _news(one: Running, now: float, interval: float) -> str:
    if one.news is None:
        return "%s, no word of how far" % one.task
    age = now - one.heard
    return one.news.text + (" (%.0f s ago)" % age if age > _OLD * interval else "")


def _longest(nodes: List[Running], now: float) -> float:
    return now - min(one.began for one in nodes)
