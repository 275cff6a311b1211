"""What was seen in, outcomes out: tables of cases."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from burn_in_samples import burn, compute, device, find, job, memory, samples

from ansible.module_utils.torchnode.burn_in import judge, progress, rates, summary, telemetry
from ansible.module_utils.torchnode.burn_in.records import (
    ENDINGS,
    Ending,
    LinksRun,
    Telemetry,
)
from ansible.module_utils.torchnode.data.parts_ceilings import CEILINGS, ceiling
from ansible.module_utils.torchnode.outcome import Result, fold


def test_a_clean_burn_passes_in_everything() -> None:
    outcomes = judge.judge(burn(device(0), device(1)))
    not_asked = {o.id for o in outcomes if "not among those asked for" in o.cause}
    assert "burn_in.pulse.cuda0" in not_asked
    judged = [outcome for outcome in outcomes if outcome.id not in not_asked]
    assert {outcome.result for outcome in judged} == {Result.PASS}
    assert fold(outcomes) is Result.PASS
    assert judge.told(outcomes) == "cuda0, cuda1 burned in without a fault"


@pytest.mark.parametrize("kind", [kind for kind in ENDINGS if kind != "finished"])
def test_every_death_is_an_outcome_and_nothing_of_it_passes(kind: str) -> None:
    dead = device(1, results=[], done=False, ending=Ending(kind, "why", "last words"))
    outcomes = judge.judge(burn(device(0), dead))
    worker = find(outcomes, "burn_in.worker.cuda1")
    assert worker.result in (Result.FAIL, Result.INCOMPLETE)
    assert "why" in worker.observed
    assert "last words" in worker.observed
    assert worker.cause
    assert worker.remedy
    for check in ("compute", "memory", "throughput"):
        assert find(outcomes, "burn_in.%s.cuda1" % check).result is Result.INCOMPLETE
        assert find(outcomes, "burn_in.%s.cuda0" % check).result is Result.PASS
    assert fold(outcomes) in (Result.FAIL, Result.INCOMPLETE)


def defect(**change: Any) -> dict[str, Any]:
    return {
        "stage": "compute",
        "check": "repeat",
        "precision": "bf16",
        "pattern": "random normals",
        "wrong": 1,
        "offset": [3, 7],
        "expected": "0x3f80",
        "read": "0x3f81",
        "product": 12,
        **change,
    }


@pytest.mark.parametrize(
    ("found", "check", "words"),
    [
        (defect(), "compute", "row 3, column 7: expected 0x3f80, read 0x3f81"),
        (defect(check="oracle", pattern="exact integers"), "compute", "oracle check of bf16"),
        (defect(check="reference", offset=None), "compute", "reference check"),
        (
            defect(stage="memory", check="read-back", pattern="0x55", offset=4096),
            "memory",
            "pattern 0x55: 1 wrong cell(s), first at byte offset 4096",
        ),
        ({"stage": "compute"}, "compute", "None check"),
    ],
)
@pytest.mark.parametrize("kind", ["finished", "signal"])
def test_a_defect_fails_its_device_even_if_the_worker_died(
    found: dict[str, Any], check: str, words: str, kind: str
) -> None:
    struck = device(1, defects=[found, found], told=2, ending=Ending(kind))
    outcomes = judge.judge(burn(device(0), struck))
    outcome = find(outcomes, "burn_in.%s.cuda1" % check)
    assert outcome.result is Result.FAIL
    assert words in outcome.observed
    assert "cuda1" in outcome.observed
    assert "(and 1 more like it)" in outcome.observed
    assert find(outcomes, "burn_in.%s.cuda0" % check).result is Result.PASS


NOT_COVERED: list[tuple[dict[str, Any], str]] = [
    (compute(job(products=0)), "compute"),
    ({**compute(), "jobs": []}, "compute"),
    ({"name": "memory", **memory(missed=["random"])}, "memory"),
    ({"name": "memory", **memory(tested=0)}, "memory"),
]


@pytest.mark.parametrize(("result", "check"), NOT_COVERED)
def test_what_was_not_covered_is_incomplete(result: dict[str, Any], check: str) -> None:
    run = device()
    run.results = [result if old["name"] == check else old for old in run.results]
    assert find(judge.judge(burn(run)), "burn_in.%s.cuda0" % check).result is Result.INCOMPLETE


def test_a_precision_that_torch_cannot_multiply_is_told_and_the_rest_judged() -> None:
    run = device()
    run.results[0]["left_out"] = {"fp8": "no kernel for this device"}
    outcome = find(judge.judge(burn(run)), "burn_in.compute.cuda0")
    assert outcome.result is Result.PASS
    assert "not by this torch: fp8 (no kernel for this device)" in outcome.observed


def test_a_precision_that_failed_otherwise_is_not_passed_over() -> None:
    run = device()
    run.results[0]["failed"] = {"fp8": "CUBLAS_STATUS_EXECUTION_FAILED"}
    outcome = find(judge.judge(burn(run)), "burn_in.compute.cuda0")
    assert outcome.result is Result.INCOMPLETE
    assert "not multiplied: fp8 (CUBLAS_STATUS_EXECUTION_FAILED)" in outcome.observed


def test_one_round_that_was_not_covered_counts_among_many() -> None:
    run = device()
    run.results += [compute(), {"name": "memory", **memory(missed=["random"])}]
    assert find(judge.judge(burn(run)), "burn_in.memory.cuda0").result is Result.INCOMPLETE


@pytest.mark.parametrize("check", ["compute", "memory", "throughput", "pulse"])
def test_a_stage_that_nobody_asked_for_is_skipped_and_one_not_reached_is_incomplete(
    check: str,
) -> None:
    run = device(chosen=("bandwidth",), results=[])
    assert find(judge.judge(burn(run)), "burn_in.%s.cuda0" % check).result is Result.SKIPPED
    run.chosen = ("compute", "pulse", "memory")
    assert find(judge.judge(burn(run)), "burn_in.%s.cuda0" % check).result is Result.INCOMPLETE


def test_the_pulsed_load_is_judged_by_its_own_findings() -> None:
    pulse = {"name": "pulse", "round": 1, "job": job(), "swings": 12, "load_seconds": 3.0}
    run = device(chosen=("compute", "pulse", "memory"))
    run.results.append(pulse)
    passed = find(judge.judge(burn(run)), "burn_in.pulse.cuda0")
    assert (passed.result, passed.observed.split(";")[0]) == (Result.PASS, "12 swings")
    run.defects = [defect(stage="pulse")]
    outcomes = judge.judge(burn(run))
    assert find(outcomes, "burn_in.pulse.cuda0").result is Result.FAIL
    assert find(outcomes, "burn_in.compute.cuda0").result is Result.PASS


@pytest.mark.parametrize(
    ("visible", "result"),
    [(1, Result.PASS), (0, Result.FAIL), (2, Result.FAIL), (None, Result.INCOMPLETE)],
)
def test_number_of_devices(visible: int | None, result: Result) -> None:
    seen = burn()
    seen.devices[0].visible = visible
    assert find(judge.judge(seen), "burn_in.devices").result is result


@pytest.mark.parametrize(
    ("rates_seen", "mask", "result"),
    [
        ([720.0] * 16, 0, Result.PASS),  # 73% of the peak
        ([600.0] * 3 + [720.0] * 13, 0, Result.PASS),  # the warm-up does not count
        ([720.0] * 8 + [560.0] * 8, 0x40, Result.FAIL),  # 57% of the peak
        ([900.0] * 8 + [720.0] * 8, 0, Result.WARN),  # 20% down by itself
        ([900.0] * 8 + [720.0] * 8, 0x4, Result.PASS),  # the power cap explains it
        ([900.0] * 8 + [720.0] * 8, 0x24, Result.WARN),  # heat besides the cap does not
        ([670.0] * 16, 0, Result.WARN),  # 68% of the peak with no cap
        ([670.0] * 16, 0x4, Result.PASS),  # the same at the cap
        ([650.0] * 16, 0x4, Result.PASS),  # 65.7% at the cap: healthy parts are near it
        ([630.0] * 16, 0x4, Result.WARN),  # 64% at the cap
        ([590.0] * 16, 0x4, Result.FAIL),  # 59.7%
        ([0.0] * 16, 0, Result.FAIL),
        ([math.nan] * 16, 0, Result.INCOMPLETE),
        ([math.inf] * 16, 0, Result.INCOMPLETE),
        ([], 0, Result.INCOMPLETE),
        ([700.0], 0, Result.WARN),  # too short for a drop, but the peak still judges: 71%
    ],
)
def test_throughput_of_one_device(rates_seen: list[float], mask: int, result: Result) -> None:
    run = device(samples=samples(*rates_seen))
    assert rates.throughput(burn(run, mask=mask), run).result is result


@pytest.mark.parametrize(
    ("others", "result"),
    [
        ([720.0, 720.0, 720.0], Result.PASS),
        ([770.0, 770.0, 770.0], Result.WARN),  # 6.5% behind
        ([850.0, 850.0, 850.0], Result.FAIL),  # 15% behind
        ([850.0, 720.0, 720.0], Result.PASS),  # one fast neighbour is not the median
        ([math.nan, 720.0, 720.0], Result.PASS),
        ([0.0, 0.0, 0.0], Result.PASS),  # their fault, not this one's
    ],
)
def test_throughput_against_neighbours(others: list[float], result: Result) -> None:
    mine = device(0, 720.0)
    seen = burn(mine, *(device(i + 1, rate) for i, rate in enumerate(others)))
    assert rates.throughput(seen, mine).result is result


def test_neighbours_are_not_compared_before_they_are_warm() -> None:
    cold = [device(i, samples=samples(rate, rate)) for i, rate in enumerate((688.0, 760.0))]
    outcome = rates.throughput(burn(*cold), cold[0])
    assert outcome.result is not Result.FAIL
    assert "not held against its neighbours (no sample after a warm-up of 2 s)" in outcome.observed
    assert "against its neighbours' median" not in outcome.observed
    warm = device(2, 760.0)
    assert "no neighbour" in rates.throughput(burn(warm, cold[1]), warm).observed


def test_a_rate_with_nothing_to_compare_is_skipped_not_passed() -> None:
    run = device(model="Unheard Of 9000", samples=samples(1.0, 1.0))
    outcome = rates.throughput(burn(run), run)
    assert outcome.result is Result.SKIPPED
    assert "no known peak for Unheard Of 9000" in outcome.observed


@pytest.mark.parametrize(
    ("mask", "result"),
    [
        (0x0, Result.PASS),
        (0x1, Result.PASS),
        (0x4, Result.PASS),
        (0x20, Result.WARN),
        (0x24, Result.WARN),
        (0x8, Result.FAIL),
        (0x40, Result.FAIL),
        (0x4C, Result.FAIL),
        (0x80, Result.FAIL),
    ],
)
def test_slowdown_reasons_are_a_bit_mask(mask: int, result: Result) -> None:
    outcome = find(judge.judge(burn(mask=mask)), "burn_in.telemetry.cuda0")
    assert outcome.result is result


#: What telemetry answers for; burn_in.kernel_log.* has its own rule.
TOLD_BY_TELEMETRY = (
    "telemetry", "violations", "settings", "error_counters", "link_errors", "recovery_action",
)  # fmt: skip


def test_a_missing_library_is_a_warning_and_not_a_silent_pass() -> None:
    failure = "ModuleNotFoundError: No module named 'pynvml'"
    seen = burn(telemetry=Telemetry(failure=failure, no_library=True, kernel_log_whole=True))
    outcomes = judge.judge(seen)
    for check in TOLD_BY_TELEMETRY:
        outcome = find(outcomes, "burn_in.%s.cuda0" % check)
        assert outcome.result is (Result.WARN if check == "telemetry" else Result.SKIPPED)
        assert "pynvml" in outcome.cause
    assert find(outcomes, "burn_in.kernel_log.cuda0").result is Result.PASS
    assert fold(outcomes) is Result.WARN


@pytest.mark.parametrize(
    "broken",
    [
        Telemetry(failure="it did not stop"),  # it hung from the start
        Telemetry(failure="NVMLError_DriverNotLoaded: Driver Not Loaded", kernel_log_whole=True),
        Telemetry(final={}, kernel_log_whole=True),  # it tells of no device
    ],
)
@pytest.mark.parametrize("backend", ["cuda", "rocm"])
def test_telemetry_that_failed_from_the_start_is_incomplete(
    broken: Telemetry, backend: str
) -> None:
    outcomes = judge.judge(burn(telemetry=broken, backend=backend))
    for check in (*TOLD_BY_TELEMETRY, "other_processes"):
        outcome = find(outcomes, "burn_in.%s.cuda0" % check)
        assert outcome.result is Result.INCOMPLETE
        assert broken.failure in outcome.cause
    assert fold(outcomes) is Result.INCOMPLETE


def test_a_run_without_a_sample_is_incomplete_even_if_a_field_is_not_supported() -> None:
    seen = burn()
    seen.telemetry.samples = {}
    seen.telemetry.devices["0"]["absent"] = {"margin": "Not Supported"}
    outcome = find(judge.judge(seen), "burn_in.telemetry.cuda0")
    assert outcome.result is Result.INCOMPLETE
    assert "before a sample" in outcome.cause


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("Not Supported", Result.SKIPPED),
        ("Function Not Found", Result.SKIPPED),
        ("Insufficient Permissions", Result.SKIPPED),
        ("module 'pynvml' has no attribute 'nvmlDeviceValidateInforom'", Result.SKIPPED),
        ("GPU is lost", Result.INCOMPLETE),
        ("Unknown Error", Result.INCOMPLETE),
    ],
)
def test_only_a_device_that_says_it_has_none_is_skipped(answer: str, result: Result) -> None:
    seen = burn()
    names = ("ecc", "mig", "inforom", "power_default")
    seen.telemetry.devices["0"] = {
        "absent": {"power": answer},
        "fixed_absent": dict.fromkeys(names, answer),
        "counters": {},
        "counters_absent": {"ecc_uncorrected": answer},
    }
    seen.telemetry.samples["0"] = [{"t": 1.0}]
    for check in TOLD_BY_TELEMETRY:
        outcome = find(judge.judge(seen), "burn_in.%s.cuda0" % check)
        assert outcome.result is result, check
        assert answer in outcome.cause


def test_telemetry_without_reasons_is_skipped_and_shows_what_there_was() -> None:
    seen = burn()
    seen.telemetry.samples["0"] = [{"t": 1.0, "temperature": 60.0}]
    seen.telemetry.devices["0"]["absent"] = {"reasons": "Not Supported"}
    outcome = find(judge.judge(seen), "burn_in.telemetry.cuda0")
    assert outcome.result is Result.SKIPPED
    assert "temperature 60 to 60 C" in outcome.observed
    assert "not measured: reasons (Not Supported)" in outcome.observed


def test_a_sampler_that_died_is_incomplete() -> None:
    seen = burn()
    seen.telemetry.failure = "the sampler ended with status -9"
    assert find(judge.judge(seen), "burn_in.telemetry.cuda0").result is Result.INCOMPLETE
    seen.telemetry.samples["0"][0]["reasons"] = 0x40
    assert find(judge.judge(seen), "burn_in.telemetry.cuda0").result is Result.FAIL


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        ({"ecc_uncorrected": 0}, {"ecc_uncorrected": 0}, Result.PASS),
        ({"ecc_uncorrected": 0}, {"ecc_uncorrected": 1}, Result.FAIL),
        ({"ecc_uncorrected": 3}, {"ecc_uncorrected": 3}, Result.WARN),
        ({"remapped_uncorrectable": 1}, {"remapped_uncorrectable": 2}, Result.FAIL),
        ({"remapped_uncorrectable": 1}, {"remapped_uncorrectable": 1}, Result.PASS),
        ({"remap_failed": 1}, {"remap_failed": 1}, Result.FAIL),
        ({"remap_pending": 0}, {"remap_pending": 1}, Result.WARN),
        ({"ecc_uncorrected": 0}, {}, Result.INCOMPLETE),
        ({}, {}, Result.SKIPPED),
    ],
)
def test_error_counters(before: dict[str, int], after: dict[str, int], result: Result) -> None:
    seen = burn()
    seen.telemetry.devices["0"]["counters"] = before
    seen.telemetry.final = {"0": after}
    assert find(judge.judge(seen), "burn_in.error_counters.cuda0").result is result


def test_telemetry_is_found_by_pci_address_where_torch_tells_no_uuid() -> None:
    run = device(uuid=None)
    seen = burn(run)
    run.ready = {"bus": "0000:19:00"}
    assert telemetry.key_of(seen, run) == ""
    seen.telemetry.devices["0"]["bus"] = "0000:19:00"
    assert telemetry.key_of(seen, run) == "0"


@pytest.mark.parametrize("event", [{"event": "what"}, {"event": "inventory"}, {"event": "final"}])
def test_a_malformed_sample_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event"):
        telemetry.take(Telemetry(), event, 1.0)


def test_the_record_is_small_and_finite() -> None:
    many = [device(i, samples=samples(*[700.0] * 4000, math.nan)) for i in range(8)]
    record = summary.summary(burn(*many))
    text = json.dumps(record, allow_nan=False)
    assert len(text) < 100_000
    assert record["devices"][0]["samples"][-1][1] is None  # the NaN at the end, as no number
    assert set(record["columns"]) >= {"t", "tflops", "temperature", "power", "clock"}


def test_the_record_pairs_a_rate_with_telemetry_of_its_time() -> None:
    record = summary.summary(burn(device(samples=samples(*[700.0] * 40))))
    rows = record["devices"][0]["samples"]
    assert rows[0] == [0.0, None, 60.0, 690.0, 1400.0]  # a look before the first rate
    assert rows[1] == [1.0, 700.0, 60.0, 690.0, 1400.0]
    assert [row[0] for row in rows] == [float(t) for t in range(41)]
    assert rows[-1] == [40.0, 700.0, None, None, None]  # the sampling ended at 19 s


@pytest.mark.parametrize(("most", "kept"), [(5, [2, 4, 6, 8, 10]), (20, list(range(1, 11)))])
def test_thinning_keeps_the_last(most: int, kept: list[int]) -> None:
    assert summary.thin(list(range(1, 11)), most) == kept


def test_progress_names_the_worst_temperature_and_the_errors() -> None:
    working = device(0, ending=None, spans=[["compute", 0.0, None]])
    seen = burn(working, device(1, told=3))
    state = progress.snapshot(seen, 5.0, 20.0, burning=True)
    assert (state["stage"], state["percent"]) == ("compute", 25)
    assert (state["errors"], state["worst_temperature"]) == (3, 60.0)
    assert "25 % of 20 s" in state["text"]
    assert "at most 60 C" in state["text"]
    assert state["text"].endswith("3 ERRORS")
    waiting = progress.snapshot(seen, 0.0, 20.0, burning=False)
    assert waiting["text"] == "burning in, waiting for every device to be ready"


def test_errors_between_devices_are_those_of_the_device_that_they_name() -> None:
    links = LinksRun(chosen=True, told=20)  # 17 more were only counted
    links.defects = [{"check": "peer", "device": "cuda1", "source": "cuda0"}] * 2
    links.defects.append({"check": "all_reduce", "device": "cuda0"})
    seen = burn(device(0), device(1, told=3), links=links)
    state = progress.snapshot(seen, 15.0, 20.0, burning=True)
    assert (state["stage"], state["errors"]) == ("links", 23)
    assert state["text"].endswith("23 ERRORS")
    assert [d["errors"] for d in state["devices"]] == [1, 5]
    recorded = summary.summary(seen)["devices"]
    assert [d["totals"]["errors"] for d in recorded] == [1, 5]


def test_ceilings_are_sourced_and_exact() -> None:
    for row in CEILINGS:
        assert row.source.startswith("https://")
        assert len(row.retrieved) == len("2026-11-22")
        assert 0 < row.fail_below < row.warn_capped < row.warn_below < 1
        assert row.tflops > 0
    assert ceiling("NVIDIA H200", "bf16")
    assert ceiling("NVIDIA H200 NVL", "bf16") is None
    assert ceiling("NVIDIA GH200", "bf16") is None
    assert ceiling("NVIDIA H200", "fp32") is None


def test_a_backend_without_a_burn_in_is_incomplete() -> None:
    outcome = judge.unknown_backend("xpu", ["cpu", "cuda"])
    assert outcome.result is Result.INCOMPLETE
    assert outcome.required
    assert fold([outcome]) is Result.INCOMPLETE
    assert "no burn-in for the backend xpu" in outcome.cause
