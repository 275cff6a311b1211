"""Equal devices must make equal products: who differs, and what can be said of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible.module_utils.torchnode.burn_in import agreement, judge
from ansible.module_utils.torchnode.burn_in.records import Burn, DeviceRun, Ending
from ansible.module_utils.torchnode.outcome import Outcome, Result

H200 = "NVIDIA H200"


def job(digest: str, **change: Any) -> dict[str, Any]:
    return {
        "precision": "bf16",
        "pattern": "random normals",
        "shape": [8192, 8192, 8192],
        "products": 10,
        "digest": digest,
        **change,
    }


def run(index: int, *digests: str, **change: Any) -> DeviceRun:
    """A device with one round for each digest."""
    made = DeviceRun(
        name="cuda%d" % index, index=index, model=H200, visible=1, torch="2.13.0",
        chosen=("compute",), ending=Ending("finished"),
    )  # fmt: skip
    made.ready = {"units": 132}
    made.results = [
        {"name": "compute", "round": number, "jobs": [job(digest)]}
        for number, digest in enumerate(digests)
    ]
    for name, value in change.items():
        setattr(made, name, value)
    return made


def told(*runs: DeviceRun, backend: str = "cuda") -> list[Outcome]:
    burn = Burn(backend, list(runs))
    return [agreement.agreement(burn, each) for each in runs]


def results(*digests: str) -> str:
    """'PPF': each device's result by its first letter."""
    runs = [run(index, digest) for index, digest in enumerate(digests)]
    return "".join(outcome.result.value[0].upper() for outcome in told(*runs))


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ("aa", "PP"),
        ("ab", "FF"),
        ("aab", "PPF"),
        ("abbbbbbb", "FPPPPPPP"),
        ("aabb", "FFFF"),
        ("abc", "FFF"),
        ("aabc", "PPFF"),
        ("a", "S"),
    ],
)
def test_who_is_out_of_line(digests: str, expected: str) -> None:
    assert results(*digests) == expected


def test_of_two_both_are_failed_and_the_words_say_why() -> None:
    for outcome in told(run(0, "a"), run(1, "b")):
        assert "cannot be told which" in outcome.cause
        assert "third device" in outcome.remedy
        assert "product bf16 8192x8192x8192 of random normals" in outcome.observed


def test_the_minority_is_named_with_both_digests() -> None:
    *_, last = told(run(0, "a"), run(1, "a"), run(2, "b"))
    assert last.id == "burn_in.agreement.cuda2"
    assert "digest b; most of the 3 devices made a" in last.observed
    assert "each time" in last.cause
    assert "replaced" in last.remedy


def test_a_device_that_contradicts_itself_fails_and_has_no_vote() -> None:
    torn, *others = told(run(0, "a", "b"), run(1, "b"), run(2, "b"))
    assert torn.result is Result.FAIL
    assert "in another round" in torn.observed
    assert {outcome.result for outcome in others} == {Result.PASS}


def test_a_device_alone_that_contradicts_itself_fails() -> None:
    assert told(run(0, "a", "b"))[0].result is Result.FAIL
    assert told(run(0, "a", "a"))[0].result is Result.SKIPPED


@pytest.mark.parametrize(
    "change",
    [
        {"model": "NVIDIA H200 NVL"},
        {"torch": "2.12.0"},
        {"ready": {"units": 114}},
        {"results": [{"name": "compute", "jobs": [job("b", precision="fp16")]}]},
        {"results": [{"name": "compute", "jobs": [job("b", pattern="exact integers")]}]},
        {"results": [{"name": "compute", "jobs": [job("b", shape=[4096] * 3)]}]},
    ],
    ids=["model", "torch", "units", "precision", "pattern", "shape"],
)
def test_only_the_same_product_is_compared(change: dict[str, Any]) -> None:
    assert [o.result for o in told(run(0, "a"), run(1, "b", **change))] == [Result.SKIPPED] * 2


@pytest.mark.parametrize("unknown", [{"model": ""}, {"ready": {}}])
def test_of_an_unknown_part_only_exact_products_are_compared(unknown: dict[str, Any]) -> None:
    assert told(run(0, "a", **unknown), run(1, "b", **unknown))[0].result is Result.SKIPPED
    exact = [
        run(n, results=[{"name": "compute", "jobs": [job(d, pattern="exact integers")]}], **unknown)
        for n, d in enumerate("aab")
    ]
    assert [o.result.value[0] for o in told(*exact)] == ["p", "p", "f"]


def test_cpus_are_compared_by_exact_products_only() -> None:
    assert told(run(0, "a"), run(1, "b"), backend="cpu")[0].result is Result.SKIPPED


def test_a_device_with_errors_of_its_own_accuses_nobody() -> None:
    broken, sound = told(run(0, "a", told=3), run(1, "b"))
    assert broken.result is Result.SKIPPED
    assert "errors of its own" in broken.cause
    assert sound.result is Result.SKIPPED


def test_what_was_not_asked_for_or_not_reached_is_no_pass() -> None:
    assert told(run(0, chosen=("memory",)))[0].result is Result.SKIPPED
    hung = told(run(0, ending=Ending("hang")), run(1, "a"))
    assert [o.result for o in hung] == [Result.INCOMPLETE, Result.SKIPPED]


def test_it_is_among_the_node_s_outcomes() -> None:
    burn = Burn("cuda", [run(0, "a"), run(1, "b")])
    for each in burn.devices:
        found = [o for o in judge.of_device(burn, each) if o.id.startswith("burn_in.agreement.")]
        assert [o.result for o in found] == [Result.FAIL]


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9), st.randoms())
def test_no_pass_for_what_is_not_of_one_mind(digests: list[str], random: Any) -> None:
    found = results(*digests)
    assert ("F" in found) == (len(set(digests)) > 1)
    assert len({d for d, result in zip(digests, found) if result == "P"}) <= 1
    order = list(range(len(digests)))
    random.shuffle(order)
    assert results(*[digests[i] for i in order]) == "".join(found[i] for i in order)
