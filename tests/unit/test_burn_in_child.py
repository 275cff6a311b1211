"""What runs under the venv's Python, as far as it can be tested without torch or a GPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from ansible.module_utils.torchnode.burn_in.child import bits as bits_of
from ansible.module_utils.torchnode.burn_in.child import (
    compute,
    device,
    memory,
    nvml,
    precisions,
    products,
    sysfs,
    worker,
)


def test_nothing_imports_torch_in_the_parent() -> None:
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("limit", "used", "stat", "room"),
    [
        ("max", "5", "", None),
        ("", "", "", None),
        ("9223372036854771712", "5", "", None),  # v1's 'no limit'
        ("1000", "400", "", 600),
        ("1000", "900", "anon 1\ninactive_file 300\n", 400),
        ("1000", "1200", "", 0),
    ],
)
def test_room_in_a_control_group(limit: str, used: str, stat: str, room: int | None) -> None:
    assert device.cgroup_room(limit, used, stat, "inactive_file") == room


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("0000:19:00.0", "0000:19:00"),
        ("00000000:19:00.0", "0000:19:00"),
        ("0001:AB:00.0", "0001:ab:00"),
        ("19:00.0", "0000:19:00"),
        ("", ""),
    ],
)
def test_pci_addresses_compare(text: str, short: str) -> None:
    assert device.short_bus(text) == short


def fake_torch(*uuids: str, **change: Any) -> Any:
    seen = [
        SimpleNamespace(
            uuid=uuid, pci_domain_id=0, pci_bus_id=0x19 + i, pci_device_id=0, name="H200",
            major=9, minor=0, multi_processor_count=132,
        )
        for i, uuid in enumerate(uuids)
    ]  # fmt: skip
    cuda = SimpleNamespace(
        device_count=lambda: len(seen),
        get_device_properties=lambda index: seen[index],
        set_device=lambda index: None,
        init=lambda: None,
    )
    backends = SimpleNamespace(cuda=SimpleNamespace(matmul=SimpleNamespace()))
    return SimpleNamespace(
        cuda=cuda,
        backends=backends,
        device=lambda *words: words,
        version=SimpleNamespace(cuda="13"),
    )


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"uuid": "GPU-bb", "bus": None, "index": 0}, 1),
        ({"uuid": None, "bus": "0000:1a:00.0", "index": 0}, 1),
        ({"uuid": None, "bus": None, "index": 1}, 1),
        ({"uuid": "GPU-aa", "bus": None, "index": 5}, 0),
    ],
)
def test_a_device_is_found_by_identity_then_by_number(wanted: dict[str, Any], index: int) -> None:
    found = device.Cuda(fake_torch("aa", "bb"), {"device": "cuda0", **wanted})
    assert found.handle == ("cuda", index)
    assert found.has("bf16")
    assert not found.has("fp8")  # this torch has no _scaled_mm
    assert not found.has("fp4")
    assert (found.scaled("fp64", 8192), found.scaled("fp32", 8192)) == (8192, 8192)
    assert found.describe()["bus"] == "0000:%02x:00" % (0x19 + index)


@pytest.mark.parametrize(
    ("capability", "known", "fp8", "fp4"),
    [
        ((8, 0), ("_scaled_mm", "float4_e2m1fn_x2"), False, False),
        ((9, 0), ("_scaled_mm", "float4_e2m1fn_x2"), True, False),
        ((10, 0), ("_scaled_mm", "float4_e2m1fn_x2"), True, True),
        ((10, 0), ("_scaled_mm",), True, False),
    ],
)
def test_narrow_types_by_the_part_and_by_torch(
    capability: tuple[int, int], known: tuple[str, ...], fp8: bool, fp4: bool
) -> None:
    torch = fake_torch("aa")
    for name in known:
        setattr(torch, name, None)
    properties = torch.cuda.get_device_properties(0)
    properties.major, properties.minor = capability
    found = device.Cuda(torch, {"device": "cuda0", "uuid": "GPU-aa", "bus": None, "index": 0})
    assert (found.has("fp8"), found.has("fp4")) == (fp8, fp4)


@pytest.mark.parametrize("uuids", [(), ("bb", "cc")])
def test_a_hidden_device_is_missing_never_another_one(uuids: tuple[str, ...]) -> None:
    wanted = {"device": "cuda0", "uuid": "GPU-aa", "bus": None, "index": 0}
    with pytest.raises(device.DeviceMissing) as caught:
        device.Cuda(fake_torch(*uuids), wanted)
    assert caught.value.visible == len(uuids)
    assert "CUDA_VISIBLE_DEVICES" in str(caught.value)


def test_exact_accumulation_is_asked_for() -> None:
    torch = fake_torch("aa")
    device.Cuda(torch, {"device": "cuda0", "uuid": "GPU-aa", "index": 0})
    assert vars(torch.backends.cuda.matmul) == {
        "allow_tf32": False,
        "allow_bf16_reduced_precision_reduction": False,
        "allow_fp16_reduced_precision_reduction": False,
    }


@pytest.mark.parametrize(
    ("free", "fraction", "cap", "size"),
    [(100, 0.96, 0, 96), (100, 0.96, 10, 10), (0, 0.9, 100, 0), (1000, 0.5, 0, 500)],
)
def test_memory_under_test(free: int, fraction: float, cap: int, size: int) -> None:
    block = memory.BLOCK
    assert memory.size_of(free * block + 7, fraction, cap * block) == size * block


@pytest.mark.parametrize("total", [1 << 20, 1 << 28, 126 << 30])
def test_chunks_leave_room_for_their_comparison(total: int) -> None:
    chunk = memory.chunk_of(total)
    assert chunk % memory.BLOCK == 0
    assert chunk <= max(memory.BLOCK, total // 64)


def test_pattern_constants_are_the_bytes_they_say() -> None:
    bits = {name: value & (1 << 64) - 1 for name, value in memory.CONSTANTS.items()}
    assert bits["0x55"] == int("55" * 8, 16)
    assert bits["0xAA"] == int("AA" * 8, 16)
    assert bits["ones"] == int("FF" * 8, 16)


@pytest.mark.parametrize(
    ("value", "bits", "text"),
    [(-1, 16, "0xffff"), (0x7FC0, 16, "0x7fc0"), (-(1 << 31), 32, "0x80000000")],
)
def test_bits_are_shown_unsigned(value: int, bits: int, text: str) -> None:
    assert bits_of.hexadecimal(value, bits) == text


def test_first_precision_that_the_device_has() -> None:
    groups = [["bf16", "fp16"], ["fp32"]]
    assert compute.choose(groups, lambda p: p != "bf16") == ["fp16", "fp32"]
    assert compute.choose(groups, lambda p: p == "fp32") == ["fp32"]


@pytest.mark.parametrize(
    ("one", "slots", "size"),
    [(0.013, 200, 9), (0.0, 200, 16), (1e-6, 200, 16), (5.0, 200, 1), (0.001, 4, 2), (0.1, 2, 1)],
)
def test_two_batches_fit_into_the_ring(one: float, slots: int, size: int) -> None:
    assert products.Products.batch_size(one, slots) == size


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "oom"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "exception"),
    ],
)
def test_running_out_of_memory_is_told_apart(error: Exception, kind: str) -> None:
    assert worker.kind_of(error) == kind


NO_KERNEL = RuntimeError("\"addmm_impl_cpu_\" not implemented for 'BFloat16'")
TOO_OLD = RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling cublasLtMatmul\nmore")
ONLY_ON = RuntimeError("torch._scaled_mm is only supported on devices with capability >= 8.9")
SIGNATURE = TypeError("_scaled_mm() got an unexpected keyword argument 'out'")
EXECUTION = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED")
SHAPE = ValueError("Invalid scaling configuration")
MEMORY = RuntimeError("CUDA out of memory. Tried to allocate 2 MiB")


def tried(
    monkeypatch: pytest.MonkeyPatch, backend: str, name: str, error: Exception
) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """fp32 can be multiplied, the named precision raises."""

    def multiply(torch: Any, device: Any, precision: Any) -> None:
        if precision.name == name:
            raise error

    monkeypatch.setattr(precisions, "_multiply_some", multiply)
    torch = SimpleNamespace(ones=lambda count, device: SimpleNamespace(cpu=lambda: None))
    device = SimpleNamespace(name=backend, handle=None)
    return precisions.usable(torch, device, [name, "fp32"])


@pytest.mark.parametrize(
    ("backend", "name", "error"),
    [
        ("cuda", "fp8", TOO_OLD),
        ("cuda", "fp8", ONLY_ON),
        ("cuda", "fp4", SIGNATURE),
        ("cpu", "bf16", NO_KERNEL),
    ],
)
def test_a_precision_that_this_torch_lacks_is_left_out(
    monkeypatch: pytest.MonkeyPatch, backend: str, name: str, error: Exception
) -> None:
    said = str(error).partition("\n")[0]
    assert tried(monkeypatch, backend, name, error) == (["fp32"], {name: said}, {})


@pytest.mark.parametrize("error", [EXECUTION, SHAPE])
def test_a_narrow_one_that_fails_otherwise_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert tried(monkeypatch, "cuda", "fp8", error) == (["fp32"], {}, {"fp8": str(error)})


@pytest.mark.parametrize(
    ("backend", "name", "error"),
    [
        *(("cuda", name, EXECUTION) for name in ("fp64", "tf32", "bf16", "fp16")),
        ("cuda", "bf16", TOO_OLD),
        ("rocm", "bf16", NO_KERNEL),
        ("cuda", "fp64", MEMORY),
        ("cuda", "fp8", MEMORY),
        ("cpu", "bf16", MEMORY),
        ("cpu", "bf16", EXECUTION),
    ],
)
def test_what_the_part_s_units_are_enough_for_must_be_multiplied(
    monkeypatch: pytest.MonkeyPatch, backend: str, name: str, error: Exception
) -> None:
    """The heat above all: without it another precision would be judged in its place."""
    with pytest.raises(type(error)) as caught:
        tried(monkeypatch, backend, name, error)
    assert caught.value is error


def test_where_nothing_is_multiplied_there_is_no_burn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"no precision here.*not implemented"):
        tried(monkeypatch, "cpu", "fp32", NO_KERNEL)


class FakeNvml(SimpleNamespace):
    """One H200 that knows no remapped rows."""

    class NVMLError(Exception):
        pass

    def _refuse(self, handle: Any) -> None:
        raise self.NVMLError("Not Supported")


def fake_nvml() -> Any:
    fake = FakeNvml(
        NVML_TEMPERATURE_GPU=0,
        NVML_CLOCK_SM=1,
        NVML_MEMORY_ERROR_TYPE_UNCORRECTED=1,
        NVML_VOLATILE_ECC=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: "handle",
        nvmlDeviceGetUUID=lambda handle: b"GPU-AB12",
        nvmlDeviceGetPciInfo=lambda handle: SimpleNamespace(busId=b"00000000:19:00.0"),
        nvmlSystemGetDriverVersion=lambda: "580.1",
        nvmlDeviceGetTemperature=lambda handle, sensor: 61,
        nvmlDeviceGetPowerUsage=lambda handle: 690500,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 700000,
        nvmlDeviceGetClockInfo=lambda handle, kind: 1425,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 4,
        nvmlDeviceGetTotalEccErrors=lambda handle, kind, counter: 0,
        nvmlDeviceGetCurrPcieLinkGeneration=lambda handle: 5,
        nvmlDeviceGetCurrPcieLinkWidth=lambda handle: 16,
        nvmlDeviceGetMaxPcieLinkGeneration=lambda handle: 5,
        nvmlDeviceGetMaxPcieLinkWidth=lambda handle: 16,
        nvmlDeviceGetPcieReplayCounter=lambda handle: 3,
    )
    fake.nvmlDeviceGetRemappedRows = fake._refuse
    return fake


def test_nvml_fields_with_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    source = nvml.Source()
    values = {"temperature": 61, "power": 690.5, "power_limit": 700.0, "clock": 1425, "reasons": 4}
    assert source.sample() == {"ab12": {**values, "pcie_gen": 5, "pcie_width": 16}}
    inventory = source.inventory()
    assert inventory["driver"] == "580.1"
    told = inventory["devices"]["ab12"]
    assert told["bus"] == "0000:19:00"
    assert set(told["absent"]) == {"margin", "memory_temperature", "memory_clock"}
    assert told["counters"] == {"ecc_uncorrected": 0, "pcie_replays": 3}
    assert told["counters_absent"]["remap_failed"] == "Not Supported"
    assert (told["pcie_gen_max"], told["pcie_width_max"]) == (5, 16)
    assert "inforom" in told["fixed_absent"]


@pytest.mark.parametrize(("code", "told"), [(0, 1), (14, 0), (3, None)])
def test_a_damaged_inforom_is_told_and_an_absent_one_is_not(
    monkeypatch: pytest.MonkeyPatch, code: int, told: Optional[int]
) -> None:
    fake = fake_nvml()

    class Error(Exception):
        value = code

    def validate(handle: Any) -> None:
        if code:
            raise Error("NVML's own words")

    fake.NVMLError, fake.NVML_ERROR_CORRUPTED_INFOROM = Error, 14
    fake.nvmlDeviceValidateInforom = validate
    del fake.nvmlDeviceGetRemappedRows  # it raises another error than this one
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    device = nvml.Source().inventory()["devices"]["ab12"]
    assert device.get("inforom") == told
    assert ("inforom" in device["fixed_absent"]) is (told is None)


def test_sysfs_takes_cpu_zones_only(tmp_path: Any) -> None:
    for number, (kind, value) in enumerate([("x86_pkg_temp", "51000"), ("iwlwifi", "99000")]):
        zone = tmp_path / ("class/thermal/thermal_zone%d" % number)
        zone.mkdir(parents=True)
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(value + "\n")
    source = sysfs.Source(str(tmp_path))
    assert source.sample() == {"cpu": {"temperature": 51.0}}
    assert "clock" in source.inventory()["devices"]["cpu"]["absent"]
    assert "temperature" not in source.inventory()["devices"]["cpu"]["absent"]


@pytest.mark.parametrize("has", [("bf16",), ("bf16", "fp8", "tf32", "fp64", "fp32", "fp16")])
def test_the_whole_time_is_shared_out_and_the_heat_has_most_and_comes_last(
    has: tuple[str, ...],
) -> None:
    burning = compute.Compute.__new__(compute.Compute)
    burning.precisions = [precisions.PRECISIONS[name] for name in has]
    schedule = burning.schedule()
    assert sum(share for _, _, share in schedule) == pytest.approx(1)
    assert len(schedule) == 2 * len(has)
    last, pattern, share = schedule[-1]
    assert (last.name, pattern) == ("bf16", "random normals")
    assert share == max(share for _, _, share in schedule) > 0.5


WIDTHS = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@pytest.mark.parametrize(
    ("free_gib", "bf16", "fp64"),
    [
        (139, [16384, 32768], [8192, 32768]),
        (24, [16384, 32768], [8192, 32768]),
        (12, [8192, 16384], [4096, 16384]),
        (1, [2048, 4096], [1024, 4096]),
        (0, [256, 512], [256, 1024]),
    ],
)
def test_matrices_are_smaller_where_memory_is_short(
    free_gib: int, bf16: list[int], fp64: list[int]
) -> None:
    burning: Any = compute.Compute.__new__(compute.Compute)
    empty = lambda _, dtype: SimpleNamespace(element_size=lambda: WIDTHS[dtype])  # noqa: E731
    burning._torch = SimpleNamespace(empty=empty, **{name: name for name in WIDTHS})
    burning._device = SimpleNamespace(free_bytes=lambda: free_gib << 30)
    burning._config = {"memory_fraction": 0.96}
    burning._integer_size = 8192
    burning.precisions = [precisions.PRECISIONS[name] for name in ("bf16", "fp64")]
    burning._shapes = {"bf16": [16384, 32768], "fp64": [8192, 32768]}
    burning._fit()
    assert burning._shapes == {"bf16": bf16, "fp64": fp64}
    if free_gib:
        assert burning._beside() + 4 * burning._piece() <= burning._room()


@pytest.mark.parametrize(
    ("plain", "checked", "cost"),
    [
        ([], [1.0, 1.0], None),
        ([1.0], [1.01, 1.01], None),  # one batch says nothing
        ([0.5, 1.0, 1.0], [0.5, 1.01, 1.01], 0.01),  # the first third ran before clocks fell
        ([0.0, 0.0], [1.0, 1.0], None),
    ],
)
def test_what_checks_cost(plain: list[float], checked: list[float], cost: float | None) -> None:
    assert products.check_cost(plain, checked) == cost
