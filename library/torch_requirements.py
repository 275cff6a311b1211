#!/usr/bin/python
"""The verify stage of one node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: torch_requirements
short_description: Assert a requirement profile through what torch itself sees
description:
  - Runs under the node's Python and starts a probe with the environment's interpreter, in its own
    process group, with a deadline and a result channel of its own. A torch that aborts, exits,
    hangs or prints garbage is therefore an outcome and never a broken module.
  - The probe imports torch, launches real kernels on the CPU and on every device, and compares
    every value with exact integers. It reads driver, cuDNN, architectures and packages.
  - The result is held against a requirement profile and a workload. Each failure carries its cause
    and its remedy.
  - Nothing is written and nothing is changed, in check mode or without it. The environment of the
    task is passed on to the probe, so what hides devices from programs hides them here too.
options:
  python:
    description: The interpreter that has torch, of a stack or of an environment to adopt.
    type: path
    required: true
  profile:
    description: The requirement set.
    type: str
    default: transformers-v5
  workload:
    description:
      - What the node is for. One of V(training), V(fine-tuning), V(inference),
        V(quantized-inference), V(distributed), V(benchmarking), V(vision), V(audio), V(llm-7b),
        V(llm-70b).
      - All but V(inference), V(vision) and V(audio) need an accelerator.
    type: str
    default: inference
  stack:
    description:
      - The resolved stack. Without it, or when it is adopted, the environment is taken as it is
        and no exact build is expected.
    type: dict
  facts:
    description:
      - The survey's facts. With them devices are counted against the machine's, and causes are
        told apart more finely. The stack, else the facts, say which backend is verified.
    type: dict
  requirements:
    description:
      - Minimum versions that the operator adds to the profile, such as C(torch) V(>=2.6).
      - A key is one of C(torch), C(torchvision), C(torchaudio), C(accelerate), C(transformers),
        C(nvidia-ml-py), C(triton), C(numpy), C(safetensors), C(bitsandbytes), C(flash-attn),
        C(torch-npu), C(torch-mlu), C(torch-xla), C(libtpu), C(python), C(driver), C(cuda),
        C(cudnn). A lower minimum than the profile's has no effect.
    type: dict
    default: {}
  timeout:
    description: Seconds that the whole probe may take before its process group is killed.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    details: When the interpreter does not exist yet, the one outcome is skipped.
author: torchnode developers
"""

EXAMPLES = r"""
- name: Verify the resolved stack
  torch_requirements:
    python: "{{ torchnode_stack_python }}"
    workload: training
    stack: "{{ torchnode_stack }}"
    facts: "{{ survey.torchnode.facts }}"

- name: Verify an environment that somebody else made
  torch_requirements:
    python: /srv/venv/bin/python
    workload: llm-7b
    requirements:
      torch: ">=2.6"
"""

RETURN = r"""
torchnode:
  description: The verify stage's result, on failure too.
  returned: when the parameters are valid
  type: dict
  contains:
    stage:
      description: Always C(verify).
      type: str
    outcomes:
      description: One outcome for each check, C(verify.<check>) or C(verify.<check>.<device>).
      type: list
      elements: dict
    probe:
      description: What the probe told, how it ended, and the ends of what torch printed.
      type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.torchnode import requirements
from ansible.module_utils.torchnode.model import as_data
from ansible.module_utils.torchnode.outcome import Result, fold
from ansible.module_utils.torchnode.probe_runner import run_probe


def main() -> None:
    """Parse, probe, judge, exit."""
    module = AnsibleModule(
        argument_spec={
            "python": {"type": "path", "required": True},
            "profile": {"type": "str", "default": "transformers-v5"},
            "workload": {"type": "str", "default": "inference"},
            "stack": {"type": "dict"},
            "facts": {"type": "dict"},
            "requirements": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        subject = requirements.read_subject(module.params)
    except ValueError as problem:
        module.fail_json(msg=str(problem))
    adopted = subject.stack is not None and subject.stack.adopted
    if module.check_mode and not adopted and not os.path.exists(subject.python):
        later = requirements.not_yet(subject.python)
        told = {"stage": "verify", "outcomes": [later.as_dict()], "probe": {}}
        module.exit_json(changed=False, msg=later.cause, torchnode=told)
    report = run_probe(
        subject.python,
        requirements.packages(subject.workload),
        requirements.imports(subject.workload),
        module.params["timeout"],
        write_bytecode=subject.stack is not None and not subject.stack.adopted,
        backend=subject.wanted,
    )
    outcomes = requirements.judge(subject.seen(report))
    told = {
        "stage": "verify",
        "outcomes": [outcome.as_dict() for outcome in outcomes],
        "probe": as_data(report),
    }
    if fold(outcomes) in (Result.FAIL, Result.INCOMPLETE):
        module.fail_json(msg=requirements.headline(outcomes), torchnode=told)
    module.exit_json(changed=False, msg=requirements.summary(outcomes), torchnode=told)


if __name__ == "__main__":
    main()
