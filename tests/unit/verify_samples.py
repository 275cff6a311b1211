"""Nodes and torches for the verify stage's tests: what a sound H200 node tells, and fakes."""

from __future__ import annotations

import copy
import re
import textwrap
from pathlib import Path
from typing import Any

from ansible.module_utils.torchnode import requirements
from ansible.module_utils.torchnode.causes import CAUSES
from ansible.module_utils.torchnode.model import (
    Accelerator,
    Driver,
    Facts,
    Process,
    Stack,
    System,
    TorchBuild,
    User,
)
from ansible.module_utils.torchnode.outcome import Outcome
from ansible.module_utils.torchnode.probe_report import ProbeReport

SITE = "/opt/venv/lib/python3.12/site-packages"

#: The sections of one H200 with torch 2.11.0+cu130, in the probe's own shape.
H200: dict[str, Any] = {
    "python": {"version": "3.12.3"},
    "environment": {"variables": {}, "cudnn_on_library_path": []},
    "metadata": {
        "versions": {"torch": "2.11.0", "accelerate": "1.15.0", "transformers": "5.23.0"},
        "torch_distributions": [{"version": "2.11.0", "location": SITE}],
    },
    "torch_files": {
        "torches": [
            {
                "package": SITE + "/torch",
                "version_file": {"version": "2.11.0+cu130", "cuda": "13.0", "hip": None},
            }
        ]
    },
    "device_nodes": {
        "nodes": [
            {"path": path, "mode": "0666", "uid": 0, "gid": 0, "usable": True}
            for path in ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
        ],
        "nvidia_module": "580.126.09",
        "uid": 1000,
    },
    "nvml": {"importable": True, "driver": "580.126.09", "device_count": 1, "error": None},
    "nvidia_smi": {
        "path": "/usr/bin/nvidia-smi",
        "exit_status": 0,
        "driver": "580.126.09",
        "output": "580.126.09",
    },
    "torch_import": {
        "version": "2.11.0+cu130",
        "file": SITE + "/torch/__init__.py",
        "seconds": 2.0,
    },
    "torch_build": {
        "cuda": "13.0",
        "hip": None,
        "architectures": ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"],
    },
    "cudnn": {"version": 91900},
    "kernel.cpu": {"values": 2304, "wrong": 0, "seconds": 0.01},
    "backend": {
        "backend": "cuda",
        "available": True,
        "device_count": 1,
        "devices": ["gpu0"],
        "warnings": [],
        "init_error": None,
    },
    "device.gpu0": {
        "index": 0,
        "name": "NVIDIA H200",
        "capability": [9, 0],
        "total_memory": 150_000_000_000,
        "free_memory": 149_000_000_000,
        "uuid": "0f0f",
    },
    "kernel.gpu0": {"values": 2304, "wrong": 0, "seconds": 0.5},
    "import.accelerate": {"version": "1.15.0"},
    "import.transformers": {"version": "5.23.0", "torch_available": True},
}

UNAVAILABLE = {
    "available": False,
    "device_count": 0,
    "devices": [],
    "warnings": [],
    "init_error": "RuntimeError",
}


def facts(count: int = 1, **changes: Any) -> Facts:
    """A surveyed machine with ``count`` H200; ``changes`` replace driver or system fields."""
    driver: dict[str, Any] = {
        "on_disk": "580.126.09",
        "loaded": "580.126.09",
        "userspace": "580.126.09",
    }
    system: dict[str, Any] = {"container": None, "wsl2": False, "blocking_modules": ()}
    for name, value in changes.items():
        (system if name in system else driver)[name] = value
    return Facts(
        system=System(system="Linux", machine="x86_64", kernel="6.1.0", **system),
        user=User("ops", 1000, "/home/ops", "/home/ops/.local/share"),
        prefix="/opt/torchnode",
        accelerators=tuple(
            Accelerator("cuda", "nvidia", index, "H200", "sm_90", uuid="GPU-0f0f%d" % index)
            for index in range(count)
        ),
        drivers=(Driver("nvidia", **driver),),
        processes=(Process(4711, "alice", "python", ("/dev/nvidia0",)),),
    )


def stack(backend: str = "cuda", tag: str = "cu130", version: str = "2.11.0") -> Stack:
    """The stack that the H200 sample was resolved to."""
    return Stack(
        backend=backend,
        architectures=("sm_90",),
        profile="transformers-v5",
        workload="inference",
        prefix="/opt/torchnode",
        python="/usr/bin/python3",
        python_version="3.12",
        torch=TorchBuild(version, tag, "pypi", "torch==" + version),
        digest="abc",
    )


def sections(**changes: Any) -> dict[str, Any]:
    """The H200's sections. A change of None drops a section, a dict updates one; '__' is '.'."""
    told = copy.deepcopy(H200)
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            told.pop(name)
        else:
            told[name] = {**told.get(name, {}), **value}
    return told


def judge(
    told: dict[str, Any] | None = None,
    *,
    workload: str = "inference",
    minima: dict[str, str] | None = None,
    report: dict[str, Any] | None = None,
    **given: Any,
) -> dict[str, Outcome]:
    """The outcomes by check, for the H200 unless something else is told."""
    chosen, work = requirements.choose("transformers-v5", workload)
    ended = {"complete": True, "exit_status": 0, **(report or {})}
    subject = requirements.Subject(
        profile=chosen,
        workload=work,
        report=ProbeReport(sections=H200 if told is None else told, **ended),
        stack=given.get("stack", stack()),
        facts=given.get("facts", facts()),
        minima=minima or {},
        python="/opt/venv/bin/python",
    )
    outcomes = requirements.judge(subject)
    assert len({outcome.id for outcome in outcomes}) == len(outcomes)
    return {outcome.id.partition(".")[2]: outcome for outcome in outcomes}


def tells(outcome: Outcome, cause_id: str) -> bool:
    """Whether the outcome's cause and remedy are this row's, whatever the values filled in."""
    row = CAUSES[cause_id]
    pairs = ((row.cause, outcome.cause), (row.remedy, outcome.remedy))
    return all(
        re.fullmatch(".*".join(map(re.escape, re.split(r"{[^}]*}", template))), text, re.DOTALL)
        for template, text in pairs
    )


#: A torch of a few lines whose matrices really multiply. Pieces are replaced by the tests.
FAKE_TORCH = """
    import types
    from .version import __version__
    from . import version
    {early}
    float32 = "float32"

    class Matrix:
        def __init__(self, rows):
            self.rows = rows
        def __matmul__(self, other):
            columns = list(zip(*other.rows))
            return Matrix([[sum(a * b for a, b in zip(r, c)) for c in columns] for r in self.rows])
        def __add__(self, n):
            return Matrix([[v + n for v in row] for row in self.rows])
        def __mul__(self, n):
            return Matrix([[float(v * n) for v in row] for row in self.rows])
        def cpu(self):
            return self
        def tolist(self):
            return self.rows

    def tensor(rows, dtype, device):
        if device != "cpu":
            {kernel}
        return Matrix(rows)

    class _C:
        _cuda_getArchFlags = _xpu_getArchFlags = staticmethod(lambda: {arch!r})

    class backends:
        class cudnn:
            version = staticmethod(lambda: 91900)
        class mps:
            is_built = staticmethod(lambda: {mps})
            is_available = staticmethod(lambda: {mps} and {devices} > 0)

    class cuda:
        is_available = staticmethod(lambda: {devices} > 0)
        device_count = staticmethod(lambda: {devices})
        init = staticmethod(lambda: None)
        synchronize = staticmethod(lambda device: None)
        mem_get_info = staticmethod(lambda index: (10**10, 8 * 10**10))
        get_device_properties = staticmethod(lambda index: types.SimpleNamespace(
            name="Fake", major=9, minor=0, total_memory=8 * 10**10, uuid="u",
            gcnArchName={gcn!r}))
        recommended_max_memory = staticmethod(lambda: 8 * 10**10)

    # Stand-ins: the other vendors' namespaces answer as the one above does.
    xpu = npu = mlu = mps = cuda
    {late}
"""


def make_torch(
    site: Path,
    version: str = "2.11.0+cu130",
    metadata: str | None = None,
    cuda: str | None = "13.0",
    devices: int = 0,
    arch: str = "sm_80 sm_90",
    kernel: str = "pass",
    early: str = "",
    late: str = "",
    hip: str | None = None,
    xpu: str | None = None,
    mps: bool = False,
    gcn: str | None = None,
) -> None:
    """A torch in the folder ``site``; ``early`` and ``late`` run while it is imported."""
    package = site / "torch"
    package.mkdir(parents=True)
    source = textwrap.dedent(FAKE_TORCH).format(
        early=early, late=late, devices=devices, arch=arch, kernel=kernel, mps=mps, gcn=gcn
    )
    (package / "__init__.py").write_text(source)
    (package / "version.py").write_text(
        "from typing import Optional\n"
        "__version__ = %r\ncuda: Optional[str] = %r\nhip = %r\nxpu = %r\n"
        % (version, cuda, hip, xpu)
    )
    make_metadata(site, "torch", metadata or version.split("+")[0])


def make_metadata(site: Path, name: str, version: str) -> None:
    """Package metadata as an installer leaves it."""
    folder = site / ("%s-%s.dist-info" % (name, version))
    folder.mkdir(parents=True)
    text = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version)
    (folder / "METADATA").write_text(text)


def make_companions(site: Path, *names: str) -> None:
    """accelerate and transformers, or those named, as importable shells."""
    bodies = {"transformers": "def is_torch_available():\n    return True\n"}
    for name in names or ("accelerate", "transformers"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text('__version__ = "5.0.0"\n' + bodies.get(name, ""))
        make_metadata(site, name, "5.0.0")
