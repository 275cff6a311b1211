"""What NVML counts and what states it tells, by name: read before and after a burn-in.

Names and units are those of the judges in health.py. Every value is a whole number.
"""

from __future__ import annotations

from typing import Any, Callable

Reader = Callable[[Any], int]

#: Kinds of violation whose time counts, ns: nvmlDeviceGetViolationStatus, NVML_PERF_POLICY_*.
VIOLATIONS = {"power": "POWER", "thermal": "THERMAL", "board_limit": "BOARD_LIMIT"}

#: Time that the clocks were held down by the hardware, ns: NVML_FI_DEV_CLOCKS_EVENT_REASON_*.
HELD_DOWN = {
    "software_thermal": "SW_THERM_SLOWDOWN",
    "hardware_thermal": "HW_THERM_SLOWDOWN",
    "power_brake": "HW_POWER_BRAKE_SLOWDOWN",
}
LINK_ERRORS = ("REPLAY", "RECOVERY", "CRC_FLIT")  # NVML_NVLINK_ERROR_DL_*


def readers(nvml: Any) -> dict[str, Reader]:
    """A reader for each number; each raises nvml.NVMLError or AttributeError by itself."""
    found: dict[str, Reader] = {
        "ecc_uncorrected": lambda h: _ecc(nvml, h, "UNCORRECTED"),
        "ecc_corrected": lambda h: _ecc(nvml, h, "CORRECTED"),
        "sram_uncorrected": lambda h: _sram(nvml, h, "aggregateUncParity", "aggregateUncSecDed"),
        "sram_threshold": lambda h: _sram(nvml, h, "bThresholdExceeded"),
        "retired_pending": lambda h: int(nvml.nvmlDeviceGetRetiredPagesPendingStatus(h)),
        "recovery_action": lambda h: field(nvml, h, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION"),
        "pcie_replays": lambda h: int(nvml.nvmlDeviceGetPcieReplayCounter(h)),
        "links_up": lambda h: _links(nvml, h),
        "link_errors": lambda h: _link_errors(nvml, h),
        "fabric_state": lambda h: _fabric(nvml, h).state,
        "fabric_status": lambda h: _fabric(nvml, h).status,
        "fabric_health": lambda h: _fabric(nvml, h).healthMask,
    }
    places = ("remapped_correctable", "remapped_uncorrectable", "remap_pending", "remap_failed")
    for place, name in enumerate(places):
        found[name] = _remapped(nvml, place)
    for name, policy in VIOLATIONS.items():
        found["violation_" + name] = _violation(nvml, policy)
    for name, reason in HELD_DOWN.items():
        found["held_" + name] = _held(nvml, reason)
    return found


def field(nvml: Any, handle: Any, name: str) -> int:
    """One of NVML's numbered fields. Raises nvml.NVMLError where the device does not have it."""
    value = nvml.nvmlDeviceGetFieldValues(handle, [getattr(nvml, name)])[0]
    if value.nvmlReturn:
        raise nvml.NVMLError(value.nvmlReturn)
    kinds = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    return int(getattr(value.value, kinds[value.valueType]))


def _ecc(nvml: Any, handle: Any, kind: str) -> int:
    kind_number = getattr(nvml, "NVML_MEMORY_ERROR_TYPE_" + kind)
    return int(nvml.nvmlDeviceGetTotalEccErrors(handle, kind_number, nvml.NVML_VOLATILE_ECC))


def _sram(nvml: Any, handle: Any, *names: str) -> int:
    status = nvml.c_nvmlEccSramErrorStatus_v1_t()
    nvml.nvmlDeviceGetSramEccErrorStatus(handle, nvml.byref(status))
    return sum(int(getattr(status, name)) for name in names)


def _remapped(nvml: Any, place: int) -> Reader:
    return lambda handle: int(nvml.nvmlDeviceGetRemappedRows(handle)[place])


def _violation(nvml: Any, policy: str) -> Reader:
    def read(handle: Any) -> int:
        number = getattr(nvml, "NVML_PERF_POLICY_" + policy)
        return int(nvml.nvmlDeviceGetViolationStatus(handle, number).violationTime)

    return read


def _held(nvml: Any, reason: str) -> Reader:
    return lambda handle: field(nvml, handle, "NVML_FI_DEV_CLOCKS_EVENT_REASON_" + reason)


def _links(nvml: Any, handle: Any) -> int:
    """NVLinks that are up; raises where the device has none."""
    states = [_state(nvml, handle, link) for link in range(nvml.NVML_NVLINK_MAX_LINKS)]
    if all(state is None for state in states):
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    return sum(state == 1 for state in states)


def _state(nvml: Any, handle: Any, link: int) -> Any:
    try:
        return nvml.nvmlDeviceGetNvLinkState(handle, link)
    except nvml.NVMLError:
        return None


def _link_errors(nvml: Any, handle: Any) -> int:
    """All data-link errors of all links that are up; raises where none of them is counted."""
    counted = []
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        for name in LINK_ERRORS if _state(nvml, handle, link) == 1 else ():
            number = getattr(nvml, "NVML_NVLINK_ERROR_DL_" + name)
            try:
                counted.append(int(nvml.nvmlDeviceGetNvLinkErrorCounter(handle, link, number)))
            except nvml.NVMLError:
                continue
    if not counted:
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    return sum(counted)


def _fabric(nvml: Any, handle: Any) -> Any:
    info = nvml.c_nvmlGpuFabricInfoV_t()
    nvml.nvmlDeviceGetGpuFabricInfoV(handle, nvml.byref(info))
    return info
