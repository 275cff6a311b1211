#!/bin/sh
# Runs inside the new image (chroot) and leaves a node in the middle of its life:
#
# - two kernels; the boot menu still names the older one;
# - Debian's own NVIDIA packages, their open module built for both kernels;
# - an initramfs of each kernel from before the driver: nouveau is in it, and nothing stops it.
#
# DKMS builds here, at the machine's own speed: under emulation it would take an hour.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# Kernels whose headers are to be had too: an archive keeps the images of those that it has replaced
# and drops the headers of most.
kernels() {
    apt-cache search --names-only '^linux-headers-[0-9.]+-[0-9]+-amd64$' |
        sed 's/^linux-headers-\([^ ]*\) .*/\1/' | sort -V
}
# The newer kernel is the point release's and the older one the security archive's, which the node
# does not have afterwards: it has newer kernels too, for which Debian 12's open module (535.261.03)
# does not compile, since pci_resize_resource() has one argument more there.
newer=$(kernels | tail -n 1)
cp /etc/apt/sources.list /root/sources.list
echo "deb $SECURITY_MIRROR bookworm-security main" >>/etc/apt/sources.list
apt-get update -q
older=$(kernels | sed "/^$newer\$/,\$d" | tail -n 1)
[ -n "$older" ] || { echo "no kernel older than $newer is to be had with headers" >&2; exit 1; }
apt-get install -qy --no-install-recommends \
    "linux-image-$older" "linux-headers-$older" "linux-image-$newer/bookworm" "linux-headers-$newer/bookworm"
cp /root/sources.list /etc/apt/sources.list

# What an update of the initramfs would do while the driver is installed does not happen, as
# after a power cut.
dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs
ln -s /bin/true /usr/sbin/update-initramfs
sed -i 's/ main$/ main contrib non-free non-free-firmware/' /etc/apt/sources.list
apt-get update -q
# shellcheck disable=SC2086 # a list of names
apt-get install -qy --no-install-recommends dkms linux-headers-amd64 $DRIVER_PACKAGES
mv /root/sources.list /etc/apt/sources.list
apt-get update -q
apt-get clean
rm /usr/sbin/update-initramfs
dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs

for release in "$older" "$newer"; do
    [ -n "$(find "/lib/modules/$release/updates" -name 'nvidia*.ko*')" ] || dkms autoinstall -k "$release"
done
dkms status

# From here on only what this machine needs, and quickly: emulation is some twenty times slower.
printf 'MODULES=dep\nCOMPRESSLEVEL=1\n' >/etc/initramfs-tools/conf.d/emulated

# The menu as it was before the newer kernel came; `update-grub` in the running node renews it.
mkdir -p /boot/grub
cp -r /usr/lib/grub/i386-pc /boot/grub/
cat >/boot/grub/grub.cfg <<MENU
serial --unit=0 --speed=115200
linux /boot/vmlinuz-$older root=LABEL=torchnode-vm ro console=ttyS0 net.ifnames=0
initrd /boot/initrd.img-$older
boot
MENU
# The boot loader lies on a disk of its own: installing it beside a file system needs a loop device.
printf 'search --no-floppy --label torchnode-vm --set root\nconfigfile /boot/grub/grub.cfg\n' >/tmp/first.cfg
grub-mkimage -O i386-pc -p /boot/grub -c /tmp/first.cfg -o /tmp/core.img \
    biosdisk ext2 search search_label configfile normal linux serial terminal
cat /usr/lib/grub/i386-pc/boot.img /tmp/core.img >/root/grub.img
truncate -s 1M /root/grub.img # whole sectors, or the firmware cannot read the last one

systemctl enable ssh.service systemd-networkd.service stand-in-gpu.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer
ssh-keygen -A
chmod 0700 /root/.ssh
chmod 0600 /root/.ssh/authorized_keys
echo node >/etc/hostname
echo nameserver 10.0.2.3 >/etc/resolv.conf
echo 'LABEL=torchnode-vm / ext4 defaults 0 1' >/etc/fstab
