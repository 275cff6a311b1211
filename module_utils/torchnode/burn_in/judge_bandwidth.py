"""A device's memory copies and its link to the host, judged. Pure.

Wrong data is a failure, whatever the rate. The host link's rate is judged where it was measured
alone: by the links' process, or by the worker of the only device. While all devices copy at once
they may share a switch or the host's memory, and a low rate says nothing about one of them.
"""

from __future__ import annotations

from typing import Any

from ..outcome import Outcome, Result
from .judging import STAGE, missing
from .link_gates import Remark, at_most_a_warning, by_like, by_part, judged
from .records import Burn, DeviceRun
from .telemetry import key_of, samples_of

WAYS = {"h2d": "to the device", "d2h": "from the device"}

REPLACE = (
    "Take the node out of service and burn in again after a reset of the device; if the data is "
    "wrong again, have the device replaced, with this outcome as evidence."
)


def bandwidth(burn: Burn, run: DeviceRun) -> Outcome:
    """Copies within the device's memory: their data, then their rate."""
    identity = "burn_in.bandwidth." + run.name
    expected = "copies in its memory bring all bits, at the part's rate"
    found = [d for d in run.defects if (d.get("stage"), d.get("check")) == ("bandwidth", "copy")]
    if found:
        cause = "A copy within the device's memory changed its data: silent data corruption."
        return wrong_data(identity, expected, [(run.name, found)], cause, REPLACE)
    none = missing("bandwidth", "bandwidth", run, expected)
    if none is not None:
        return none
    rate = _copies(run)
    if not rate:
        cause = "There was no free memory to copy in."
        remedy = "End other users of the device or node, then burn in again."
        return Outcome(
            identity, STAGE, Result.INCOMPLETE, "nothing copied", expected, cause, remedy
        )
    last = run.of("bandwidth")[-1]
    others = [_copies(other) for other in _neighbours(burn, run)]
    remarks = [by_part(rate, run.model, "memory"), by_like(rate, others, "neighbours")]
    return judged(
        identity,
        "%.4g GB/s read and written by copies of %d MiB, every byte compared"
        % (rate, last["copy_bytes"] >> 20),
        expected,
        remarks,
        "Look for other processes on the device, then at its memory clock and temperature in the "
        "samples. A device that stays slow alone is to be replaced.",
    )


def host_link(burn: Burn, run: DeviceRun) -> Outcome:
    """The link between the host and the device: data each way, rates, and how it is trained."""
    identity = "burn_in.host_link." + run.name
    expected = "copies to and from the host bring all bits, at the link's rate"
    found = _wrong_ways(burn, run)
    if found:
        named = [("%s, %s" % (run.name, WAYS[way]), same) for way, same in found.items()]
        cause = "Data changed on its way %s." % " and ".join(WAYS[way] for way in found)
        return wrong_data(identity, expected, named, cause, _RESEAT)
    alone, shared = _alone(burn, run), _shared(run)
    none = missing("host_link", "bandwidth", run, expected)
    # The links' stage measures it as well, and may have been asked for without the other.
    if none is not None and not (alone and none.result is Result.SKIPPED):
        return none
    rates = alone or shared
    if rates.get("h2d_gb_s") is None:
        cause = "A CPU is the host: it has no link to it."
        return Outcome(identity, STAGE, Result.SKIPPED, "no link", expected, cause)
    remarks = [remark for way in WAYS for remark in _rate(burn, run, way, rates, bool(alone))]
    remarks += _trained(burn, run, good=bool(alone) and _full_rate(run, rates))
    if not rates["pinned"]:
        words = "the host's memory could not be page-locked, so the link's rate is not known"
        remarks = [Remark(Result.INCOMPLETE, words)]
    return judged(identity, _observed(alone, shared), expected, remarks, _RESEAT)


_RESEAT = (
    "Read `dmesg` for PCIe errors (AER) of this device. Seat the card, riser or cable anew and try "
    "another slot; look whether the firmware limits the slot's speed. Then burn in again."
)


def wrong_data(
    identity: str,
    expected: str,
    found: list[tuple[str, list[dict[str, Any]]]],
    cause: str,
    remedy: str,
) -> Outcome:
    """The outcome of data that arrived wrong: pairs of where and what, the first of each told."""
    observed = "; ".join("%s: %s" % (where, _finding(same)) for where, same in found)
    return Outcome(identity, STAGE, Result.FAIL, observed, expected, cause, remedy)


def _finding(same: list[dict[str, Any]]) -> str:
    first = same[0]
    words = "%s wrong element(s), first at byte offset %s: expected %s, read %s" % (
        first.get("wrong"),
        first.get("offset"),
        first.get("expected") or "-",
        first.get("read") or "-",
    )
    return words + (" (and %d more such copies)" % (len(same) - 1) if len(same) > 1 else "")


def _copies(run: DeviceRun) -> float:
    """GB/s of the slowest round: each is a median already, and one slow hour is a finding."""
    return min((float(result["copy_gb_s"]) for result in run.of("bandwidth")), default=0.0)


def _shared(run: DeviceRun) -> dict[str, Any]:
    """The worker's own measurement of the host link, of the slowest round each way."""
    rounds = run.of("bandwidth")
    if not rounds:
        return {}
    slowest = {way + "_gb_s": [r[way + "_gb_s"] for r in rounds] for way in WAYS}
    if any(None in rates for rates in slowest.values()):
        return rounds[-1]
    pinned = all(result["pinned"] for result in rounds)
    return {**rounds[-1], "pinned": pinned, **{key: min(r) for key, r in slowest.items()}}


def _neighbours(burn: Burn, run: DeviceRun) -> list[DeviceRun]:
    return [
        other
        for other in burn.devices
        if other is not run and other.model == run.model and other.of("bandwidth")
    ]


def _wrong_ways(burn: Burn, run: DeviceRun) -> dict[str, list[dict[str, Any]]]:
    """Findings by way, those of the links' process included."""
    own = [d for d in run.defects if d.get("stage") == "bandwidth"]
    own += [d for d in burn.links.defects if d.get("device") == run.name]
    ways = {way: [d for d in own if d.get("check") == way] for way in WAYS}
    return {way: found for way, found in ways.items() if found}


def _alone(burn: Burn, run: DeviceRun) -> dict[str, Any]:
    """The rates measured while no other device copied; {} where there are none."""
    for result in burn.links.of("host"):
        found: dict[str, Any] = result["devices"].get(run.name, {})
        return found
    return _shared(run) if len(burn.devices) == 1 else {}


def _rate(burn: Burn, run: DeviceRun, way: str, rates: dict[str, Any], alone: bool) -> list[Remark]:
    key = way + "_gb_s"
    likes = [other for other in burn.devices if other is not run and other.model == run.model]
    found = [_alone(burn, other) if alone else _shared(other) for other in likes]
    others = [float(other[key]) for other in found if other.get(key)]
    like = by_like(float(rates[key]), others, "neighbours")
    if not alone:
        return [at_most_a_warning(like, "all devices copied at once")]
    part = by_part(float(rates[key]), run.model, "host")
    if rates["local"] is not False:
        return [part, like]
    why = "the host's memory was another socket's: this run may not use the device's own cores"
    return [at_most_a_warning(part, why), at_most_a_warning(like, why)]


def _full_rate(run: DeviceRun, rates: dict[str, Any]) -> bool:
    """Whether both ways have the part's known rate; neighbours may be as bad."""
    ways = [by_part(float(rates[way + "_gb_s"]), run.model, "host") for way in WAYS]
    return all(remark.result is Result.PASS for remark in ways)


def _trained(burn: Burn, run: DeviceRun, good: bool) -> list[Remark]:
    """The link's generation and width under load against what device and slot allow."""
    device = burn.telemetry.devices.get(key_of(burn, run), {})
    remarks = []
    for field, words in (("pcie_gen", "PCIe generation"), ("pcie_width", "PCIe lanes")):
        most = device.get(field + "_max")
        # The best sample: an idle link rests at a lower speed.
        seen = max((int(s[field]) for s in _loaded(burn, run) if field in s), default=None)
        if most is None or seen is None:
            remarks.append(
                Remark(Result.SKIPPED, "%s not measured%s" % (words, _why(device, field)))
            )
        elif seen >= int(most):
            remarks.append(Remark(Result.PASS, "%s %d" % (words, seen)))
        else:
            said = "%s %d under load, %d possible" % (words, seen, int(most))
            remark = Remark(Result.FAIL, said)
            why = "the rate is nevertheless the part's"
            remarks.append(at_most_a_warning(remark, why) if good else remark)
    return remarks


def _why(device: dict[str, Any], field: str) -> str:
    """NVML's own reason for a field that it does not tell, in brackets."""
    told = [(device.get("absent") or {}).get(field)]
    told.append((device.get("fixed_absent") or {}).get(field + "_max"))
    reasons = [str(reason) for reason in told if reason]
    return " (%s)" % reasons[0] if reasons else ""


def _loaded(burn: Burn, run: DeviceRun) -> list[dict[str, float]]:
    """The samples taken during the stage; all of them where none was."""
    samples = samples_of(burn, run)
    spans = [span for span in run.spans if span[0] == "bandwidth" and span[2] is not None]
    during = [s for s in samples if any(begin <= s["t"] <= end for _, begin, end in spans)]
    return during or samples


def _observed(alone: dict[str, Any], shared: dict[str, Any]) -> str:
    parts = []
    if alone:
        parts.append(_both_ways(alone) + " alone")
    if shared.get("h2d_gb_s") is not None and shared != alone:
        parts.append(_both_ways(shared) + " while all devices copied")
    rates = alone or shared
    memory = "page-locked memory" if rates["pinned"] else "memory that is not page-locked"
    return "%s, every byte compared; %s" % ("; ".join(parts), memory)


def _both_ways(rates: dict[str, Any]) -> str:
    return "%.4g GB/s %s, %.4g %s" % (
        rates["h2d_gb_s"],
        WAYS["h2d"],
        rates["d2h_gb_s"],
        WAYS["d2h"],
    )
