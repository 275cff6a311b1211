"""What the nvidia_* scenarios leave on a node, by dpkg, rpm, modinfo and apt's own words.

None of torchnode's code. What a node should have stands in EXPECTED, beside its scenario's wishes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional, Tuple, cast

import pytest
from testinfra.host import Host


@dataclass(frozen=True)
class Expected:
    """A node's wish come true: names and the one version that all of the driver has."""

    version: str  # exact, or the beginning of what the distribution has at the time
    packages: Tuple[str, ...]
    module_licence: str = "Dual MIT/GPL"
    kernels: int = 1
    fabric: str = ""
    subnet: Tuple[str, ...] = ()  # the subnet manager's packages
    imex: str = ""  # what shares memory over nodes
    dnf_stream: str = ""
    toolkit: str = ""  # of the distribution: /usr/bin/nvcc
    wheel_toolkit: str = ""  # below the prefix
    cudnn: str = ""  # from a wheel
    toolkits: Tuple[str, ...] = ()  # of NVIDIA's repository, the default first
    cudnn_packages: Tuple[str, str] = ("", "")  # of NVIDIA's repository: CUDA major, version
    beside: Tuple[str, ...] = ()  # DCGM and the container toolkit


BESIDE = (
    "datacenter-gpu-manager-4-core",
    "datacenter-gpu-manager-4-cuda13",
    "datacenter-gpu-manager-4-proprietary",
    "datacenter-gpu-manager-4-proprietary-cuda13",
    "libnvidia-container1",
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
)
EXPECTED = {
    "ubuntu2404": Expected(
        "580.95.05",
        ("libnvidia-compute-580", "nvidia-persistenced", "nvidia-dkms-580-open"),
        toolkits=("12.8", "12.6"),
        cudnn_packages=("12", "9.12.0.46"),
        beside=BESIDE,
    ),
    "debian12": Expected(
        "580.126.20",
        ("nvidia-driver-cuda", "nvidia-kernel-open-dkms", "firmware-nvidia-gsp"),
        fabric="nvidia-fabricmanager",
        toolkits=("13.0", "12.8"),
        beside=BESIDE,
    ),
    "rocky9": Expected(
        "580.95.05",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        kernels=2,  # one from the beginning, and one that came later
        fabric="nvidia-fabricmanager",
        dnf_stream="580-open",
        toolkits=("12.8", "13.0"),
        beside=BESIDE,
    ),
    "rocky10": Expected(
        "580.126.20",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        fabric="nvidia-fabricmanager",
        subnet=("nvlsm", "libnvsdm", "infiniband-diags"),
        toolkits=("13.0",),
        cudnn_packages=("13", "9.12.0.46"),
        beside=BESIDE,
    ),
    "ubuntu2204": Expected(
        "580.95.05",
        ("libnvidia-compute-580", "nvidia-utils-580", "nvidia-dkms-580-open"),
        toolkits=("12.8",),
        cudnn_packages=("12", "9.12.0.46"),
        beside=BESIDE,
    ),
    "ubuntu2604": Expected(
        "595.58.03",
        ("libnvidia-compute", "nvidia-persistenced", "nvidia-dkms-open"),
        fabric="nvidia-fabricmanager",
        subnet=("nvlsm", "libnvsdm", "infiniband-diags"),
        toolkits=("13.0",),
        beside=BESIDE,
    ),
    "amazon2023": Expected(
        "580.126.20",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        dnf_stream="580-open",
        toolkits=("12.8",),
        beside=BESIDE,
    ),
    "rocky9-arm": Expected(
        "580.95.05",
        ("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        dnf_stream="580-open",
        imex="nvidia-imex",
        toolkits=("13.0",),
        beside=BESIDE,
    ),
    "debian12-real": Expected(
        "535.",
        ("libcuda1", "nvidia-smi", "nvidia-open-kernel-dkms", "firmware-nvidia-gsp"),
        kernels=3,  # two from the beginning, and one that came later
        toolkit="11.8",
        cudnn="9.10.2",
    ),
    "debian13-real": Expected(
        "550.",
        ("libcuda1", "nvidia-smi", "nvidia-open-kernel-dkms", "firmware-nvidia-gsp"),
        toolkit="12.4",
        wheel_toolkit="13.0",
        cudnn="9.20.0",
    ),
}
#: Packages of the driver: all of them have its version, whatever brought them.
DRIVER = re.compile(
    r"^(libnvidia-(compute|ml|cfg|decode|encode|gpucomp|ptxjit)|libcuda1|nvidia-(driver|dkms|kernel|"
    r"utils|compute-utils|smi|modprobe|persistenced|kmod-common|firmware|open(?!cl))|kmod-nvidia|"
    r"firmware-nvidia)"
)


@pytest.fixture
def expected(host: Host) -> Expected:
    name = host.backend.get_hostname()
    return EXPECTED[name]


@pytest.fixture
def installed(host: Host) -> dict[str, str]:
    """Every installed package with its upstream version: no epoch, no revision."""
    if host.exists("rpm") and file(host, "/etc/yum.repos.d").is_directory:
        out = host.check_output("rpm -qa --queryformat '%{NAME} %{VERSION}\n'")
        return dict(line.split() for line in out.splitlines() if line.strip())
    out = host.check_output(
        "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' | grep ' installed$'"
    )
    rows = (line.split()[:2] for line in out.splitlines())
    return {name: re.sub(r"^\d+:", "", version).rsplit("-", 1)[0] for name, version in rows}


def file(host: Host, path: str) -> Any:
    """testinfra makes its modules at run time, where mypy does not see them."""
    return cast(Any, host).file(path)


def of_dnf(expected: Expected, host: Host) -> bool:
    return bool(file(host, "/etc/yum.repos.d").is_directory and host.exists("dnf"))


def kernels(host: Host) -> list[str]:
    return sorted(host.check_output("ls /lib/modules").split())


def held(host: Host) -> set[str]:
    """Names of the packages that an upgrade of the system leaves where they are."""
    if host.exists("apt-mark"):
        return set(host.check_output("apt-mark showhold").split())
    locks = host.check_output("cat /etc/dnf/plugins/versionlock.list").splitlines()
    return {name for line in locks for name in re.findall(r"^(.+)-\d+:", line)}


def test_the_wished_packages_are_there_at_the_version(
    expected: Expected, installed: dict[str, str]
) -> None:
    for name in expected.packages:
        assert installed.get(name, "absent").startswith(expected.version), name


def test_nvidia_smi_is_there(host: Host) -> None:
    """No wish names the package that has it, which differs from system to system."""
    assert host.exists("nvidia-smi")


def test_the_whole_driver_is_of_one_version(expected: Expected, installed: dict[str, str]) -> None:
    versions = {name: version for name, version in installed.items() if DRIVER.match(name)}
    assert len(versions) > len(expected.packages)
    # A distribution's own helpers, and headers of the toolkit, are sources of their own.
    others = ("modprobe", "persistenced", "kernel-common", "-dev")
    own = {name: v for name, v in versions.items() if not name.endswith(others)}
    assert len(set(own.values())) == 1, own


def test_the_other_flavour_is_not_there(expected: Expected, installed: dict[str, str]) -> None:
    other = {
        "nvidia-dkms-580",
        "nvidia-kernel-dkms",
        "kmod-nvidia-latest-dkms",
    }
    assert not other & set(installed)


def test_every_kernel_has_the_module_and_its_headers(expected: Expected, host: Host) -> None:
    found = kernels(host)
    assert len(found) == expected.kernels
    for release in found:
        name = "nvidia-current-open" if "real" in host.backend.get_hostname() else "nvidia"
        version = host.check_output("modinfo -k %s -F version %s" % (release, name))
        assert version.startswith(expected.version), release
        licence = host.check_output("modinfo -k %s -F license %s" % (release, name))
        assert licence == expected.module_licence
        assert file(host, "/lib/modules/%s/build/Makefile" % release).exists


def test_nouveau_is_kept_out_of_the_system_and_the_initramfs(host: Host) -> None:
    files = host.check_output("cat /etc/modprobe.d/*.conf /usr/lib/modprobe.d/*.conf")
    assert re.search(r"^\s*blacklist\s+nouveau$", files, re.M)
    assert re.search(r"^\s*blacklist\s+nova_core$", files, re.M)
    for release in kernels(host):
        image = _initramfs(host, release)
        tool = "lsinitramfs" if host.exists("lsinitramfs") else "lsinitrd"
        listed = host.check_output("%s %s" % (tool, image))
        assert "nouveau.ko" not in listed, release
        newest = host.check_output("ls -t %s /etc/modprobe.d/*.conf | head -n 1" % image)
        assert newest == image, "the initramfs is older than what it should hold"


def _initramfs(host: Host, release: str) -> str:
    for path in ("/boot/initrd.img-" + release, "/boot/initramfs-%s.img" % release):
        if file(host, path).exists:
            return path
    raise AssertionError("kernel %s has no initramfs" % release)


def test_an_upgrade_of_the_system_moves_nothing_of_the_driver(
    expected: Expected, host: Host
) -> None:
    """The repository has a newer driver by now, which the node must not want."""
    if of_dnf(expected, host):
        out = host.run("dnf -q --assumeno upgrade").stdout
    else:
        out = host.check_output("apt-get -s -o Debug::NoLocking=1 dist-upgrade")
        out = "\n".join(line for line in out.splitlines() if line.startswith(("Inst", "Remv")))
    moved = [word for word in out.split() if DRIVER.match(word)]
    assert moved == []


def test_the_closure_is_held(expected: Expected, host: Host, installed: dict[str, str]) -> None:
    assert [name for name in expected.packages if name not in held(host)] == []


def test_fabric_manager_is_where_an_nvswitch_is(
    expected: Expected, host: Host, installed: dict[str, str]
) -> None:
    found = {name: v for name, v in installed.items() if "fabric" in name}
    if not expected.fabric:
        assert found == {}
        return
    assert found.get(expected.fabric) == expected.version


def test_the_subnet_manager_is_where_the_part_needs_it(
    expected: Expected, host: Host, installed: dict[str, str]
) -> None:
    beside = ("nvlsm", "libnvsdm", "infiniband-diags")
    assert {name for name in installed if name.startswith(beside)} == set(expected.subnet)
    needed = "/etc/modules-load.d/torchnode-nvidia-fabric.conf"
    assert file(host, needed).exists is bool(expected.subnet)
    if expected.subnet:
        assert "\nib_umad\n" in file(host, needed).content_string
        for release in kernels(host):
            path = "/lib/modules/%s/kernel/drivers/infiniband/core/ib_umad.ko*" % release
            assert host.check_output("ls " + path), release


def test_imex_is_where_memory_is_shared_over_nodes(
    expected: Expected, host: Host, installed: dict[str, str]
) -> None:
    found = {name: version for name, version in installed.items() if "imex" in name}
    assert found == ({expected.imex: expected.version} if expected.imex else {})
    assert [name for name in found if name not in held(host)] == []


def test_dcgm_and_the_container_toolkit_are_there_held_and_quiet(
    expected: Expected, host: Host, installed: dict[str, str]
) -> None:
    """No GPU answers: DCGM's host engine does not run, and nobody says where GPUs are."""
    found = {n for n in installed if n.startswith(("datacenter-gpu", "nvidia-container"))}
    assert found <= set(expected.beside), "more than was asked for"
    assert set(expected.beside) <= set(installed)
    if expected.beside:
        assert [name for name in expected.beside if name not in held(host)] == []
        assert host.run("systemctl is-active nvidia-dcgm.service").stdout.strip() == "inactive"
        assert not file(host, "/etc/cdi/nvidia.yaml").exists
        assert not file(host, "/var/run/cdi/nvidia.yaml").exists


def test_no_unit_has_failed_for_want_of_hardware(host: Host) -> None:
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert "nvidia" not in failed


def test_the_persistence_daemon_stays_and_can_be_started_at_boot(host: Host) -> None:
    """Ubuntu's unit has neither; both come from torchnode's drop-in."""
    unit = "nvidia-persistenced"
    assert host.check_output("systemctl show -p StopWhenUnneeded %s", unit).endswith("=no")
    before = host.run("systemctl is-enabled %s", unit).stdout.strip()
    host.check_output("systemctl enable %s", unit)
    assert host.check_output("systemctl is-enabled %s", unit) == "enabled"
    if before != "enabled":
        host.check_output("systemctl disable %s", unit)


def test_the_source_is_signed_by_its_own_key(host: Host) -> None:
    found: Optional[str] = None
    for pattern in ("/etc/apt/sources.list.d/torchnode-*", "/etc/yum.repos.d/torchnode-*"):
        found = found or host.run("cat %s" % pattern).stdout
    if "real" in host.backend.get_hostname():
        pytest.skip("the distribution's own sources")
    assert found
    assert re.search(r"Signed-By: /etc/apt/keyrings/|gpgcheck ?= ?1", found)
    assert "trusted=yes" not in found


def test_the_stream_is_the_one_of_branch_and_flavour(expected: Expected, host: Host) -> None:
    if not expected.dnf_stream:
        pytest.skip("no module streams on this system")
    state = host.check_output("cat /etc/dnf/modules.d/nvidia-driver.module")
    assert "stream=%s" % expected.dnf_stream in state
    assert "state=enabled" in state


def test_dkms_has_the_module_installed_for_every_kernel(expected: Expected, host: Host) -> None:
    if "real" not in host.backend.get_hostname():
        pytest.skip("hollow packages")
    status = host.check_output("dkms status")
    for release in kernels(host):
        (line,) = (line for line in status.splitlines() if ", %s," % release in line)
        assert line.startswith("nvidia-current-open/" + expected.version)
        assert line.endswith(": installed"), line


#: Headers and libraries of both, linked into one program; none asks for a GPU.
PROGRAM = """
#include <cstdio>
#include <cuda_runtime_api.h>
#include <cudnn.h>
__global__ void fill(int *out) { out[threadIdx.x] = 1; }
int main() {
  std::printf("CUDA %d cuDNN %d library %zu for CUDA %zu\\n", CUDART_VERSION, (int)CUDNN_VERSION,
              cudnnGetVersion(), cudnnGetCudartVersion());
}
"""


def test_a_program_is_built_with_each_toolkit_and_cudnn(expected: Expected, host: Host) -> None:
    if not expected.toolkit:
        pytest.skip("no toolkit of the distribution is wished")
    compilers = {expected.toolkit: "nvcc"}
    if expected.wheel_toolkit:
        compilers[expected.wheel_toolkit] = "/opt/torchnode/cuda/current/bin/nvcc"
    folders = host.run("ls /opt/torchnode/cuda").stdout.split()
    assert folders == ([expected.wheel_toolkit, "current"] if expected.wheel_toolkit else [])
    host.check_output("printf '%%s' %s > /tmp/both.cu", PROGRAM)
    cudnn = "%d%02d%02d" % tuple(int(part) for part in expected.cudnn.split("."))
    for cuda, nvcc in compilers.items():
        major, minor = (int(part) for part in cuda.split("."))
        base = "/opt/torchnode/cudnn/cu%d" % major
        found = f"-I{base}/include -L{base}/lib -lcudnn -Xlinker -rpath -Xlinker {base}/lib"
        host.check_output(f"{nvcc} -o /tmp/both /tmp/both.cu {found}")
        number = 1000 * major + 10 * minor
        wanted = f"CUDA {number} cuDNN {cudnn} library {cudnn} for CUDA {major}"
        assert host.check_output("/tmp/both").startswith(wanted)


#: The runtime answers without a GPU from CUDA 12 on.
RUNTIME = """
#include <cstdio>
#include <cuda_runtime_api.h>
__global__ void fill(int *out) { out[threadIdx.x] = 1; }
int main() {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  std::printf("%d %d\\n", CUDART_VERSION, runtime);
}
"""


def test_each_toolkit_compiles_and_the_first_is_the_default(expected: Expected, host: Host) -> None:
    folders = host.run("ls -d /usr/local/cuda-*").stdout.split()
    assert sorted(folders) == sorted("/usr/local/cuda-" + cuda for cuda in expected.toolkits)
    if not expected.toolkits:
        return
    assert (
        host.check_output("readlink -f /usr/local/cuda")
        == "/usr/local/cuda-" + (expected.toolkits[0])
    )
    host.check_output("printf '%%s' %s > /tmp/runtime.cu", RUNTIME)
    for cuda in expected.toolkits:
        host.check_output("/usr/local/cuda-%s/bin/nvcc -o /tmp/runtime /tmp/runtime.cu" % cuda)
        assert "cuda-nvcc-" + cuda.replace(".", "-") in held(host)
        number = "%d%02d0" % tuple(int(part) for part in cuda.split("."))
        assert host.check_output("/tmp/runtime") == "%s %s" % (number, number)


def test_cudnn_of_the_repository_is_found_by_the_compiler(
    expected: Expected, host: Host, installed: dict[str, str]
) -> None:
    major, version = expected.cudnn_packages
    found = {name: said for name, said in installed.items() if name.startswith("libcudnn")}
    if not version:
        assert found == {}
        return
    assert set(found.values()) == {version}
    assert [name for name in found if not name.endswith("cuda-" + major)] == []
    assert [name for name in found if name not in held(host)] == []
    host.check_output("printf '%%s' %s > /tmp/both.cu", PROGRAM)
    host.check_output("/usr/local/cuda/bin/nvcc -o /tmp/both /tmp/both.cu -lcudnn")
    number = "%d%02d%02d" % tuple(int(part) for part in version.split(".")[:3])
    said = host.check_output("/tmp/both")
    assert "cuDNN %s library %s for CUDA %s" % (number, number, major) in said, said
