"""Health beside the work: counters, links, the kernel's log, strangers on a device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from burn_in_samples import burn, device, find

from ansible.module_utils.torchnode.burn_in import judge, judge_processes, telemetry
from ansible.module_utils.torchnode.burn_in.child import amdsmi, kernel_log, nvml, nvml_counters
from ansible.module_utils.torchnode.burn_in.records import Burn, Ending, Telemetry
from ansible.module_utils.torchnode.data import xid
from ansible.module_utils.torchnode.outcome import Outcome, Result, worst


def counted(before: dict[str, int], after: dict[str, int]) -> Burn:
    seen = burn()
    seen.telemetry.devices["0"]["counters"] = before
    seen.telemetry.final = {"0": after}
    return seen


def judged(seen: Burn, check: str) -> Outcome:
    return find(judge.judge(seen), check)


LINKS: list[tuple[dict[str, int], dict[str, int], Result]] = [
    ({"links_up": 18}, {"links_up": 18}, Result.PASS),
    ({"links_up": 18}, {"links_up": 17}, Result.FAIL),
    ({"link_errors": 4}, {"link_errors": 4}, Result.PASS),
    ({"link_errors": 4}, {"link_errors": 5}, Result.WARN),
    ({"pcie_replays": 0}, {"pcie_replays": 8}, Result.PASS),
    ({"pcie_replays": 0}, {"pcie_replays": 9}, Result.WARN),
    ({"fabric_state": 0}, {"fabric_state": 0}, Result.PASS),  # no fabric
    ({"fabric_state": 2}, {"fabric_state": 2}, Result.FAIL),
    ({"fabric_state": 3, "fabric_status": 0}, {"fabric_state": 3, "fabric_status": 9}, Result.FAIL),
    ({"fabric_health": 0b10101010}, {"fabric_health": 0b10101010}, Result.PASS),  # all false
    ({"fabric_health": 0b10101001}, {"fabric_health": 0b10101001}, Result.FAIL),  # bandwidth
    ({"fabric_health": 0b10100110}, {"fabric_health": 0b10100110}, Result.WARN),  # recovering
    ({"links_up": 18}, {}, Result.INCOMPLETE),
    ({}, {}, Result.SKIPPED),
]


@pytest.mark.parametrize(("before", "after", "result"), LINKS)
def test_links(before: dict[str, int], after: dict[str, int], result: Result) -> None:
    outcome = judged(counted(before, after), "burn_in.link_errors.cuda0")
    assert outcome.result is result
    assert result in (Result.PASS, Result.SKIPPED) or (outcome.cause and outcome.remedy)


ERRORS: list[tuple[dict[str, int], dict[str, int], Result, str]] = [
    ({"sram_uncorrected": 4}, {"sram_uncorrected": 4}, Result.PASS, ""),
    ({"sram_uncorrected": 5}, {"sram_uncorrected": 5}, Result.FAIL, "evidence"),
    ({"sram_uncorrected": 0}, {"sram_uncorrected": 1}, Result.FAIL, "reset the device"),
    ({"sram_threshold": 1}, {"sram_threshold": 1}, Result.FAIL, "evidence"),
    ({"remap_failed": 1}, {"remap_failed": 1}, Result.FAIL, "evidence"),
    ({"retired_pending": 0}, {"retired_pending": 1}, Result.WARN, "Reset"),
    ({"ecc_corrected": 0}, {"ecc_corrected": 7}, Result.PASS, ""),
    ({"ecc_uncorrected": 5}, {"ecc_uncorrected": 0}, Result.PASS, ""),  # the counter was reset
]


@pytest.mark.parametrize(("before", "after", "result", "words"), ERRORS)
def test_errors(before: dict[str, int], after: dict[str, int], result: Result, words: str) -> None:
    outcome = judged(counted(before, after), "burn_in.error_counters.cuda0")
    assert outcome.result is result
    assert words in outcome.remedy


@pytest.mark.parametrize(
    ("action", "result", "words"),
    [
        (0, Result.PASS, ""),
        (1, Result.FAIL, "reset the device"),
        (2, Result.FAIL, "restart the node"),
        (4, Result.FAIL, "drain the node"),
        (77, Result.FAIL, "action 77"),
    ],
)
def test_the_drivers_own_advice_fails_a_device(action: int, result: Result, words: str) -> None:
    told = {"recovery_action": action}
    outcome = judged(counted(told, told), "burn_in.recovery_action.cuda0")
    assert outcome.result is result
    assert words in outcome.remedy


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("held_software_thermal", Result.WARN),
        ("held_hardware_thermal", Result.FAIL),
        ("held_power_brake", Result.FAIL),
        ("violation_power", Result.PASS),
    ],
)
def test_a_slowdown_between_two_samples_is_seen_by_its_counter(name: str, result: Result) -> None:
    assert judged(counted({name: 5}, {name: 5}), "burn_in.telemetry.cuda0").result is Result.PASS
    assert judged(counted({name: 5}, {name: 900}), "burn_in.telemetry.cuda0").result is result


SECOND = 1_000_000_000
VIOLATIONS: list[tuple[dict[str, int], dict[str, int], Result, str]] = [
    ({"violation_thermal": 5}, {"violation_thermal": 5}, Result.PASS, "0.000 s"),
    ({"violation_thermal": 0}, {"violation_thermal": SECOND // 5}, Result.PASS, "-> 0.200 s"),
    ({"violation_thermal": 0}, {"violation_thermal": SECOND}, Result.WARN, "0.000 s -> 1.000 s"),
    ({"violation_board_limit": 0}, {"violation_board_limit": SECOND}, Result.WARN, "-> 1.000 s"),
    ({"violation_power": 0}, {"violation_power": 29 * SECOND}, Result.PASS, "-> 29.000 s"),
    ({"violation_power": 0}, {"violation_power": 0}, Result.PASS, "violation_thermal: Not Supp"),
    ({"violation_power": 0}, {}, Result.INCOMPLETE, "violation_power"),
    ({}, {}, Result.SKIPPED, ""),
]


@pytest.mark.parametrize(("before", "after", "result", "words"), VIOLATIONS)
def test_time_that_a_limit_held_the_clock_down(
    before: dict[str, int], after: dict[str, int], result: Result, words: str
) -> None:
    seen = counted(before, after)  # of 30 s
    seen.telemetry.devices["0"]["counters_absent"] = {"violation_thermal": "Not Supported"}
    outcome = judged(seen, "burn_in.violations.cuda0")
    assert outcome.result is result
    assert words in outcome.observed


def test_the_power_that_the_heat_draws_is_shown_beside_its_limit() -> None:
    observed = judged(burn(), "burn_in.telemetry.cuda0").observed
    assert "in the heat 690 W of 700 W at the median" in observed


@pytest.mark.parametrize(
    ("change", "result", "words"),
    [
        ({}, Result.PASS, ""),
        ({"inforom": 0}, Result.WARN, "nvidia-bug-report.sh"),
        ({"ecc": 0}, Result.WARN, "-e 1"),
        ({"mig": 1}, Result.WARN, "-mig 0"),
        ({"power_default": 700.5}, Result.PASS, ""),
        ({"power_default": 1000.0}, Result.WARN, "-pl"),
        ({"mig": 1, "ecc": 0}, Result.WARN, "-e 1"),
        ({"ecc": None, "mig": None}, Result.PASS, ""),
        (dict.fromkeys(("inforom", "ecc", "mig", "power_default")), Result.SKIPPED, ""),
    ],
)
def test_how_a_device_is_set_up(change: dict[str, Any], result: Result, words: str) -> None:
    seen = burn()
    seen.telemetry.devices["0"].update(change)
    outcome = judged(seen, "burn_in.settings.cuda0")
    assert outcome.result is result
    assert words in outcome.remedy
    if result is Result.PASS and None in change.values():
        assert "not told: ecc, mig" in outcome.observed


def test_the_temperature_limit_fails() -> None:
    seen = burn()
    for sample in seen.telemetry.samples["0"]:
        sample["margin"] = 12.0
    assert judged(seen, "burn_in.telemetry.cuda0").result is Result.PASS
    seen.telemetry.samples["0"][3]["margin"] = 0.0
    assert judged(seen, "burn_in.telemetry.cuda0").result is Result.FAIL


# ---- strangers ---------------------------------------------------------------------------------

MINE = {100: {"name": "python", "bytes": 1 << 30, "since": -1.0}}


def stranger(since: float) -> dict[int, dict[str, Any]]:
    return {4711: {"name": "train.py", "bytes": 40 << 30, "since": since}}


STRANGERS: list[tuple[dict[int, dict[str, Any]], Result]] = [
    (MINE, Result.PASS),
    ({**MINE, **stranger(-1.0)}, Result.FAIL),  # seen too late to be refused
    ({**MINE, **stranger(7.5)}, Result.FAIL),
    (stranger(-1.0), Result.SKIPPED),  # a container's pids are none of the driver's
    ({}, Result.PASS),
]


@pytest.mark.parametrize(("processes", "result"), STRANGERS)
def test_somebody_else_on_the_device_is_named(
    processes: dict[int, dict[str, Any]], result: Result
) -> None:
    seen = burn()
    seen.telemetry.processes["0"] = processes
    outcome = judged(seen, "burn_in.other_processes.cuda0")
    assert outcome.result is result
    if result in (Result.WARN, Result.FAIL):
        assert "pid 4711 (train.py), 40960 MiB" in outcome.observed


def test_in_the_system_s_own_namespace_pids_are_known_without_ours() -> None:
    """A worker for which the device had no room is not listed."""
    seen = burn(first_namespace=True)
    seen.telemetry.processes["0"] = stranger(7.5)
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.FAIL
    seen.telemetry.processes["0"] = MINE
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.PASS


def test_one_of_ours_on_another_device_shows_whose_pids_they_are() -> None:
    seen = burn(device(0), device(1))
    seen.telemetry.processes["0"] = stranger(7.5)
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.FAIL


#: How a worker ended that never got ready, whether a stranger was there, and what it is then.
KEPT_OUT = [
    ("oom", stranger(-1.0), "in_use"),
    ("exception", stranger(-1.0), "in_use"),
    ("import", stranger(-1.0), "import"),
    ("oom", {}, "oom"),
    ("exception", MINE, "exception"),
]


@pytest.mark.parametrize(("kind", "processes", "told"), KEPT_OUT)
def test_a_worker_that_a_full_device_kept_out_did_not_begin(
    kind: str, processes: dict[int, dict[str, Any]], told: str
) -> None:
    run = device(results=[], done=False, ready={}, ending=Ending(kind, "no room", "its words"))
    seen = burn(run, first_namespace=True)
    seen.telemetry.processes["0"] = processes
    run.ending = judge_processes.explained(seen, run)
    assert run.ending is not None
    assert (run.ending.kind, run.ending.output) == (told, "its words")
    if told == "in_use":
        assert run.ending.detail == (
            "cuda0 by pid 4711; the worker could not start: %s: no room" % kind
        )
        run.visible = None  # it could not ask
        first = worst(judge.judge(seen))
        assert first is not None
        assert (first.id, first.result) == ("burn_in.other_processes.cuda0", Result.INCOMPLETE)
        assert "pid 4711 (train.py), 40960 MiB" in first.observed


def test_a_worker_that_had_begun_or_was_allowed_to_is_judged_by_its_own_end() -> None:
    ended = Ending("oom", "no room")
    for run, allowed in ((device(ending=ended), False), (device(ready={}, ending=ended), True)):
        seen = burn(run, allow_busy=allowed)
        seen.telemetry.processes["0"] = {**MINE, **stranger(-1.0)}
        assert judge_processes.explained(seen, run) is ended


def test_somebody_else_warns_where_that_was_allowed() -> None:
    seen = burn(allow_busy=True)
    seen.telemetry.processes["0"] = {**MINE, **stranger(-1.0)}
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.WARN
    seen.telemetry.processes["0"] = {**MINE, **stranger(7.5)}
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.FAIL


def test_a_burn_in_that_was_not_begun_names_who_is_there_first() -> None:
    seen = burn(device(results=[], done=False, ending=Ending("in_use", "cuda0 by pid 4711")))
    seen.telemetry.processes["0"] = {**MINE, **stranger(-1.0)}
    found = judge.judge(seen)
    (worker,) = (outcome for outcome in found if outcome.id == "burn_in.worker.cuda0")
    assert worker.result is Result.INCOMPLETE
    first = worst(found)
    assert first is not None
    assert (first.id, first.result) == ("burn_in.other_processes.cuda0", Result.INCOMPLETE)
    assert "pid 4711 (train.py)" in first.observed
    assert "torchnode_allow_busy" in first.remedy


def test_a_device_that_tells_no_processes_is_skipped() -> None:
    seen = burn()
    seen.telemetry.processes = {}
    assert judged(seen, "burn_in.other_processes.cuda0").result is Result.SKIPPED


def test_a_process_is_kept_with_its_first_time_and_most_memory() -> None:
    seen = Telemetry()
    for t, used in ((-2.0, 5), (3.0, 9), (4.0, None)):
        event = {"event": "processes", "devices": {"a": [[7, None if t < 0 else "x", used]]}}
        telemetry.take(seen, event, t)
    assert seen.processes == {"a": {7: {"name": "x", "bytes": 9, "since": -2.0}}}


# ---- the kernel's log --------------------------------------------------------------------------

#: Lines as drivers and kernels write them; addresses and pids made up.
XID_13 = "NVRM: Xid (PCI:0000:19:00): 13, pid=4711, name=python, Graphics SM Warp Exception"
XID_63 = "NVRM: Xid (PCI:0000:19:00): 63, pid=<unknown>, Row Remapper: New row marked"
XID_79 = "NVRM: Xid (PCI:0000:19:00.0): 79, pid=4711, GPU has fallen off the bus."
XID_999 = "NVRM: Xid (PCI:0000:19:00): 999, something new"
OTHER = XID_79.replace("19:00", "5e:00")
SWITCH = "nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): "
SWITCH_FATAL = SWITCH + "23001, Fatal, Link 12 ingress invalid command"
SWITCH_LIVES = SWITCH + "20009, Non-fatal, Link 28 RX Short Error Rate"
OFF_THE_BUS = "NVRM: GPU 0000:19:00.0: GPU has fallen off the bus."
OFF_THE_BUS_BARE = "NVRM: fallen off the bus and is not responding to commands."
NO_START = "NVRM: GPU 0000:19:00.0: RmInitAdapter failed! (0x62:0x65:1792)"
ASSERTION = "NVRM: nvAssertFailedNoLog: Assertion failed: pIOVAS != NULL @ io_vaspace.c:592"
MACHINE_CHECK = "mce: [Hardware Error]: Machine check"
BANNERS = [
    "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.158.01  Release Build",
    "NVRM: GPU at PCI:0000:19:00: GPU-455d8f70-2051-db6c-0430-ffc457bff834",
    "NVRM: GPU Board Serial Number: 0",
    "NVRM: Persistence mode is deprecated and will be removed in a future release.",
    "NVRM: GPU 0000:19:00.0: RmInitAdapter succeeded!",
]
LOGS = [
    ([], "burn_in.kernel_log.cuda0", Result.PASS, ""),
    ([XID_63], "burn_in.kernel_log.cuda0", Result.WARN, "error_counters"),
    ([XID_13], "burn_in.kernel_log.cuda0", Result.WARN, "pid"),
    ([XID_13, XID_79], "burn_in.kernel_log.cuda0", Result.FAIL, "evidence for a replacement"),
    ([XID_999], "burn_in.kernel_log.cuda0", Result.WARN, "docs.nvidia.com"),
    ([OTHER], "burn_in.kernel_log.cuda0", Result.PASS, ""),
    ([OTHER], "burn_in.kernel_log", Result.FAIL, "Restart"),
    ([XID_79], "burn_in.kernel_log", Result.PASS, ""),
    (["Out of memory: Killed process 7 (python)"], "burn_in.kernel_log", Result.FAIL, "memory"),
    ([MACHINE_CHECK], "burn_in.kernel_log", Result.FAIL, "replaced"),
    ([SWITCH_LIVES, SWITCH_FATAL], "burn_in.kernel_log", Result.FAIL, "nvidia-fabricmanager"),
    ([SWITCH_LIVES], "burn_in.kernel_log", Result.WARN, "Fabric Manager User Guide"),
    ([SWITCH_FATAL], "burn_in.kernel_log.cuda0", Result.PASS, ""),
    ([OFF_THE_BUS], "burn_in.kernel_log.cuda0", Result.FAIL, "power cables"),
    ([OFF_THE_BUS], "burn_in.kernel_log", Result.PASS, ""),
    ([OFF_THE_BUS_BARE], "burn_in.kernel_log", Result.FAIL, "power cables"),
    ([NO_START], "burn_in.kernel_log.cuda0", Result.FAIL, "power cut"),
    ([ASSERTION], "burn_in.kernel_log", Result.WARN, "dmesg"),
    ([ASSERTION, MACHINE_CHECK], "burn_in.kernel_log", Result.FAIL, "replaced"),
    (BANNERS, "burn_in.kernel_log", Result.PASS, ""),
    (BANNERS, "burn_in.kernel_log.cuda0", Result.PASS, ""),
    ([*BANNERS, XID_79], "burn_in.kernel_log.cuda0", Result.FAIL, "Restart"),
    (["pcieport 0000:00:01.0: AER: Corrected error"], "burn_in.kernel_log", Result.WARN, "seat"),
    (["pcieport: AER: Uncorrected (Fatal) error"], "burn_in.kernel_log", Result.FAIL, "seat"),
]


@pytest.mark.parametrize(("lines", "check", "result", "words"), LOGS)
def test_the_kernels_log(lines: list[str], check: str, result: Result, words: str) -> None:
    seen = burn()
    seen.telemetry.devices["0"]["bus"] = "0000:19:00"
    seen.telemetry.kernel_log = lines
    outcome = judged(seen, check)
    assert outcome.result is result
    assert words in outcome.remedy


@pytest.mark.parametrize("check", ["burn_in.kernel_log", "burn_in.kernel_log.cuda0"])
def test_a_log_that_cannot_be_read_is_skipped_with_its_reason(check: str) -> None:
    seen = burn()
    seen.telemetry.kernel_log_absent = "/dev/kmsg: Operation not permitted"
    outcome = judged(seen, check)
    assert outcome.result is Result.SKIPPED
    assert "not permitted" in outcome.cause


@pytest.mark.parametrize(
    ("lines", "result"),
    [([], Result.INCOMPLETE), ([XID_13], Result.INCOMPLETE), ([XID_79], Result.FAIL)],
)
@pytest.mark.parametrize("check", ["burn_in.kernel_log", "burn_in.kernel_log.cuda0"])
def test_a_log_that_nobody_read_to_the_end_is_no_pass(
    check: str, lines: list[str], result: Result
) -> None:
    seen = burn()
    if check.endswith("cuda0"):
        seen.telemetry.devices["0"]["bus"] = "0000:19:00"
    seen.telemetry.kernel_log, seen.telemetry.kernel_log_whole = lines, False
    seen.telemetry.failure = "it did not stop"
    outcome = judged(seen, check)
    assert outcome.result is result
    assert result is Result.FAIL or "it did not stop" in outcome.cause


def test_a_log_is_whole_when_its_reader_says_so() -> None:
    seen = Telemetry()
    for whole in (False, True, False):
        event = {"event": "kernel_log", "lines": list[str](), "absent": "", "whole": whole}
        telemetry.take(seen, event, 1.0)
    assert seen.kernel_log_whole


def test_every_action_has_words_and_no_number_has_two() -> None:
    for action in {*xid.ACTIONS.values(), xid.UNKNOWN}:
        assert action.cause
        assert action.remedy
    assert set(xid.ACTIONS) >= xid.REPEATS
    assert all(xid.ACTIONS[number].fails for number in xid.REPEATS)


def test_only_telling_lines_from_now_on_are_read(tmp_path: Path) -> None:
    """A pipe stands in for the kernel's device: what is in it is new."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    log = kernel_log.KernelLog.__new__(kernel_log.KernelLog)
    log.absent, log._kept = "", {}
    log._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.write(writer, ("4,1,2,-;%s\n SUBSYSTEM=pci\n" % XID_79).encode())
    assert log.lines() == [XID_79]
    os.write(writer, b"6,2,3,-;usb 1-1: new device\n")
    assert log.lines() == []


CORRECTED = "pcieport 0000:00:01.0: AER: Corrected error received"
FLOODS = [
    (CORRECTED, XID_79),
    (CORRECTED, "pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received"),
    (XID_13, XID_79),
    (XID_13, XID_13.replace("19:00", "5e:00")),  # the same of another device
    (ASSERTION, OFF_THE_BUS),
    (ASSERTION, NO_START),
    (SWITCH_LIVES, SWITCH_LIVES.replace("Non-fatal", "Fatal")),
    ("EDAC MC0: 1 CE memory read error", "EDAC MC0: 1 UE memory read error"),
    ("NVRM: x" * 500, MACHINE_CHECK),
]


@pytest.mark.parametrize(("flood", "grave"), FLOODS)
def test_a_flood_of_one_kind_does_not_hide_another(flood: str, grave: str) -> None:
    log = kernel_log.KernelLog("/nonexistent")
    log._descriptor = 0
    for lines in ([flood] * (kernel_log.MOST + 5), [grave, flood]):
        log._read = lambda lines=lines: lines  # type: ignore[method-assign, misc]
        kept = log.lines()
    assert kept == [grave]


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    log = kernel_log.KernelLog(str(tmp_path / "none"))
    assert "No such file" in log.absent
    assert log.lines() == []


# ---- the libraries, as stand-ins ---------------------------------------------------------------


class FakeNvml(SimpleNamespace):
    """What the counters ask of NVML; a function that is not here is one that is too old."""

    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_NVLINK_MAX_LINKS = 4
    NVML_FI_DEV_GET_GPU_RECOVERY_ACTION = 230
    NVML_NVLINK_ERROR_DL_REPLAY = 0
    NVML_NVLINK_ERROR_DL_RECOVERY = 1
    NVML_NVLINK_ERROR_DL_CRC_FLIT = 2
    NVML_PERF_POLICY_THERMAL = 1

    class NVMLError(Exception):
        pass

    class c_nvmlEccSramErrorStatus_v1_t(SimpleNamespace):
        aggregateUncParity = 2
        aggregateUncSecDed = 3
        bThresholdExceeded = 0

    @staticmethod
    def byref(thing: Any) -> Any:
        return thing


def fake() -> Any:
    made = FakeNvml(
        nvmlDeviceGetSramEccErrorStatus=lambda handle, status: None,
        nvmlDeviceGetViolationStatus=lambda handle, kind: SimpleNamespace(violationTime=77),
        nvmlDeviceGetNvLinkErrorCounter=lambda handle, link, kind: 10 * link + kind,
        nvmlDeviceGetFieldValues=lambda handle, ids: [
            SimpleNamespace(nvmlReturn=0, valueType=1, value=SimpleNamespace(uiVal=2, ullVal=9))
        ],
    )

    def state(handle: Any, link: int) -> int:
        if link > 1:
            raise made.NVMLError("Not Supported")
        return link

    made.nvmlDeviceGetNvLinkState = state
    return made


def test_counters_read_what_nvml_has_and_each_refuses_alone() -> None:
    made = fake()
    read = nvml_counters.readers(made)
    assert read["sram_uncorrected"]("h") == 5
    assert read["sram_threshold"]("h") == 0
    assert read["violation_thermal"]("h") == 77
    assert read["recovery_action"]("h") == 2
    assert read["links_up"]("h") == 1  # of two that there are
    assert read["link_errors"]("h") == 10 + 11 + 12
    for name in ("ecc_uncorrected", "pcie_replays", "fabric_state", "held_power_brake"):
        with pytest.raises(AttributeError):
            read[name]("h")


def test_a_device_without_links_has_none_rather_than_zero() -> None:
    made = fake()

    def none(handle: Any, link: int) -> int:
        raise made.NVMLError("Not Supported")

    made.nvmlDeviceGetNvLinkState = none
    for name in ("links_up", "link_errors"):
        with pytest.raises(made.NVMLError):
            nvml_counters.readers(made)[name]("h")


def test_a_field_that_the_device_refuses_raises() -> None:
    made = fake()
    made.nvmlDeviceGetFieldValues = lambda handle, ids: [SimpleNamespace(nvmlReturn=3)]
    with pytest.raises(made.NVMLError):
        nvml_counters.field(made, "h", "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION")


def test_this_process_has_a_name() -> None:
    assert nvml.name_of(os.getpid())
    assert nvml.name_of(1 << 30) is None


def test_amds_library_through_the_same_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in: never run beside AMD's hardware."""
    made = SimpleNamespace(
        AmdSmiException=RuntimeError,
        AmdSmiTemperatureType=SimpleNamespace(HOTSPOT=1),
        AmdSmiTemperatureMetric=SimpleNamespace(CURRENT=0),
        AmdSmiClkType=SimpleNamespace(GFX=0),
        amdsmi_init=lambda: None,
        amdsmi_get_processor_handles=lambda: ["h"],
        amdsmi_get_gpu_device_uuid=lambda handle: "AB-12",
        amdsmi_get_gpu_device_bdf=lambda handle: "0000:c1:00.0",
        amdsmi_get_gpu_driver_info=lambda handle: {"driver_version": "6.16"},
        amdsmi_get_temp_metric=lambda handle, kind, which: 61,
        amdsmi_get_power_info=lambda handle: {"current_socket_power": "N/A"},
        amdsmi_get_clock_info=lambda handle, kind: {"clk": 2100},
        amdsmi_get_gpu_total_ecc_count=lambda handle: {
            "correctable_count": 1, "uncorrectable_count": 0,
        },
        amdsmi_get_pcie_info=lambda handle: {"pcie_metric": {"pcie_replay_count": 4}},
        amdsmi_get_gpu_process_list=lambda handle: [{"pid": 7, "mem": 9}],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "amdsmi", made)
    source = amdsmi.Source()
    told = source.inventory()
    assert (told["driver"], told["devices"]["ab-12"]["bus"]) == ("6.16", "0000:c1:00")
    assert "power" in told["devices"]["ab-12"]["absent"]
    assert source.sample() == {"ab-12": {"temperature": 61.0, "clock": 2100.0}}
    counters = {"ecc_uncorrected": 0, "ecc_corrected": 1, "pcie_replays": 4}
    assert source.counters() == {"ab-12": counters}
    assert source.processes() == {"ab-12": [[7, 9]]}


def test_the_page_of_rules_is_fresh() -> None:
    """docs/verdict-rules.md says what the tables say."""
    tool = Path(__file__).resolve().parents[2] / "tools" / "verdict_rules_doc.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
