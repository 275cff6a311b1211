"""What a node is like, line by line, so that two nodes can be compared.

Packages with version and state, what was installed for others only, holds, files of packages that
are not as their package brought them, and every file, link and folder below ``PLACES`` with the
digest of its content. ``DIFFERS`` names what is left out, and why.
"""

from __future__ import annotations

import difflib

from .node import Node

#: What a converge of the driver may touch.
PLACES = (
    "/etc /boot /opt /root /usr/local /usr/lib/modules /usr/lib/systemd /var/lib/dkms "
    "/var/lib/dpkg/updates /var/lib/dpkg/triggers /var/lib/initramfs-tools"
)

#: (regular expression of a path, why its content differs between any two nodes or runs).
DIFFERS = (
    ("/etc/(hostname|hosts|resolv.conf|machine-id|mtab)", "the container's own"),
    ("/etc/ssh/ssh_host_.*", "made for each node at its start"),
    ("/etc/[^/]*-", "the copy before the last change, which passwd and group keep"),
    ("/etc/ld.so.cache", "rewritten by any package with a library"),
    ("/root/.ssh(/.*)?", "the way in"),
    ("/root/.ansible(/tmp(/.*)?)?", "Ansible's own; it never clears away what a cut off copy left"),
    ("/var/lib/dkms/mok[.](key|pub)", "the node's own, with which DKMS signs"),
    (".*/nvidia[.]ko", "signed with that key; what modinfo says of it is compared"),
    ("/var/lib/dkms/.*/log/make.log", "holds times of a build"),
    ("/boot/initrd.img-.*", "an archive with times in it; the names in it are compared"),
    ("/etc/ansible/facts.d/torchnode.fact", "names the run and the time"),
    ("/opt/torchnode/lock.json", "names the run"),
    ("/opt/torchnode/record.json", "what a run has found; one that is cut short may write none"),
    ("/opt/torchnode/manifest.json", "in the order of the runs; its entries are compared"),
    ("/opt/torchnode/packages/.*.json", "compared line by line"),
    ("/tmp/apt-dpkg-install-.*", "links of apt's, which a killed apt leaves; gone after a boot"),
)

_SCRIPT = r"""
set -eu
export LC_ALL=C
dpkg-query -W -f='package ${Package} ${Version} ${db:Status-Abbrev}\n'
apt-mark showauto | sort | sed 's/^/auto /'
apt-mark showhold | sort | sed 's/^/hold /'
dpkg --audit | sed 's/^/audit /'
dpkg --verify | sed 's/^/verify /'
systemctl list-unit-files --no-legend --no-pager | grep -v transient |
    awk '{print "unit", $1, $2}' | sort

differs='%(differs)s'
find %(places)s -xdev -mindepth 1 -printf '%%y %%m %%u %%p %%l\n' |
    grep -Ev "^[a-z] [0-7]+ [^ ]+ ($differs) " | sort -k4
find %(places)s -xdev -type f -print0 | grep -zEv "^($differs)\$" | sort -z | xargs -0 sha256sum
find /tmp /var/tmp -xdev -mindepth 1 -not -path '*systemd*' | grep -Ev "^($differs)\$" | sort |
    sed 's/^/left /'

find /usr/lib/modules /var/lib/dkms -name 'nvidia.ko*' | sort | while read -r module; do
    modinfo --field version --field vermagic "$module" | sed "s|^|module $module |"
done
for image in /boot/initrd.img-*; do
    lsinitramfs "$image" | sort | sed "s|^|in $image |"
done
python3 - <<'END'
import json
with open("/opt/torchnode/manifest.json") as stream:
    created = json.load(stream)["created"]
print("\n".join(sorted("manifest %%(kind)s %%(path)s" %% entry for entry in created)))
END
cd /opt/torchnode/packages
grep -H . *.json
"""


def snapshot(node: Node) -> list[str]:
    """The node's lines. Raises RuntimeError where one of its programs fails."""
    differs = "|".join(pattern for pattern, _ in DIFFERS)
    return node.sh(_SCRIPT % {"places": PLACES, "differs": differs}).splitlines()


def differences(expected: list[str], found: list[str]) -> list[str]:
    """Lines of one node only: '-' is missing from the second, '+' is there in excess."""
    lines = difflib.unified_diff(expected, found, lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]
