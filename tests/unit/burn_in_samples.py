"""A burn-in of H200s as its records hold it, to be changed by each test. Constructed."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.torchnode.burn_in.records import Burn, DeviceRun, Ending
from ansible.module_utils.torchnode.outcome import Outcome

H200 = "NVIDIA H200"


def job(**change: Any) -> dict[str, Any]:
    return {
        "precision": "bf16",
        "pattern": "random normals",
        "shape": [8192, 8192, 8192],
        "products": 100,
        "wrong": 0,
        "bytes": 100 << 27,
        "tflops": 670.0,
        "verified_tflops": 660.0,
        "check_cost": 0.01,
        "digest": "d",
        **change,
    }


def memory(**change: Any) -> dict[str, Any]:
    return {
        "free": 100 << 30,
        "tested": 90 << 30,
        "checked": 540 << 30,
        "cycles": 1,
        "wrong": 0,
        "patterns": ["zeros", "ones"],
        "missed": [],
        "seconds": 5.0,
        "write_gb_s": 4100.0,
        "read_gb_s": 4000.0,
        **change,
    }


def samples(*tflops: float) -> list[dict[str, float]]:
    return [{"t": float(i + 1), "tflops": rate} for i, rate in enumerate(tflops)]


def compute(*jobs: dict[str, Any]) -> dict[str, Any]:
    listed = list(jobs) or [job(pattern="exact integers"), job()]
    return {"name": "compute", "round": 1, "jobs": listed, "ring": 100 << 30}


def device(index: int = 0, rate: float = 720.0, **change: Any) -> DeviceRun:
    run = DeviceRun(
        name="cuda%d" % index, index=index, model=H200, uuid="GPU-%d" % index, visible=1,
        torch="2.13.0", chosen=("compute", "memory"),
    )  # fmt: skip
    run.ready = {"bus": None, "units": 132}
    run.samples = samples(*[rate] * 15)
    run.results = [compute(), {"name": "memory", "round": 1, **memory()}]
    run.done = True
    run.ending = Ending("finished")
    for name, value in change.items():
        setattr(run, name, value)
    return run


def burn(*devices: DeviceRun, mask: int = 0, **change: Any) -> Burn:
    made = Burn("cuda", list(devices) or [device()], started=1.7e9, seconds=30.0)
    counters = {
        "ecc_uncorrected": 0, "remapped_uncorrectable": 0, "remap_pending": 0, "recovery_action": 0,
        "links_up": 18, "link_errors": 0, "pcie_replays": 2, "fabric_state": 3, "fabric_status": 0,
        "violation_power": 5, "violation_thermal": 0, "violation_board_limit": 0,
    }  # fmt: skip
    made.pids, made.telemetry.kernel_log_whole = [100, 101], True
    for run in made.devices:
        key = "%d" % run.index
        run.visible = len(made.devices)
        made.telemetry.devices[key] = {
            "absent": {},
            **{"inforom": 1, "ecc": 1, "mig": 0, "power_default": 700.0, "persistence": 0},
            "counters": dict(counters),
            "counters_absent": {},
        }
        made.telemetry.processes[key] = {100: {"name": "python", "bytes": 1 << 30, "since": -1.0}}
        made.telemetry.samples[key] = [
            {"t": float(t), "temperature": 60.0, "power": 690.0, "power_limit": 700.0,
             "clock": 1400.0, "reasons": mask}
            for t in range(20)
        ]  # fmt: skip
    made.telemetry.final = {key: dict(counters) for key in made.telemetry.devices}
    for name, value in change.items():
        setattr(made, name, value)
    return made


def find(outcomes: list[Outcome], identity: str) -> Outcome:
    return next(outcome for outcome in outcomes if outcome.id == identity)
