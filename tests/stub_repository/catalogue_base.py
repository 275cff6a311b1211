"""The stubs of what Enterprise Linux itself (and EPEL) has, for a node that only looks like it.

Constructed, but for the names. The node is Debian with dnf and rpm: the real programs are Debian's,
and these packages say so to rpm. ``kernel-devel`` brings headers as the real one does, by
linking those of the Debian kernel that stands for the installed one.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from .stubs import Files, Stub, said

#: Of each system: the kernel that is installed on the node, and one that is newer.
KERNELS: Dict[str, Tuple[str, str]] = {
    "rhel9-base": ("5.14.0-570.12.1.el9_6", "5.14.0-570.58.1.el9_6"),
    "rhel10-base": ("6.12.0-55.9.1.el10_0", "6.12.0-55.40.1.el10_0"),
    "amzn2023-base": ("6.12.40-63.114.amzn2023", "6.12.46-66.121.amzn2023"),
}
#: What lets dnf keep several versions side by side; the real packages provide it.
SEVERAL = "installonlypkg(kernel)"
#: The node has Debian's compiler, without the plain name.
COMPILER = '#!/bin/sh\nexec g++-12 "$@"\n'


def catalogue(distro: str) -> List[Stub]:
    """Every stub of one of KERNELS. Amazon Linux has several kernels at a time, named apart."""
    tag = distro.replace("-base", "").replace("rhel", "el")
    found = [
        Stub("gcc-c++", "11.5.0-5." + tag, files=(("/usr/bin/g++", COMPILER),)),
        Stub("bash", "5.1.8-9." + tag, provides=("/bin/sh",)),
        Stub("infiniband-diags", "51.0-1." + tag),
        Stub("dkms", "3.2.1-1." + tag, architecture="noarch"),
        Stub(
            "python3-dnf-plugin-versionlock",
            "4.3.0-20." + tag,
            architecture="noarch",
            scripts=(("post", plugin("away", "here")), ("preun", plugin("here", "away"))),
        ),
    ]
    amazon = distro == "amzn2023-base"
    kernel = "kernel6.12" if amazon else "kernel"
    core = kernel if amazon else kernel + "-core"
    for release in KERNELS[distro]:
        found += [
            Stub(
                core,
                release,
                provides=("kernel = " + release, SEVERAL),
                scripts=() if release == KERNELS[distro][0] else newer_kernel(release),
            ),
            Stub(
                kernel + "-devel",
                release,
                provides=(SEVERAL,),
                scripts=linked_headers(release),
            ),
            Stub(
                kernel + "-modules",
                release,
                provides=(SEVERAL,),
                scripts=(("post", infiniband(release)),),
            ),
            Stub(kernel + "-devel-matched", release, (kernel + "-devel = " + release,)),
            Stub("kernel-headers", release),
        ]
    return found


def newer_kernel(release: str) -> Files:
    """What makes a kernel of the installed one under another name: modules, image, initramfs; and
    what dkms has kernels do when they are installed."""
    come = """
        old=$(ls /lib/modules | head -n 1)
        new={release}.$(uname -m)
        cp -a /lib/modules/$old /lib/modules/$new
        cd /lib/modules/$new
        rm -rf build source updates extra
        ln -s /usr/src/kernels/$new build
        cp /boot/vmlinuz-$old /boot/vmlinuz-$new
        depmod $new
        dracut --quiet --force /boot/initramfs-$new.img $new
    """
    built = "dkms autoinstall -k {release}.$(uname -m)\n"
    go = """
        new={release}.$(uname -m)
        dkms remove --all -k $new >/dev/null 2>&1 || :
        rm -rf /lib/modules/$new /boot/*$new*
    """
    return (
        ("post", said(come).format(release=release)),
        ("posttrans", built.format(release=release)),
        ("postun", said(go).format(release=release)),
    )


def plugin(source: str, target: str) -> str:
    """A script that brings Debian's plugin from where the node put it away, or puts it away."""
    text = """
        here=/usr/lib/python3/dist-packages/dnf-plugins/versionlock.py
        away=/opt/debian/versionlock.py
        [ ! -e ${source} ] || mv ${source} ${target}
    """
    return said(text).replace("{source}", source).replace("{target}", target)


def infiniband(release: str) -> str:
    """A script that gives the kernel a file where ib_umad would be."""
    text = """
        modules=/lib/modules/{release}.$(uname -m)
        if [ -d $modules ]; then
            mkdir -p $modules/kernel/drivers/infiniband/core
            touch $modules/kernel/drivers/infiniband/core/ib_umad.ko
        fi
    """
    return said(text).format(release=release)


def linked_headers(release: str) -> Files:
    """The machine's own headers under the kernel's name, also where they come before the kernel."""
    come = """
        release={release}.$(uname -m)
        headers=$(ls -d /usr/src/linux-headers-*-cloud-a*64 | tail -n 1)
        mkdir -p /usr/src/kernels
        ln -sfn $headers /usr/src/kernels/$release
        [ ! -d /lib/modules/$release ] || ln -sfn $headers /lib/modules/$release/build
    """
    go = """
        rm -f /usr/src/kernels/{release}.$(uname -m)
        rmdir /usr/src/kernels 2>/dev/null || :
    """
    return (
        ("post", said(come).format(release=release)),
        ("postun", said(go).format(release=release)),
    )
