"""Every backend besides CUDA through the real probe, against stand-ins.

The torches and plugins here are constructed: a few lines that answer as the vendor's package is
documented to. Device nodes, kernel modules and the macOS version are put into the probe's answer,
since a test cannot make them. No device of these vendors has been seen.
"""

from __future__ import annotations

import dataclasses
import sys

import pytest
from verify_samples import facts, make_companions, make_metadata, make_torch, stack, tells

from ansible.module_utils.torchnode import requirements
from ansible.module_utils.torchnode.causes import CAUSES
from ansible.module_utils.torchnode.data.vendor_drivers import ToolkitFloor
from ansible.module_utils.torchnode.model import Accelerator, Process, SoftwareItem
from ansible.module_utils.torchnode.outcome import Result, fold
from ansible.module_utils.torchnode.probe_report import ProbeReport
from ansible.module_utils.torchnode.probe_runner import run_probe
from ansible.module_utils.torchnode.requirements.backends import BACKENDS, toolkit

VERSION = "2.9.0"
BARE = {"version": VERSION, "cuda": None, "devices": 1}
TORCHES = {
    "rocm": {**BARE, "version": VERSION + "+rocm6.4", "hip": "6.4", "arch": "gfx90a gfx942",
             "gcn": "gfx942:sramecc+:xnack-"},
    "xpu": {**BARE, "version": VERSION + "+xpu", "xpu": "20250202", "arch": "pvc dg2"},
    "npu": BARE,
    "mlu": BARE,
    "mps": {**BARE, "mps": True},
    "tpu": BARE,
}  # fmt: skip
ARCHITECTURES = {"rocm": "gfx942", "xpu": "acm-g10", "npu": "Ascend910B"}
PLUGINS = {"npu": "torch_npu", "mlu": "torch_mlu", "tpu": "torch_xla"}
NODES = {
    "rocm": ("/dev/kfd", "/dev/dri/renderD128"),
    "xpu": ("/dev/dri/renderD128",),
    "npu": ("/dev/davinci0", "/dev/davinci_manager"),
    "mlu": ("/dev/cambricon_dev0", "/dev/cambricon_ctl"),
    "mps": (),
    "tpu": ("/dev/accel0",),
}
MODULES = {"rocm": ["amdgpu"], "xpu": ["xe"]}
MACOS = {"macos": "15.1", "machine": "arm64", "kernel_build": "Darwin RELEASE_ARM64_T6000"}
RUNTIME = "import os\ndevice_type = lambda: os.environ.get('PJRT_DEVICE', 'TPU')\n"
#: The machine that runs the tests has no TPU: to the probe alone, these nodes are there.
TPU_IS_THERE = (
    "import glob\n"
    "real = glob.glob\n"
    "glob.glob = lambda path, **more: ['/dev/accel0'] if 'accel' in path else real(path, **more)\n"
)
XLA = {
    "runtime": RUNTIME + "addressable_device_count = lambda: 1\n",
    "core/xla_model": "get_memory_info = lambda device: {'bytes_limit': 16 * 10**9}\n",
}


def make_plugin(site, backend, early="", runtime=None):
    """The stand-in for the package that brings the backend."""
    name = PLUGINS[backend]
    for folder in ("", "core"):
        (site / name / folder).mkdir(parents=True, exist_ok=True)
        (site / name / folder / "__init__.py").write_text(early if not folder else "")
    for file, body in (XLA if backend == "tpu" else {}).items():
        (site / name / (file + ".py")).write_text(body)
    if runtime is not None:
        (site / name / "runtime.py").write_text(runtime)
    if not list(site.glob(name + "-*")):
        make_metadata(site, name, VERSION)
        if backend == "tpu":
            make_metadata(site, "libtpu", "0.0.21")


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TPU_IS_THERE)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    for backend in BACKENDS.values():
        for name in (*backend.hiding, "PJRT_DEVICE", "HSA_OVERRIDE_GFX_VERSION"):
            monkeypatch.delenv(name, raising=False)
    make_companions(folder)
    return folder


def node(backend, count=1, container=None):
    """A surveyed machine with devices of the backend and no NVIDIA driver."""
    surveyed = facts(0, container=container)
    found = tuple(
        Accelerator(backend, "vendor", i, "Part", ARCHITECTURES.get(backend)) for i in range(count)
    )
    return dataclasses.replace(surveyed, accelerators=found, drivers=())


def verify(backend, nodes=None, modules=None, python=None, surveyed=None, **changes):
    """Outcomes by check of a node that has to show ``backend``, with its sections put in."""
    chosen, work = requirements.choose("transformers-v5", "training")
    subject = requirements.Subject(
        chosen, work, ProbeReport(), python=sys.executable,
        facts=surveyed or node(backend),
        stack=dataclasses.replace(stack(backend), torch=None),
    )  # fmt: skip
    report = run_probe(
        sys.executable, requirements.packages(work), requirements.imports(work), 30,
        backend=subject.wanted,
    )  # fmt: skip
    paths = NODES[backend] if nodes is None else nodes
    usable = changes.pop("usable", True)
    sections = {name: dict(data) for name, data in report.sections.items()}
    sections["device_nodes"] = {
        "nodes": [{"path": path, "usable": usable} for path in paths],
        "modules": MODULES.get(backend, []) if modules is None else modules,
        "uid": 1000,
    }
    sections["python"].update({**(MACOS if backend == "mps" else {}), **(python or {})})
    sections["driver_libraries"] = {"found": [], "missing": changes.pop("missing", [])}
    for name, data in changes.items():
        sections[name].update(data)
    seen = subject.seen(dataclasses.replace(report, sections=sections))
    return {o.id.partition(".")[2]: o for o in requirements.judge(seen)}


def build(site, backend, **torch):
    make_torch(site, **{**TORCHES[backend], **torch})
    if backend in PLUGINS:
        make_plugin(site, backend)


OTHERS = sorted(set(BACKENDS) - {"cuda"})


@pytest.mark.parametrize("backend", OTHERS)
def test_a_sound_stand_in_passes(site, backend):
    build(site, backend)
    outcomes = verify(backend)
    wrong = {n: o for n, o in outcomes.items() if o.required and o.result is not Result.PASS}
    assert not wrong
    noun = {"npu": "npu0", "mlu": "mlu0", "tpu": "tpu0"}.get(backend, "gpu0")
    assert outcomes["kernel." + noun].result is Result.PASS
    assert outcomes["memory." + noun].result is Result.PASS


@pytest.mark.parametrize("backend", OTHERS)
def test_a_wrong_product_is_seen_on_every_backend(site, backend):
    build(site, backend, kernel="rows = [[v + 1 for v in row] for row in rows]")
    outcomes = verify(backend)
    assert [n for n, o in outcomes.items() if tells(o, "wrong_result")]
    assert fold(list(outcomes.values())) is Result.FAIL


NO_LIBRARY = "raise ImportError('%s: cannot open shared object file: No such file or directory')"
BUSY = (
    "def device_type():\n"
    "    raise RuntimeError('The TPU is already in use by process with pid 77')\n"
)
OLD_WHEEL = [{"version": VERSION, "location": "/x", "wheel_tags": ["cp311-none-macosx_99_0_arm64"]}]
CASES = [
    # cause, backend, what the torch is, what the plugin does, environment, what the node shows
    ("no_device_on_bus", "rocm", {"devices": 0}, "", {},
     {"nodes": (), "surveyed": node("rocm", 0)}),
    ("other_backend_wheel", "rocm", {"devices": 0, "hip": None}, "", {}, {}),
    ("amdgpu_not_loaded", "rocm", {"devices": 0}, "", {}, {"nodes": (), "modules": []}),
    ("kfd_missing", "rocm", {"devices": 0}, "", {}, {"nodes": ("/dev/dri/renderD128",)}),
    ("render_node_rights", "rocm", {"devices": 0}, "", {}, {"usable": False}),
    ("container_without_kfd", "rocm", {"devices": 0}, "", {},
     {"nodes": (), "surveyed": node("rocm", container="docker")}),
    ("container_without_dri", "xpu", {"devices": 0}, "", {},
     {"nodes": (), "surveyed": node("xpu", container="docker")}),
    ("container_without_npu", "npu", {"devices": 0}, "", {},
     {"nodes": (), "surveyed": node("npu", container="docker")}),
    ("container_without_nodes", "mlu", {"devices": 0}, "", {},
     {"nodes": (), "surveyed": node("mlu", container="docker")}),
    ("hidden_by_environment", "rocm", {"devices": 0}, "", {"ROCR_VISIBLE_DEVICES": ""}, {}),
    ("hidden_by_environment", "rocm", {"devices": 0}, "", {"HIP_VISIBLE_DEVICES": "-1"}, {}),
    ("unavailable_unknown", "rocm", {"devices": 0}, "", {}, {}),
    ("other_backend_wheel", "xpu", {"devices": 0, "xpu": None}, "", {}, {}),
    ("intel_module_not_loaded", "xpu", {"devices": 0}, "", {}, {"nodes": (), "modules": []}),
    ("render_node_rights", "xpu", {"devices": 0}, "", {}, {"usable": False}),
    ("npu_node_rights", "npu", {"devices": 0}, "", {}, {"usable": False}),
    ("owner_node_rights", "mlu", {"devices": 0}, "", {}, {"usable": False}),
    ("level_zero_missing", "xpu", {"devices": 0}, "", {}, {"missing": ["libze_intel_gpu.so"]}),
    ("hidden_by_environment", "xpu", {"devices": 0}, "", {"ZE_AFFINITY_MASK": ""}, {}),
    ("selector_without_gpu", "xpu", {"devices": 0}, "",
     {"ONEAPI_DEVICE_SELECTOR": "opencl:cpu"}, {}),
    ("npu_driver_missing", "npu", {"devices": 0}, "", {}, {"nodes": ()}),
    ("npu_driver_library", "npu", {}, NO_LIBRARY % "libascend_hal.so", {}, {}),
    ("cann_not_sourced", "npu", {}, NO_LIBRARY % "libhccl.so", {}, {}),
    ("plugin_broken", "npu", {}, "raise OSError('surprise')", {}, {}),
    ("hidden_by_environment", "npu", {"devices": 0}, "", {"ASCEND_RT_VISIBLE_DEVICES": ""}, {}),
    ("mlu_driver_missing", "mlu", {"devices": 0}, "", {}, {"nodes": ()}),
    ("neuware_missing", "mlu", {}, NO_LIBRARY % "libcnrt.so.6", {}, {}),
    ("hidden_by_environment", "mlu", {"devices": 0}, "", {"MLU_VISIBLE_DEVICES": ""}, {}),
    ("other_backend_wheel", "mps", {"devices": 0, "mps": False}, "", {}, {}),
    ("rosetta", "mps", {"devices": 0, "mps": False}, "", {}, {"python": {"machine": "x86_64"}}),
    ("macos_too_old", "mps", {"devices": 0}, "", {},
     {"metadata": {"torch_distributions": OLD_WHEEL}}),
    ("metal_without_gpu", "mps", {"devices": 0}, "", {}, {}),
    ("pjrt_device_wrong", "tpu", {}, "", {"PJRT_DEVICE": "CPU"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "backend", "torch", "plugin", "environment", "shown"),
    CASES,
    ids=["%s-%s-%d" % (case[1], case[0], number) for number, case in enumerate(CASES)],
)
def test_the_cause_is_named(
    site, monkeypatch, cause, backend, torch, plugin, environment, shown
):  # fmt: skip
    build(site, backend, **torch)
    if plugin:
        make_plugin(site, backend, early=plugin)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    outcomes = verify(backend, **shown)
    outcome = outcomes["backend_available"]
    assert outcome.result is Result.FAIL
    assert tells(outcome, cause), outcome.cause
    assert "{" not in outcome.cause + outcome.remedy
    assert outcomes["accelerator_for_workload"].result is Result.FAIL


@pytest.fixture
def floor(monkeypatch):
    """A table for the stand-in's own release, whatever the shipped one says."""
    row = ToolkitFloor("torch-npu==" + VERSION, "cann", "8.5", "9.2.0")
    monkeypatch.setattr(toolkit, "TOOLKIT_FLOORS", (row,))


def with_cann(*versions):
    items = [SoftwareItem("cann", v, "/usr/local/Ascend/cann-" + v) for v in versions]
    return dataclasses.replace(node("npu"), toolkits=tuple(items))


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize(
    ("versions", "home", "result"),
    [
        (["9.2.0"], "", Result.PASS),
        (["8.3.RC1"], "", Result.WARN),
        (["8.3.RC1", "9.2.0"], "", Result.PASS),
        (["8.3.RC1", "9.2.0"], "/usr/local/Ascend/cann-8.3.RC1/", Result.WARN),
        (["unreadable"], "", Result.INCOMPLETE),
        ([], "", Result.SKIPPED),
    ],
)
def test_cann_is_held_against_huaweis_table(site, versions, home, result, monkeypatch):
    build(site, "npu")
    monkeypatch.setenv("ASCEND_HOME_PATH", home)
    outcome = verify("npu", surveyed=with_cann(*versions))["cann"]
    assert outcome.result is result
    assert tells(outcome, "cann_too_old") is (result is Result.WARN)


def test_without_a_row_nothing_is_said_of_cann(site):
    build(site, "npu")
    assert verify("npu", surveyed=with_cann("8.0.0"))["cann"].result is Result.SKIPPED


@pytest.mark.usefixtures("floor")
def test_an_old_cann_is_why_torch_npu_cannot_be_imported(site):
    make_torch(site, **TORCHES["npu"])
    make_plugin(site, "npu", early="raise ImportError('undefined symbol: aclrtNew')")
    outcome = verify("npu", surveyed=with_cann("8.3.RC1"))["backend_available"]
    assert tells(outcome, "cann_too_old"), outcome.cause


NEVER = "import time\ndevice_type = lambda: time.sleep(600)\n"


@pytest.mark.parametrize(
    ("told", "surveyed", "cause"),
    [
        (None, node("tpu", 0), "no_device_on_bus"),
        ("TPU", node("tpu", 0), "no_device_on_bus"),
        ("TPU", node("tpu"), "tpu_nodes_missing"),
        (None, node("tpu", container="docker"), "container_without_nodes"),
    ],
)
def test_without_a_tpus_nodes_pjrt_is_not_started(site, monkeypatch, told, surveyed, cause):
    """libtpu would look for one until the deadline, and nothing would be known."""
    make_torch(site, **TORCHES["tpu"])
    make_plugin(site, "tpu", runtime=NEVER)
    (site / "sitecustomize.py").unlink()
    if told:
        monkeypatch.setenv("PJRT_DEVICE", told)
    outcomes = verify("tpu", nodes=(), surveyed=surveyed)
    outcome = outcomes["backend_available"]
    assert outcome.result is Result.FAIL
    assert tells(outcome, cause), outcome.cause
    assert outcomes["kernel.cpu"].result is Result.PASS


def test_xla_that_took_the_cpu_by_itself_was_not_told_wrongly(site):
    """Importing torch_xla sets PJRT_DEVICE=CPU where the variable is unset and there is no TPU."""
    make_torch(site, **TORCHES["tpu"])
    chooses = "import os\nos.environ.setdefault('PJRT_DEVICE', 'CPU')\n"
    make_plugin(site, "tpu", early=chooses)
    (site / "sitecustomize.py").unlink()
    assert tells(verify("tpu", nodes=())["backend_available"], "tpu_nodes_missing")
    assert tells(verify("tpu")["backend_available"], "pjrt_device_wrong")


def test_xla_on_the_cpu_needs_no_tpu(site, monkeypatch):
    build(site, "tpu")
    (site / "sitecustomize.py").unlink()
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    outcomes = verify("tpu", nodes=())
    assert tells(outcomes["backend_available"], "pjrt_device_wrong")
    assert outcomes["kernel.tpu0"].result is Result.PASS


@pytest.mark.parametrize(
    ("backend", "device", "node_of", "other", "error"),
    [
        ("npu", "npu0", "/dev/davinci0", "/dev/davinci10", "NPU out of memory."),
        ("mlu", "mlu0", "/dev/cambricon_dev0", "/dev/cambricon_dev1", "MLU out of memory."),
        ("tpu", "tpu0", "/dev/vfio/0", "/dev/vfio/10", "RESOURCE_EXHAUSTED: no HBM"),
        ("rocm", "gpu0", "/dev/kfd", None, "HIP out of memory."),
        ("xpu", "gpu0", "/dev/dri/renderD128", None, "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
    ],
)
def test_out_of_memory_names_the_holder_of_the_device_node(
    site, backend, device, node_of, other, error
):
    build(site, backend, kernel="raise RuntimeError(%r)" % error)
    held = [Process(41, "alice", "python train.py", (node_of,))]
    held += [Process(42, "bob", "python serve.py", (other,))] if other else []
    surveyed = dataclasses.replace(node(backend), processes=tuple(held))
    outcome = verify(backend, surveyed=surveyed)["kernel." + device]
    assert tells(outcome, "out_of_memory"), outcome.cause
    assert "Held by: pid 41 (python train.py of alice)." in outcome.cause


def test_out_of_memory_names_every_holder_where_no_node_bears_the_number(site):
    build(site, "rocm", kernel="raise RuntimeError('HIP out of memory.')")
    held = tuple(Process(pid, "alice", "python", ("/dev/kfd",)) for pid in (41, 42))
    surveyed = dataclasses.replace(node("rocm"), processes=held)
    cause = verify("rocm", surveyed=surveyed)["kernel.gpu0"].cause
    assert "pid 41 (python of alice), pid 42 (python of alice)" in cause


def test_a_tpu_that_another_process_owns_is_named_with_its_pid(site):
    make_torch(site, **TORCHES["tpu"])
    make_plugin(site, "tpu", runtime=BUSY)
    outcome = verify("tpu")["backend_available"]
    assert tells(outcome, "tpu_busy"), outcome.cause
    assert "pid 77" in outcome.cause


def test_a_tpu_whose_nodes_are_closed_to_this_user(site):
    make_torch(site, **TORCHES["tpu"])
    make_plugin(site, "tpu", runtime="def device_type():\n    raise RuntimeError('no TPU')\n")
    assert tells(verify("tpu", usable=False)["backend_available"], "owner_node_rights")


def test_libtpu_missing(site):
    make_torch(site, **TORCHES["tpu"])
    make_plugin(site, "tpu", runtime="def device_type():\n    raise RuntimeError('no TPU')\n")
    for file in site.glob("libtpu*/METADATA"):
        file.unlink()
        file.parent.rmdir()
    assert tells(verify("tpu")["backend_available"], "libtpu_missing")


@pytest.mark.parametrize(
    ("version", "devices", "result"),
    [("v5e", 1, Result.PASS), ("v3", 2, Result.PASS), ("v3", 1, Result.FAIL)],
)
def test_the_cores_of_some_tpus_are_devices_of_their_own(site, version, devices, result):
    build(site, "tpu")
    count = "addressable_device_count = lambda: %d\n" % devices
    (site / "torch_xla" / "runtime.py").write_text(RUNTIME + count)
    chip = Accelerator("tpu", "google", 0, "TPU " + version, version)
    surveyed = dataclasses.replace(node("tpu"), accelerators=(chip,))
    assert verify("tpu", surveyed=surveyed)["device_count"].result is result


def test_xla_off_by_transformers_own_variable(site, monkeypatch):
    build(site, "tpu")
    monkeypatch.setenv("USE_TORCH_XLA", "0")
    assert tells(verify("tpu")["use_torch_xla"], "torch_xla_off")


@pytest.mark.parametrize("backend", sorted(PLUGINS))
def test_a_plugin_that_is_not_installed(site, backend):
    make_torch(site, **TORCHES[backend])
    outcomes = verify(backend)
    assert tells(outcomes["backend_available"], "plugin_missing")
    assert tells(outcomes["plugin"], "plugin_missing")


@pytest.mark.parametrize("backend", sorted(PLUGINS))
def test_a_plugin_of_another_torch(site, backend):
    build(site, backend, version="2.8.0")
    assert tells(verify(backend)["plugin"], "plugin_mismatch")


def test_torch_that_loads_a_broken_plugin_by_itself(site):
    text = "Failed to load the backend extension: torch_npu."
    make_torch(site, **BARE, early="raise RuntimeError(%r)" % text)
    assert tells(verify("npu")["torch_import"], "backend_autoload")


def test_an_overridden_gfx_is_a_reservation(site, monkeypatch):
    build(site, "rocm")
    monkeypatch.setenv("HSA_OVERRIDE_GFX_VERSION", "9.4.2")
    outcome = verify("rocm")["rocm_runtime"]
    assert outcome.result is Result.WARN
    assert tells(outcome, "hsa_override")


@pytest.mark.parametrize(
    ("backend", "changes"),
    [("rocm", {"gcn": "gfx1030"}), ("xpu", {"arch": "pvc"})],
)
def test_a_wheel_without_code_for_the_device(site, backend, changes):
    build(site, backend, **changes)
    assert tells(verify(backend)["architecture.gpu0"], "architecture_not_built")


def test_hip_says_invalid_device_function(site):
    build(site, "rocm", kernel="raise RuntimeError('HIP error: invalid device function')")
    assert tells(verify("rocm")["kernel.gpu0"], "no_kernel_image")


def test_xpu_asks_for_a_newer_torch(site):
    build(site, "xpu", version="2.5.1+xpu")
    assert tells(verify("xpu")["torch_version"], "torch_too_old")


@pytest.mark.parametrize(("version", "result"), [("2.1.0", Result.FAIL), ("2.8.0", Result.PASS)])
def test_flash_attention_counts_where_it_is(site, version, result):
    build(site, "rocm")
    assert "package.flash-attn" not in verify("rocm")
    make_metadata(site, "flash_attn", version)
    assert verify("rocm")["package.flash-attn"].result is result


def test_every_rule_of_every_backend_has_a_cause():
    for backend in BACKENDS.values():
        for rule in backend.rules:
            assert rule.__name__ in CAUSES


@pytest.mark.parametrize("backend", OTHERS)
def test_no_rule_of_another_vendor_speaks_of_nvidia(backend):
    for rule in BACKENDS[backend].rules:
        assert "NVIDIA" not in CAUSES[rule.__name__].cause + CAUSES[rule.__name__].remedy


def test_a_backend_without_a_file_is_incomplete(site):
    make_torch(site)
    chosen, work = requirements.choose("transformers-v5", "training")
    report = run_probe(sys.executable, requirements.packages(work), (), 30, backend="hpu")
    subject = requirements.Subject(chosen, work, report, stack=stack("hpu", "hpu"))
    outcomes = {o.id: o for o in requirements.judge(subject)}
    assert outcomes["verify.backend_available"].result is Result.INCOMPLETE
