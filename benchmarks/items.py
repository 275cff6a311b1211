"""What survey reads of a node, one shell command for each item.

pyinfra asks each as a fact, Ansible as a task: the same questions, put the other tools' way.
Where survey reads one file for each device, one command here reads them all.
"""

from __future__ import annotations

# Sizes against RECORD, as survey compares them: no other tool has this as one fact.
_RECORDED_SIZES = """
import csv, glob, os
for record in glob.glob("{prefix}/current/lib/python3.*/site-packages/*.dist-info/RECORD"):
    site = os.path.dirname(os.path.dirname(record))
    for name, _, size in csv.reader(open(record, encoding="utf-8")):
        if size and os.stat(os.path.join(site, name)).st_size != int(size):
            print(name)
"""
_PCI = "/sys/bus/pci/devices/*"
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_MARK = "for p in %s; do [ -e $p ] && printf '%%s ' $p && cat $p; done; true"


def items(prefix: str) -> dict[str, str]:
    """Name to POSIX shell command, for a node whose stack lies below ``prefix``; all exit 0."""
    python = f"{prefix}/current/bin/python"
    return {
        "kernel": "uname -srm",
        "distribution": "cat /etc/os-release",
        "processor": "cat /proc/cpuinfo",
        "memory": "cat /proc/meminfo",
        "secure boot": f"od -An -tu1 {_SECURE_BOOT} 2>/dev/null || true",
        "hypervisor": "cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name || true",
        "container": "cat /run/systemd/container || true",
        "boot id": "cat /proc/sys/kernel/random/boot_id",
        "blocking modules": "ls -d /sys/module/nouveau /sys/module/nova_core || true",
        "user": "id",
        "home": "getent passwd $(id -u)",
        "PCI ids": f"grep -H . {_PCI}/vendor {_PCI}/device {_PCI}/class || true",
        "PCI links": f"grep -H . {_PCI}/*_link_speed {_PCI}/*_link_width || true",
        "NUMA nodes": f"grep -H . {_PCI}/numa_node || true",
        "PCI drivers": f"readlink {_PCI}/driver {_PCI}/physfn || true",
        "driver in the kernel": "cat /proc/driver/nvidia/version || true",
        "driver's module": "cat /sys/module/nvidia/version || true",
        "driver on disk": "modinfo -F version nvidia || true",
        "driver's licence": "modinfo -F license nvidia || true",
        "driver's library": "ls /usr/lib/*-linux-gnu/libnvidia-ml.so.* || true",
        "device nodes": "ls /dev/nvidia* || true",
        "Pythons": "for p in /usr/bin/python3*; do $p -V; done; true",
        "toolkits": _MARK % "/usr/local/cuda-*/version.json",
        "cuDNN": _MARK % "/usr/include/cudnn_version*.h",
        "held packages": "dpkg-query -W -f '${db:Status-Want} ${Package}\\n' | grep ^hold || true",
        "current stack": f"readlink {prefix}/current",
        "stack's marker": f"cat {prefix}/current/torchnode.json",
        "stack's Python": f"{python} -V",
        "stack's torch": f"cat {prefix}/current/lib/python3.*/site-packages/torch/version.py",
        "stack's packages": f"ls -d {prefix}/current/lib/python3.*/site-packages/*.dist-info",
        "stack's files": f"{python} -I -S -c '{_RECORDED_SIZES.format(prefix=prefix)}'",
        "stacks": f"ls {prefix}/stacks",
        "users of devices": "ls -l /proc/[0-9]*/fd 2>/dev/null | grep /dev/nvidia || true",
        "free disk": f"df -Pk {prefix}",
        "last record": f"cat {prefix}/record.json",
    }


def items_with_driver(prefix: str) -> dict[str, str]:
    """The same for a node with NVIDIA's driver and without a stack, as the `driver` row has it."""
    stack = ("stack", "current", "last record")
    plain = {name: command for name, command in items(prefix).items() if not name.startswith(stack)}
    form = (
        "${db:Status-Abbrev} ${Package} ${Version} ${Architecture} ${source:Package} ${Maintainer}"
    )
    return {
        **plain,
        "free disk": "df -Pk / /boot /var /usr /opt",
        "packages": f"dpkg-query -W -f '{form}\\n'",
        "sources": "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true",
        "kernels": "ls /lib/modules",
        "images": "ls /boot/vmlinuz-*",
        "headers": "ls -d /lib/modules/*/build",
        "a module for each kernel": "for k in $(ls /lib/modules); do "
        "modinfo -k $k nvidia-current || true; done",
        "initramfs": "stat -c '%Y %n' /boot/initrd.img-*",
        "modprobe": "cat /etc/modprobe.d/*nvidia* 2>/dev/null || true",
        "another origin": "ls /usr/bin/nvidia-uninstall || true",
        "services": "systemctl is-active nvidia-persistenced nvidia-fabricmanager || true",
    }
