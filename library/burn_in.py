#!/usr/bin/python
"""Burn in one node's devices, all at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: burn_in
short_description: Burn in a node's accelerators, or its CPU, and judge them
description:
  - Starts one worker process per device with the environment's own Python, all at once. Each worker
    multiplies matrices and checks every bit of every product, then fills memory with patterns and
    reads every cell back. Telemetry is sampled beside it.
  - Products of random normals are compared, as integers, with an immutable reference; products of
    small whole numbers with the true product, which is proven on the host, so that a unit that is
    wrong the same way every time is found too.
  - A worker that is killed, hangs, runs out of memory or writes garbage is an outcome, never a hang
    of this module. The whole ends after at most O(start_timeout) + O(seconds) + O(slack) seconds
    and about ten seconds of cleaning up, and leaves no process behind.
  - Told to stop (SIGTERM, SIGINT, SIGHUP, a lost connection) it kills its workers and says so.
  - Changes nothing on the node.
options:
  python:
    description: Absolute path of the interpreter that has torch; C(nvidia-ml-py) beside it adds
      telemetry.
    type: str
    required: true
  backend:
    description: What to burn, V(cuda) or V(cpu), which is one device of all cores. Any other
      backend ends as incomplete, since nothing was measured.
    type: str
    required: true
  accelerators:
    description: The accelerators that the survey found, as M(accelerator_facts) returns them. Those
      of another backend are left out; V([]) for the CPU.
    type: list
    elements: dict
    default: []
  seconds:
    description: Time for products and memory together, start-up not included.
    type: int
    default: 20
  start_timeout:
    description: Seconds until every worker must be ready. Importing torch and starting CUDA can
      take 60 on a cold disk.
    type: int
    default: 120
  slack:
    description: Seconds on top of O(seconds) before a worker counts as hung. Half of it may be used
      to finish a first cycle over memory.
    type: int
    default: 30
  memory_fraction:
    description: Share of the memory that is free when its test begins.
    type: float
    default: 0.9
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
  inject:
    description:
      - For tests only. C(<device index>:<fault>[:<bit>]) makes one device's worker commit a fault.
      - Faults are C(flip), C(nan), C(inf), C(sticky), C(input), C(corrupt-reference),
        C(memory-cell), C(kill), C(hang), C(exit), C(oom) and C(garbage); C(bit) is 0 to 63.
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
        C(throughput), C(telemetry) and C(error_counters).
      type: list
      elements: dict
    burn_in:
      description: C(at), C(seconds), C(backend), C(interrupted), C(injected), C(torch), C(driver),
        C(columns) and C(devices), each with C(name), C(model), C(uuid), C(ending), C(samples)
        (rows of C(columns); TFLOP/s of the products alone), C(totals), C(work) and C(memory).
        Absent in check mode.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode.burn_in import plan, progress, runner
from ansible.module_utils.torchnode.burn_in.judge import judge, skipped, told, unknown_backend
from ansible.module_utils.torchnode.burn_in.summary import summary
from ansible.module_utils.torchnode.outcome import Result, fold

ARGUMENTS = {
    "python": {"type": "str", "required": True},
    "backend": {"type": "str", "required": True},
    "accelerators": {"type": "list", "elements": "dict", "default": []},
    "seconds": {"type": "int", "default": 20},
    "start_timeout": {"type": "int", "default": 120},
    "slack": {"type": "int", "default": 30},
    "memory_fraction": {"type": "float", "default": 0.9},
    "memory_bytes": {"type": "int", "default": 0},
    "progress": {"type": "str"},
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
    burn = runner.run(planned)
    outcomes = judge(burn)
    result["outcomes"] = [outcome.as_dict() for outcome in outcomes]
    result["burn_in"] = summary(burn)
    if fold(outcomes) in (Result.FAIL, Result.INCOMPLETE):
        module.fail_json(msg=told(outcomes), torchnode=result)
    module.exit_json(changed=False, msg=told(outcomes), torchnode=result)


if __name__ == "__main__":
    main()
