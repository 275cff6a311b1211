"""The devices of all nodes of a run, held against those of the same part. Pure.

A device that is slow, or computes otherwise, passes alone: only its likes show it. Each node's
burn-in summary goes in, outcomes for each node come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from ..outcome import Outcome, Result
from . import agreement, rates
from .judging import STAGE
from .robust import Centre, centre, figure

#: Fewer devices of a part have no middle to trust; what they did is recorded and not judged.
LEAST = 5
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Rule:
    """How far under its likes' median a figure may be, as shares of that median.

    ``warn`` and ``fail`` are widened to ``spreads`` times the figures' own spread, so that what
    varies by its nature is not called slow; but however wide that is, ``most`` fails.
    """

    warn: float
    fail: float
    most: float
    spreads: float = 4.0


#: Equal accelerators under the same work differ by one or two percent (docs/benchmarks.md). A CPU
#: is shared with its operating system.
RULE = Rule(warn=0.03, fail=0.10, most=0.25)
RULES = {"cpu": Rule(warn=0.30, fail=0.60, most=0.90)}


@dataclass(frozen=True)
class Member:
    """One device of the fleet: ``device`` is its part of the summary, ``cpu`` its host's model,
    ``links`` what its links do (see ``_links``), ``count`` how many devices its node burned in."""

    node: str
    device: Mapping[str, Any]
    backend: str
    torch: Optional[str]
    stages: Sequence[str]
    cpu: str
    level: Optional[str]
    links: Mapping[str, Any]
    count: int

    @property
    def model(self) -> str:
        """The part's name; a CPU has none but its host's, and '' is a part that nobody knows."""
        return self.device.get("model") or (self.cpu if self.backend == "cpu" else "")

    @property
    def name(self) -> str:
        """'node7/cuda3'."""
        return "%s/%s" % (self.node, self.device["name"])


@dataclass(frozen=True)
class Metric:
    """One figure of a device: ``read`` takes it from the device's part of a summary.

    ``of`` is what else must be equal for a comparison, beside part, torch and units. ``there``
    says whether the figure is to be expected, ``worst`` what it can mean at most.
    """

    name: str
    unit: str
    stage: str
    read: Callable[[Member], Any]
    of: Callable[[Member], tuple[Any, ...]] = lambda member: ()
    there: Callable[[Member], bool] = lambda member: True
    worst: Result = Result.FAIL


def _sustained(member: Member) -> Any:
    if "rate" in member.device:
        return member.device["rate"]
    # Every summary's columns begin with time and rate.
    rows = [row for row in member.device.get("samples") or () if None not in row[:2]]
    samples = [{"t": row[0], "tflops": row[1]} for row in rows if figure(row[1]) is not None]
    return rates.sustained_rate(samples, rates.limits_of(member.backend))


def _heat(member: Member) -> tuple[Any, ...]:
    job = (member.device.get("work") or [{}])[-1]
    # Longer levels make it hotter, and a hot device is slower.
    return (job.get("precision"), tuple(job.get("shape") or ()), job.get("pattern"), member.level)


def _host(member: Member) -> tuple[Any, ...]:
    return (member.cpu,)


def _beside(member: Member) -> tuple[Any, ...]:
    return (member.cpu, member.count)


def _at(stage: str, key: str) -> Callable[[Member], Any]:
    return lambda member: (member.device.get(stage) or {}).get(key)


def _link(name: str, key: str, unit: str, of: Callable[[Member], tuple[Any, ...]]) -> Metric:
    """A figure of a link that had nothing else to carry."""
    return Metric(
        name, unit, "links", lambda member: member.links.get(key), of,
        lambda member: member.links.get(key) is not None,
    )  # fmt: skip


def _crowded(name: str, key: str) -> Metric:
    """A rate of the host link while all devices of the node copied: that proves no defect."""
    return Metric(
        name + ", all devices at once", "GB/s", "bandwidth", _at("bandwidth", key), _beside,
        lambda member: member.links.get(key) is None, Result.WARN,
    )  # fmt: skip


METRICS = (
    Metric("throughput", "TFLOP/s", "compute", _sustained, _heat),
    Metric("memory write", "GB/s", "memory", _at("memory", "write_gb_s")),
    Metric("memory read", "GB/s", "memory", _at("memory", "read_gb_s")),
    Metric("memory copy", "GB/s", "bandwidth", _at("bandwidth", "copy_gb_s")),
    _crowded("host to device", "h2d_gb_s"),
    _crowded("device to host", "d2h_gb_s"),
    _link("host to device", "h2d_gb_s", "GB/s", _host),
    _link("device to host", "d2h_gb_s", "GB/s", _host),
    _link("slowest copy between devices", "peer_gb_s", "GB/s", _beside),
    _link("all-reduce", "all_reduce_gb_s", "GB/s of bus bandwidth", _beside),
)


def essence(told: Mapping[str, Any]) -> dict[str, Any]:
    """What later runs compare with of a summary: its devices' figures and digests, no samples."""
    kept = {key: told.get(key) for key in ("backend", "torch", "stages", "level")}
    whole = members("", told, "")
    return {**kept, "devices": [_essence(member) for member in whole]}


def _essence(member: Member) -> dict[str, Any]:
    device = member.device
    kept = {key: device.get(key) for key in ("name", "model", "uuid", "units", "ending", "totals")}
    what = ("precision", "pattern", "shape", "products", "digest")
    figures = {stage: device.get(stage) for stage in ("memory", "bandwidth")}
    work = [{key: job.get(key) for key in what} for job in device.get("work") or ()]
    links = dict(member.links)
    return {**kept, **figures, "work": work, "rate": _sustained(member), "links": links}


def judge(
    summaries: Mapping[str, Mapping[str, Any]],
    cpus: Mapping[str, str],
    recorded: Mapping[str, Mapping[str, Any]] = NOTHING,
) -> dict[str, list[Outcome]]:
    """For each node ``burn_in.fleet.<device>`` and ``burn_in.fleet_agreement.<device>``.

    ``summaries`` are the ``burn_in`` keys of the nodes' results, ``cpus`` the nodes' CPU models,
    by which hosts are told apart, and CPU devices, which have no other name. ``recorded`` are the
    essences of nodes whose record was reused: they count as likes, and get no outcome.
    """
    told = {**recorded, **summaries}
    fleet = [m for node in told for m in members(node, told[node], cpus.get(node, ""))]
    centres = {
        (metric.name, *key): (centre(figures), nodes)
        for metric in METRICS
        for key, figures, nodes in _groups(metric, fleet)
    }
    digests = agreement.dissents(claim for member in fleet for claim in _claims(member))
    found: dict[str, list[Outcome]] = {node: [] for node in summaries}
    for member in (member for member in fleet if member.node in summaries):
        found[member.node] += [
            _rates(member, centres),
            agreement.judged(
                "burn_in.fleet_agreement.%s" % member.device["name"],
                member.name,
                digests,
                "of this run",
            ),
        ]
    return found


def members(node: str, told: Mapping[str, Any], cpu: str) -> Iterable[Member]:
    """One node's devices that came to the end of their work."""
    backend, torch, stages = str(told.get("backend")), told.get("torch"), told.get("stages") or ()
    level, devices = told.get("level"), told.get("devices") or ()
    for device in devices:
        if device.get("ending") == "finished":
            links = device.get("links") or _links(told, device)
            yield Member(node, device, backend, torch, stages, cpu, level, links, len(devices))


def _links(told: Mapping[str, Any], device: Mapping[str, Any]) -> dict[str, Any]:
    """GB/s of a device's links while no other device used its own; None for what is not known.

    ``peer_gb_s`` is the slowest copy from it or to it. The all-reduce is one figure of all devices
    of the node. A host link is no device's own where the host's memory was another socket's.
    """
    found, name = told.get("links") or {}, device.get("name")
    single = len(told.get("devices") or ()) == 1 and "bandwidth" in (told.get("stages") or ())
    alone = (found.get("host") or {}).get("devices") or {}
    host = alone.get(name) or ((device.get("bandwidth") or {}) if single else {})
    if host.get("pinned") is False or host.get("local") is False:
        host = {}
    pairs = (found.get("peers") or {}).get("pairs") or ()
    rates = [pair["gb_s"] for pair in pairs if name in (pair["source"], pair["target"])]
    sizes = (found.get("all_reduce") or {}).get("sizes") or ()
    return {
        "h2d_gb_s": host.get("h2d_gb_s"),
        "d2h_gb_s": host.get("d2h_gb_s"),
        "peer_gb_s": min((r for r in rates if figure(r) is not None), default=None),
        "all_reduce_gb_s": sizes[-1]["bus_gb_s"] if sizes else None,
    }


def _claims(member: Member) -> list[agreement.Claim]:
    errors = (member.device.get("totals") or {}).get("errors")
    device = {**member.device, "torch": member.torch, "errors": errors}
    return agreement.claims(member.name, member.backend, device)


def _groups(
    metric: Metric, fleet: Sequence[Member]
) -> Iterable[tuple[tuple[Any, ...], list[float], int]]:
    """(what the devices have in common, their figures, on how many nodes)."""
    groups: dict[tuple[Any, ...], list[tuple[float, str]]] = {}
    for member in fleet:
        value = figure(metric.read(member)) if metric.there(member) else None
        if value is not None and member.model:
            groups.setdefault(_key(metric, member), []).append((value, member.node))
    for key, figures in groups.items():
        yield key, [value for value, _ in figures], len({node for _, node in figures})


def _key(metric: Metric, member: Member) -> tuple[Any, ...]:
    part = (member.backend, member.model, member.device.get("units"), member.torch)
    return (*part, *metric.of(member))


@dataclass(frozen=True)
class _Remark:
    result: Result
    words: str


def _rates(member: Member, centres: Mapping[tuple[Any, ...], tuple[Centre, int]]) -> Outcome:
    """All figures of one device, each beside its likes' median."""
    remarks = [
        _remark(metric, member, centres.get((metric.name, *_key(metric, member))))
        for metric in METRICS
        if metric.there(member) and (metric.stage == "links" or metric.stage in member.stages)
    ]
    bad = [r for r in remarks if r.result in (Result.FAIL, Result.INCOMPLETE, Result.WARN)]
    identity = "burn_in.fleet.%s" % member.device["name"]
    observed = "; ".join(r.words for r in remarks) or "nothing that can be compared"
    expected = "rates like those of the fleet's other %s" % (member.model or "devices")
    if all(r.result is Result.SKIPPED for r in remarks):
        cause = "Fewer than %d devices of this part, with this torch, were burned in together on "
        cause += "two nodes or more: what this one did is recorded and not judged."
        return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause % LEAST)
    if not bad:
        return Outcome(identity, STAGE, Result.PASS, observed, expected)
    worst = min((r.result for r in bad), key=_WORST.index)
    told = "; ".join(r.words for r in bad)
    return Outcome(
        identity, STAGE, worst, observed, expected,
        cause="%s: %s." % (member.name, told),
        remedy=_REMEDY_INCOMPLETE if worst is Result.INCOMPLETE else _REMEDY,
    )  # fmt: skip


_WORST = (Result.FAIL, Result.INCOMPLETE, Result.WARN)
_REMEDY = (
    "Compare power limit, clock and temperature in its samples with another node's of the same "
    "part, then the server's firmware settings, cooling and, for the host link, its slot. What "
    "stays slow after that is to be replaced."
)
_REMEDY_INCOMPLETE = "Burn the node in again; read burn_in.worker of the device if it stays so."


def _remark(metric: Metric, member: Member, group: Optional[tuple[Centre, int]]) -> _Remark:
    given = metric.read(member)
    value = figure(given)
    if given is None:
        # Whether it should be there is the node's own judges' to say.
        return _Remark(Result.SKIPPED, "%s not measured" % metric.name)
    if value is None:
        words = "%s reads %r, which is no rate" % (metric.name, given)
        return _Remark(Result.INCOMPLETE, words)
    of = "%s %.4g %s" % (metric.name, value, metric.unit)
    if group is None or group[0].count < LEAST or group[1] < 2:
        count = group[0].count if group else 0
        return _Remark(Result.SKIPPED, "%s, not judged (%d of its kind)" % (of, count))
    remark = _against(of, value, group[0], RULES.get(member.backend, RULE))
    if remark.result is Result.FAIL and metric.worst is Result.WARN:
        return _Remark(Result.WARN, remark.words)
    return remark


def _against(of: str, value: float, likes: Centre, rule: Rule) -> _Remark:
    if likes.median <= 0:
        return _Remark(Result.INCOMPLETE, "%s, and most of the fleet reads 0" % of)
    behind, spread = 1 - value / likes.median, likes.spread / likes.median
    wide = min(rule.spreads * spread, rule.most)
    warn, fail = max(rule.warn, wide), max(rule.fail, wide)
    words = "%s, %+.1f%% against the median %.4g of %d" % (
        of, 0.0 - 100 * behind, likes.median, likes.count,
    )  # fmt: skip
    if behind > fail:
        return _Remark(Result.FAIL, "%s (fails below -%.3g%%)" % (words, 100 * fail))
    if behind > warn:
        return _Remark(Result.WARN, "%s (at most -%.3g%%)" % (words, 100 * warn))
    return _Remark(Result.PASS, words)
