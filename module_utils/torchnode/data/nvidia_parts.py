"""NVIDIA devices by PCI device id: product, chip, architecture. Pure data and one look-up.

A chip's architecture stands once, in CHIPS; PRODUCTS names single boards. An id between a chip's
known ids belongs to that chip even where no product row names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from . import sources
from .sources import Source

GIB = 2**30

_PCI_IDS = (sources.PCI_IDS,)
_OPEN_MODULES = (sources.OPEN_KERNEL_MODULES,)
_CHIP = (sources.PCI_IDS, sources.CUDA_GPUS)
_NEW_CHIP = (sources.OPEN_KERNEL_MODULES, sources.CUDA_GPUS)
_CHIP_AGE = (*_CHIP, sources.FIRST_BRANCHES)
_NEW_AGE = (*_NEW_CHIP, sources.FIRST_BRANCHES)
_B200 = (*_NEW_AGE, sources.B200_DRIVER)


@dataclass(frozen=True)
class Part:
    """What an id stands for. ``architecture`` is 'sm_90'; ``generation`` a row of FLAVOURS.

    ``form`` is 'SXM', 'PCIe', 'superchip', or '' where the sources do not say. ``memory_bytes``
    is nominal (NVML reports up to 3 % less) or None. ``named`` is False for a part that is known
    by its chip's range only.
    """

    name: str
    generation: str
    architecture: str
    memory_bytes: Optional[int] = None
    form: str = ""
    named: bool = True


@dataclass(frozen=True)
class Chip:
    """A GPU chip: the first and last device ids that the cited tables give for it.

    ``first_branch`` is the first driver branch that knows any of its boards, '' where no source
    says; a later board of the chip may need a later one.
    """

    name: str
    first_id: int
    last_id: int
    generation: str
    architecture: str
    cited: Tuple[Source, ...] = _CHIP
    first_branch: str = ""


@dataclass(frozen=True)
class Product:
    """A board: its name as the driver reports it, and the whole board's memory."""

    device_id: int
    name: str
    form: str
    memory_bytes: Optional[int] = None
    cited: Tuple[Source, ...] = _OPEN_MODULES


#: In id order, without overlap. GH100 and GH200 are one chip, told apart because Grace Hopper
#: takes only the open kernel modules. Jetson's integrated GPUs have no PCI id.
CHIPS = (
    Chip("GM107/GM108", 0x1340, 0x13BD, "maxwell", "sm_50"),
    Chip("GM204", 0x13C0, 0x13FB, "maxwell", "sm_52"),
    Chip("GM206", 0x1401, 0x1436, "maxwell", "sm_52"),
    Chip("GP100", 0x15F0, 0x15F9, "pascal", "sm_60"),
    Chip("GM204", 0x1617, 0x1667, "maxwell", "sm_52"),
    Chip("GM200", 0x17C2, 0x17FD, "maxwell", "sm_52"),
    Chip("GP102", 0x1B00, 0x1B78, "pascal", "sm_61"),
    Chip("GP104", 0x1B80, 0x1BE1, "pascal", "sm_61"),
    Chip("GP106", 0x1C00, 0x1C70, "pascal", "sm_61"),
    Chip("GP107", 0x1C81, 0x1CFB, "pascal", "sm_61"),
    Chip("GP108", 0x1D01, 0x1D56, "pascal", "sm_61"),
    Chip("GV100", 0x1D81, 0x1DF6, "volta", "sm_70"),
    Chip("TU102", 0x1E02, 0x1E78, "turing", "sm_75"),
    Chip("TU104", 0x1E81, 0x1EF5, "turing", "sm_75"),
    Chip("TU106", 0x1F02, 0x1F76, "turing", "sm_75"),
    Chip("TU117", 0x1F81, 0x1FF9, "turing", "sm_75"),
    Chip("GA100", 0x2082, 0x20FD, "ampere", "sm_80"),
    Chip("TU116", 0x2182, 0x21D1, "turing", "sm_75"),
    Chip("GA102", 0x2200, 0x223F, "ampere", "sm_86"),
    Chip("GH100", 0x2302, 0x233B, "hopper", "sm_90", _CHIP_AGE, "520"),
    Chip("GH200", 0x2342, 0x2348, "grace-hopper", "sm_90", _NEW_AGE, "535"),
    Chip("GA103", 0x2414, 0x2460, "ampere", "sm_86"),
    Chip("GA104", 0x2482, 0x24FA, "ampere", "sm_86"),
    Chip("GA106", 0x2501, 0x2571, "ampere", "sm_86"),
    Chip("GA107", 0x2582, 0x25FB, "ampere", "sm_86"),
    Chip("AD102", 0x2681, 0x26F5, "ada", "sm_89", _CHIP_AGE, "520"),
    Chip("AD103", 0x2702, 0x2770, "ada", "sm_89", _CHIP_AGE, "525"),
    Chip("AD104", 0x2782, 0x27FB, "ada", "sm_89", _CHIP_AGE, "525"),
    Chip("AD106", 0x2803, 0x2860, "ada", "sm_89", _CHIP_AGE, "525"),
    Chip("AD107", 0x2882, 0x28F8, "ada", "sm_89", _CHIP_AGE, "525"),
    Chip("B200", 0x2901, 0x2901, "blackwell", "sm_100", _B200, "570"),
    Chip("GB200", 0x2941, 0x2941, "blackwell", "sm_100", _NEW_AGE, "570"),
    Chip("GB202", 0x2B85, 0x2BB9, "blackwell", "sm_120", _NEW_AGE, "570"),
    Chip("GB203", 0x2C02, 0x2C79, "blackwell", "sm_120", _NEW_AGE, "570"),
    Chip("GB206/GB207", 0x2D04, 0x2DF9, "blackwell", "sm_120", _NEW_AGE, "570"),
    Chip("GB10", 0x2E12, 0x2E12, "blackwell", "sm_121", _NEW_AGE, "580"),
    Chip("GB205", 0x2F04, 0x2F58, "blackwell", "sm_120", _NEW_AGE, "570"),
    Chip("B300", 0x3182, 0x3182, "blackwell", "sm_103", _NEW_AGE, "580"),
    Chip("GB300", 0x31C2, 0x31C2, "blackwell", "sm_103", _NEW_AGE, "580"),
)

#: In id order. Names as NVIDIA's driver reports them. Laptop boards and the lesser display cards
#: are left to CHIPS. Memory is the largest vGPU profile that the driver names for the id, or
#: stands in the product's name; neither: None.
PRODUCTS = (
    Product(0x15F7, "Tesla P100-PCIE-12GB", "PCIe", 12 * GIB, _PCI_IDS),
    Product(0x15F8, "Tesla P100-PCIE-16GB", "PCIe", 16 * GIB, _PCI_IDS),
    Product(0x15F9, "Tesla P100-SXM2-16GB", "SXM", 16 * GIB, _PCI_IDS),
    Product(0x1B38, "Tesla P40", "", None, _PCI_IDS),
    Product(0x1BB3, "Tesla P4", "", None, _PCI_IDS),
    Product(0x1D81, "NVIDIA TITAN V", "", None, _PCI_IDS),
    Product(0x1DB1, "Tesla V100-SXM2-16GB", "SXM", 16 * GIB, _PCI_IDS),
    Product(0x1DB2, "Tesla V100-DGXS-16GB", "", 16 * GIB, _PCI_IDS),
    Product(0x1DB3, "Tesla V100-FHHL-16GB", "PCIe", 16 * GIB, _PCI_IDS),
    Product(0x1DB4, "Tesla V100-PCIE-16GB", "PCIe", 16 * GIB, _PCI_IDS),
    Product(0x1DB5, "Tesla V100-SXM2-32GB", "SXM", 32 * GIB, _PCI_IDS),
    Product(0x1DB6, "Tesla V100-PCIE-32GB", "PCIe", 32 * GIB, _PCI_IDS),
    Product(0x1DB7, "Tesla V100-DGXS-32GB", "", 32 * GIB, _PCI_IDS),
    Product(0x1DB8, "Tesla V100-SXM3-32GB", "SXM", 32 * GIB, _PCI_IDS),
    Product(0x1DF5, "Tesla V100-SXM2-16GB", "SXM", 16 * GIB, _PCI_IDS),
    Product(0x1DF6, "Tesla V100S-PCIE-32GB", "PCIe", 32 * GIB, _PCI_IDS),
    Product(0x1E02, "NVIDIA TITAN RTX", ""),
    Product(0x1E04, "NVIDIA GeForce RTX 2080 Ti", ""),
    Product(0x1E07, "NVIDIA GeForce RTX 2080 Ti", ""),
    Product(0x1E30, "Quadro RTX 6000 / 8000", ""),
    Product(0x1E36, "Quadro RTX 6000", ""),
    Product(0x1E78, "Quadro RTX 6000 / 8000", ""),
    Product(0x1E81, "NVIDIA GeForce RTX 2080 SUPER", ""),
    Product(0x1E82, "NVIDIA GeForce RTX 2080", ""),
    Product(0x1E84, "NVIDIA GeForce RTX 2070 SUPER", ""),
    Product(0x1E87, "NVIDIA GeForce RTX 2080", ""),
    Product(0x1E89, "NVIDIA GeForce RTX 2060", ""),
    Product(0x1EB0, "Quadro RTX 5000", ""),
    Product(0x1EB1, "Quadro RTX 4000", ""),
    Product(0x1EB4, "NVIDIA T4G", "", None, _PCI_IDS),
    Product(0x1EB8, "Tesla T4", "", 16 * GIB),
    Product(0x1EC2, "NVIDIA GeForce RTX 2070 SUPER", ""),
    Product(0x1EC7, "NVIDIA GeForce RTX 2070 SUPER", ""),
    Product(0x1F02, "NVIDIA GeForce RTX 2070", ""),
    Product(0x1F03, "NVIDIA GeForce RTX 2060", ""),
    Product(0x1F06, "NVIDIA GeForce RTX 2060 SUPER", ""),
    Product(0x1F07, "NVIDIA GeForce RTX 2070", ""),
    Product(0x1F08, "NVIDIA GeForce RTX 2060", ""),
    Product(0x1F42, "NVIDIA GeForce RTX 2060 SUPER", ""),
    Product(0x1F47, "NVIDIA GeForce RTX 2060 SUPER", ""),
    Product(0x20B0, "NVIDIA A100-SXM4-40GB", "SXM", 40 * GIB),
    Product(0x20B1, "NVIDIA A100-PCIE-40GB", "PCIe", 40 * GIB, _PCI_IDS),
    Product(0x20B2, "NVIDIA A100-SXM4-80GB", "SXM", 80 * GIB),
    Product(0x20B3, "NVIDIA A100-SXM-64GB", "SXM", 64 * GIB),
    Product(0x20B5, "NVIDIA A100 80GB PCIe", "PCIe", 80 * GIB),
    Product(0x20B7, "NVIDIA A30", "", 24 * GIB),
    Product(0x20BD, "NVIDIA A800-SXM4-40GB", "SXM", 40 * GIB),
    Product(0x20F1, "NVIDIA A100-PCIE-40GB", "PCIe", 40 * GIB),
    Product(0x20F3, "NVIDIA A800-SXM4-80GB", "SXM", 80 * GIB),
    Product(0x20F5, "NVIDIA A800 80GB PCIe", "PCIe", 80 * GIB),
    Product(0x20F6, "NVIDIA A800 40GB Active", "", 40 * GIB),
    Product(0x20FD, "NVIDIA AX800", ""),
    Product(0x2203, "NVIDIA GeForce RTX 3090 Ti", ""),
    Product(0x2204, "NVIDIA GeForce RTX 3090", ""),
    Product(0x2206, "NVIDIA GeForce RTX 3080", ""),
    Product(0x2207, "NVIDIA GeForce RTX 3070 Ti", ""),
    Product(0x2208, "NVIDIA GeForce RTX 3080 Ti", ""),
    Product(0x220A, "NVIDIA GeForce RTX 3080", ""),
    Product(0x2216, "NVIDIA GeForce RTX 3080", ""),
    Product(0x2230, "NVIDIA RTX A6000", "", 48 * GIB),
    Product(0x2231, "NVIDIA RTX A5000", "", 24 * GIB),
    Product(0x2232, "NVIDIA RTX A4500", ""),
    Product(0x2233, "NVIDIA RTX A5500", "", 24 * GIB),
    Product(0x2235, "NVIDIA A40", "", 48 * GIB),
    Product(0x2236, "NVIDIA A10", "", 24 * GIB),
    Product(0x2237, "NVIDIA A10G", "", 24 * GIB),
    Product(0x2238, "NVIDIA A10M", "", 20 * GIB),
    Product(0x230E, "NVIDIA H20 NVL16", ""),
    Product(0x2321, "NVIDIA H100 NVL", "PCIe", 94 * GIB),
    Product(0x2322, "NVIDIA H800 PCIe", "PCIe", 80 * GIB),
    Product(0x2324, "NVIDIA H800", "SXM", 80 * GIB),
    Product(0x2329, "NVIDIA H20", "", 96 * GIB),
    Product(0x232C, "NVIDIA H20-3e", "", 141 * GIB),
    Product(0x2330, "NVIDIA H100 80GB HBM3", "SXM", 80 * GIB),
    Product(0x2331, "NVIDIA H100 PCIe", "PCIe", 80 * GIB),
    Product(0x2335, "NVIDIA H200", "SXM", 141 * GIB),
    Product(0x2339, "NVIDIA H100", "", 94 * GIB),
    Product(0x233A, "NVIDIA H800 NVL", "PCIe", 94 * GIB),
    Product(0x233B, "NVIDIA H200 NVL", "PCIe", 141 * GIB),
    Product(0x2342, "NVIDIA GH200", "superchip", 96 * GIB),
    Product(0x2348, "NVIDIA GH200 144G HBM3e", "superchip", 144 * GIB),
    Product(0x2414, "NVIDIA GeForce RTX 3060 Ti", ""),
    Product(0x2482, "NVIDIA GeForce RTX 3070 Ti", ""),
    Product(0x2484, "NVIDIA GeForce RTX 3070", ""),
    Product(0x2486, "NVIDIA GeForce RTX 3060 Ti", ""),
    Product(0x2487, "NVIDIA GeForce RTX 3060", ""),
    Product(0x2488, "NVIDIA GeForce RTX 3070", ""),
    Product(0x2489, "NVIDIA GeForce RTX 3060 Ti", ""),
    Product(0x24B0, "NVIDIA RTX A4000", ""),
    Product(0x24B1, "NVIDIA RTX A4000H", ""),
    Product(0x24C7, "NVIDIA GeForce RTX 3060", ""),
    Product(0x24C9, "NVIDIA GeForce RTX 3060 Ti", ""),
    Product(0x2503, "NVIDIA GeForce RTX 3060", ""),
    Product(0x2504, "NVIDIA GeForce RTX 3060", ""),
    Product(0x2507, "NVIDIA GeForce RTX 3050", ""),
    Product(0x2508, "NVIDIA GeForce RTX 3050 OEM", ""),
    Product(0x2531, "NVIDIA RTX A2000", ""),
    Product(0x2544, "NVIDIA GeForce RTX 3060", ""),
    Product(0x2571, "NVIDIA RTX A2000 12GB", "", 12 * GIB),
    Product(0x2582, "NVIDIA GeForce RTX 3050", ""),
    Product(0x2584, "NVIDIA GeForce RTX 3050", ""),
    Product(0x25B0, "NVIDIA RTX A1000", ""),
    Product(0x25B6, "NVIDIA A2 / A16", "", 16 * GIB),
    Product(0x2684, "NVIDIA GeForce RTX 4090", ""),
    Product(0x2685, "NVIDIA GeForce RTX 4090 D", ""),
    Product(0x2689, "NVIDIA GeForce RTX 4070 Ti SUPER", ""),
    Product(0x26B1, "NVIDIA RTX 6000 Ada Generation", "", 48 * GIB),
    Product(0x26B2, "NVIDIA RTX 5000 Ada Generation", "", 32 * GIB),
    Product(0x26B3, "NVIDIA RTX 5880 Ada Generation", "", 48 * GIB),
    Product(0x26B5, "NVIDIA L40", "", 48 * GIB),
    Product(0x26B8, "NVIDIA L40G", "", 24 * GIB, _PCI_IDS),
    Product(0x26B9, "NVIDIA L40S", "", 48 * GIB),
    Product(0x26BA, "NVIDIA L20", "", 48 * GIB),
    Product(0x2702, "NVIDIA GeForce RTX 4080 SUPER", ""),
    Product(0x2704, "NVIDIA GeForce RTX 4080", ""),
    Product(0x2705, "NVIDIA GeForce RTX 4070 Ti SUPER", ""),
    Product(0x2709, "NVIDIA GeForce RTX 4070", ""),
    Product(0x2782, "NVIDIA GeForce RTX 4070 Ti", ""),
    Product(0x2783, "NVIDIA GeForce RTX 4070 SUPER", ""),
    Product(0x2786, "NVIDIA GeForce RTX 4070", ""),
    Product(0x2788, "NVIDIA GeForce RTX 4060 Ti", ""),
    Product(0x27B0, "NVIDIA RTX 4000 SFF Ada Generation", ""),
    Product(0x27B1, "NVIDIA RTX 4500 Ada Generation", ""),
    Product(0x27B2, "NVIDIA RTX 4000 Ada Generation", ""),
    Product(0x27B6, "NVIDIA L2", "", 24 * GIB),
    Product(0x27B8, "NVIDIA L4", "", 24 * GIB),
    Product(0x2803, "NVIDIA GeForce RTX 4060 Ti", ""),
    Product(0x2805, "NVIDIA GeForce RTX 4060 Ti", ""),
    Product(0x2808, "NVIDIA GeForce RTX 4060", ""),
    Product(0x2882, "NVIDIA GeForce RTX 4060", ""),
    Product(0x28B0, "NVIDIA RTX 2000 Ada Generation", ""),
    Product(0x2901, "NVIDIA B200", "SXM", 180 * GIB),
    Product(0x2941, "NVIDIA GB200", "superchip", 189 * GIB),
    Product(0x2B85, "NVIDIA GeForce RTX 5090", ""),
    Product(0x2B87, "NVIDIA GeForce RTX 5090 D", ""),
    Product(0x2B8C, "NVIDIA GeForce RTX 5090 D v2", ""),
    Product(0x2BB1, "NVIDIA RTX PRO 6000 Blackwell Workstation Edition", ""),
    Product(0x2BB3, "NVIDIA RTX PRO 5000 Blackwell", ""),
    Product(0x2BB4, "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", ""),
    Product(0x2BB5, "NVIDIA RTX PRO 6000 Blackwell Server Edition", "", 96 * GIB),
    Product(0x2BB9, "NVIDIA RTX 6000D", "", 84 * GIB),
    Product(0x2C02, "NVIDIA GeForce RTX 5080", ""),
    Product(0x2C05, "NVIDIA GeForce RTX 5070 Ti", ""),
    Product(0x2C31, "NVIDIA RTX PRO 4500 Blackwell", ""),
    Product(0x2C33, "NVIDIA RTX PRO 4000 Blackwell SFF Edition", ""),
    Product(0x2C34, "NVIDIA RTX PRO 4000 Blackwell", ""),
    Product(0x2D04, "NVIDIA GeForce RTX 5060 Ti", ""),
    Product(0x2D05, "NVIDIA GeForce RTX 5060", ""),
    Product(0x2D30, "NVIDIA RTX PRO 2000 Blackwell", ""),
    Product(0x2D83, "NVIDIA GeForce RTX 5050", ""),
    Product(0x2E12, "NVIDIA GB10", "superchip"),
    Product(0x2F04, "NVIDIA GeForce RTX 5070", ""),
    Product(0x3182, "NVIDIA B300 SXM6 AC", "SXM", 269 * GIB),
    Product(0x31C2, "NVIDIA GB300", "superchip"),
)

#: NVSwitches as PCI endpoints of class 0x0680: A100's (LR10), then H100's and H200's (LS10).
NVSWITCH_IDS = frozenset((0x1AE8, *range(0x1AF0, 0x1B00), *range(0x22A0, 0x22A8)))
NVSWITCH_SOURCE = sources.NVSWITCH_DRIVER
#: The switches of boards with these chips (B200, B300) are managed through ConnectX-7 functions,
#: whose vital product data say so; an ordinary ConnectX-7 has the same id.
BRIDGED_ARCHITECTURES = ("sm_100", "sm_103")
BRIDGE_VENDOR, BRIDGE_ID, BRIDGE_MARK = 0x15B3, 0x1021, b"SW_MNG"
BRIDGE_SOURCE = sources.FABRIC_BRIDGES

_PRODUCT_OF = {product.device_id: product for product in PRODUCTS}


def chip_of(device_id: int) -> Optional[Chip]:
    """The chip whose known ids enclose ``device_id``, or None."""
    for chip in CHIPS:
        if chip.first_id <= device_id <= chip.last_id:
            return chip
    return None


def lookup(device_id: int) -> Optional[Part]:
    """The part behind a PCI device id of vendor 10de, or None where no source covers the id."""
    chip = chip_of(device_id)
    if chip is None:
        return None
    product = _PRODUCT_OF.get(device_id)
    if product is None:
        name = "NVIDIA %s device %04x" % (chip.name, device_id)
        return Part(name, chip.generation, chip.architecture, named=False)
    return Part(
        product.name, chip.generation, chip.architecture, product.memory_bytes, product.form
    )


def lookup_name(name: str) -> Optional[Part]:
    """The part of a product's name as the driver reports it, or None where no row has it."""
    return next((lookup(row.device_id) for row in PRODUCTS if row.name == name), None)
