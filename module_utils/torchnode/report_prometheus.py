"""``torchnode.prom``: the report's figures in Prometheus' text format. Pure.

For node_exporter's textfile collector, which refuses timestamps on samples: times are values.
Format: https://prometheus.io/docs/instrumenting/exposition_formats/, read 2026-11-22.
"""

from __future__ import annotations

import math
import statistics
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from .outcome import Result, Verdict
from .report_table import drivers

Labels = Dict[str, str]
Sample = Tuple[Labels, float]

#: A figure of a device's samples: metric, column, how the samples become one, unit's factor, help.
_FIGURES: Tuple[Tuple[str, str, Callable[[List[float]], float], float, str], ...] = (
    ("throughput_median_flops", "tflops", statistics.median, 1e12,
     "Median rate, in floating-point operations per second."),
    ("throughput_min_flops", "tflops", min, 1e12,
     "Lowest rate, in floating-point operations per second."),
    ("temperature_max_celsius", "temperature", max, 1, "Highest temperature."),
    ("power_mean_watts", "power", statistics.fmean, 1, "Mean power draw in the compute stage."),
    ("power_max_watts", "power", max, 1, "Highest power draw."),
    ("clock_median_hertz", "clock", statistics.median, 1e6, "Median clock in the compute stage."),
    ("clock_min_hertz", "clock", min, 1e6, "Lowest clock in the compute stage."),
)  # fmt: skip

_TOTALS = (
    ("errors", "errors", "Wrong results that the burn-in found; 0 on a sound device."),
    ("checked_products", "products_checked", "Matrix products whose every value was compared."),
    ("checked_bytes", "bytes_checked", "Bytes that were compared."),
)


def pieces(report: Mapping[str, Any], _nodes: Sequence[str]) -> Iterator[str]:
    """The file's text, a metric family at a time."""
    yield from _run(report)
    nodes: Sequence[Mapping[str, Any]] = report["nodes"]
    yield from _family("node_info", "What the run found and chose; always 1.", map(_info, nodes))
    yield from _family(
        "node_verdict",
        "1 for the node's verdict, 0 for the others.",
        (_state(n, v) for n in nodes for v in Verdict),
    )
    yield from _family(
        "node_outcomes",
        "Outcomes by result.",
        (_outcomes(n, r) for n in nodes for r in Result),
    )
    yield from _family(
        "node_accelerators",
        "Accelerators by model.",
        (sample for n in nodes for sample in _accelerators(n)),
    )
    yield from _family(
        "node_stage_seconds",
        "Time that a stage took on the node.",
        (({"node": n["name"], "stage": s}, t) for n in nodes for s, t in n["timings"].items()),
    )
    yield from _burn_in([node for node in nodes if node["burn_in"]])


def _run(report: Mapping[str, Any]) -> Iterator[str]:
    run = report["run"]
    about = {"run": run["id"], "playbook": run["playbook"], "status": report["status"]}
    yield from _family("run_info", "The run that wrote this file; always 1.", [(about, 1)])
    for name in ("started", "ended"):
        text = "Unix time at which the run %s." % name
        yield from _family("run_%s_timestamp_seconds" % name, text, [({}, _unix(run[name]))])
    counted = [({"verdict": name}, count) for name, count in report["summary"].items()]
    yield from _family("nodes", "Nodes by verdict.", counted)


def _info(node: Mapping[str, Any]) -> Sample:
    return {
        "node": node["name"],
        "backend": node["backend"] or "",
        "torch": node["torch"] or "",
        "driver": drivers(node),
        "scope": node["scope"],
    }, 1


def _state(node: Mapping[str, Any], verdict: Verdict) -> Sample:
    labels = {"node": node["name"], "backend": node["backend"] or "", "verdict": verdict.value}
    return labels, node["verdict"] == verdict.value


def _outcomes(node: Mapping[str, Any], result: Result) -> Sample:
    found = sum(outcome["result"] == result.value for outcome in node["outcomes"])
    return {"node": node["name"], "result": result.value}, found


def _accelerators(node: Mapping[str, Any]) -> Iterator[Sample]:
    models = [accelerator["model"] for accelerator in node["accelerators"]]
    for model in sorted(set(models)):
        yield {"node": node["name"], "model": model}, models.count(model)


def _burn_in(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Times of this run's burn-ins, and the figures of their devices."""
    began = [({"node": n["name"]}, _unix(n["burn_in"]["at"])) for n in nodes]
    yield from _family("burn_in_timestamp_seconds", "Unix time at which it began.", began)
    lasted = [({"node": n["name"]}, n["burn_in"]["seconds"]) for n in nodes]
    yield from _family("burn_in_seconds", "How long it took, start-up included.", lasted)
    for name, key, text in _TOTALS:
        found = [
            (labels, device["totals"][key])
            for labels, device, _ in _devices(nodes)
            if device["totals"].get(key) is not None
        ]
        yield from _family("burn_in_device_" + name, text, found)
    for name, column, reduce, factor, text in _FIGURES:
        values = [
            (labels, _column(device, columns, column, heat_only=reduce is not max))
            for labels, device, columns in _devices(nodes)
        ]
        found = [(labels, factor * reduce(each)) for labels, each in values if each]
        yield from _family("burn_in_device_" + name, text, found)


def _devices(
    nodes: Sequence[Mapping[str, Any]],
) -> Iterator[Tuple[Labels, Mapping[str, Any], Sequence[str]]]:
    for node in nodes:
        for device in node["burn_in"]["devices"]:
            labels = {"node": node["name"], "device": device["name"]}
            yield labels, device, node["burn_in"]["columns"]


def _column(
    device: Mapping[str, Any], columns: Sequence[str], name: str, heat_only: bool
) -> List[float]:
    """A column's measured values; what was not measured is left out, never 0.

    ``heat_only``: those beside a rate, for a mean of full load and of the rests between is neither.
    """
    if name not in columns:
        return []
    at, rate = columns.index(name), columns.index("tflops")
    rows = [row for row in device["samples"] if row[rate] is not None or not heat_only]
    return [row[at] for row in rows if row[at] is not None]


def _unix(at: str) -> float:
    found = datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int(found.timestamp())


def _family(name: str, text: str, samples: Any) -> Iterator[str]:
    """One metric, or nothing where no node has it. All are gauges: they describe one run."""
    lines = ["torchnode_%s%s %s\n" % (name, _braced(labels), _value(v)) for labels, v in samples]
    if lines:
        yield "# HELP torchnode_%s %s\n# TYPE torchnode_%s gauge\n" % (name, text, name)
        yield "".join(lines)


def _braced(labels: Mapping[str, str]) -> str:
    told = ",".join('%s="%s"' % (key, _escaped(value)) for key, value in labels.items())
    return "{%s}" % told if told else ""


def _escaped(value: str) -> str:
    """A label's value on one line of valid UTF-8, as the format asks for it."""
    value = value.encode("utf-8", "replace").decode("utf-8")
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _value(value: float) -> str:
    if isinstance(value, (bool, int)):
        return str(int(value))
    return repr(value) if math.isfinite(value) else "NaN"
