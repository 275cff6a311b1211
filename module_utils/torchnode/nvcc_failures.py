"""What a compiler, a linker or a loader said, as a cause and a next step. Pure."""

from __future__ import annotations

import re
from typing import Tuple

#: (what it says, the cause, what to do), the first that matches counts.
_KNOWN: Tuple[Tuple[str, str, str], ...] = (
    (
        r"unsupported GNU version|unsupported clang version",
        "The system's C++ compiler is newer than this nvcc knows.",
        "Install an older one that this toolkit supports (on Debian and Ubuntu `g++-12` and the "
        "like) and name it by NVCC_PREPEND_FLAGS='-ccbin g++-12', or ask for a newer toolkit in "
        "torchnode_cuda_toolkits.",
    ),
    (
        r"(gcc|g\+\+|cc1plus|host compiler).*(No such file|not found|Failed to)"
        r"|Failed to preprocess host compiler|Cannot find compiler",
        "nvcc hands the host's part of a program to the system's C++ compiler, and there is none.",
        "Install it: `apt-get install g++` or `dnf install gcc-c++`.",
    ),
    (
        r"cudnn\w*\.h: No such file",
        "The compiler does not find cuDNN's headers.",
        "Look whether its development files are there: libcudnn9-dev-cuda-<major> of a repository, "
        "or the folder cudnn/current under torchnode_prefix.",
    ),
    (
        r"cannot find -lcudnn",
        "The linker does not find cuDNN's library.",
        "Look whether its development files are there: libcudnn9-dev-cuda-<major> of a repository, "
        "or the folder cudnn/current under torchnode_prefix.",
    ),
    (
        r"error while loading shared libraries|undefined symbol|cannot open shared object",
        "The program was built, and the loader does not find a library that it needs.",
        "Reinstall the package of the library that is named.",
    ),
    (
        r"No space left on device",
        "The file system of the temporary folder is full.",
        "Free space there and run again.",
    ),
    (
        r"did not answer within",
        "It ran into its time limit.",
        "Look at the machine's load and its disks, and run again.",
    ),
    (
        r"Permission denied",
        "The temporary folder does not let programs run, or a file may not be read.",
        "Point TMPDIR at a folder that is not mounted noexec, or mend the file's permissions.",
    ),
)
_LAST_LINES = 6


def explain(said: str) -> Tuple[str, str]:
    """(cause, remedy) of what was said; for words that are not known, where to go on."""
    for pattern, cause, remedy in _KNOWN:
        if re.search(pattern, said):
            return cause, remedy
    return (
        "The toolkit is installed, and does not do its work.",
        "Read what it said; reinstalling the package of the file that is named often mends it.",
    )


def gist(said: str) -> str:
    """The line with the error and what follows it, or the end of what was said; one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    at = next((n for n, line in enumerate(lines) if re.search(r"(?i)\b(error|fatal)\b", line)), -1)
    kept = lines[at : at + _LAST_LINES] if at >= 0 else lines[-_LAST_LINES:]
    return " | ".join(kept) or "nothing was said"
