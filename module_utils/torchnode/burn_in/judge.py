"""What was seen, judged. Pure: a Burn in, outcomes out.

One outcome per device for the worker, compute, memory, throughput, telemetry and error counters,
and one for the number of devices. A device whose worker did not finish has no passes.
"""

from __future__ import annotations

from typing import Any, Sequence

from ..outcome import Outcome, Result, worst
from . import health, rates
from .records import Burn, DeviceRun

STAGE = "burn_in"

#: How a worker's ending is judged. What the device or its software did is a failure; what leaves
#: open whether the device is sound is incomplete.
ENDING_RESULT = {
    "finished": Result.PASS,
    "signal": Result.FAIL,
    "exit": Result.FAIL,
    "garbage": Result.FAIL,
    "hang": Result.FAIL,
    "import": Result.FAIL,
    "device": Result.FAIL,
    "exception": Result.FAIL,
    "unstarted": Result.FAIL,
    "start": Result.INCOMPLETE,
    "oom": Result.INCOMPLETE,
    "interrupted": Result.INCOMPLETE,
}

_ENDING_WORDS = {
    "signal": (
        "The worker was killed by a signal.",
        "SIGKILL comes from the kernel's out-of-memory killer or from a person; SIGABRT, SIGSEGV "
        "and SIGBUS from torch or the driver. Read `dmesg` around that time for 'Out of memory', "
        "'NVRM' or 'Xid' lines, then burn in again.",
    ),
    "exit": (
        "The worker left before it had finished.",
        "Read the output below for the cause, mend it and burn in again.",
    ),
    "garbage": (
        "Something other than the worker wrote to its result channel, or its memory is corrupt.",
        "Look for a sitecustomize or a preloaded library in the environment that writes to open "
        "descriptors; without one, suspect the node's memory and run a memory test.",
    ),
    "hang": (
        "The worker stopped making progress and was killed: most often a call into the driver "
        "that never returned.",
        "Read `dmesg` for 'Xid' or 'hung task' lines. Reset the device or restart the node, and "
        "burn in again; hand the device in if it hangs again.",
    ),
    "import": (
        "torch cannot be imported by the environment's Python.",
        "Run the verify stage: it names what the environment lacks. Then apply the stack again.",
    ),
    "device": (
        "The device that the survey found is not among those that torch sees.",
        "Check that CUDA_VISIBLE_DEVICES does not hide it, that the driver is loaded "
        "(`nvidia-smi -L`) and that the torch build is not a CPU build.",
    ),
    "exception": (
        "torch or the driver refused a call in the middle of the burn-in.",
        "Read the message; after a CUDA error read `dmesg` for 'Xid' lines too. Mend the cause "
        "and burn in again.",
    ),
    "unstarted": (
        "The environment's Python could not be started.",
        "Check that the path exists and is executable on the node; apply the stack again.",
    ),
    "start": (
        "The worker did not get ready in time: torch's import or the device's start-up is slow "
        "or stuck.",
        "On a cold or slow disk raise start_timeout; otherwise read `dmesg` for driver errors.",
    ),
    "oom": (
        "The memory that the burn-in asked for was not there.",
        "End other users of the device or node (`nvidia-smi`, `free -h`), or lower "
        "memory_fraction or memory_bytes; then burn in again.",
    ),
    "interrupted": (
        "The burn-in was stopped before its end.",
        "Burn in again and let it finish.",
    ),
}

_CHECK_WORDS = {
    "repeat": "The same product of the same operands came out with other bits: silent data "
    "corruption in a compute unit or in memory.",
    "oracle": "A product of whole numbers is not the true product: a unit computes wrongly, "
    "perhaps the same way every time.",
    "reference": "The kept reference product changed or is not finite: memory lost its content "
    "or a unit is broken.",
}

_REPLACE = (
    "Take the node out of service. Burn in again after a reset of the device: if the same device "
    "fails again, have it replaced, with this outcome as evidence."
)


def judge(burn: Burn) -> list[Outcome]:
    """All outcomes of one burn-in, the number of devices first."""
    outcomes = [_devices(burn)]
    for run in burn.devices:
        outcomes += [
            _worker(run),
            _compute(run),
            _memory(run),
            rates.throughput(burn, run),
            health.telemetry(burn, run),
            health.counters(burn, run),
        ]
    return outcomes


def skipped(names: list[str], why: str) -> list[Outcome]:
    """The outcomes of a burn-in that was not run."""
    return [
        Outcome("burn_in.worker." + name, STAGE, Result.SKIPPED, observed="not run", cause=why)
        for name in names
    ]


def unknown_backend(backend: str, known: Sequence[str]) -> Outcome:
    """A backend that no worker can drive has not been burned in, which is not a pass."""
    return Outcome(
        "burn_in.devices",
        STAGE,
        Result.INCOMPLETE,
        backend,
        "one of " + ", ".join(known),
        "torchnode has no burn-in for the backend %s yet." % backend,
        "Burn these devices in with the vendor's own tool. playbooks/provision.yml proves the rest "
        "of the node without a burn-in, and its verdict says so.",
    )


def told(outcomes: Sequence[Outcome]) -> str:
    """One line for the module's msg: the worst outcome with its remedy, or that all is well."""
    first = worst(outcomes)
    if first is None or first.result in (Result.PASS, Result.SKIPPED):
        devices = [o.id.rpartition(".")[2] for o in outcomes if o.id.startswith("burn_in.worker.")]
        return "%s burned in without a fault" % ", ".join(devices)
    return "%s: %s. %s %s" % (first.id, first.observed, first.cause, first.remedy)


def ended(run: DeviceRun) -> str:
    """One line on how a worker ended."""
    ending = run.ending
    if ending is None:
        return "no ending recorded"
    return "%s: %s" % (ending.kind, ending.detail) if ending.detail else ending.kind


def unfinished(check: str, run: DeviceRun, observed: str = "nothing measured") -> Outcome:
    """The outcome of a check whose worker did not get there."""
    return Outcome(
        "%s.%s.%s" % (STAGE, check, run.name),
        STAGE,
        Result.INCOMPLETE,
        observed=observed,
        cause="The worker of %s did not finish (%s)." % (run.name, ended(run)),
        remedy="See burn_in.worker.%s; mend that and burn in again." % run.name,
    )


def _devices(burn: Burn) -> Outcome:
    expected = len(burn.devices)
    what = "%d %s device(s) that torch sees" % (expected, burn.backend)
    counts = sorted({run.visible for run in burn.devices if run.visible is not None})
    if burn.backend == "cpu":
        cause = "The CPU is one device by definition: there is no number to compare."
        return Outcome("burn_in.devices", STAGE, Result.SKIPPED, expected=what, cause=cause)
    if not counts:
        return Outcome(
            "burn_in.devices",
            STAGE,
            Result.INCOMPLETE,
            observed="no worker got far enough to count",
            expected=what,
            cause="No worker could ask torch for its devices.",
            remedy="See the burn_in.worker outcomes; mend that and burn in again.",
        )
    observed = " or ".join("%d seen by torch" % count for count in counts)
    if counts == [expected]:
        return Outcome("burn_in.devices", STAGE, Result.PASS, observed, what)
    return Outcome(
        "burn_in.devices",
        STAGE,
        Result.FAIL,
        observed=observed,
        expected=what,
        cause="The hardware that the survey found and the devices that torch sees differ.",
        remedy="Check that CUDA_VISIBLE_DEVICES hides no device (set but empty, it hides all), "
        "then `nvidia-smi -L`, and `dmesg` for a device that fell off the bus.",
    )


def _worker(run: DeviceRun) -> Outcome:
    identity = "burn_in.worker." + run.name
    kind = run.ending.kind if run.ending else "interrupted"
    expected = "the worker finishes by itself, exit status 0"
    if kind == "finished":
        return Outcome(identity, STAGE, Result.PASS, "finished", expected)
    cause, remedy = _ENDING_WORDS[kind]
    tail = run.ending.output[-600:] if run.ending else ""
    observed = ended(run) + ("; its last output: %s" % tail if tail else "")
    return Outcome(identity, STAGE, ENDING_RESULT[kind], observed, expected, cause, remedy)


def _compute(run: DeviceRun) -> Outcome:
    identity, expected = "burn_in.compute." + run.name, "every bit of every product as it must be"
    found = [d for d in run.defects if d.get("stage") == "compute"]
    if found:
        checks = list(dict.fromkeys(str(d.get("check")) for d in found))
        return Outcome(
            identity,
            STAGE,
            Result.FAIL,
            observed="%s: %s" % (run.name, "; ".join(_one_of_each(found))),
            expected=expected,
            cause=" ".join(_CHECK_WORDS.get(check, check) for check in checks),
            remedy=_REPLACE,
        )
    if run.done is None:
        return unfinished("compute", run, _so_far(run))
    jobs = run.done["compute"]
    if not jobs or any(not job["products"] for job in jobs):
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="; ".join(_job(job) for job in jobs) or "no product",
            expected=expected,
            cause="The time was too short for a product of each kind.",
            remedy="Raise seconds and burn in again.",
        )
    observed = "; ".join(_job(job) for job in jobs) + "; all bits compared"
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _memory(run: DeviceRun) -> Outcome:
    identity, expected = "burn_in.memory." + run.name, "every cell holds each pattern"
    found = [d for d in run.defects if d.get("stage") == "memory"]
    if found:
        return Outcome(
            identity,
            STAGE,
            Result.FAIL,
            observed="%s: %s" % (run.name, "; ".join(_one_of_each(found))),
            expected=expected,
            cause="Memory cells read back other bits than were written.",
            remedy=_REPLACE,
        )
    if run.done is None:
        return unfinished("memory", run)
    memory = run.done["memory"]
    observed = "%d of %d free MiB, %d cycle(s), %d MiB read back" % (
        memory["tested"] >> 20,
        memory["free"] >> 20,
        memory["cycles"],
        memory["checked"] >> 20,
    )
    if memory["missed"] or not memory["tested"]:
        return Outcome(
            identity,
            STAGE,
            Result.INCOMPLETE,
            observed="%s; not covered: %s" % (observed, ", ".join(memory["missed"]) or "anything"),
            expected=expected,
            cause="The time or the free memory was too little for every pattern over every cell.",
            remedy="Raise seconds, lower memory_bytes, or free memory; then burn in again.",
        )
    observed += "; patterns %s" % ", ".join(memory["patterns"])
    return Outcome(identity, STAGE, Result.PASS, observed, expected)


def _so_far(run: DeviceRun) -> str:
    products = run.progress.get("products")
    return "%s products checked until then" % products if products else "nothing measured"


def _one_of_each(found: list[dict[str, Any]]) -> list[str]:
    """The first finding of each kind in words, with the number of those like it."""
    kinds: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for defect in found:
        key = (defect.get("check"), defect.get("precision"), defect.get("pattern"))
        kinds.setdefault(key, []).append(defect)
    return [_finding(same[0], len(same)) for same in kinds.values()]


def _finding(defect: dict[str, Any], times: int) -> str:
    if defect.get("stage") == "memory":
        words = "pattern %s: %d wrong cell(s), first at byte offset %s" % (
            defect.get("pattern"),
            defect.get("wrong", 0),
            defect.get("offset"),
        )
    else:
        words = "%s check of %s on %s" % tuple(
            defect.get(key) for key in ("check", "precision", "pattern")
        )
        if defect.get("offset"):
            place = "; %s wrong element(s), first in product %s at row %d, column %d"
            at = (defect.get("wrong"), defect.get("product"), *defect["offset"])
            words += place % at
    words += ": expected %s, read %s" % (defect.get("expected") or "-", defect.get("read") or "-")
    return words + (" (and %d more like it)" % (times - 1) if times > 1 else "")


def _job(job: dict[str, Any]) -> str:
    shape = "x".join(str(side) for side in job["shape"])
    return "%d products %s %s of %s" % (job["products"], job["precision"], shape, job["pattern"])
