"""Which cuDNN stands beside a node's CUDA toolkits, and from where it comes. Pure.

It is for compilers: its headers include CUDA's and it calls cuBLAS, which a toolkit has. torch
brings its own. NVIDIA's packages for two CUDA majors have the same files, so that only wheels,
which have a folder for each, stand side by side.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .data import cudnn_wheels
from .data import nvidia_packages as tables
from .data.compatibility import CUDNN, CudnnSupport, parse_architecture, version_key
from .model import Facts, System
from .nvidia_packages import DISTRIBUTION, NVIDIA, package_system, system_words
from .package_model import HostSoftware, PackageWish, WheelWish
from .package_versions import upstream
from .policy import Conflict, Policy

#: The toolkit as the distributions package it: nothing in /usr/local tells of it.
_DISTRIBUTION_TOOLKIT = "nvidia-cuda-toolkit"


def choose(
    facts: Facts, policy: Policy, whose: str
) -> Tuple[List[PackageWish], List[WheelWish]]:  # fmt: skip
    """(packages, wheels) of the wished cuDNN, for the CUDA major of each toolkit; one is empty.

    ``whose`` is the origin of what stands beside the driver. Raises Conflict where there is no
    toolkit, or no such cuDNN for one of them.
    """
    wished, source = policy.host.cudnn, policy.host.cudnn_source
    if not wished:
        return [], []
    majors = cuda_majors(facts, policy)
    if not majors:
        raise _no_toolkit(wished)
    one = len(majors) == 1
    if source == "repository" and not one:
        raise _same_files(majors)
    if source == "repository" or (source == "auto" and whose == NVIDIA and one):
        wish = cudnn_wish(facts.system, whose, majors[0], wished)
        _check_serves(facts, wished, wished)
        return [wish], []
    packaged = one and whose == NVIDIA
    wheels = [_wheel(wished, major, facts.system.machine, packaged) for major in majors]
    for wheel in wheels:
        _check_serves(facts, wished, wheel.version)
    return [], wheels


def cuda_majors(facts: Facts, policy: Policy) -> List[int]:
    """The CUDA majors of the toolkits that are wished, else of those that are there."""
    host = facts.host or HostSoftware()
    names = ("cuda-toolkit", "cuda-toolkit-wheel")
    there = [item.version for item in facts.toolkits if item.name in names]
    there += [upstream(p.version) for p in host.packages if p.name == _DISTRIBUTION_TOOLKIT]
    heads = [cuda.partition(".")[0] for cuda in policy.host.cuda_toolkits or there]
    return list(dict.fromkeys(int(head) for head in heads if head.isdigit()))


def cudnn_wish(system: System, origin: str, cuda_major: int, version: str) -> PackageWish:
    """cuDNN 9 for one CUDA major; ``version`` is '', '9' or as far as given. Raises Conflict."""
    row = package_system(system)
    if origin == DISTRIBUTION:
        raise Conflict(
            "torchnode_cudnn_source", "'repository' on %s" % system_words(row),
            "wheel, or NVIDIA's repository",
            "Set torchnode_cudnn_source: wheel.", "torchnode_cudnn_source wheel",
            cause="The distribution's package only downloads cuDNN from NVIDIA while it is "
            "installed, which no signature covers.",
        )  # fmt: skip
    if version and version.partition(".")[0] != "9":
        raise Conflict(
            "torchnode_cudnn", "'%s'" % version, "9, or a version of it such as '9.10.2'",
            "Ask for cuDNN 9; torch has been built with it since 2.4.", "cuDNN 9",
        )  # fmt: skip
    _check_made_for(version, cuda_major)
    patterns = tables.CUDNN_DEB if row.family == "deb" else tables.CUDNN_RPM
    names = tuple(pattern % cuda_major for pattern in patterns)
    others = [major for major in tables.CUDNN_OF_CUDA if major != cuda_major]
    gone = [p % major for major in others for p in (*patterns, *tables.CUDNN_META)]
    # Full versions have four parts ('9.10.2.21'); fewer are a release line, '9' a branch.
    line = version + ".*" if version.count(".") in (1, 2) else version
    return PackageWish("cudnn", names, line, names, tuple(gone))


def _check_made_for(version: str, cuda_major: int) -> None:
    """Raises Conflict for a release that NVIDIA has not made for this CUDA major."""
    first, last = tables.CUDNN_OF_CUDA.get(cuda_major, ("", ""))
    if "." not in version:
        return
    minor = version_key(".".join(version.split(".")[:2]))
    early, late = first and minor < version_key(first), last and minor > version_key(last)
    if early or late:
        there = "%s or later" % first if early else "%s or earlier" % last
        raise Conflict(
            "torchnode_cudnn", "'%s' for CUDA %d" % (version, cuda_major), there,
            "Ask for such a version, or for '9', or for a toolkit of another CUDA major.",
            "cuDNN " + (first or last),
        )  # fmt: skip


def _check_serves(facts: Facts, wished: str, version: str) -> None:
    """Raises Conflict for a release without code for a GPU; a branch alone is its newest release.

    A release between two rows counts as the later one: older parts are what a release drops.
    """
    release = version_key(".".join(version.split(".")[:3])) if "." in version else (99,)
    rows = [row for row in CUDNN if version_key(row.version) >= release] or [CUDNN[-1]]
    serving = [row.version for row in CUDNN if not _unserved(facts, row)]
    left = _unserved(facts, rows[0])
    if left:
        nearest = serving[-1] if serving else ""
        raise Conflict(
            "torchnode_cudnn", "'%s', and a GPU of %s" % (wished, " and ".join(left)),
            "a release with code for it%s" % (": %s or earlier" % nearest if nearest else ""),
            "Ask for such a release.", "cuDNN " + (nearest or "of an earlier major"),
        )  # fmt: skip


def _unserved(facts: Facts, row: CudnnSupport) -> List[str]:
    """The architectures of the node's GPUs that a release has no code for."""
    least = parse_architecture(row.minimum_architecture)[1:3]
    own = {gpu.architecture for gpu in facts.accelerators if gpu.backend == "cuda"}
    return sorted(name for name in own if name and parse_architecture(name)[1:3] < least)


def _wheel(wished: str, cuda: int, machine: str, packaged: bool) -> WheelWish:
    """Raises Conflict where no wheel is known; ``packaged``: NVIDIA's packages would do as well."""
    try:
        row = cudnn_wheels.newest(wished, cuda, machine)
    except LookupError as error:
        other = "torchnode_cudnn_source: repository"
        raise Conflict(
            "torchnode_cudnn", "'%s' for CUDA %d on %s" % (wished, cuda, machine),
            "one that is known as a wheel: %s" % error,
            "Choose one of these%s." % (", or " + other if packaged else ""),
            other.replace(":", "") if packaged else "cuDNN 9",
        ) from None  # fmt: skip
    return WheelWish(row.project, row.version, row.cuda, row.sha256)


def _no_toolkit(wished: str) -> Conflict:
    return Conflict(
        "torchnode_cudnn", "'%s', and no CUDA toolkit that is wished or there" % wished,
        "a toolkit to compile with: cuDNN's headers include CUDA's",
        "Name a toolkit in torchnode_cuda_toolkits. Or leave torchnode_cudnn empty: torch brings "
        "its own cuDNN, and does not see this one.",
        "no torchnode_cudnn",
        cause="This cuDNN is for compiling programs, and none compiles without a toolkit.",
    )  # fmt: skip


def _same_files(majors: Sequence[int]) -> Conflict:
    return Conflict(
        "torchnode_cudnn_source",
        "'repository' for CUDA %s" % " and ".join(map(str, majors)),
        "toolkits of one CUDA major, or cuDNN from wheels",
        "Set torchnode_cudnn_source to wheel, or to auto, which takes wheels here: each CUDA major "
        "gets a folder of its own.",
        "torchnode_cudnn_source wheel",
        cause="NVIDIA's packages of cuDNN have the same files for every CUDA major: one is there "
        "at a time.",
    )  # fmt: skip
