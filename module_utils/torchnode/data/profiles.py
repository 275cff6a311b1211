"""Requirement profiles and the workloads that they know. Pure data and one rule.

A profile is what software must satisfy on a node; a workload adds what the node is for. Versions
are minima, as their projects write them; memory is in GB of 10^9 bytes, as parts are sold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Tuple

from .sources import Source

TRANSFORMERS_ENVIRONMENT = Source(
    "https://huggingface.co/docs/transformers/installation",
    "2026-02-13",
    "The published environment 'Huggingface Transformers PyTorch 24 CUDA': torch, accelerate, "
    "compute capability, cuDNN and the memory tiers.",
)
TRANSFORMERS_METADATA = Source(
    "https://pypi.org/project/transformers/5.23.0/",
    "2026-11-22",
    "The wheel was read: the extra 'torch' asks for accelerate>=1.1.0; 'vision' names torchvision "
    "and 'audio' torchaudio. Its own code disables torch below 2.6, which later releases may "
    "raise again, so what it answers is checked as well as the profile's floor.",
)

TRANSFORMERS_APPLE = Source(
    "https://huggingface.co/docs/transformers/main/perf_train_special",
    "2026-11-22",
    "Trainer takes the mps device by itself, so training and fine-tuning are possible there; "
    "distributed training is not.",
)

GIGABYTE = 10**9

#: A device that is sold as 24 GB shows a little less: ECC and the driver keep a part. An A10
#: shows 23.7, an L4 23.7, an H100 85 of nominal 80 GB. Parts of the next size below stay out.
MEMORY_ALLOWANCE = 0.05


def reaches(size: int, nominal_gb: int) -> bool:
    """Whether ``size`` bytes are a part that is sold with ``nominal_gb``."""
    return size >= nominal_gb * GIGABYTE * (1 - MEMORY_ALLOWANCE)


@dataclass(frozen=True)
class Workload:
    """What a node is for.

    ``memory_gb`` is what the work needs: best on one device, at least over the node where a model
    can be sharded. ``device_memory_gb`` is the least for any one device in either case.
    ``packages`` are distributions beyond the profile's that must be present and importable.
    ``not_on`` are backends that have accelerators and cannot do this work all the same.
    """

    name: str
    needs_accelerator: bool
    memory_gb: int
    device_memory_gb: int = 8
    packages: Tuple[str, ...] = ()
    source: Source = TRANSFORMERS_ENVIRONMENT
    not_on: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A named requirement set.

    ``python`` and the package minima are versions, '' where presence is enough;
    ``compute_capability`` is (major, minor).
    """

    name: str
    python: str
    packages: Mapping[str, str]
    cuda: str
    cudnn: str
    compute_capability: Tuple[int, int]
    sources: Tuple[Source, ...]

    def minimum(self, package: str) -> str:
        """The least version of ``package``, '' where any will do."""
        return self.packages.get(package, "")


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="transformers-v5",
            python="3.9",
            packages={"torch": "2.4.0", "accelerate": "1.1.0", "transformers": ""},
            cuda="11.8",
            cudnn="8.6",
            compute_capability=(7, 0),
            sources=(TRANSFORMERS_ENVIRONMENT, TRANSFORMERS_METADATA),
        ),
    )
}

TRANSFORMERS_CODE = Source(
    "https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/utils/"
    "import_utils.py",
    "2026-11-22",
    "Read in the wheel of 5.23.0: is_flash_attn_2_available compares with 2.3.3 wherever torch's "
    "cuda module answers (CUDA and ROCm) and on MLUs; is_torch_xpu_available asks for torch 2.6.",
)


@dataclass(frozen=True)
class BackendMinimum:
    """A package's floor on one backend, beyond the profile's. ``required`` is False for a package
    that need not be there: its version counts where it is."""

    backend: str
    package: str
    minimum: str
    required: bool
    source: Source


#: Two rows for one package are two sources that disagree; the higher one is what works.
BACKEND_MINIMA: Tuple[BackendMinimum, ...] = (
    BackendMinimum("xpu", "torch", "2.6.0", True, TRANSFORMERS_ENVIRONMENT),
    BackendMinimum("xpu", "torch", "2.6", True, TRANSFORMERS_CODE),
    BackendMinimum("cuda", "flash-attn", "2.1.0", False, TRANSFORMERS_ENVIRONMENT),
    BackendMinimum("rocm", "flash-attn", "2.0.4", False, TRANSFORMERS_ENVIRONMENT),
    BackendMinimum("cuda", "flash-attn", "2.3.3", False, TRANSFORMERS_CODE),
    BackendMinimum("rocm", "flash-attn", "2.3.3", False, TRANSFORMERS_CODE),
    BackendMinimum("mlu", "flash-attn", "2.3.3", False, TRANSFORMERS_CODE),
)

WORKLOADS: Mapping[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("training", needs_accelerator=True, memory_gb=8),
        Workload("fine-tuning", needs_accelerator=True, memory_gb=8),
        Workload("inference", needs_accelerator=False, memory_gb=8),
        Workload("quantized-inference", needs_accelerator=True, memory_gb=8),
        Workload(
            "distributed",
            needs_accelerator=True,
            memory_gb=8,
            source=TRANSFORMERS_APPLE,
            not_on=("mps",),
        ),
        Workload("benchmarking", needs_accelerator=True, memory_gb=8),
        Workload(
            "vision",
            needs_accelerator=False,
            memory_gb=8,
            packages=("torchvision",),
            source=TRANSFORMERS_METADATA,
        ),
        Workload(
            "audio",
            needs_accelerator=False,
            memory_gb=8,
            packages=("torchaudio",),
            source=TRANSFORMERS_METADATA,
        ),
        Workload("llm-7b", needs_accelerator=True, memory_gb=24),
        Workload("llm-70b", needs_accelerator=True, memory_gb=80),
    )
}

#: Distributions whose version the probe reports, beside those that a workload names.
PROBED_PACKAGES = (
    "torch",
    "torchvision",
    "torchaudio",
    "accelerate",
    "transformers",
    "nvidia-ml-py",
    "triton",
    "numpy",
    "safetensors",
    "bitsandbytes",
    "flash-attn",
    "torch-npu",
    "torch-mlu",
    "torch-xla",
    "libtpu",
)

#: What an operator may put a minimum on: the probed packages, and these parts of the stack.
STACK_PARTS = ("python", "driver", "cuda", "cudnn")
