"""The profile held against told sections: versions, builds, packages, counts, memory."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from verify_samples import SITE, UNAVAILABLE, facts, judge, sections, stack, tells

from ansible.module_utils.torchnode import requirements
from ansible.module_utils.torchnode.causes import CAUSES
from ansible.module_utils.torchnode.data.profiles import PROFILES, WORKLOADS
from ansible.module_utils.torchnode.data.sources import Source
from ansible.module_utils.torchnode.outcome import Result, fold
from ansible.module_utils.torchnode.requirements import versions


def test_a_sound_node_passes_every_required_check():
    outcomes = judge(workload="llm-70b")
    wrong = {n: o for n, o in outcomes.items() if o.required and o.result is not Result.PASS}
    assert not wrong
    assert fold(list(outcomes.values())) is Result.PASS
    assert {"kernel.gpu0", "architecture.gpu0", "memory.gpu0", "compute_capability.gpu0"} <= set(
        outcomes
    )


TORCH_23 = {"version": "2.3.1+cu121"}
CASES = [
    # told sections, given, check, result, cause
    (sections(torch_import=TORCH_23), {}, "torch_version", "fail", "torch_too_old"),
    (sections(), {"minima": {"torch": "2.20"}}, "torch_version", "fail", "torch_too_old"),
    (sections(), {"minima": {"torch": "2.0"}}, "torch_version", "pass", None),
    (sections(torch_import={"version": "2.4.0a0+nv"}), {}, "torch_version", "pass", None),
    (sections(), {"stack": stack(tag="cu126")}, "wheel_tag", "fail", "wrong_build"),
    (sections(), {"stack": stack(version="2.10.0")}, "wheel_tag", "fail", "wrong_build"),
    (sections(), {"stack": None}, "wheel_tag", "skipped", None),
    (
        sections(metadata={"versions": {"torch": "2.10.0"}}),
        {},
        "metadata_agrees",
        "fail",
        "metadata_disagrees",
    ),
    (
        sections(torch_files={"torches": [{"package": p} for p in ("/a/torch", "/b/torch")]}),
        {"stack": None},
        "single_torch",
        "fail",
        "two_torches",
    ),
    (
        sections(metadata={"versions": {"torch": "2.11.0", "transformers": "5.0"}}),
        {},
        "accelerate",
        "fail",
        "accelerate_missing",
    ),
    (
        sections(metadata={"versions": {"torch": "2.11.0", "accelerate": "1.0.9"}}),
        {},
        "accelerate",
        "fail",
        "package_too_old",
    ),
    (
        sections(import__transformers={"torch_available": False}),
        {},
        "transformers",
        "fail",
        "torch_disabled",
    ),
    (sections(), {"workload": "vision"}, "torchvision", "fail", "package_missing"),
    (sections(), {"workload": "inference"}, "torchvision", "skipped", None),
    (sections(torch_build={"cuda": None}), {}, "cuda_runtime", "fail", "cpu_only_wheel"),
    (sections(torch_build={"cuda": "11.7"}), {}, "cuda_runtime", "fail", "package_too_old"),
    (sections(cudnn={"version": 8500}), {}, "cudnn", "fail", "package_too_old"),
    (sections(cudnn={"version": None}), {}, "cudnn", "fail", "cudnn_missing"),
    (
        # As an H100 with the distribution's cuDNN on LD_LIBRARY_PATH said it.
        sections(cudnn=None, environment={"cudnn_on_library_path": ["/usr/lib/cudnn"]}),
        {"report": {"errors": {"cudnn": "RuntimeError: cuDNN version incompatibility"}}},
        "cudnn",
        "fail",
        "cudnn_on_library_path",
    ),
    (
        sections(environment={"cudnn_on_library_path": ["/usr/lib/cudnn"]}),
        {},
        "cudnn",
        "warn",
        "cudnn_on_library_path",
    ),
    (sections(nvml={"driver": "575.57.08"}), {}, "driver", "warn", "driver_too_old"),
    (
        sections(nvml={"driver": "575.57.08"}, backend=UNAVAILABLE),
        {},
        "driver",
        "fail",
        "driver_too_old",
    ),
    (sections(), {"minima": {"driver": "590"}}, "driver", "fail", "package_too_old"),
    # A CUDA major that no row knows must not pass by default.
    (sections(torch_build={"cuda": "14.0"}), {}, "driver", "incomplete", "not_measured"),
    (sections(), {"facts": facts(8)}, "device_count", "fail", "fewer_devices"),
    (sections(), {"facts": facts(0)}, "device_count", "fail", "more_devices"),
    (
        sections(environment={"variables": {"CUDA_VISIBLE_DEVICES": "0"}}),
        {"facts": facts(8)},
        "device_count",
        "fail",
        "hidden_by_environment",
    ),
    (sections(nvidia_smi={"path": None}), {}, "nvidia_smi", "fail", "nvidia_smi_missing"),
    (sections(nvidia_smi={"exit_status": 9}), {}, "nvidia_smi", "fail", "nvidia_smi_failed"),
    (sections(nvidia_smi=None), {}, "nvidia_smi", "incomplete", "not_measured"),
    (
        sections(backend=UNAVAILABLE),
        {"workload": "training"},
        "accelerator_for_workload",
        "fail",
        "no_accelerator",
    ),
    (sections(), {"minima": {"numpy": "2.0"}}, "package.numpy", "fail", "package_missing"),
]


@pytest.mark.parametrize(("told", "given", "check", "result", "cause"), CASES)
def test_software_and_backend(told, given, check, result, cause):
    outcome = judge(told, **given)[check]
    assert outcome.result == result, outcome
    if cause:
        assert tells(outcome, cause), outcome
        assert outcome.remedy
    assert "{" not in outcome.cause + outcome.remedy


def test_a_pre_release_is_said_to_be_compared_by_its_base_version():
    outcome = judge(sections(torch_import={"version": "2.4.0a0+nv24.7"}))["torch_version"]
    assert "base version 2.4.0" in outcome.observed


OLD = {"capability": [6, 1]}
DEVICE_CASES = [
    (
        sections(device__gpu0=OLD),
        "compute_capability.gpu0",
        "capability_too_low",
    ),
    (sections(device__gpu0={"capability": [7, 0]}), "architecture.gpu0", "architecture_not_built"),
    (sections(kernel__gpu0={"wrong": 3}), "kernel.gpu0", "wrong_result"),
    (sections(kernel__cpu={"wrong": 1}), "kernel.cpu", "wrong_result"),
    (sections(device__gpu0={"total_memory": 4 * 10**9}), "memory.gpu0", "memory_too_small"),
]


@pytest.mark.parametrize(("told", "check", "cause"), DEVICE_CASES)
def test_devices(told, check, cause):
    outcome = judge(told)[check]
    assert outcome.result is Result.FAIL
    assert tells(outcome, cause), outcome


@pytest.mark.parametrize(
    ("error", "cause", "says"),
    [
        ("RuntimeError: CUDA error: no kernel image is available", "no_kernel_image", "sm_90"),
        ("OutOfMemoryError: CUDA out of memory.", "out_of_memory", "pid 4711 (python of alice)"),
        ("RuntimeError: CUDA error: unspecified launch failure", "kernel_failed", "unspecified"),
    ],
)
def test_a_kernels_exception_names_its_cause(error, cause, says):
    told = sections(kernel__gpu0=None)
    outcome = judge(told, report={"errors": {"kernel.gpu0": error}})["kernel.gpu0"]
    assert outcome.result is Result.FAIL
    assert tells(outcome, cause)
    assert says in outcome.cause


def test_nothing_that_is_missing_passes():
    """Every section on its own: without it nothing new passes, and no required check is silent."""
    whole = judge()
    for name in sections():
        told = sections()
        del told[name]
        without = judge(told, report={"complete": False, "exit_status": 1})
        gained = [
            check
            for check, outcome in without.items()
            if outcome.result is Result.PASS and whole.get(check) != outcome
            and check not in ("torch_version", "metadata_agrees", "driver", "memory.node")
        ]  # fmt: skip
        assert not gained, (name, gained)
        if name not in ("environment", "nvml", "device_nodes"):
            assert fold(list(without.values())) is not Result.PASS, name


@pytest.mark.parametrize(
    ("sizes", "workload", "expected"),
    [
        ([23_700_000_000], "llm-7b", "pass"),  # an A10, sold as 24 GB
        ([20_000_000_000], "llm-7b", "fail"),
        ([16_000_000_000, 16_000_000_000], "llm-7b", "pass"),  # sharded
        ([84_900_000_000], "llm-70b", "pass"),
        ([48_000_000_000], "llm-70b", "fail"),
        ([8_300_000_000], "inference", "pass"),
    ],
)
def test_memory_over_the_node(sizes, workload, expected):
    names = ["gpu%d" % index for index in range(len(sizes))]
    told = sections(backend={"device_count": len(sizes), "devices": names})
    for index, size in enumerate(sizes):
        told["device.gpu%d" % index] = {**told["device.gpu0"], "total_memory": size}
        told["kernel.gpu%d" % index] = told["kernel.gpu0"]
    outcomes = judge(told, workload=workload, facts=facts(len(sizes)))
    assert outcomes["memory.node"].result == expected


def test_a_cpu_stack_skips_what_only_cuda_has():
    told = sections(
        backend=UNAVAILABLE,
        torch_build={"cuda": None},
        torch_files={
            "torches": [
                {"package": SITE + "/torch", "version_file": {"version": "2.11.0+cpu"}},
            ]
        },
    )
    outcomes = judge(told, stack=stack("cpu", "cpu"), facts=facts(0))
    assert fold(list(outcomes.values())) is Result.PASS
    assert outcomes["kernel.cpu"].result is Result.PASS
    assert outcomes["driver"].result is Result.SKIPPED


def test_an_unknown_backend_is_never_a_pass():
    outcomes = judge(stack=stack("hpu", "hpu"))
    assert outcomes["backend_available"].result is Result.INCOMPLETE


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"torch": "<3"}, "requirements.torch"),
        ({"torch": ">=2.4,<3"}, "requirements.torch"),
        ({"torch": ["2"]}, "requirements.torch"),
        ({"torhc": ">=2.4"}, "torhc"),
    ],
)
def test_a_malformed_requirement_is_refused_by_name(given, says):
    with pytest.raises(ValueError, match=says):
        requirements.read_minima(given)


def test_minima_are_read():
    given = {"torch": ">=2.20", "driver": 590, "cuda": " 13.0 "}
    assert requirements.read_minima(given) == {"torch": "2.20", "driver": "590", "cuda": "13.0"}


@pytest.mark.parametrize(
    ("version", "minimum", "expected"),
    [
        ("2.4.0", "2.4.0", True),
        ("2.4.0a0+git1234", "2.4.0", True),
        ("2.10.0", "2.4.0", True),
        ("2.3.1", "2.4.0", False),
        ("2.13.0.dev20260101+cu130", "2.13", True),
        ("5.23.0", "", True),
    ],
)
def test_at_least(version, minimum, expected):
    assert versions.at_least(version, minimum) is expected


@pytest.mark.parametrize(("number", "version"), [(91900, "9.19.0"), (8902, "8.9.2")])
def test_cudnn_numbers(number, version):
    assert versions.cudnn_version(number) == version


def test_profiles_and_workloads_are_sourced():
    rows = [source for p in PROFILES.values() for source in p.sources]
    rows += [workload.source for workload in WORKLOADS.values()]
    for source in rows:
        assert source.url.startswith("https://")
        assert len(source.retrieved) == 10
    for workload in WORKLOADS.values():
        assert 0 < workload.device_memory_gb <= workload.memory_gb


def test_out_of_memory_names_the_pid_that_nvml_counts():
    told = sections(
        kernel__gpu0=None,
        nvml={
            "devices": [
                {"uuid": "GPU-9999", "mig": False, "processes": [{"pid": 1, "bytes": 1}]},
                {
                    "uuid": "GPU-0f0f",
                    "mig": False,
                    "processes": [{"pid": 4711, "bytes": 79 * 10**9}],
                },
            ]
        },
    )
    report = {"errors": {"kernel.gpu0": "OutOfMemoryError: CUDA out of memory."}}
    outcome = judge(told, report=report)["kernel.gpu0"]
    assert "Held by: pid 4711 (python of alice) with 79.0 GB." in outcome.cause


@pytest.mark.parametrize(
    ("mig", "gpus", "result"),
    [(True, 8, "pass"), (True, 7, "fail"), (False, 8, "fail"), (None, 8, "fail")],
)
def test_one_mig_instance_of_many_is_no_fault_and_a_lost_gpu_is(mig, gpus, result):
    device = {"uuid": "GPU-0f0f", "mig": mig, "processes": []}
    told = sections(nvml={"device_count": gpus, "devices": [device]})
    assert judge(told, facts=facts(8))["device_count"].result == result


def test_divided_gpus_that_nvml_does_not_count_are_not_called_lost():
    found = facts(2)
    divided = tuple(dataclasses.replace(gpu, mig=("1g.18gb",)) for gpu in found.accelerators)
    told = sections(nvml={"driver": None, "device_count": None, "error": "No module pynvml"})
    for surveyed, result, cause in (
        (dataclasses.replace(found, accelerators=divided), "incomplete", "gpus_not_counted"),
        (found, "fail", "fewer_devices"),
    ):
        outcome = judge(told, facts=surveyed)["device_count"]
        assert outcome.result.value == result
        assert tells(outcome, cause)


def test_every_workload_but_three_needs_an_accelerator():
    free = {name for name, workload in WORKLOADS.items() if not workload.needs_accelerator}
    assert free == {"inference", "vision", "audio"}


def test_the_troubleshooting_page_is_fresh():
    root = Path(__file__).resolve().parents[2]
    tool = [sys.executable, str(root / "tools" / "troubleshooting_doc.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_cause_is_whole():
    for cause in CAUSES.values():
        assert cause.symptom
        assert cause.cause.endswith((".", "}"))
        assert cause.remedy.endswith(".")
        assert all(isinstance(cited, Source) for cited in cause.cited)
