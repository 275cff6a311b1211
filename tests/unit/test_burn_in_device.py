"""Which of torch's devices is the surveyed one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible.module_utils.torchnode.burn_in.child.device import same_device

CUDA = "42b478ac-cb30-dd14-bb69-5907ea0e7e2c"
#: As torch on ROCm writes the 16 bytes that the driver gives it: a GPU's 16 digits as characters.
HIP = "38386633-6563-6532-6539-623336643535"


@pytest.mark.parametrize(
    ("wanted", "uuid", "bus", "same"),
    [
        ({"uuid": "GPU-" + CUDA, "bus": "00000000:19:00.0"}, CUDA, "0000:19:00", True),
        # MIG, or a surveyed device that moved: the UUID decides.
        ({"uuid": "GPU-" + CUDA, "bus": "00000000:19:00.0"}, CUDA[::-1], "0000:19:00", False),
        ({"uuid": "88f3ece2e9b36d55", "bus": "0000:c1:00.0"}, HIP, "0000:c1:00", True),
        ({"uuid": "88f3ece2e9b36d55", "bus": "0000:c2:00.0"}, HIP, "0000:c1:00", False),
        ({"uuid": "88f3ece2e9b36d55", "bus": None}, HIP, "0000:c1:00", False),
        ({"uuid": None, "bus": "0000:c1:00.0"}, "", "0000:c1:00", True),
        ({"uuid": None, "bus": None}, "", "", False),
    ],
)
def test_a_device_is_known_by_uuid_or_by_bus(
    wanted: dict[str, Any], uuid: str, bus: str, same: bool
) -> None:
    assert same_device(wanted, uuid, bus) is same
