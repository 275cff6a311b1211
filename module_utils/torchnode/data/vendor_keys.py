"""The keys that vendors sign their repositories with. Pure data.

A fingerprint stands here only in full and with the place where it was read. A short id (the last
eight letters) is not one: anybody can make a key with a given short id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Tuple

from . import sources
from .sources import Source


@dataclass(frozen=True)
class VendorKey:
    """``fingerprint``: 40 hex digits of the primary key; ``file``: below files/, '' where the key
    itself could not be had: it is fetched from its repository, by ``name``, and must have this
    fingerprint."""

    name: str
    fingerprint: str
    file: str
    cited: Tuple[Source, ...]


VENDOR_KEYS: Mapping[str, VendorKey] = {
    key.name: key
    for key in (
        VendorKey(
            "3bf863cc",
            "EB693B3035CD5710E231E123A4B469963BF863CC",
            "keys/nvidia-cuda-3bf863cc.asc",
            (sources.CUDA_SIGNATURES, sources.CUDA_DEB_KEYS, sources.CUDA_DEB_KEY),
        ),
        VendorKey(
            "8793F200",
            "02182E60104FCDC26EAE1B8597A5D4CB8793F200",
            "keys/nvidia-cuda-debian13-8793f200.asc",
            (sources.CUDA_DEB_KEYS,),
        ),
        VendorKey(
            "60DF8A40",
            "14BAFBC7562AD710CA04E69905FBB6DA60DF8A40",
            "",
            (sources.CUDA_RESOLUTE_KEY,),
        ),
        VendorKey(
            "D42D0685",
            "610C7B14E068A878070DA4E99CD0A493D42D0685",
            "",
            (sources.CUDA_SIGNATURES,),
        ),
        VendorKey(
            "libnvidia-container",
            "C95B321B61E88C1809C4F759DDCAE044F796ECB0",
            "keys/nvidia-container-toolkit.asc",
            (sources.CONTAINER_KEY,),
        ),
    )
}

#: The key that NVIDIA revoked in 2022: to be removed wherever it is.
REVOKED_KEYS = ("AE09FE4BBD223A84B2CCFCE3F60F4B3D7FA2AF80",)
REVOKED_CITED = (sources.REVOKED_KEY,)
