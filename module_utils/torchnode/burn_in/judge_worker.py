"""How each worker ended, and whether all devices were there, judged. Pure."""

from __future__ import annotations

from ..outcome import Outcome, Result
from .judging import STAGE, ended
from .records import Burn, ChildRun, DeviceRun

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
    "in_use": Result.INCOMPLETE,
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
    "in_use": (
        "The burn-in was not begun: at full power it would disturb who computes here, and prove "
        "nothing.",
        "See burn_in.other_processes; then burn in again.",
    ),
    "interrupted": (
        "The burn-in was stopped before its end.",
        "Burn in again and let it finish.",
    ),
}


def devices(burn: Burn) -> Outcome:
    """Whether torch sees the devices that the survey found."""
    expected = len(burn.devices)
    what = "%d %s device(s) that torch sees" % (expected, burn.backend)
    counts = sorted({run.visible for run in burn.devices if run.visible is not None})
    if burn.backend == "cpu":
        cause = "The CPU is one device by definition: there is no number to compare."
        return Outcome("burn_in.devices", STAGE, Result.SKIPPED, expected=what, cause=cause)
    if not counts and all(run.ending and run.ending.kind == "in_use" for run in burn.devices):
        cause = "The burn-in was not begun, because the devices are in use."
        return Outcome("burn_in.devices", STAGE, Result.SKIPPED, "not counted", what, cause)
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


def worker(run: DeviceRun) -> Outcome:
    """Whether the worker came to its end by itself."""
    return ending("burn_in.worker." + run.name, run)


def ending(identity: str, run: ChildRun) -> Outcome:
    """Whether a child process came to its end by itself."""
    kind = run.ending.kind if run.ending else "interrupted"
    expected = "the worker finishes by itself, exit status 0"
    if kind == "finished":
        return Outcome(identity, STAGE, Result.PASS, "finished", expected)
    cause, remedy = _ENDING_WORDS[kind]
    tail = run.ending.output[-600:] if run.ending else ""
    observed = ended(run) + ("; its last output: %s" % tail if tail else "")
    return Outcome(identity, STAGE, ENDING_RESULT[kind], observed, expected, cause, remedy)
