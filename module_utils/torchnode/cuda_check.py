"""Whether CUDA toolkits and cuDNN serve a compiler: programs that are compiled, linked and run.

Neither program needs a GPU or a driver: both only ask libraries for their versions. What a header
says is compared with what the library answers, and both with what the inventory asks for.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from typing import Any, List, Mapping, Sequence, Tuple

from . import cudnn_wheel, toolkit_wheel
from .data.compatibility import version_key
from .data.profiles import PROFILES
from .model import Stack, from_data
from .node import Completed, Node
from .nvcc_failures import explain, gist
from .outcome import Outcome, Result
from .package_model import HostPlan
from .requirements.versions import cudnn_version

#: nvcc took 2 s on a desktop; a node under load, with its toolkit on a network disk, takes longer.
COMPILE_SECONDS = 300.0

# The kernel makes nvcc translate for a GPU, and the device's linker work. Runtimes before CUDA 12
# tell their version only where there is a device (11.8 on a machine without ends with error 100);
# there the name of the library's file tells it.
_TOOLKIT_PROGRAM = """\
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
__global__ void fill(int *out) { out[threadIdx.x] = 1; }
int main() {
  int runtime = 0;
  cudaRuntimeGetVersion(&runtime);
  Dl_info at;
  const char *file = dladdr((void *)cudaRuntimeGetVersion, &at) ? at.dli_fname : "";
  char *real = realpath(file, nullptr);
  std::printf("header %d library %d file %s\\n", CUDART_VERSION, runtime, real ? real : file);
}
"""
_CUDNN_PROGRAM = """\
#include <cstdio>
#include <cudnn.h>
int main() {
  std::printf("header %d library %zu cuda %zu\\n",
              (int)CUDNN_VERSION, cudnnGetVersion(), cudnnGetCudartVersion());
}
"""


@dataclass(eq=False)  # not frozen: a context manager that it leaves notes its traceback
class Failure(Exception):
    """A check that did not hold: what was seen, its cause and the next step."""

    observed: str
    cause: str
    remedy: str


def check(node: Node, given: Mapping[str, Any]) -> List[Outcome]:
    """The outcomes that the options of the module ``cuda_check`` ask for."""
    stack = from_data(Stack, given["stack"]) if given["stack"] else None
    prefix = stack.prefix if stack else ""
    outcomes = [toolkits(node, given["toolkits"], prefix)] if given["toolkits"] else []
    if given["cudnn"] and stack:
        outcomes.append(cudnn(node, cudnn_wish(stack, given["cudnn"])))
    return outcomes


# ---- the toolkit -------------------------------------------------------------------------------


def toolkits(node: Node, versions: Sequence[str], prefix: str = "") -> Outcome:
    """Compile and run with the toolkit of each version ('12.8'); never raises for what fails.

    ``prefix`` has those that came from wheels, '' for none.
    """
    expected = "nvcc compiles, links and runs a program with CUDA %s" % ", ".join(versions)
    try:
        said = [_toolkit(node, version, prefix) for version in versions]
    except Failure as failure:
        return _failed("apply.cuda_toolkit", failure, expected)
    return _passed("apply.cuda_toolkit", "; ".join(said), expected)


def find_nvcc(node: Node, version: str, prefix: str = "") -> str:
    """The nvcc of this version: the versioned folder's, that of wheels, else the system's own.

    Raises Failure.
    """
    folder = "/usr/local/cuda-%s/bin/nvcc" % version
    unpacked = ["%s/%s/bin/nvcc" % (toolkit_wheel.base(prefix), version)] if prefix else []
    paths = [path for path in (folder, *unpacked, "/usr/bin/nvcc") if node.exists(path)]
    releases = [(path, _release(node, path)) for path in paths]
    for path, release in releases:
        if release == version:
            return path
    found = ", ".join("%s of CUDA %s" % (path, said or "unknown") for path, said in releases)
    raise Failure(
        found or "no nvcc at %s or /usr/bin/nvcc" % folder,
        "The toolkit of CUDA %s has no compiler here." % version,
        "Reinstall the package that brings it (cuda-nvcc-%s, or the distribution's "
        "nvidia-cuda-toolkit)." % version.replace(".", "-"),
    )


def _release(node: Node, nvcc: str) -> str:
    """'12.8' of what `nvcc --version` says: 'Cuda compilation tools, release 12.8, V12.8.93'."""
    told = re.search(r"release (\d+\.\d+)", node.run([nvcc, "--version"]).out)
    return told.group(1) if told else ""


def _toolkit(node: Node, version: str, prefix: str) -> str:
    nvcc = find_nvcc(node, version, prefix)
    what = "CUDA %s" % version
    # One in a folder of its own has its libraries there, where no loader looks.
    own = [] if nvcc.startswith("/usr/bin/") else _rpath(nvcc.replace("/bin/nvcc", "/lib64"))
    options = ["-cudart", "shared", *own]
    out = _build_and_run(node, what, nvcc, _TOOLKIT_PROGRAM, options)
    header, told = _numbers(what, out, r"header (\d+) library (\d+)")
    library = toolkit_version(told) if told else _file_version(out)
    if toolkit_version(header) != library:
        raise _differ(what, toolkit_version(header), library or "of unknown version")
    if library != version:
        raise Failure(
            "%s compiles against CUDA %s" % (nvcc, library),
            "Headers of another toolkit are found first.",
            "Look for CPATH, CPLUS_INCLUDE_PATH and NVCC_PREPEND_FLAGS in the environment, and for "
            "headers in /usr/local/include.",
        )
    return "%s: %s, header and runtime %s" % (what, nvcc, library)


def _rpath(folder: str) -> List[str]:
    return ["-Xlinker", "-rpath", "-Xlinker", folder]


def _file_version(out: str) -> str:
    """'11.8' of '... file /usr/lib/x86_64-linux-gnu/libcudart.so.11.8.89', '' for other names."""
    told = re.search(r"libcudart\.so\.(\d+\.\d+)\.", out)
    return told.group(1) if told else ""


def toolkit_version(number: int) -> str:
    """CUDART_VERSION is 1000 * major + 10 * minor: 12080 is '12.8'."""
    return "%d.%d" % (number // 1000, number % 1000 // 10)


# ---- cuDNN -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CudnnWish:
    """The cuDNN to compile against.

    ``version`` is as much of it as the inventory gives ('9', '9.10.2'), ``majors`` the CUDA majors
    that it must be there for, ``minimum`` the floor. ``folder`` holds ``cu<major>/include`` and
    ``cu<major>/lib``, '' where the compiler finds cuDNN by itself. ``toolkits`` holds the toolkits
    that came from wheels.
    """

    version: str
    majors: Tuple[int, ...]
    minimum: str
    folder: str = ""
    toolkits: str = ""


def cudnn_wish(stack: Stack, version: str) -> CudnnWish:
    """What the resolved stack says about cuDNN: from wheels, or from packages named for a CUDA."""
    host, minimum = stack.host or HostPlan(""), PROFILES[stack.profile].cudnn
    toolkits = toolkit_wheel.base(stack.prefix)
    if host.cudnn_wheels:
        majors = tuple(wheel.cuda for wheel in host.cudnn_wheels)
        return CudnnWish(version, majors, minimum, cudnn_wheel.base(stack.prefix), toolkits)
    names = " ".join(name for wish in host.wishes for name in wish.packages if "cudnn" in name)
    majors = tuple(sorted({int(major) for major in re.findall(r"-cuda-(\d+)", names)}))
    return CudnnWish(version, majors, minimum, "", toolkits)


def cudnn(node: Node, wish: CudnnWish) -> Outcome:
    """Compile against cuDNN and ask it for its version; never raises for what fails."""
    expected = "cuDNN %s for CUDA %s, at least %s, found by the compiler" % (
        wish.version, " and ".join(map(str, wish.majors)), wish.minimum,
    )  # fmt: skip
    try:
        said = [_cudnn(node, wish, major) for major in wish.majors]
    except Failure as failure:
        return _failed("apply.cudnn", failure, expected)
    return _passed("apply.cudnn", "; ".join(said), expected)


def _cudnn(node: Node, wish: CudnnWish, major: int) -> str:
    compiler = _nvcc_of_major(node, major, wish.toolkits)
    out = _build_and_run(node, "cuDNN", compiler, _CUDNN_PROGRAM, _options(wish, major))
    header, found, cuda = _numbers("cuDNN", out, r"header (\d+) library (\d+) cuda (\d+)")
    if header != found:
        raise _differ("cuDNN", cudnn_version(header), cudnn_version(found))
    _judge(cudnn_version(found), cuda // 1000, wish, major)
    return "cuDNN %s for CUDA %s, header and library agree (%s)" % (
        cudnn_version(found), toolkit_version(cuda), compiler,
    )  # fmt: skip


def _options(wish: CudnnWish, major: int) -> List[str]:
    if not wish.folder:
        return ["-lcudnn"]
    base = "%s/cu%d" % (wish.folder, major)
    found = ["-I%s/include" % base, "-L%s/lib" % base]
    return [*found, "-lcudnn", *_rpath(base + "/lib")]


def _nvcc_of_major(node: Node, major: int, toolkits: str) -> str:
    """The newest nvcc of this CUDA major: cuDNN's headers include CUDA's. Raises Failure."""
    folders = ("/usr/local/cuda-%d.*" % major, "%s/%d.*" % (toolkits, major))
    paths = [path for folder in folders for path in reversed(node.glob(folder + "/bin/nvcc"))]
    paths.append("/usr/bin/nvcc")
    there = [path for path in paths if node.exists(path)]
    for path in sorted(there, key=lambda path: version_key(_folder_version(path)), reverse=True):
        if _release(node, path).partition(".")[0] == str(major):
            return path
    raise Failure(
        "no nvcc of CUDA %d" % major,
        "cuDNN's headers include CUDA's, so that nothing compiles against it without a toolkit.",
        "Name a toolkit of CUDA %d in torchnode_cuda_toolkits." % major,
    )


def _folder_version(path: str) -> str:
    told = re.search(r"/cuda[-/](\d+\.\d+)/", path)
    return told.group(1) if told else "0"


def _judge(found: str, cuda: int, wish: CudnnWish, major: int) -> None:
    """Compare with the wish, its CUDA and the floor. Raises Failure."""
    if cuda != major:
        raise Failure(
            "cuDNN %s, built for CUDA %d" % (found, cuda),
            "This cuDNN is of another CUDA than the toolkits.",
            "Remove the cuDNN of the other CUDA, or install a toolkit of CUDA %d." % cuda,
        )
    if version_key(found) < version_key(wish.minimum):
        raise Failure(
            "cuDNN %s" % found, "It is older than the oldest that is supported, %s." % wish.minimum,
            "Set torchnode_cudnn to a newer one, such as '9'.",
        )  # fmt: skip
    parts = wish.version.split(".")[:3]
    if found.split(".")[: len(parts)] != parts:
        raise Failure(
            "cuDNN %s" % found, "The compiler finds another cuDNN first.",
            "Look for a cudnn.h in /usr/local/include and in CPATH's folders, and take it out.",
        )  # fmt: skip


# ---- building and running ----------------------------------------------------------------------


def _build_and_run(
    node: Node, what: str, nvcc: str, program: str, options: Sequence[str] = ()
) -> str:
    """What the program printed. Raises Failure where it is not built or does not run."""
    with tempfile.TemporaryDirectory(prefix="torchnode-") as folder:
        source, binary = folder + "/check.cu", folder + "/check"
        with open(source, "w", encoding="utf-8") as stream:
            stream.write(program)
        _demand(node.run([nvcc, "-o", binary, source, *options]), "%s: %s" % (what, nvcc))
        done = node.run([binary])
        _demand(done, "%s: the program" % what)
        return done.out


def _demand(done: Completed, what: str) -> None:
    if done.rc != 0:
        said = "%s\n%s" % (done.err, done.out)
        raise Failure("%s ended with %d: %s" % (what, done.rc, gist(said)), *explain(said))


def _numbers(what: str, out: str, pattern: str) -> List[int]:
    told = re.search(pattern, out)
    if told:
        return [int(number) for number in told.groups()]
    raise Failure(
        "%s: the program printed %r" % (what, out.strip()[:200]),
        "The program ran, and did not say what it was built to say.",
        "Look for a library that LD_PRELOAD or LD_LIBRARY_PATH puts in front.",
    )


def _differ(what: str, header: str, library: str) -> Failure:
    return Failure(
        "%s: header %s, library %s" % (what, header, library),
        "Headers and library come from two installations.",
        "Find the second one (`ldconfig -p`, CPATH, LIBRARY_PATH, LD_LIBRARY_PATH) and take out "
        "the one that torchnode did not bring.",
    )


# ---- outcomes ----------------------------------------------------------------------------------


def _passed(identity: str, observed: str, expected: str) -> Outcome:
    return Outcome(identity, "apply", Result.PASS, observed, expected, required=False)


def _failed(identity: str, failure: Failure, expected: str) -> Outcome:
    return Outcome(
        identity, "apply", Result.FAIL, failure.observed, expected, failure.cause, failure.remedy
    )


def skipped() -> List[Outcome]:
    """In check mode nothing is installed, and so nothing is compiled."""
    return [Outcome("apply.cuda_check", "apply", Result.SKIPPED, "not compiled in check mode",
                    required=False)]  # fmt: skip


def words(outcomes: Sequence[Outcome]) -> Tuple[bool, str]:
    """(whether any failed, the message)."""
    bad = [o for o in outcomes if o.result is Result.FAIL]
    if bad:
        return True, "%s. %s %s" % (bad[0].observed, bad[0].cause, bad[0].remedy)
    return False, "; ".join(outcome.observed for outcome in outcomes)
