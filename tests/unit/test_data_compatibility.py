"""The compatibility tables: shape, order, citations, and what they say of each other."""

from __future__ import annotations

import dataclasses
import datetime
import re
from typing import Any

import pytest

from ansible.module_utils.torchnode.data import compatibility as tables
from ansible.module_utils.torchnode.data import nvidia_parts, sources
from ansible.module_utils.torchnode.data.compatibility import architecture_runs, version_key

ROWS: dict[str, tuple[Any, ...]] = {
    name: getattr(tables, name)
    for name in (
        "TORCH_RELEASES",
        "TORCH_BUILDS",
        "DRIVER_FLOORS",
        "TOOLKIT_DRIVERS",
        "DRIVER_BRANCHES",
        "FLAVOURS",
        "CUDNN",
    )
}
SOURCES = [value for value in vars(sources).values() if isinstance(value, sources.Source)]


def build(version: str, tag: str, source: str, machine: str = "x86_64") -> tables.TorchWheel:
    [found] = [
        row
        for row in tables.TORCH_BUILDS
        if (row.version, row.tag, row.source, row.machine) == (version, tag, source, machine)
        and row.plugin is None
    ]
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.url)
def test_a_source_has_an_address_and_a_date_that_has_been(source: sources.Source) -> None:
    assert re.match(r"https?://[^/\s]+/\S*$", source.url)
    assert datetime.date(2025, 1, 1) <= datetime.date.fromisoformat(source.retrieved)
    tomorrow = datetime.date.today() + datetime.timedelta(days=1)  # time zones ahead of this one
    assert datetime.date.fromisoformat(source.retrieved) <= tomorrow


@pytest.mark.parametrize("table", ROWS)
def test_every_row_is_hashable_and_cites_a_source(table: str) -> None:
    for row in ROWS[table]:
        assert row.cited, row
        assert all(isinstance(cited, sources.Source) for cited in row.cited), row
        hash(row)


@pytest.mark.parametrize("table", ROWS)
def test_no_row_stands_twice(table: str) -> None:
    keys: dict[str, Any] = {
        "TORCH_BUILDS": lambda r: (r.version, r.tag, r.source, r.machine, r.plugin),
        "DRIVER_FLOORS": lambda r: r.cuda_major,
        "TOOLKIT_DRIVERS": lambda r: r.cuda,
        "DRIVER_BRANCHES": lambda r: r.branch,
        "FLAVOURS": lambda r: r.generation,
    }
    values = [keys.get(table, lambda r: r.version)(row) for row in ROWS[table]]
    assert len(values) == len(set(values))


@pytest.mark.parametrize(
    "versions",
    [
        [row.version for row in tables.TORCH_RELEASES],
        [row.cuda for row in tables.TOOLKIT_DRIVERS],
        [row.driver for row in tables.TOOLKIT_DRIVERS],
        [row.minimum for row in tables.DRIVER_FLOORS],
        [row.branch for row in tables.DRIVER_BRANCHES],
        [row.version for row in tables.CUDNN],
    ],
)
def test_a_table_rises(versions: list[str]) -> None:
    keys = [version_key(version) for version in versions]
    assert all(earlier < later for earlier, later in zip(keys, keys[1:]))


def test_builds_stand_in_the_order_of_their_releases() -> None:
    keys = [version_key(row.version) for row in tables.TORCH_BUILDS]
    assert keys == sorted(keys)
    assert {row.release for row in tables.TORCH_BUILDS} == set(tables.TORCH_RELEASES)


def name_of(row: tables.TorchWheel) -> str:
    plugin = "-" + row.plugin.requirement if row.plugin else ""
    return f"{row.label}-{row.source}-{row.machine}{plugin}"


@pytest.mark.parametrize("row", tables.TORCH_BUILDS, ids=name_of)
def test_a_build_is_whole(row: tables.TorchWheel) -> None:
    assert row.source in ("pypi", "index")
    assert row.machine in (("arm64",) if row.system == "Darwin" else ("x86_64", "aarch64"))
    assert (row.tag == "") == (row.system == "Darwin")
    assert re.fullmatch(r"cpu|xpu|cu\d{3}|rocm\d\.\d|", row.tag)
    assert row.pythons
    if row.backend != "cuda":
        assert (row.cuda, row.cudnn, row.nccl, row.cuda_major) == ("", "", "", None)
        assert bool(row.architectures) == (row.backend in ("rocm", "xpu"))
        assert len(set(row.architectures)) == len(row.architectures)
        return
    major, minor = row.cuda.split(".")[:2]
    assert row.tag == "cu" + major + minor
    assert row.cuda_major == int(major)
    assert version_key(row.cudnn) > (8, 6)
    assert row.architectures
    parsed = [tables.parse_architecture(name) for name in row.architectures]
    assert parsed == sorted(parsed, key=lambda item: item[1:3])
    assert len(set(parsed)) == len(parsed)


def test_every_backend_has_a_build() -> None:
    backends = {backend for row in tables.TORCH_BUILDS for backend in row.backends}
    # Cambricon's plugin is on no index: it goes beside a CPU build.
    assert backends == {"cuda", "rocm", "xpu", "npu", "mps", "tpu", "cpu"}


def test_torch_for_intel_is_never_older_than_transformers_asks() -> None:
    versions = [row.version for row in tables.TORCH_BUILDS if row.backend == "xpu"]
    assert min(version_key(version) for version in versions) >= (2, 6)


def test_a_plugin_stands_beside_the_torch_that_it_asks_for() -> None:
    for row in tables.TORCH_BUILDS:
        if row.plugin is None:
            continue
        name, _, version = row.plugin.requirement.partition("==")
        assert name == {"npu": "torch-npu", "tpu": "torch-xla"}[row.backend]
        assert version_key(version.partition(".post")[0]) == version_key(row.version)


@pytest.mark.parametrize(
    ("backend", "device", "built", "runs"),
    [
        ("rocm", "gfx942", ("gfx90a", "gfx942"), True),
        ("rocm", "gfx90a:sramecc+:xnack-", ("gfx90a", "gfx942"), True),
        ("rocm", "gfx950", ("gfx90a", "gfx942"), False),
        ("rocm", "gfx94", ("gfx942",), False),
        ("xpu", "pvc", ("pvc", "dg2"), True),
        ("xpu", "acm-g10", ("pvc", "dg2"), True),
        ("xpu", "ats-m150", ("pvc", "dg2"), True),
        ("xpu", "tgllp", ("pvc", "dg2"), False),
        ("cuda", "sm_90", ("sm_80",), False),
        ("npu", "Ascend910B", (), True),
    ],
)
def test_a_build_runs_on_what_it_was_built_for(
    backend: str, device: str, built: tuple[str, ...], runs: bool
) -> None:
    assert tables.build_runs(backend, device, built) is runs


@pytest.mark.parametrize("release", tables.TORCH_RELEASES, ids=lambda r: r.version)
def test_a_release_has_ordered_pythons_and_matching_companions(
    release: tables.TorchRelease,
) -> None:
    minors = [version_key(python) for python in release.pythons]
    assert minors == sorted(set(minors))
    assert minors[0] >= (3, 9)
    minor = version_key(release.version)[1]
    if release.torchvision:  # torchvision's minor has been 15 ahead of torch's since 2.0
        assert version_key(release.torchvision)[:2] == (0, minor + 15)
    # torchaudio carried torch's own version until it was frozen at 2.11.0
    assert release.torchaudio == (release.version if minor <= 11 else "")


def test_what_pypi_serves_the_same_index_tag_serves_too() -> None:
    pypi = {
        (r.version, r.tag, r.machine, r.plugin): r
        for r in tables.TORCH_BUILDS
        if r.source == "pypi"
    }
    for row in tables.TORCH_BUILDS:
        twin = pypi.get((row.version, row.tag, row.machine, row.plugin))
        if row.source == "index" and twin:
            copied = dataclasses.replace(twin, source="index", cited=row.cited)
            assert row == copied


def test_pypi_has_one_build_a_release_and_machine() -> None:
    pypi = [r for r in tables.TORCH_BUILDS if r.source == "pypi"]
    keys = [(r.version, r.machine, r.plugin) for r in pypi]
    assert len(keys) == len(set(keys))


def test_every_cuda_build_has_a_driver_floor_that_the_default_branch_meets() -> None:
    floors = {row.cuda_major: row.minimum for row in tables.DRIVER_FLOORS}
    for row in tables.TORCH_BUILDS:
        if row.cuda_major is None:
            continue
        floor = version_key(floors[row.cuda_major])
        assert floor[0] <= int(tables.DEFAULT_DRIVER_BRANCH), row


def test_a_builds_cudnn_serves_its_cuda_and_its_oldest_architecture() -> None:
    for row in tables.TORCH_BUILDS:
        if row.backend != "cuda":
            continue
        not_newer = [c for c in tables.CUDNN if version_key(c.version) <= version_key(row.cudnn)]
        support = not_newer[-1]
        assert row.cuda_major in support.cuda_majors, row
        lowest = tables.parse_architecture(support.minimum_architecture)[1:3]
        assert lowest <= tables.parse_architecture(row.architectures[0])[1:3], row


def test_a_toolkits_driver_is_never_below_its_majors_floor() -> None:
    floors = {row.cuda_major: version_key(row.minimum) for row in tables.DRIVER_FLOORS}
    for row in tables.TOOLKIT_DRIVERS:
        assert version_key(row.driver) >= floors[int(row.cuda.split(".")[0])], row


def test_the_default_branch_is_the_longest_supported_and_serves_every_generation() -> None:
    branches = {row.branch: row for row in tables.DRIVER_BRANCHES}
    default = branches[tables.DEFAULT_DRIVER_BRANCH]
    assert default.end_of_support == max(row.end_of_support for row in branches.values())
    for row in tables.FLAVOURS:
        assert row.preferred in row.allowed
        assert set(row.allowed) <= set(default.flavours)
        if row.last_branch:
            assert int(default.branch) <= int(row.last_branch), row
            assert row.last_branch in branches


def test_branches_say_when_they_end() -> None:
    for row in tables.DRIVER_BRANCHES:
        # A branch between those that NVIDIA's table still lists has no date there any more.
        gone = not row.end_of_support and sources.DRIVER_LIFECYCLE not in row.cited
        assert gone or re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.end_of_support), row
        assert row.kind in ("long-term support", "production", "new feature") or gone


@pytest.mark.parametrize("version", tables.PREFERRED_TORCH)
def test_a_preferred_release_has_a_cpu_and_a_cuda_build(version: str) -> None:
    backends = {row.backend for row in tables.TORCH_BUILDS if row.version == version}
    assert backends >= {"cpu", "cuda", "rocm", "xpu", "npu", "mps"}
    assert build(version, "cpu", "index").backend == "cpu"


def test_the_default_has_a_torchvision_and_an_audio_release_is_preferred_next() -> None:
    releases = {row.version: row for row in tables.TORCH_RELEASES}
    preferred = [releases[version] for version in tables.PREFERRED_TORCH]
    assert preferred[0].torchvision
    audio = [row for row in tables.TORCH_RELEASES if row.torchaudio]
    assert next(row for row in preferred if row.torchaudio) == audio[-1]


def newest_on_pypi_for(architecture: str) -> str:
    runs = [
        row.version
        for row in tables.TORCH_BUILDS
        if (row.source, row.machine) == ("pypi", "x86_64")
        and architecture_runs(architecture, row.architectures)
    ]
    return runs[-1]


def test_old_gpus_have_a_preferred_release_on_pypi() -> None:
    assert newest_on_pypi_for("sm_70") == "2.10.0"
    assert newest_on_pypi_for("sm_60") == "2.7.1"
    assert {"2.10.0", "2.7.1"} <= set(tables.PREFERRED_TORCH)


def test_every_known_part_runs_some_preferred_build() -> None:
    preferred = [
        row
        for row in tables.TORCH_BUILDS
        if row.version in tables.PREFERRED_TORCH and row.backend == "cuda"
    ]
    for chip in nvidia_parts.CHIPS:
        assert any(architecture_runs(chip.architecture, row.architectures) for row in preferred)


CU126 = build("2.7.1", "cu126", "pypi").architectures
CU128 = build("2.10.0", "cu128", "pypi").architectures
CU130 = build("2.13.0", "cu130", "pypi").architectures


@pytest.mark.parametrize(
    ("device", "built", "runs", "why"),
    [
        ("sm_89", CU128, True, "L4 runs sm_86 code, 8.9 itself is in no list"),
        ("sm_103", CU130, True, "B300 runs sm_100 code"),
        ("sm_70", CU130, False, "V100 has no code in a CUDA 13 build"),
        ("sm_70", CU128, True, "V100 has code in cu128"),
        ("sm_120", CU130, True, "exactly"),
        ("sm_121", CU130, True, "GB10 runs sm_120 code"),
        ("sm_120", CU126, False, "no Blackwell code before CUDA 12.8"),
        ("sm_90", CU130, True, "H200"),
        ("sm_61", CU126, True, "P40 runs sm_60 code"),
        ("sm_80", ("sm_86",), False, "a later minor's machine code does not run"),
        ("sm_100", ("sm_90",), False, "another major"),
        ("sm_120", ("sm_100",), False, "12 is not 10"),
        ("sm_90", ("sm_90a",), True, "the suffixed target's own device"),
        ("sm_103", ("sm_100a",), False, "a suffixed target has no siblings"),
        ("sm_120", ("compute_90",), True, "PTX is compiled for later devices"),
        ("sm_90", ("compute_90",), True, "PTX of the same age"),
        ("sm_86", ("compute_90",), False, "PTX newer than the device"),
        ("sm_103", ("compute_103",), True, "PTX of the same age, two-digit major"),
        ("sm_120", ("compute_90a",), False, "suffixed PTX does not move"),
        ("sm_90", (), False, "a CPU build"),
    ],
)
def test_architecture_runs(device: str, built: tuple[str, ...], runs: bool, why: str) -> None:
    assert architecture_runs(device, built) is runs, why


@pytest.mark.parametrize(
    "name", ["", "90", "sm90", "sm_9", "gfx942", "sm_90b", "sm_90 ", "compute"]
)
def test_what_is_no_architecture_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        architecture_runs(name, ("sm_90",))
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        architecture_runs("sm_90", (name,))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("580.65.06", "580.159.04"),
        ("525.60.13", "580.65.06"),
        ("570.26", "570.26.01"),
        ("9.5.1.17", "9.10.2.21"),
        ("2.9.1", "2.10.0"),
        ("12.8", "13.0"),
        ("580", "580.65.06"),
    ],
)
def test_versions_compare_as_numbers(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_versions_that_say_the_same_are_equal() -> None:
    assert version_key("13.0") == version_key("13") == version_key("13.0.0")
    assert version_key("2.11.0+cu130") == version_key("2.11.0")
    assert version_key("0") == (0,)


@pytest.mark.parametrize("text", ["", "580.", "v580", "2.4.0a0", "580.65.06-1", "N/A"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        version_key(text)
