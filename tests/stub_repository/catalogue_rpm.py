"""The stubs of NVIDIA's rpm repositories: names, versions, epochs and module streams.

Facts and where they were read (2026-11-23):

- Epoch 3, '-1.el9', the driver's parts and what they require of each other:
  https://github.com/NVIDIA/yum-packaging-nvidia-driver (nvidia-driver.spec), and
  https://github.com/rocky-linux/rockylinux.org/issues/201 (nvidia-open 3:580.65.06-1.el10).
- kmod-nvidia-open-dkms requiring dkms >= 3.1.8:
  https://github.com/stackhpc/ansible-slurm-appliance/pull/703.
- The streams ('580-open', '580-dkms', 'open-dkms' as the default) and their profile ``default``:
  https://github.com/NVIDIA/yum-packaging-precompiled-kmod/issues/63; EL 10 has none.
- nvidia-fabric-manager up to 575 and nvidia-fabricmanager from 580: .../repos/amzn2023/x86_64/
  nvidia-fabric-manager-570.195.03-1.x86_64.rpm.

Relations not named there are constructed.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .catalogue_deb import (
    CUDNNS,
    TOOLKITS,
    blacklist,
    gsp,
    library,
    number,
    program,
)
from .stubs import (
    OPEN,
    PROPRIETARY,
    Files,
    Stub,
    compiler,
    cudnn_header,
    cudnn_library,
    dkms_source,
    nvidia_smi,
    runtime,
    said,
    service,
)

#: The systems whose drivers are module streams.
STREAMED = ("rhel9", "amzn2023")


def catalogue(distro: str, drivers: Sequence[str]) -> List[Stub]:
    """Every stub of a repository, such as 'rhel9' or 'amzn2023'."""
    tag = distro.replace("rhel", "el")
    newest = drivers[-1]
    found: List[Stub] = []
    for version in drivers:
        streams = module_streams(version, version == newest) if distro in STREAMED else ("", "")
        found += driver(version, tag, streams)
        found += fabric(version)
    return [*found, *toolkits(), *libraries(), *container_toolkit(), *dcgm()]


def module_streams(version: str, newest: bool) -> Tuple[str, str]:
    """The streams that hold the open and the proprietary modules of a version."""
    branch = number(version)
    rolling = (" open-dkms", " latest-dkms") if newest else ("", "")
    return "%d-open%s" % (branch, rolling[0]), "%d-dkms%s" % (branch, rolling[1])


def driver(version: str, tag: str, streams: Tuple[str, str]) -> List[Stub]:
    """A driver: its user space in both streams, its modules in one each."""
    full = "3:%s-1.%s" % (version, tag)
    same = " = 3:" + version
    both = " ".join(stream for stream in streams if stream)
    plain: List[Tuple[str, Tuple[str, ...], Files]] = [
        ("libnvidia-ml", (), ()),
        ("libnvidia-cfg", (), ()),
        ("nvidia-modprobe", (), ()),
        ("nvidia-driver-cuda-libs", ("libnvidia-ml" + same,), library("libcuda.so", version)),
        ("nvidia-persistenced", (), service("nvidia-persistenced", "nvidia-persistenced")),
        (
            "nvidia-driver-cuda",
            (
                "nvidia-driver-cuda-libs" + same,
                "nvidia-kmod-common" + same,
                "nvidia-persistenced" + same,
            ),
            nvidia_smi(),
        ),
        ("nvidia-kmod-common", ("nvidia-kmod" + same,), (*gsp(version), *blacklist())),
    ]
    found = [Stub(name, full, depends, files=files, stream=both) for name, depends, files in plain]
    for flavour, stream, licence, meta in (
        ("open", streams[0], OPEN, "nvidia-open"),
        ("latest", streams[1], PROPRIETARY, "cuda-drivers"),
    ):
        kmod = "kmod-nvidia-%s-dkms" % flavour
        other = "kmod-nvidia-%s-dkms" % ("latest" if flavour == "open" else "open")
        found += [
            Stub(
                kmod,
                full,
                ("dkms >= 3.1.8", "nvidia-kmod-common" + same),
                provides=("nvidia-kmod" + same,),
                conflicts=(other,),
                architecture="noarch",
                files=dkms_source(version, licence),
                scripts=dkms_scripts(version),
                stream=stream,
            ),
            Stub(
                meta,
                full,
                ("nvidia-driver-cuda" + same, kmod + same),
                architecture="noarch",
                stream=stream,
            ),
        ]
    return found


def fabric(version: str) -> List[Stub]:
    """Fabric Manager, which has no epoch, no tag of the system and no module stream."""
    full = version + "-1"
    name = "nvidia-fabric-manager" if number(version) <= 575 else "nvidia-fabricmanager"
    tail = "-%d" % number(version) if number(version) <= 575 else ""
    return [
        Stub(name, full, files=service("nvidia-fabricmanager", "nv-fabricmanager")),
        Stub("libnvidia-nscq" + tail, full),
        Stub("libnvsdm" + tail, full),
        Stub("nvidia-imex" + tail, full, files=service("nvidia-imex", "nvidia-imex")),
    ]


def toolkits() -> List[Stub]:
    """cuda-toolkit-12-8 and others."""
    found: List[Stub] = []
    for cuda, version, nvcc in TOOLKITS:
        dashed = cuda.replace(".", "-")
        parts = {
            "cuda-nvcc-" + dashed: compiler(cuda, nvcc),
            "cuda-cudart-devel-" + dashed: runtime(cuda),
        }
        found += [Stub(name, nvcc + "-1", files=files) for name, files in parts.items()]
        found.append(
            Stub("cuda-toolkit-" + dashed, version, tuple(parts), scripts=alternatives(cuda))
        )
    return found


def libraries() -> List[Stub]:
    """cuDNN for both CUDA majors, whose packages have the same files."""
    found: List[Stub] = []
    for version, majors in CUDNNS:
        for major in majors:
            name, same = "libcudnn9-cuda-" + major, " = " + version
            headers = "libcudnn9-headers-cuda-" + major
            found += [
                Stub(name, version),
                Stub(headers, version, files=cudnn_header(version, major)),
                Stub(
                    "libcudnn9-devel-cuda-" + major,
                    version,
                    (name + same, headers + same),
                    files=cudnn_library(),
                ),
                Stub("cudnn9-cuda-" + major, version, ("libcudnn9-devel-cuda-" + major,)),
            ]
    return found


def alternatives(cuda: str) -> Files:
    """What the real package says to alternatives, so that /usr/local/cuda is a link."""
    text = "update-alternatives --%s /usr/local/cuda-%s %s\n"
    come = text % ("install /usr/local/cuda cuda", cuda, cuda.replace(".", ""))
    return (("post", come), ("preun", text % ("remove cuda", cuda, "")))


def container_toolkit() -> List[Stub]:
    """The container toolkit."""
    version = "1.19.0-1"
    ctk = program("failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND")
    return [
        Stub("libnvidia-container1", version),
        Stub("libnvidia-container-tools", version, ("libnvidia-container1",)),
        Stub("nvidia-container-toolkit-base", version, files=(("/usr/bin/nvidia-ctk", ctk),)),
        Stub(
            "nvidia-container-toolkit",
            version,
            ("nvidia-container-toolkit-base", "libnvidia-container-tools"),
        ),
    ]


def dcgm() -> List[Stub]:
    """DCGM 4."""
    version, core = "1:4.4.1-1", "datacenter-gpu-manager-4-core"
    found = [Stub(core, version, files=service("nvidia-dcgm", "nv-hostengine"))]
    for part in ("cuda12", "cuda13", "proprietary", "proprietary-cuda12", "proprietary-cuda13"):
        found.append(Stub("datacenter-gpu-manager-4-" + part, version, (core,)))
    return [*found, Stub("nvlsm", "2025.10.14-1")]


def dkms_scripts(version: str) -> Files:
    """What NVIDIA's package does: add, build and install for every kernel with headers."""
    install = """
        dkms add -m nvidia -v {version} || :
        for release in $(ls /lib/modules); do
            if [ -e /lib/modules/$release/build ]; then
                dkms install -m nvidia -v {version} -k $release --force || :
            fi
        done
    """
    remove = "dkms remove -m nvidia -v {version} --all || :\n"
    return (
        ("post", said(install).format(version=version)),
        ("preun", remove.format(version=version)),
    )
