"""The check that compiles, with a real nvcc where the machine has one, also made to fail."""

from __future__ import annotations

import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Sequence

import pytest

from ansible.module_utils.torchnode import cuda_check
from ansible.module_utils.torchnode.cuda_check import CudnnWish
from ansible.module_utils.torchnode.node import Completed, Node, run_command
from ansible.module_utils.torchnode.outcome import Result


def installed() -> str:
    """The version of a toolkit: of one in its own folder, else the distribution's, '' for none."""
    node = Node()
    folders = [
        re.search(r"/cuda-(\d+\.\d+)/", path) for path in node.glob("/usr/local/cuda-*/bin/nvcc")
    ]
    own = re.search(r"release (\d+\.\d+)", node.run(["/usr/bin/nvcc", "--version"]).out)
    return next((match.group(1) for match in (*folders, own) if match), "")


VERSION = installed()
pytestmark = pytest.mark.skipif(
    not VERSION, reason="no nvcc in /usr/local/cuda-<version> or /usr/bin"
)


def with_environment(**changes: str) -> Node:
    """This machine, whose commands run with these variables."""

    def run(argv: Sequence[str]) -> Completed:
        pairs = ["%s=%s" % pair for pair in changes.items()]
        return run_command(["/usr/bin/env", *pairs, *argv], cuda_check.COMPILE_SECONDS)

    return Node(run=run)


def test_a_program_is_compiled_and_run() -> None:
    node = Node(run=partial(run_command, seconds=cuda_check.COMPILE_SECONDS))
    outcome = cuda_check.toolkits(node, [VERSION])
    assert outcome.result is Result.PASS, outcome
    assert "header and runtime " + VERSION in outcome.observed


def test_without_a_host_compiler(tmp_path: Path) -> None:
    outcome = cuda_check.toolkits(with_environment(PATH=str(tmp_path)), [VERSION])
    assert outcome.result is Result.FAIL
    assert "apt-get install g++" in outcome.remedy, outcome


def test_a_host_compiler_that_is_too_new(tmp_path: Path) -> None:
    """nvcc's own header refuses by the number that the compiler gives itself."""
    node = with_environment(NVCC_APPEND_FLAGS="-Xcompiler -U__GNUC__ -Xcompiler -D__GNUC__=99")
    outcome = cuda_check.toolkits(node, [VERSION])
    assert outcome.result is Result.FAIL
    assert "older one" in outcome.remedy, outcome


def stand_in_cudnn(folder: Path, header: int, library: int, cuda: int) -> CudnnWish:
    """A library of three functions, compiled here, that says it is this cuDNN for this CUDA."""
    base = folder / ("cu%d" % (cuda // 1000))
    (base / "include").mkdir(parents=True)
    (base / "lib").mkdir()
    declared = '#include <cstddef>\nextern "C" size_t cudnnGetVersion();\n'
    declared += 'extern "C" size_t cudnnGetCudartVersion();\n#define CUDNN_VERSION %d\n' % header
    (base / "include/cudnn.h").write_text(declared)
    source = folder / "cudnn.cpp"
    source.write_text(
        declared + "size_t cudnnGetVersion() { return %d; }\n" % library
        + "size_t cudnnGetCudartVersion() { return %d; }\n" % cuda
    )  # fmt: skip
    made = base / "lib/libcudnn.so"
    argv = ["g++", "-shared", "-fPIC", "-I%s/include" % base, "-o", str(made), str(source)]
    subprocess.run(argv, check=True)
    return CudnnWish("9.10.2", (cuda // 1000,), "8.6", str(folder))


@pytest.mark.parametrize(
    ("header", "library", "words"),
    [(91002, 91002, ""), (91002, 92800, "header 9.10.2, library 9.28.0")],
)
def test_a_program_against_cudnn(tmp_path: Path, header: int, library: int, words: str) -> None:
    major, minor = VERSION.split(".")
    wish = stand_in_cudnn(tmp_path, header, library, 1000 * int(major) + 10 * int(minor))
    outcome = cuda_check.cudnn(with_environment(CPATH=""), wish)
    assert outcome.result is (Result.FAIL if words else Result.PASS), outcome
    assert words in outcome.observed


def test_no_cudnn_there(tmp_path: Path) -> None:
    major = int(VERSION.partition(".")[0])
    os.makedirs(tmp_path / ("cu%d" % major) / "include")
    node = with_environment(CPATH="")
    outcome = cuda_check.cudnn(node, CudnnWish("9", (major,), "8.6", str(tmp_path)))
    assert outcome.result is Result.FAIL
    assert "cuDNN" in outcome.cause, outcome
