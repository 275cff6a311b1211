"""Wishes with a wrong shape are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import B200, GB200, H200, gpu

from ansible.module_utils.torchnode.policy import (
    Conflict,
    Expect,
    expect_of_record,
    meets,
    read_expect,
    unknown_variables,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"backend": "cuda", "count": 8}, Expect(backend="cuda", count=8)),
        ({"count": "8"}, Expect(count=8)),
        ({"count": 0}, Expect(count=0)),
        ({"model": "H200", "memory_gb": 141}, Expect(model="H200", memory_bytes=141 * 10**9)),
        ({"memory_gb": "79.5"}, Expect(memory_bytes=79_500_000_000)),
        ({"model": 4090}, Expect(model="4090")),
        ({"model": None}, Expect()),
    ],
)
def test_expectations_are_read(given: dict[str, Any], expected: Expect) -> None:
    assert read_expect(given) == expected


@pytest.mark.parametrize(
    ("given", "argument", "text"),
    [
        ({"modell": "H200"}, "torchnode_expect", "did you mean 'model'"),
        ({"colour": "green"}, "torchnode_expect", "the key 'colour'"),
        ({"count": "eight"}, "torchnode_expect.count", "'eight'"),
        ({"count": -1}, "torchnode_expect.count", "-1"),
        ({"count": 1.5}, "torchnode_expect.count", "1.5"),
        ({"count": True}, "torchnode_expect.count", "True"),
        ({"count": "²"}, "torchnode_expect.count", "²"),
        ({"memory_gb": "80GB"}, "torchnode_expect.memory_gb", "80GB"),
        ({"memory_gb": float("inf")}, "torchnode_expect.memory_gb", "inf"),
        ({"memory_gb": float("nan")}, "torchnode_expect.memory_gb", "nan"),
        ({"memory_gb": -80}, "torchnode_expect.memory_gb", "-80"),
        ({"memory_gb": True}, "torchnode_expect.memory_gb", "True"),
        ({"memory_gb": [80]}, "torchnode_expect.memory_gb", "[80]"),
    ],
)
def test_bad_expectations_are_refused(given: dict[str, Any], argument: str, text: str) -> None:
    with pytest.raises(Conflict) as caught:
        read_expect(given)
    assert caught.value.argument == argument
    assert text in str(caught.value)
    assert caught.value.expected
    assert caught.value.remedy


def test_nothing_expected() -> None:
    assert read_expect({}) is None
    assert expect_of_record(None) is None
    assert expect_of_record({"had": "nothing"}) is None


def test_models_match_by_whole_words() -> None:
    assert meets(Expect(model="B200"), "cuda", [gpu(B200)]) == []
    assert meets(Expect(model="nvidia b200"), "cuda", [gpu(B200)]) == []
    assert meets(Expect(model="B200"), "cuda", [gpu(GB200)])
    assert meets(Expect(model="H200"), "cuda", [gpu(H200, model="NVIDIA H200-NVL")]) == []


def test_each_device_is_held_against_the_memory() -> None:
    small = gpu(H200, 1, memory_bytes=70 * 10**9)
    (difference,) = meets(Expect(memory_bytes=80 * 10**9), "cuda", [gpu(H200), small])
    assert "70.0 GB of memory on 0000:11:00.0 instead of 80.0 GB" in difference


KNOWN = ["torchnode_torch_version", "torchnode_torch_tag", "torchnode_workload"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchnode_workload", []),
        ("ansible_user", []),
        ("torchnode_worklod", ["did you mean 'torchnode_workload'"]),
        ("torchnode_torch_versoin", ["did you mean 'torchnode_torch_version'"]),
        ("torchnode_xyzzy", ["'torchnode_xyzzy' is no variable"]),
    ],
)
def test_unknown_variables(name: str, said: list[str]) -> None:
    found = unknown_variables([name, *KNOWN], KNOWN)
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found))


def test_a_conflict_reads_as_one_sentence_each() -> None:
    text = str(Conflict("torchnode_x", "'1'", "'2'", "Do this.", "torch 2"))
    assert text == ("torchnode_x: found '1'; expected '2'. Nearest that works: torch 2. Do this.")
    assert "Nearest" not in str(Conflict("a", "b", "c", "d"))
