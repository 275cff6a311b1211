#!/usr/bin/python
"""Burn in one node's devices, all at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: burn_in
short_description: Burn in a node's accelerators, or its CPU, and judge them
description:
  - Starts one worker process per device with the environment's own Python, all at once. Each takes
    the stages of the level by turns. V(compute) multiplies matrices of every precision that the
    device has; V(pulse) swings the load between idle and full power; V(bandwidth) copies in the
    device's memory and over the host link; V(memory) fills all free memory with patterns and reads
    every cell back. Then one process drives all devices together, V(links), with copies between
    all pairs and an all-reduce. Telemetry is sampled beside it.
  - Every product is checked by a checksum over all its bits before it is overwritten. Products of
    random normals must repeat the device's own first one; products of whole numbers must be the
    true product, which is proven on the host, so that a unit that is wrong the same way every time
    is found too.
  - A worker that says nothing for two minutes, or for O(start_timeout) where that is longer, is
    hung, and so is one that is still there O(slack) seconds after its time.
  - A worker that is killed, hangs, runs out of memory or writes garbage is an outcome, never a hang
    of this module. The whole ends after at most O(start_timeout) + O(seconds) + O(slack) seconds,
    with V(links) another O(slack), and about ten seconds of cleaning up, however many workers are
    stuck, and leaves no process behind.
  - Told to stop (SIGTERM, SIGINT, SIGHUP, a lost connection) it kills its workers and says so.
  - Changes nothing on the node.
options:
  python:
    description: Absolute path of the interpreter that has torch; C(nvidia-ml-py) beside it adds
      telemetry.
    type: str
    required: true
  backend:
    description: What to burn, V(cuda), V(rocm) or V(cpu), which is one device of all cores. Any
      other backend ends as incomplete, since nothing was measured.
    type: str
    required: true
  accelerators:
    description: The accelerators that the survey found, as M(accelerator_facts) returns them. Those
      of another backend are left out; V([]) for the CPU.
    type: list
    elements: dict
    default: []
  level:
    description: Which list of stages, and how long, V(quick), V(standard) or V(soak); see
      C(module_utils/torchnode/burn_in/levels.py).
    type: str
    default: quick
  seconds:
    description: Time for all stages together, start-up not included; V(0) for the level's own.
    type: int
    default: 0
  stages:
    description: Only these of the level's stages; V([]) for all. V(links) needs two devices, and is
      left out with one; chosen alone it is refused there.
    type: list
    elements: str
    default: []
  precisions:
    description: Only these precisions, the first of them as the heat; V([]) for all that the device
      has. For benchmarks.
    type: list
    elements: str
    default: []
  distribution:
    description: Of the random operands, V(normal) or V(uniform) in [0, 10). For benchmarks.
    type: str
    default: normal
  start_timeout:
    description: Seconds until every worker must be ready. Importing torch and starting CUDA can
      take 60 on a cold disk.
    type: int
    default: 120
  slack:
    description: Seconds on top of O(seconds) before a worker counts as hung. Half of it may be used
      to finish a first cycle over memory, which takes long where other programs run too.
    type: int
    default: 60
  memory_fraction:
    description: Share of the memory that is free when its test begins.
    type: float
    default: 0.96
  memory_bytes:
    description: Upper bound of the memory under test. V(0) means none for accelerators and 256 MiB
      for the CPU. Limits of control groups are honoured.
    type: int
    default: 0
  progress:
    description: A file to rewrite, atomically, about once a second with stage, percent, rate per
      device, errors and the worst temperature, and the same in words (C(text)). It is removed at
      the end. Its folder must exist.
    type: str
  record:
    description: A file that gets the result, samples and all, when the burn-in has ended, by Ctrl-C
      too. It is removed at the beginning.
    type: path
  allow_busy:
    description: Begin although other processes compute on a device. Without it nothing is burned
      then, and they are named.
    type: bool
    default: false
  inject:
    description:
      - For tests only. C(<device index>:<fault>[:<bit>]) makes one device's worker commit a fault,
        in each precision that is burned; or the sampler see a fault of that device (C(ecc),
        C(thermal), C(xid)), or end (C(sampler-kill), C(sampler-hang), C(library-hang)).
      - C(module_utils/torchnode/burn_in/child/faults.py) lists them; C(bit) is 0 to 63.
    type: str
attributes:
  check_mode:
    support: full
    details: Burns nothing; the outcomes are skipped.
author: torchnode developers
"""

EXAMPLES = r"""
- name: Burn in what the survey found
  burn_in:
    python: /opt/torchnode/current/bin/python
    backend: cuda
    accelerators: "{{ survey.torchnode.facts.accelerators }}"
    seconds: 60

- name: Burn in a CPU node, briefly
  burn_in:
    python: /opt/torchnode/current/bin/python
    backend: cpu
    seconds: 10
"""

RETURN = r"""
torchnode:
  description: The burn-in stage's result; present on failure too.
  returned: always, but for wrong parameters
  type: dict
  contains:
    stage:
      description: Always C(burn_in).
      type: str
    outcomes:
      description: C(burn_in.devices), and per device C(worker), C(compute), C(memory),
        C(agreement), C(throughput), C(telemetry) and C(error_counters).
      type: list
      elements: dict
    burn_in:
      description: C(at), C(seconds), C(backend), C(interrupted), C(injected), C(torch), C(driver),
        C(memory_fraction), C(columns) and C(devices), each with C(name), C(model), C(uuid),
        C(ending), C(samples) (rows of C(columns); TFLOP/s of the products alone), C(totals),
        C(work) and C(memory). Absent in check mode.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode.burn_in import kept, plan, progress, runner
from ansible.module_utils.torchnode.burn_in.judge import judge, skipped, told, unknown_backend
from ansible.module_utils.torchnode.burn_in.summary import summary
from ansible.module_utils.torchnode.outcome import Result, fold

ARGUMENTS = {
    "python": {"type": "str", "required": True},
    "backend": {"type": "str", "required": True},
    "accelerators": {"type": "list", "elements": "dict", "default": []},
    "level": {"type": "str", "default": "quick"},
    "seconds": {"type": "int", "default": 0},
    "stages": {"type": "list", "elements": "str", "default": []},
    "precisions": {"type": "list", "elements": "str", "default": []},
    "distribution": {"type": "str", "default": "normal"},
    "start_timeout": {"type": "int", "default": 120},
    "slack": {"type": "int", "default": 60},
    "memory_fraction": {"type": "float", "default": 0.96},
    "memory_bytes": {"type": "int", "default": 0},
    "progress": {"type": "str"},
    "record": {"type": "path"},
    "allow_busy": {"type": "bool", "default": False},
    "inject": {"type": "str"},
}


def main() -> None:
    """Parse, burn, judge, exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result: dict[str, object] = {"stage": "burn_in"}
    backend = module.params["backend"]
    if backend not in plan.BACKENDS and not module.check_mode:
        unknown = unknown_backend(backend, sorted(plan.BACKENDS))
        result["outcomes"] = [unknown.as_dict()]
        module.fail_json(msg=told([unknown]), torchnode=result)
    if backend not in plan.BACKENDS:
        result["outcomes"] = [o.as_dict() for o in skipped([backend], "Check mode burns nothing.")]
        module.exit_json(changed=False, msg="check mode: nothing burned", torchnode=result)
    try:
        planned = plan.make(module.params)
        progress.check(None if module.check_mode else planned.progress)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        outcomes = skipped([d.name for d in planned.devices], "Check mode burns nothing.")
        result["outcomes"] = [outcome.as_dict() for outcome in outcomes]
        module.exit_json(changed=False, msg="check mode: nothing burned", torchnode=result)
    kept.forget(module.params["record"])
    burn = runner.run(planned)
    outcomes = judge(burn)
    result["outcomes"] = [outcome.as_dict() for outcome in outcomes]
    result["burn_in"] = summary(burn)
    lost = kept.keep(module.params["record"], result)
    if lost:
        module.warn(lost)
    if fold(outcomes) in (Result.FAIL, Result.INCOMPLETE):
        module.fail_json(msg=told(outcomes), torchnode=result)
    module.exit_json(changed=False, msg=told(outcomes), torchnode=result)


if __name__ == "__main__":
    main()
