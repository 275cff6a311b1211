"""The stubs of NVIDIA's deb repositories: names, versions and the relations between them.

Only what a compute node may take is here; desktop packages, and relations to them, are left out.
Facts and where they were read (2026-11-23):

- The versions of each branch; no suffixed driver names above 580, and no suffixed fabric names
  above 575; nvidia-driver-pinning-<branch> and -<version>, which provide, conflict with and
  replace ``nvidia-driver-pinning``, at priority 1000; nvidia-open of 590 and later depending on
  nvidia-driver-open; what nvlink5 pulls in: an apt-cache capture of Ubuntu 24.04 of 2026-05-21 and
  2026-07-21 in a public installation guide for B300 machines.
- Ubuntu's package names and '-0ubuntu1': https://developer.download.nvidia.com/compute/cuda/repos/
  ubuntu2204/x86_64/ libnvidia-compute-580_580.65.06-0ubuntu1_amd64.deb and 20 beside it; from
  580.159.03 on '-1ubuntu1': the same folder, libnvidia-compute-580_580.159.03-1ubuntu1_amd64.deb.
- No nvidia-utils on 24.04, where libnvidia-compute has nvidia-smi: the packages of two installed
  machines in public notes (module_utils/torchnode/data/sources.py, NOBLE_LIST).
- Compute only: libnvidia-compute and nvidia-dkms-open (Ubuntu), nvidia-driver-cuda and
  nvidia-kernel-open-dkms (Debian): https://docs.nvidia.com/datacenter/tesla/
  driver-installation-guide/.
- Debian's names and '-1': .../debian12/x86_64/nvidia-kernel-open-dkms_570.133.20-1_amd64.deb,
  nvidia-fabricmanager-570_570.195.03-1_amd64.deb; the shape of the relations is that of Debian's
  own nvidia-graphics-drivers, from which NVIDIA's packaging comes
  (https://github.com/NVIDIA/debian-packaging-nvidia-driver).

Relations not named there are constructed: exact versions inside a driver, '>=' from a metapackage.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

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
    program,
    runtime,
    said,
    service,
    ubuntus_persistenced,
)

#: Every driver that a stand-in repository holds unless it is told otherwise.
DRIVERS = (
    "570.133.20",
    "570.195.03",
    "580.95.05",
    "580.126.20",
    "580.159.04",
    "590.44.01",
    "590.48.01",
)


def catalogue(distro: str, drivers: Sequence[str]) -> List[Stub]:
    """Every stub of a repository, such as 'ubuntu2404' or 'debian12'."""
    ubuntu = distro.startswith("ubuntu")
    found: List[Stub] = []
    for version in drivers:
        found += ubuntu_driver(version, distro) if ubuntu else debian_driver(version)
        found += [*beside_driver(version), pinning(version, version)]
    for branch in sorted({version.split(".")[0] for version in drivers}):
        newest = [version for version in drivers if version.split(".")[0] == branch][-1]
        found.append(pinning(branch, newest))
    return [*found, *toolkits(), *libraries(), *container_toolkit(), *dcgm()]


def number(version: str) -> int:
    """The branch of a driver's version: 580 of '580.95.05'."""
    return int(version.split(".")[0])


def release(version: str) -> Tuple[int, ...]:
    """A version as numbers, to be compared."""
    return tuple(int(part) for part in version.split("."))


def ubuntu_version(version: str) -> str:
    """With Ubuntu's revision, whose form changed between 580.126 and 580.159."""
    late = release(version) >= (580, 159) and number(version) != 590
    return version + ("-1ubuntu1" if late else "-0ubuntu1")


def ubuntu_driver(version: str, distro: str) -> List[Stub]:
    """A driver for Ubuntu; the names lost the branch at the end with 590.

    On 22.04 nvidia-smi is in nvidia-utils, on 24.04 in libnvidia-compute.
    """
    full = ubuntu_version(version)
    tail = "-%d" % number(version) if number(version) < 590 else ""
    same = " (= %s)" % full
    common, firmware = "nvidia-kernel-common" + tail, "nvidia-firmware" + tail
    compute = "libnvidia-compute" + tail
    utils = distro == "ubuntu2204" and bool(tail)
    compute_files = library("libcuda.so", version) + (() if utils else nvidia_smi())
    plain: List[Tuple[str, Tuple[str, ...], Files]] = [
        ("libnvidia-cfg1" + tail, (), ()),
        ("libnvidia-gpucomp" + tail, (), ()),
        (compute, ("libnvidia-gpucomp" + tail + same,), compute_files),
        ("libnvidia-decode" + tail, (compute + same,), ()),
        ("libnvidia-encode" + tail, ("libnvidia-decode" + tail + same,), ()),
        (firmware, (), gsp(version)),
        (common, (firmware + same, "nvidia-modprobe"), blacklist()),
        ("nvidia-modprobe", (), ()),
        ("nvidia-persistenced", (), ubuntus_persistenced()),
    ]
    if utils:
        plain += [
            ("nvidia-utils" + tail, (compute + same,), nvidia_smi()),
            ("nvidia-compute-utils" + tail, (compute + same, "nvidia-persistenced"), ()),
        ]
    found = [Stub(name, full, depends, files=files) for name, depends, files in plain]
    for flavour, licence in (("-open", OPEN), ("", PROPRIETARY)):
        found += ubuntu_kernel(version, tail, flavour, licence, utils)
    return found


def ubuntu_kernel(version: str, tail: str, flavour: str, licence: str, utils: bool) -> List[Stub]:
    """The DKMS package of a flavour, its sources, the driver and its metapackages."""
    full = ubuntu_version(version)
    same, at_least = " (= %s)" % full, " (>= %s)" % full
    sources, dkms = "nvidia-kernel-source" + tail + flavour, "nvidia-dkms" + tail + flavour
    driver = "nvidia-driver" + tail + flavour
    meta = "nvidia-open" if flavour else "cuda-drivers"
    other = "nvidia-dkms" + tail + ("" if flavour else "-open")
    needs = (
        dkms + same,
        *(
            name + tail + same
            for name in (
                "nvidia-kernel-common",
                "libnvidia-compute",
                "libnvidia-decode",
                "libnvidia-encode",
                "libnvidia-cfg1",
            )
        ),
    )
    found = [
        Stub(sources, full, files=dkms_source(version, licence)),
        Stub(
            dkms,
            full,
            ("dkms", sources + same, "nvidia-kernel-common" + tail + same),
            provides=("nvidia-dkms-kernel",),
            conflicts=(other,),
            replaces=(other,),
            scripts=dkms_scripts(version),
        ),
        Stub(driver, full, needs),
        Stub(meta, full, (driver + at_least,)),
    ]
    if tail:
        found.append(Stub(meta + tail, full, (driver + at_least,)))
    return found


def debian_driver(version: str) -> List[Stub]:
    """A driver for Debian, whose names never had a branch at the end."""
    full = version + "-1"
    same = " (= %s)" % full
    module = "nvidia-kernel-open-dkms%s | nvidia-kernel-dkms%s" % (same, same)
    plain: List[Tuple[str, Tuple[str, ...], Files]] = [
        ("nvidia-alternative", (), ()),
        ("nvidia-modprobe", (), ()),
        ("nvidia-persistenced", (), service("nvidia-persistenced", "nvidia-persistenced")),
        ("nvidia-kernel-support", ("nvidia-modprobe",), blacklist()),
        ("firmware-nvidia-gsp", (), gsp(version)),
        ("libcuda1", ("libnvidia-ptxjitcompiler1" + same,), library("libcuda.so", version)),
        ("libnvidia-ptxjitcompiler1", (), ()),
        ("libnvidia-ml1", (), ()),
        ("libnvidia-cfg1", (), ()),
        ("nvidia-smi", ("libnvidia-ml1" + same,), nvidia_smi()),
        (
            "nvidia-driver-cuda",
            (
                "libcuda1" + same,
                "libnvidia-ml1" + same,
                "libnvidia-cfg1" + same,
                "nvidia-smi" + same,
                "nvidia-alternative" + same,
                "nvidia-persistenced",
            ),
            (),
        ),
        ("nvidia-driver", ("nvidia-driver-cuda" + same, module), ()),
    ]
    found = [Stub(name, full, depends, files=files) for name, depends, files in plain]
    for name, other, licence in (
        ("nvidia-kernel-open-dkms", "nvidia-kernel-dkms", OPEN),
        ("nvidia-kernel-dkms", "nvidia-kernel-open-dkms", PROPRIETARY),
    ):
        needs = ("dkms", "nvidia-kernel-support" + same, "firmware-nvidia-gsp" + same)
        found.append(
            Stub(
                name,
                full,
                needs,
                conflicts=(other,),
                replaces=(other,),
                files=dkms_source(version, licence),
                scripts=dkms_scripts(version),
            )
        )
    at_least = " (>= %s)" % full
    found.append(
        Stub(
            "nvidia-open",
            full,
            ("nvidia-driver" + at_least, "nvidia-kernel-open-dkms" + at_least),
        )
    )
    found.append(
        Stub(
            "cuda-drivers",
            full,
            ("nvidia-driver" + at_least, "nvidia-kernel-dkms" + at_least),
        )
    )
    return found


def beside_driver(version: str) -> List[Stub]:
    """Fabric Manager and its neighbours, with the branch at the end up to 575."""
    full = version + "-1"
    tail = "-%d" % number(version) if number(version) <= 575 else ""
    unit = service("nvidia-fabricmanager", "nv-fabricmanager")
    found = [
        Stub("nvidia-fabricmanager" + tail, full, files=unit),
        Stub("libnvidia-nscq" + tail, full),
        Stub("libnvsdm" + tail, full),
        Stub(
            "nvidia-imex" + tail,
            full,
            files=service("nvidia-imex", "nvidia-imex"),
        ),
    ]
    if number(version) >= 580:
        newest = " (>= %d)" % number(version)
        needs = tuple(
            name + newest
            for name in ("libnvidia-nscq", "libnvsdm", "nvidia-fabricmanager", "nvidia-imex")
        )
        found.append(Stub("nvlink5", full, (*needs, "nvlsm (>= 2025.10.12)")))
    return found


def pinning(pinned: str, newest: str) -> Stub:
    """nvidia-driver-pinning-580 or -580.95.05: a preferences file at priority 1000."""
    word = "nvidia-driver-pinning"
    text = """
        Package: src:*nvidia*:any src:cuda-drivers:any
        Pin: version {pinned}*
        Pin-Priority: 1000
    """
    return Stub(
        "%s-%s" % (word, pinned),
        newest + "-1",
        provides=(word,),
        conflicts=(word,),
        replaces=(word,),
        architecture="all",
        files=(("/etc/apt/preferences.d/nvidia-driver-pinning", said(text).format(pinned=pinned)),),
    )


#: The toolkits: (CUDA, the toolkit's version, nvcc's).
TOOLKITS = (
    ("12.6", "12.6.3-1", "12.6.85"),
    ("12.8", "12.8.1-1", "12.8.93"),
    ("13.0", "13.0.2-1", "13.0.88"),
)


def toolkits() -> List[Stub]:
    """cuda-toolkit-12-8 and others, with a compiler that hands programs to the host's."""
    found: List[Stub] = []
    for cuda, version, nvcc in TOOLKITS:
        dashed = cuda.replace(".", "-")
        parts = {
            "cuda-nvcc-" + dashed: compiler(cuda, nvcc),
            "cuda-cudart-dev-" + dashed: runtime(cuda),
            "libcublas-dev-" + dashed: (),
        }
        found += [Stub(name, nvcc + "-1", files=files) for name, files in parts.items()]
        found.append(
            Stub("cuda-toolkit-" + dashed, version, tuple(parts), scripts=alternatives(cuda))
        )
    return found


def alternatives(cuda: str) -> Files:
    """What the real package says to update-alternatives, so that /usr/local/cuda is a link."""
    text = "#!/bin/sh\nset -e\nupdate-alternatives --%s /usr/local/cuda-%s %s\n"
    come = text % ("install /usr/local/cuda cuda", cuda, cuda.replace(".", ""))
    return (("postinst", come), ("prerm", text % ("remove cuda", cuda, "")))


#: cuDNN's versions: (version, the CUDA majors that it is made for).
CUDNNS = (("9.8.0.87-1", ("12",)), ("9.10.2.21-1", ("12",)), ("9.12.0.46-1", ("12", "13")))


def libraries() -> List[Stub]:
    """cuDNN for both CUDA majors, whose packages have the same files."""
    found: List[Stub] = []
    for version, majors in CUDNNS:
        for major in majors:
            library_name, same = "libcudnn9-cuda-" + major, " (= %s)" % version
            headers = "libcudnn9-headers-cuda-" + major
            found += [
                Stub(library_name, version),
                Stub(headers, version, files=cudnn_header(version, major)),
                Stub(
                    "libcudnn9-dev-cuda-" + major,
                    version,
                    (library_name + same, headers + same),
                    files=cudnn_library(),
                ),
                Stub("cudnn9-cuda-" + major, version, ("libcudnn9-dev-cuda-" + major,)),
            ]
    return found


def container_toolkit() -> List[Stub]:
    """The container toolkit, which NVIDIA's repositories carry too."""
    version, same = "1.19.0-1", " (= 1.19.0-1)"
    ctk = program("failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND")
    base = (("/usr/bin/nvidia-ctk", ctk),)
    return [
        Stub("libnvidia-container1", version),
        Stub("libnvidia-container-tools", version, ("libnvidia-container1" + same,)),
        Stub("nvidia-container-toolkit-base", version, files=base),
        Stub(
            "nvidia-container-toolkit",
            version,
            ("nvidia-container-toolkit-base" + same, "libnvidia-container-tools" + same),
        ),
    ]


def dcgm() -> List[Stub]:
    """DCGM 4, whose version has an epoch."""
    version, same = "1:4.4.1-1", " (= 1:4.4.1-1)"
    core = "datacenter-gpu-manager-4-core"
    found = [Stub(core, version, files=service("nvidia-dcgm", "nv-hostengine"))]
    for part in ("cuda12", "cuda13", "proprietary", "proprietary-cuda12", "proprietary-cuda13"):
        found.append(Stub("datacenter-gpu-manager-4-" + part, version, (core + same,)))
    return [*found, Stub("nvlsm", "2025.10.14-1")]


def library(name: str, version: str) -> Files:
    """A file where the library would be, which no linker takes for one."""
    return (("/usr/lib/nvidia-stand-in/%s.%s" % (name, version), "a stand-in\n"),)


def gsp(version: str) -> Files:
    """The GSP firmware's place."""
    return (("/lib/firmware/nvidia/%s/gsp_ga10x.bin" % version, "a stand-in\n"),)


def blacklist() -> Files:
    """The package's own word against nouveau."""
    return (("/usr/lib/modprobe.d/nvidia-stand-in.conf", "blacklist nouveau\n"),)


def dkms_scripts(version: str) -> Files:
    """What dh_dkms writes: build for every kernel with headers, and take it out again."""
    install = """
        #!/bin/sh
        set -e
        if [ "$1" = configure ]; then
            /usr/lib/dkms/common.postinst nvidia {version} /usr/share/nvidia "" "$2"
        fi
    """
    remove = """
        #!/bin/sh
        set -e
        case "$1" in
        remove | upgrade | deconfigure)
            if [ -n "$(dkms status -m nvidia -v {version})" ]; then
                dkms remove -m nvidia -v {version} --all
            fi
            ;;
        esac
    """
    texts: Dict[str, str] = {"postinst": install, "prerm": remove}
    return tuple((name, said(text).format(version=version)) for name, text in texts.items())
