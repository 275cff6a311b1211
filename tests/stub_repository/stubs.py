"""What a hollow package is made of, and the contents that several of them share."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Tuple

Files = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Stub:
    """A hollow package; relations are in the words of its own packaging format.

    ``version`` is whole, such as '580.95.05-0ubuntu1' or '3:580.95.05-1.el9'. ``files`` are (path,
    text); those below a ``bin`` folder are executable. ``scripts`` are (maintainer script, text).
    ``stream`` is the dnf module stream that the package belongs to.
    """

    name: str
    version: str
    depends: Tuple[str, ...] = ()
    provides: Tuple[str, ...] = ()
    conflicts: Tuple[str, ...] = ()
    replaces: Tuple[str, ...] = ()
    architecture: str = ""  # '' is the repository's own
    source: str = ""
    files: Files = ()
    scripts: Files = ()
    stream: str = ""


def said(text: str) -> str:
    """A text as it stands in the source, without its indentation."""
    return textwrap.dedent(text).lstrip("\n")


def program(message: str, status: int = 1) -> str:
    """A program that says one line on standard error and ends, as the real one without hardware."""
    return "#!/bin/sh\necho '%s' >&2\nexit %d\n" % (message, status)


def nvidia_smi() -> Files:
    """nvidia-smi as it is where no module is loaded (exit status 9)."""
    message = "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."
    return (("/usr/bin/nvidia-smi", program(message, 9)),)


def service(name: str, command: str) -> Files:
    """A unit and its program, which fails as it does without a device."""
    unit = """
        [Unit]
        Description=Stand-in for {name}
        [Service]
        Type=oneshot
        ExecStart=/usr/bin/{command}
        [Install]
        WantedBy=multi-user.target
    """
    return (
        ("/usr/bin/" + command, program(command + ": no NVIDIA device was found")),
        (
            "/lib/systemd/system/%s.service" % name,
            said(unit).format(name=name, command=command),
        ),
    )


def ubuntus_persistenced() -> Files:
    """The daemon with Ubuntu's unit: nothing enables it, and it stops when no unit wants it."""
    unit = """
        [Unit]
        Description=Stand-in for nvidia-persistenced
        StopWhenUnneeded=true
        [Service]
        Type=oneshot
        ExecStart=/usr/bin/nvidia-persistenced --no-persistence-mode
    """
    program_file, (path, _) = service("nvidia-persistenced", "nvidia-persistenced")
    return (program_file, (path, said(unit)))


def dkms_source(version: str, licence: str) -> Files:
    """A DKMS source tree of a trivial module named nvidia, which modinfo tells apart by licence.

    The real modules say 'Dual MIT/GPL' (open) and 'NVIDIA' (proprietary).
    """
    folder = "/usr/src/nvidia-%s/" % version
    module = """
        #include <linux/module.h>
        static int __init stand_in_init(void) { return -ENODEV; }
        module_init(stand_in_init);
        MODULE_DESCRIPTION("Stand-in for tests; it drives nothing");
        MODULE_LICENSE("%s");
        MODULE_VERSION("%s");
    """
    settings = """
        PACKAGE_NAME="nvidia"
        PACKAGE_VERSION="%s"
        BUILT_MODULE_NAME[0]="nvidia"
        DEST_MODULE_LOCATION[0]="/updates/dkms"
        MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/$module/$module_version/build modules"
        CLEAN="true"
        AUTOINSTALL="yes"
    """
    return (
        (folder + "dkms.conf", said(settings) % version),
        (folder + "Makefile", "obj-m := nvidia.o\n"),
        (folder + "nvidia.c", said(module) % (licence, version)),
    )


OPEN, PROPRIETARY = "Dual MIT/GPL", "NVIDIA"


def compiler(cuda: str, version: str) -> Files:
    """nvcc: it says its version, and hands a program and the runtime's source to the host's g++."""
    text = """
        #!/bin/sh
        here=/usr/local/cuda-{cuda}
        if [ "$1" = --version ]; then
            echo 'nvcc: NVIDIA (R) Cuda compiler driver'
            echo 'Cuda compilation tools, release {cuda}, V{version}'
            exit 0
        fi
        words=
        while [ $# -gt 0 ]; do
            case "$1" in
                -cudart) shift ;;
                -Xlinker) shift; words="$words -Wl,$1" ;;
                *) words="$words $1" ;;
            esac
            shift
        done
        exec g++ -x c++ -I$here/include $here/include/stand_in_runtime.cpp $words
    """
    program_text = said(text).format(cuda=cuda, version=version)
    return (("/usr/local/cuda-%s/bin/nvcc" % cuda, program_text),)


def runtime(cuda: str) -> Files:
    """The runtime's header, and the source of the one function that answers without a GPU."""
    number = "%d%02d0" % tuple(int(part) for part in cuda.split("."))
    header = """
        #define CUDART_VERSION {number}
        #define __global__ static
        static struct {{ int x; }} threadIdx;
        extern "C" int cudaRuntimeGetVersion(int *);
    """
    source = """
        extern "C" int cudaRuntimeGetVersion(int *version) {{ return *version = {number}, 0; }}
    """
    folder = "/usr/local/cuda-%s/include/" % cuda
    return (
        (folder + "cuda_runtime_api.h", said(header).format(number=number)),
        (folder + "stand_in_runtime.cpp", said(source).format(number=number)),
    )


def cudnn_header(version: str, cuda_major: str) -> Files:
    """cudnn.h, which answers for its library: '9.12.0.46-1' is 91200."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    text = """
        #include <cstddef>
        #define CUDNN_VERSION {number}
        static inline size_t cudnnGetVersion() {{ return CUDNN_VERSION; }}
        static inline size_t cudnnGetCudartVersion() {{ return {cuda}000; }}
    """
    number = 10000 * major + 100 * minor + patch
    return (("/usr/include/cudnn.h", said(text).format(number=number, cuda=cuda_major)),)


def cudnn_library() -> Files:
    """What the linker finds as -lcudnn; it holds nothing."""
    return (("/usr/lib/libcudnn.so", "/* GNU ld script, a stand-in */\nINPUT ( -lc )\n"),)
