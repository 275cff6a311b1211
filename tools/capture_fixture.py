#!/usr/bin/env python3
"""Capture what survey reads of this machine as one JSON document, for tests/fixtures.

    python3 tools/capture_fixture.py > tests/fixtures/<vendor>/<machine>.json

Standard library only, Python 3.9 or later, no root needed, nothing is changed. ``files`` maps a
path to its text, ``links`` a path to where it points, ``nodes`` lists device nodes, ``commands``
maps a command line to its output. Serial numbers, host names and addresses are not read: so
neither are the files that name package repositories, which may be mirrors of the operator's.
"""

from __future__ import annotations

import datetime
import glob
import json
import os
import platform
import re
import subprocess
import sys

LIMIT_BYTES = 20_000  # of any one file or output: fixtures are read by people

FILES = [
    "/etc/os-release",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/boot_id",
    "/proc/meminfo",
    "/proc/modules",
    "/proc/1/environ",
    "/proc/driver/nvidia/version",
    "/proc/driver/nvidia/params",
    "/proc/driver/nvidia/gpus/*/information",
    "/proc/driver/nvidia/capabilities/gpu*/mig/gi*/access",
    "/proc/driver/nvidia/capabilities/gpu*/mig/gi*/ci*/access",
    "/run/systemd/container",
    "/run/.containerenv",
    "/.dockerenv",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/product_name",
    "/sys/firmware/efi/efivars/SecureBoot-*",
    "/sys/hypervisor/type",
    "/sys/module/nvidia*/version",
    "/sys/module/nouveau/refcnt",
    "/sys/module/amdgpu/version",
    "/sys/module/i915/version",
    "/sys/module/xe/version",
    "/sys/module/amdgpu/refcnt",
    "/sys/module/i915/refcnt",
    "/sys/module/xe/refcnt",
    "/sys/class/kfd/kfd/topology/nodes/*/properties",
    "/sys/bus/pci/devices/*/drm/*/dev",
    "/sys/bus/pci/devices/*/drm/card*/lmem_total_bytes",
    "/sys/bus/pci/devices/*/tile*/physical_vram_size_bytes",
    "/opt/rocm/.info/version",
    "/sys/module/drv_pcie_host/version",
    "/sys/module/cambricon_drv/version",
    "/usr/local/Ascend/driver/version.info",
    "/usr/local/Ascend/cann*/*-linux/ascend_toolkit_install.info",
    "/usr/local/Ascend/ascend-toolkit/*/*-linux/ascend_toolkit_install.info",
    "/usr/local/cuda*/version.json",
    "/usr/include/cudnn_version.h",
    "/usr/include/x86_64-linux-gnu/cudnn_version*.h",
    "/usr/local/cuda/include/cudnn_version.h",
    "/etc/dnf/modules.d/nvidia-driver.module",
    "/etc/dnf/plugins/versionlock.list",
    "/etc/modprobe.d/torchnode-nvidia.conf",
]
PCI_FILES = [
    "vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision", "numa_node",
    "current_link_speed", "current_link_width", "max_link_speed", "max_link_width",
    "boot_vga", "enable", "mem_info_vram_total", "product_name", "current_compute_partition",
]  # fmt: skip
PCI_LINKS = ["driver", "physfn", "iommu_group"]
NODES = [
    "/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/dxg", "/dev/dri/*", "/dev/kfd", "/dev/davinci*",
    "/dev/cambricon*", "/dev/accel*", "/dev/vfio/*", "/dev/kmsg",
    # Not devices, but of these only that they are there counts.
    "/usr/bin/apt-get", "/usr/bin/dnf", "/usr/bin/nvidia-smi", "/usr/bin/nvidia-uninstall",
    "/var/lib/nvidia/dirs", "/var/lib/dpkg/updates/*", "/boot/vmlinuz-*", "/lib/modules/*/vmlinuz",
    "/lib/modules/*/build",
]  # fmt: skip
LIBRARIES = [
    "/usr/lib/*/libcuda.so*", "/usr/lib/*/libnvidia-ml.so*", "/usr/lib64/libcuda.so*",
    "/usr/lib64/libnvidia-ml.so*", "/usr/local/nvidia/lib*/libcuda.so*",
    "/usr/local/nvidia/lib*/libnvidia-ml.so*", "/usr/lib/wsl/lib/libcuda.so*",
    "/usr/lib/wsl/lib/libnvidia-ml.so*",
    "/usr/lib/*/libcudnn.so*", "/usr/local/cuda", "/usr/local/cuda-*",
    "/usr/lib/*/libze_intel_gpu.so*", "/usr/lib64/libze_intel_gpu.so*",
]  # fmt: skip
UNITS = ["nvidia-persistenced", "nvidia-fabricmanager", "nvidia-dcgm"]
UNIT_FOLDERS = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"]
MODULES = ["updates/dkms", "updates", "extra", "extra/*", "kernel/nvidia-*", "kernel/drivers/video",
           "weak-updates/*"]  # fmt: skip
SMI_FIELDS = (
    "index,pci.bus_id,uuid,name,driver_version,memory.total,compute_cap,"
    "pcie.link.gen.current,pcie.link.width.current"
)
# Of WSL2, where the bus shows no GPU: the very query that survey asks.
WSL_FIELDS = "pci.bus_id,name,uuid,memory.total,compute_cap,driver_version"
SYSCTLS = [
    "machdep.cpu.brand_string", "hw.memsize", "hw.ncpu", "kern.osrelease", "kern.bootsessionuuid",
]  # fmt: skip
COMMANDS = [
    ["uname", "-srm"],
    ["modinfo", "-F", "version", "nvidia"],
    ["modinfo", "-F", "version", "amdgpu"],
    ["modinfo", "-F", "version", "i915"],
    ["modinfo", "-F", "version", "xe"],
    ["modinfo", "-F", "license", "nvidia"],
    ["modinfo", "-F", "filename", "nvidia"],
    ["dpkg-query", "-W", "-f", "${db:Status-Want} ${Package}\\n"],
    ["nvidia-smi", "--query-gpu=" + SMI_FIELDS, "--format=csv,noheader,nounits"],
    ["nvidia-smi", "topo", "-m"],
    [
        "/usr/lib/wsl/lib/nvidia-smi",
        "--query-gpu=" + WSL_FIELDS,
        "--format=csv,noheader,nounits",
    ],
    ["npu-smi", "info"],
    ["modinfo", "-F", "version", "cambricon_drv"],
    ["ldconfig", "-p"],
    ["/usr/bin/sw_vers", "-productVersion"],
    *(["/usr/sbin/sysctl", "-n", name] for name in SYSCTLS),
]

#: The very queries that survey asks; of the answers only the lines of the NVIDIA stack are kept.
PACKAGES = [
    [
        "dpkg-query", "-W", "-f",
        "${db:Status-Want}\\t${db:Status-Status}\\t${Package}\\t${Version}\\t${source:Package}\\t"
        "${Maintainer}\\n",
    ],
    ["rpm", "-qa", "--qf", "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{VENDOR}\\n"],
    # Not the query that follows it, whose errors name the operator's mirrors.
    ["dnf", "--cacheonly", "repoquery", "--available", "--queryformat", "dkms %{version}", "dkms"],
]  # fmt: skip
STACK = re.compile(
    "nvidia|cuda|cudnn|nvcuvid|nvsdm|nvlsm|dkms|datacenter-gpu-manager|linux-headers|linux-image|"
    "kernel[0-9.]*(-[0-9a-z-]+)?-devel|kernel-headers|lib\\S*-1[0-9]-[0-9]\\b|dnf-plugin-versionlock|infiniband-diags"
)


def read(path: str) -> str | None:
    try:
        with open(path, "rb") as stream:
            return stream.read(LIMIT_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return None


def run(argv: list[str], lines: re.Pattern[str] | None = None) -> dict[str, object]:
    """A command's answer; with ``lines``, those of its lines that match."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    out = done.stdout
    if lines is not None:
        out = "".join(line for line in out.splitlines(True) if lines.search(line))
    return {"rc": done.returncode, "out": out[:LIMIT_BYTES], "err": done.stderr[:2000]}


def stack_commands() -> dict[str, dict[str, object]]:
    """What the packages, the kernels' modules and the services of the NVIDIA stack are."""
    found = {" ".join(argv): run(argv, STACK) for argv in PACKAGES}
    told = re.compile("^(version|license):")
    for path in driver_modules():
        found["modinfo " + path] = run(["modinfo", path], told)
    units = [u for u in UNITS if any(os.path.exists(f"{f}/{u}.service") for f in UNIT_FOLDERS)]
    if units:
        asked = ["systemctl", "is-active", *units]
        found[" ".join(asked)] = run(asked)
    return found


def driver_modules() -> list[str]:
    """The driver's modules, of every kernel."""
    patterns = [f"/lib/modules/*/{folder}/nvidia*.ko*" for folder in MODULES]
    return sorted(p for pattern in patterns for p in glob.glob(pattern))


def present() -> list[str]:
    """Paths of which only that they are there counts."""
    units = [f"{folder}/{unit}.service" for folder in UNIT_FOLDERS for unit in UNITS]
    paths = [p for pattern in [*NODES, *units] for p in glob.glob(pattern)]
    return sorted({*paths, *driver_modules()})


def capture() -> dict[str, object]:
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    patterns = FILES + [f"/sys/bus/pci/devices/*/{name}" for name in PCI_FILES]
    for path in sorted(p for pattern in patterns for p in glob.glob(pattern)):
        text = read(path)
        if text is not None:
            # Init's environment may hold secrets; only its 'container=' entry is of interest.
            if path == "/proc/1/environ":
                text = "\0".join(e for e in text.split("\0") if e.startswith("container="))
            if "cudnn_version" in path:
                text = "\n".join(line for line in text.splitlines() if line.startswith("#define"))
            if "versionlock" in path:
                text = "".join(line for line in text.splitlines(True) if STACK.search(line))
            files[path] = text
    cpuinfo = read("/proc/cpuinfo") or ""
    files["/proc/cpuinfo"] = cpuinfo.split("\n\n")[0] + "\n"
    link_patterns = [f"/sys/bus/pci/devices/*/{name}" for name in PCI_LINKS] + LIBRARIES
    for path in sorted(p for pattern in link_patterns for p in glob.glob(pattern)):
        links[path] = os.path.basename(os.path.realpath(path))
    commands = {" ".join(argv): run(argv) for argv in COMMANDS}
    commands.update(stack_commands())
    commands["ldconfig -p"] = {
        key: "\n".join(s for s in str(value).splitlines() if "nvidia" in s or "cud" in s)
        if key == "out" else value
        for key, value in commands["ldconfig -p"].items()
    }  # fmt: skip
    return {
        "captured": datetime.date.today().isoformat(),
        "command": "python3 tools/capture_fixture.py",
        "origin": "captured",
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "uid": os.getuid(),
        "files": files,
        "links": links,
        "nodes": present(),
        "commands": commands,
    }


if __name__ == "__main__":
    json.dump(capture(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
