"""NVIDIA parts by PCI device id."""

from __future__ import annotations

import re

import pytest

from ansible.module_utils.torchnode.data import compatibility, sources
from ansible.module_utils.torchnode.data.nvidia_parts import (
    CHIPS,
    GIB,
    NVSWITCH_IDS,
    PRODUCTS,
    lookup,
)

GENERATION_OF = {
    "sm_50": {"maxwell"},
    "sm_52": {"maxwell"},
    "sm_60": {"pascal"},
    "sm_61": {"pascal"},
    "sm_70": {"volta"},
    "sm_75": {"turing"},
    "sm_80": {"ampere"},
    "sm_86": {"ampere"},
    "sm_89": {"ada"},
    "sm_90": {"hopper", "grace-hopper"},
    "sm_100": {"blackwell"},
    "sm_103": {"blackwell"},
    "sm_120": {"blackwell"},
    "sm_121": {"blackwell"},
}


@pytest.mark.parametrize(
    ("device_id", "name", "generation", "architecture", "memory", "form"),
    [
        (0x1DB1, "Tesla V100-SXM2-16GB", "volta", "sm_70", 16, "SXM"),
        (0x1DB6, "Tesla V100-PCIE-32GB", "volta", "sm_70", 32, "PCIe"),
        (0x1EB8, "Tesla T4", "turing", "sm_75", 16, ""),
        (0x20B0, "NVIDIA A100-SXM4-40GB", "ampere", "sm_80", 40, "SXM"),
        (0x20B2, "NVIDIA A100-SXM4-80GB", "ampere", "sm_80", 80, "SXM"),
        (0x20B7, "NVIDIA A30", "ampere", "sm_80", 24, ""),
        (0x2235, "NVIDIA A40", "ampere", "sm_86", 48, ""),
        (0x2236, "NVIDIA A10", "ampere", "sm_86", 24, ""),
        (0x27B8, "NVIDIA L4", "ada", "sm_89", 24, ""),
        (0x26B5, "NVIDIA L40", "ada", "sm_89", 48, ""),
        (0x26B9, "NVIDIA L40S", "ada", "sm_89", 48, ""),
        (0x2330, "NVIDIA H100 80GB HBM3", "hopper", "sm_90", 80, "SXM"),
        (0x2331, "NVIDIA H100 PCIe", "hopper", "sm_90", 80, "PCIe"),
        (0x2335, "NVIDIA H200", "hopper", "sm_90", 141, "SXM"),
        (0x2342, "NVIDIA GH200", "grace-hopper", "sm_90", 96, "superchip"),
        (0x2901, "NVIDIA B200", "blackwell", "sm_100", 180, "SXM"),
        (0x2941, "NVIDIA GB200", "blackwell", "sm_100", 189, "superchip"),
        (0x3182, "NVIDIA B300 SXM6 AC", "blackwell", "sm_103", 269, "SXM"),
        (0x31C2, "NVIDIA GB300", "blackwell", "sm_103", None, "superchip"),
        (0x2684, "NVIDIA GeForce RTX 4090", "ada", "sm_89", None, ""),
        (0x2B85, "NVIDIA GeForce RTX 5090", "blackwell", "sm_120", None, ""),
    ],
)
def test_known_parts(
    device_id: int, name: str, generation: str, architecture: str, memory: int | None, form: str
) -> None:
    part = lookup(device_id)
    assert part is not None
    assert (part.name, part.generation, part.architecture, part.form) == (
        name,
        generation,
        architecture,
        form,
    )
    assert part.memory_bytes == (memory * GIB if memory else None)
    assert part.named


def test_the_h200s_memory_is_what_nvml_reads_within_three_per_cent() -> None:
    part = lookup(0x2335)
    assert part is not None
    assert part.memory_bytes is not None
    read_bytes = 143771 * 2**20  # nvidia-smi memory.total, driver 580.159.04
    assert 0.97 * part.memory_bytes <= read_bytes <= part.memory_bytes


def test_names_that_contain_one_another_stay_apart() -> None:
    def ids(name: str) -> list[int]:
        return [row.device_id for row in PRODUCTS if row.name == name]

    assert ids("NVIDIA B200") == [0x2901]
    assert ids("NVIDIA GB200") == [0x2941]
    assert ids("NVIDIA L4") == [0x27B8]
    assert ids("NVIDIA H20") == [0x2329]


@pytest.mark.parametrize(
    ("device_id", "architecture"), [(0x2337, "sm_90"), (0x24B6, "sm_86"), (0x2C19, "sm_120")]
)
def test_an_unnamed_id_between_known_ones_has_its_chips_architecture(
    device_id: int, architecture: str
) -> None:
    part = lookup(device_id)
    assert part is not None
    assert not part.named
    assert part.architecture == architecture
    assert part.memory_bytes is None
    assert "%04x" % device_id in part.name


@pytest.mark.parametrize("device_id", [0, 0x0020, 0x11C0, 0x2900, 0x2902, 0x29BC, 0x3183, 0xFFFF])
def test_an_id_that_no_source_covers_is_unknown(device_id: int) -> None:
    assert lookup(device_id) is None


def test_a_switch_is_no_gpu() -> None:
    assert {0x1AF1, 0x22A3} <= NVSWITCH_IDS
    assert [hex(i) for i in NVSWITCH_IDS if lookup(i)] == []


def test_chips_rise_and_do_not_overlap() -> None:
    assert all(chip.first_id <= chip.last_id for chip in CHIPS)
    assert all(earlier.last_id < later.first_id for earlier, later in zip(CHIPS, CHIPS[1:]))


def test_products_rise_and_each_has_a_chip() -> None:
    ids = [product.device_id for product in PRODUCTS]
    assert ids == sorted(set(ids))
    assert [hex(i) for i in ids if lookup(i) is None] == []


def test_a_size_in_the_name_is_the_memory() -> None:
    for product in PRODUCTS:
        size = re.search(r"(\d+)(?:GB|G HBM3e)\b", product.name)
        if size:
            assert product.memory_bytes == int(size.group(1)) * GIB, product


def test_forms_and_citations() -> None:
    for product in PRODUCTS:
        assert product.form in ("SXM", "PCIe", "superchip", ""), product
        assert product.memory_bytes is None or 8 * GIB <= product.memory_bytes <= 512 * GIB
    for row in (*CHIPS, *PRODUCTS):
        assert row.cited, row
        assert all(isinstance(cited, sources.Source) for cited in row.cited)


def test_generations_are_those_of_the_flavour_table() -> None:
    known = {row.generation for row in compatibility.FLAVOURS}
    for chip in CHIPS:
        assert chip.generation in GENERATION_OF[chip.architecture], chip
    assert {chip.generation for chip in CHIPS} == known


def test_the_first_driver_branch_stands_where_a_source_says_it() -> None:
    firsts = {chip.name: chip.first_branch for chip in CHIPS if chip.first_branch}
    assert {name: firsts[name] for name in ("GH100", "GH200", "B200", "GB202", "GB300")} == {
        "GH100": "520", "GH200": "535", "B200": "570", "GB202": "570", "GB300": "580",
    }  # fmt: skip
    for chip in CHIPS:
        assert bool(chip.first_branch) == (sources.FIRST_BRANCHES in chip.cited), chip
        older = chip.generation in ("maxwell", "pascal", "volta", "turing", "ampere")
        assert bool(chip.first_branch) != older, chip
