"""What is said of a toolkit and a cuDNN: a stand-in for nvcc answers, no compiler runs."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest
from helpers import FixtureNode

from ansible.module_utils.torchnode import cuda_check, nvcc_failures
from ansible.module_utils.torchnode.cuda_check import CudnnWish
from ansible.module_utils.torchnode.node import Completed
from ansible.module_utils.torchnode.outcome import Result

NVCC = "/usr/local/cuda-12.8/bin/nvcc"
WISH = CudnnWish("9.10.2", (12,), "8.6")


class Machine(FixtureNode):  # type: ignore[misc]  # mypy reads helpers under another name
    """A machine whose nvcc is of ``release``; it refuses, or makes a program that prints this."""

    def __init__(self, root: Path, prints: str, release: str = "12.8", refuses: str = "") -> None:
        super().__init__(root)
        self.prints, self.release, self.refuses = prints, release, refuses
        self.write(NVCC, "")

    def _run(self, argv: Sequence[str]) -> Completed:
        self.asked.append(list(argv))
        if argv[1:] == ["--version"]:
            return Completed(0, "Cuda compilation tools, release %s, V1" % self.release)
        if argv[0].endswith("/nvcc"):
            return Completed(1 if self.refuses else 0, "", self.refuses)
        return Completed(0, self.prints)


def test_header_and_runtime_agree(tmp_path: Path) -> None:
    node = Machine(tmp_path, "header 12080 library 12080 file /x\n")
    outcome = cuda_check.toolkits(node, ["12.8"])
    assert outcome.result is Result.PASS
    assert NVCC in outcome.observed


def test_a_toolkit_of_wheels_is_found_below_the_prefix(tmp_path: Path) -> None:
    node = Machine(tmp_path, "header 13000 library 13000 file /x\n", release="13.0")
    node.remove(NVCC)
    node.write("/opt/t/cuda/13.0/bin/nvcc", "")
    outcome = cuda_check.toolkits(node, ["13.0"], "/opt/t")
    assert outcome.result is Result.PASS, outcome
    assert "/opt/t/cuda/13.0/bin/nvcc" in outcome.observed
    assert "/opt/t/cuda/13.0/lib64" in node.asked[-2]  # where no loader looks by itself
    assert cuda_check.toolkits(node, ["13.0"]).result is Result.FAIL


def test_a_runtime_that_wants_a_device_is_told_by_its_file(tmp_path: Path) -> None:
    """As CUDA 11.8 of Debian 12 answered on a machine without a GPU."""
    node = Machine(tmp_path, "header 12080 library 0 file /usr/lib/libcudart.so.12.8.90\n")
    assert cuda_check.toolkits(node, ["12.8"]).result is Result.PASS
    node.prints = "header 12080 library 0 file /usr/lib/libcudart.so.11.8.89\n"
    assert "library 11.8" in cuda_check.toolkits(node, ["12.8"]).observed
    node.prints = "header 12080 library 0 file \n"
    assert cuda_check.toolkits(node, ["12.8"]).result is Result.FAIL


@pytest.mark.parametrize(
    ("prints", "release", "words"),
    [
        ("header 12080 library 13000 file x", "12.8", "header 12.8, library 13.0"),
        ("header 13000 library 13000 file x", "12.8", "compiles against CUDA 13.0"),
        ("", "12.8", "printed"),
        ("header 12080 library 12080 file x", "12.4", "of CUDA 12.4"),
    ],
)
def test_what_does_not_agree(tmp_path: Path, prints: str, release: str, words: str) -> None:
    outcome = cuda_check.toolkits(Machine(tmp_path, prints, release), ["12.8"])
    assert outcome.result is Result.FAIL
    assert words in outcome.observed


def test_one_of_two_toolkits_is_missing(tmp_path: Path) -> None:
    node = Machine(tmp_path, "header 12080 library 12080 file x")
    outcome = cuda_check.toolkits(node, ["12.8", "13.0"])
    assert outcome.result is Result.FAIL
    assert "cuda-nvcc-13-0" in outcome.remedy


#: What compilers said when they were made to fail, and a word of the cause.
SAID = [
    ("nvcc fatal   : Failed to preprocess host compiler properties.", "there is none"),
    ("gcc: No such file or directory", "there is none"),
    (
        "#error -- unsupported GNU version! gcc versions later than 11 are not supported!",
        "newer than this nvcc",
    ),
    ("check.cu:2:10: fatal error: cudnn.h: No such file or directory", "headers"),
    ("/usr/bin/ld: cannot find -lcudnn: No such file or directory", "linker"),
    ("error while loading shared libraries: libcudart.so.13: cannot open", "loader"),
    ("fatal error: error writing to /tmp/x.s: No space left on device", "full"),
    ("nvcc did not answer within 300 s", "time limit"),
    ("something nobody has seen", "does not do its work"),
]


@pytest.mark.parametrize(("said", "word"), SAID)
def test_what_a_compiler_says_is_explained(tmp_path: Path, said: str, word: str) -> None:
    outcome = cuda_check.toolkits(Machine(tmp_path, "", refuses="noise\n" + said), ["12.8"])
    assert word in outcome.cause
    assert outcome.remedy
    assert said in outcome.observed


def test_the_line_with_the_error_is_shown_first() -> None:
    said = "\n".join(["a", "b error: here", *"cdefghijk"])
    assert nvcc_failures.gist(said).startswith("b error: here | c")
    assert nvcc_failures.gist("") == "nothing was said"


# ---- cuDNN -------------------------------------------------------------------------------------


def test_cudnn_is_compiled_from_its_folder(tmp_path: Path) -> None:
    node = Machine(tmp_path, "header 91002 library 91002 cuda 12080")
    wish = CudnnWish("9.10.2.21", (12,), "8.6", "/opt/torchnode/cudnn")
    outcome = cuda_check.cudnn(node, wish)
    assert outcome.result is Result.PASS, outcome
    assert "cuDNN 9.10.2 for CUDA 12.8" in outcome.observed
    (compiled,) = [argv for argv in node.asked if "-lcudnn" in argv]
    assert "-I/opt/torchnode/cudnn/cu12/include" in compiled
    assert compiled[-1] == "/opt/torchnode/cudnn/cu12/lib"


@pytest.mark.parametrize(
    ("prints", "words"),
    [
        ("header 91002 library 92800 cuda 12080", "header 9.10.2, library 9.28.0"),
        ("header 91002 library 91002 cuda 13000", "built for CUDA 13"),
        ("header 8500 library 8500 cuda 12080", "cuDNN 8.5.0"),
        ("header 92800 library 92800 cuda 12080", "cuDNN 9.28.0"),
    ],
)
def test_a_cudnn_that_is_not_the_wished_one(tmp_path: Path, prints: str, words: str) -> None:
    outcome = cuda_check.cudnn(Machine(tmp_path, prints), WISH)
    assert outcome.result is Result.FAIL
    assert words in outcome.observed


def test_the_floor(tmp_path: Path) -> None:
    node = Machine(tmp_path, "header 8500 library 8500 cuda 12080")
    outcome = cuda_check.cudnn(node, CudnnWish("8.5", (12,), "8.6"))
    assert "oldest that is supported, 8.6" in outcome.cause
    node.prints = "header 8600 library 8600 cuda 12080"
    assert cuda_check.cudnn(node, CudnnWish("8.6", (12,), "8.6")).result is Result.PASS


def test_no_toolkit_of_that_cuda(tmp_path: Path) -> None:
    outcome = cuda_check.cudnn(Machine(tmp_path, ""), CudnnWish("9", (13,), "8.6"))
    assert outcome.result is Result.FAIL
    assert "torchnode_cuda_toolkits" in outcome.remedy
