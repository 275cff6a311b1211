"""The files of the system that torchnode writes for a driver: where they lie and what they say.

Their content depends on nothing, so that a node whose file differs is seen by its hash. Pure data.
"""

from __future__ import annotations

from typing import Tuple

PINS = "/etc/apt/preferences.d/torchnode-nvidia"
MODPROBE = "/etc/modprobe.d/torchnode-nvidia.conf"
DRACUT = "/etc/dracut.conf.d/torchnode-nvidia.conf"
PERSISTENCED = "/etc/systemd/system/nvidia-persistenced.service.d/torchnode.conf"
MODULES = "/etc/modules-load.d/torchnode-nvidia-fabric.conf"

#: What survey hashes where it is there.
PATHS = (PINS, MODPROBE, DRACUT, PERSISTENCED, MODULES)
#: What an initramfs has to be newer than.
INITRAMFS_SETTINGS = (MODPROBE, DRACUT)

#: Modules that claim GPUs before NVIDIA's driver can: nova_core has Turing to Ada on Ubuntu 26.04,
#: https://github.com/beclab/Olares/issues/3963, read 2026-11-22. The modules of a kernel that has
#: none of a name are not missed.
RIVALS = ("nouveau", "nova_core", "nova_drm")

_MODPROBE_TEXT = "# Written by torchnode: these claim GPUs before NVIDIA's driver can.\n" + "".join(
    "blacklist %s\ninstall %s /bin/false\n" % (name, name) for name in RIVALS
)

#: An image for any machine (as of cloud images, by dracut-config-generic) may hold every graphics
#: driver, and not what /etc/modprobe.d says: seen with dracut 059, --no-hostonly and its module
#: drm, 2026-11-23.
_DRACUT_TEXT = '# Written by torchnode: see %s.\nomit_drivers+=" %s "\n' % (
    MODPROBE,
    " ".join(RIVALS),
)

#: The daemon fails where it starts before the module: so it loads the module itself, and on a
#: machine without a GPU of NVIDIA's it is skipped instead of failed; in a container too, which sees
#: its host's GPUs and can load nothing. Ubuntu's unit has no [Install], is stopped as soon as no
#: other unit wants it, and starts the daemon with persistence off
#: (nvidia-compute-utils-flavour.nvidia-persistenced.service.in in
#: https://github.com/canonical/nvidia-graphics-drivers, read 2026-11-30); systemd takes [Install]
#: from a drop-in too. Not every virtual GPU lets persistence be set, hence the '-'.
_PERSISTENCED_TEXT = """\
# Written by torchnode: wait for the module; without a GPU or a kernel of its own be skipped; stay.
[Unit]
StopWhenUnneeded=no

[Service]
ExecCondition=/bin/sh -c '! systemd-detect-virt --quiet --container'
ExecCondition=/bin/sh -c 'grep -qsx 0x10de /sys/bus/pci/devices/*/vendor'
ExecStartPre=/sbin/modprobe nvidia
ExecStartPost=-/usr/bin/nvidia-smi --persistence-mode=1

[Install]
WantedBy=multi-user.target
"""


#: By these Fabric Manager reaches the switches of B200 and B300 boards: sources.FABRIC_BRIDGES.
BRIDGE_MODULES = ("mlx5_ib", "ib_umad")
_MODULES_TEXT = "\n".join(
    ["# Written by torchnode: Fabric Manager manages the NVSwitches by these.", *BRIDGE_MODULES, ""]
)


def driver_files(initramfs: str, bridged: bool = False) -> Tuple[Tuple[str, str], ...]:
    """(path, content) of the files beside a driver's packages; ``initramfs`` is the system's tool,
    'dracut' or 'initramfs-tools'. ``bridged``: its NVSwitches are managed through InfiniBand."""
    dracut = ((DRACUT, _DRACUT_TEXT),) if initramfs == "dracut" else ()
    modules = ((MODULES, _MODULES_TEXT),) if bridged else ()
    daemon = (PERSISTENCED, _PERSISTENCED_TEXT)
    return ((MODPROBE, _MODPROBE_TEXT), *dracut, daemon, *modules)
