"""The links between a node's devices, judged: the process, the pairs, the all-reduce. Pure.

With one device there is nothing to say. Outcomes are the node's own: ``burn_in.<check>``.
"""

from __future__ import annotations

from typing import Any

from ..outcome import Outcome, Result
from .judge_bandwidth import wrong_data
from .judge_worker import ending
from .judging import STAGE, ended
from .link_gates import Remark, at_most_a_warning, by_like, by_part, judged
from .records import Burn

TOLD = 6  # findings about pairs that are told in full

_FABRIC = (
    "Compare `nvidia-smi topo -m` and `nvidia-smi nvlink --status` (`amd-smi topology`) with a "
    "good node's, and read `dmesg` for Xid lines. On NVSwitch systems check that "
    "nvidia-fabricmanager is running. Then burn in again; a link that stays slow or wrong is the "
    "board's or a device's."
)


def of_node(burn: Burn) -> list[Outcome]:
    """All outcomes about the links; [] with a single device."""
    if len(burn.devices) < 2:
        return []
    return [process(burn), peers(burn), all_reduce(burn)]


def process(burn: Burn) -> Outcome:
    """Whether the one process that drives all devices came to its end by itself."""
    if not burn.links.chosen:
        return _not_chosen("links", burn)
    if burn.links.why_not:
        return _unfinished("links", burn)
    return ending("burn_in.links", burn.links)


def peers(burn: Burn) -> Outcome:
    """Copies between all pairs of devices: their data, then their rates."""
    identity, expected = "burn_in.peers", "data reaches every device unchanged, at the links' rate"
    found = _by_pair([d for d in burn.links.defects if d.get("check") == "peer"])
    if found:
        cause = "Data changed on its way between two devices: silent data corruption."
        return wrong_data(identity, expected, list(found.items()), cause, _FABRIC)
    none = _missing("peers", burn)
    if none is not None:
        return none
    result = burn.links.of("peers")[-1]
    if not result["bytes"]:
        return _nothing_measured(identity, expected)
    pairs = result["pairs"]
    remarks = [remark for pair in pairs for remark in _pair(burn, pair, pairs)]
    return judged(identity, _spread(result), expected, _worst_first(remarks), _FABRIC)


def all_reduce(burn: Burn) -> Outcome:
    """An all-reduce over all devices: every sum, then the bus bandwidth of the largest."""
    identity, expected = "burn_in.all_reduce", "every sum is right, at the links' rate"
    found = _by_device([d for d in burn.links.defects if d.get("check") == "all_reduce"])
    if found:
        cause = "The sum over all devices came out wrong on %s." % ", ".join(found)
        return wrong_data(identity, expected, list(found.items()), cause, _FABRIC)
    none = _missing("all_reduce", burn)
    if none is not None:
        return none
    result = burn.links.of("all_reduce")[-1]
    if result["why_not"]:
        return _no_library(identity, expected, result["why_not"])
    largest = result["sizes"][-1]
    if not largest["bytes"]:
        return _nothing_measured(identity, expected)
    models = {run.model for run in burn.devices}
    part = models.pop() if len(models) == 1 else "parts of several models"
    rate = float(largest["bus_gb_s"])
    observed = "bus bandwidth %.4g GB/s at %d MiB over %d devices with %s, every sum compared" % (
        rate,
        largest["bytes"] >> 20,
        result["devices"],
        result["library"],
    )
    remarks = [by_part(rate, part, "all_reduce", result["devices"])]
    return judged(identity, observed, expected, remarks, _SLOW_ALL_REDUCE)


_SLOW_ALL_REDUCE = (
    "See burn_in.peers: a slow pair slows the whole. If all pairs are well, run with NCCL_DEBUG="
    "INFO and look which links and whether NVLS (multicast in the NVSwitch) are used; NCCL_* in "
    "the environment, a container's limits or a stopped nvidia-fabricmanager can rule them out."
)


def _pair(burn: Burn, pair: dict[str, Any], pairs: list[dict[str, Any]]) -> list[Remark]:
    """One pair against its part's figure and its like.

    Where the part has a figure, every pair is linked alike, and all of them are its like.
    Elsewhere pairs may be linked differently by design; then only its own way back is.
    """
    models = {run.name: run.model for run in burn.devices}
    same = models[pair["source"]] == models[pair["target"]]
    part = by_part(pair["gb_s"], models[pair["target"]] if same else "unlike parts", "peer")
    known = part.result is not Result.SKIPPED
    others = [p["gb_s"] for p in pairs if p is not pair and (known or _is_way_back(p, pair))]
    like = by_like(pair["gb_s"], others, "like pairs" if known else "own way back")
    if not known:
        like = at_most_a_warning(like, "how the two are linked is not known")
    return [_named(pair, part), _named(pair, like)]


def _is_way_back(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["source"], one["target"]) == (other["target"], other["source"])


def _named(pair: dict[str, Any], remark: Remark) -> Remark:
    if remark.result in (Result.PASS, Result.SKIPPED):
        return remark
    return Remark(remark.result, "%s: %s" % (_name(pair["target"], pair["source"]), remark.words))


def _name(target: Any, source: Any) -> str:
    return "%s from %s" % (target, source)


def _worst_first(remarks: list[Remark]) -> list[Remark]:
    """The worst in full, of the rest only the number: eight devices have 56 pairs."""
    bad = [r for kind in (Result.FAIL, Result.WARN) for r in remarks if r.result is kind]
    good = sum(r.result is Result.PASS for r in remarks)
    skipped = [r for r in remarks if r.result is Result.SKIPPED]
    told = bad[:TOLD]
    if len(bad) > TOLD:
        told.append(Remark(bad[0].result, "%d more such findings" % (len(bad) - TOLD)))
    if good:
        told.append(Remark(Result.PASS, "%d comparisons good" % good))
    return told or skipped[:1]


def _spread(result: dict[str, Any]) -> str:
    pairs = sorted(result["pairs"], key=lambda pair: float(pair["gb_s"]))
    least, most = pairs[0], pairs[-1]
    through = sum(pair["direct"] is False for pair in pairs)
    words = "%d pairs, %d MiB each, every byte compared: %.4g GB/s (%s) to %.4g (%s)" % (
        len(pairs),
        result["bytes"] >> 20,
        least["gb_s"],
        _name(least["target"], least["source"]),
        most["gb_s"],
        _name(most["target"], most["source"]),
    )
    return words + ("; %d by way of the host" % through if through else "")


def _by_pair(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    pairs: dict[str, list[dict[str, Any]]] = {}
    for defect in found:
        pairs.setdefault(_name(defect.get("device"), defect.get("source")), []).append(defect)
    return pairs


def _by_device(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    devices: dict[str, list[dict[str, Any]]] = {}
    for defect in found:
        devices.setdefault(str(defect.get("device")), []).append(defect)
    return devices


def _missing(check: str, burn: Burn) -> Outcome | None:
    if not burn.links.chosen:
        return _not_chosen(check, burn)
    return None if burn.links.of(check) else _unfinished(check, burn)


def _not_chosen(check: str, burn: Burn) -> Outcome:
    cause = "The stage is not among those asked for: %s." % ", ".join(burn.stages)
    return Outcome("burn_in." + check, STAGE, Result.SKIPPED, "not run", cause=cause)


def _unfinished(check: str, burn: Burn) -> Outcome:
    why = burn.links.why_not or ended(burn.links)
    return Outcome(
        "burn_in." + check,
        STAGE,
        Result.INCOMPLETE,
        observed="nothing measured",
        cause="The links were not measured to the end: %s." % why,
        remedy="See burn_in.links and the burn_in.worker outcomes; mend that and burn in again.",
    )


def _nothing_measured(identity: str, expected: str) -> Outcome:
    cause = "There was no free memory for it on at least one device."
    remedy = "End other users of the devices, then burn in again."
    return Outcome(identity, STAGE, Result.INCOMPLETE, "nothing measured", expected, cause, remedy)


def _no_library(identity: str, expected: str, why_not: str) -> Outcome:
    return Outcome(
        identity,
        STAGE,
        Result.INCOMPLETE,
        observed="not run",
        expected=expected,
        cause="The devices could not be made to add up: %s." % why_not,
        remedy="Install a build of torch with NCCL or RCCL: torch.distributed needs it as well. "
        "If this node never trains over several devices, leave links out of "
        "torchnode_burn_in_stages.",
    )
