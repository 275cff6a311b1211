# What a machine is like, one line each: packages with version and hold, which of them came for others
# only, and every file, link and folder in /etc, with what is in it.
set -eu
LC_ALL=C
export LC_ALL
if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f='package ${Package} ${Version} ${db:Status-Abbrev}\n'
    apt-mark showauto | sed 's/^/auto /'
else
    rpm -qa --queryformat 'package %{NAME} %{EVR}\n' | sort
    dnf -q --cacheonly repoquery --userinstalled --queryformat 'chosen %{name}' | sort
fi
cd /etc
# Any package's installation rewrites the first of these. A package leaves its system user behind
# when it is purged, as Debian's policy says: users are listed by name, and nvpd is not.
find . | sort | grep -Ev '^\./(ld\.so\.cache|mtab|resolv\.conf|(passwd|group|shadow|gshadow)-?)$' |
    while read -r path; do
        case $path in # dnf keeps a file for a module that has no stream any more
            ./dnf/modules.d/*) grep -q '^stream=.' "$path" || continue ;;
        esac
        if [ -L "$path" ]; then
            echo "etc $path -> $(readlink "$path")"
        elif [ -f "$path" ]; then
            echo "etc $path $(sha256sum <"$path" | cut -c1-16) $(stat -c '%a %U' "$path")"
        else
            echo "etc $path/ $(stat -c '%a %U' "$path")"
        fi
    done
for file in passwd group; do
    cut -d: -f1 "$file" | sort | grep -v '^nvpd$' | sed "s/^/$file /"
done
ls -d /lib/modules/* /lib/modules/*/updates /usr/src/* /opt/* /usr/local/cuda* 2>/dev/null | sed 's/^/folder /'
for image in /boot/initrd.img-* /boot/initramfs-*.img; do
    [ -e "$image" ] || continue
    if command -v lsinitramfs >/dev/null; then lsinitramfs "$image"; else lsinitrd "$image"; fi |
        grep -o 'etc/modprobe.d/.*' | sed "s|^|initramfs ${image##*/} |" || true
done
