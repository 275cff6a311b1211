"""Where the figures in these tables come from. Pure data.

A row cites a :class:`Source`; rows read at one place share one. ``note`` says how a figure was
read where the address alone does not show it, and what is uncertain about it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A public page or file: its address, the ISO date it was read on, and a note."""

    url: str
    retrieved: str
    note: str = ""


PYPI_TORCH = Source(
    "https://pypi.org/project/torch/#files",
    "2026-11-22",
    "The wheel for CPython 3.12 was downloaded: the tag is __version__ and the CUDA minor is cuda "
    "in torch/version.py, the architectures are the flags recorded in torch/lib/libtorch_python.so "
    "(what torch.cuda.get_arch_list() returns), the CUDA runtime, cuDNN and NCCL are the pins in "
    "its metadata, and the Pythons are those for which a wheel resolves.",
)
PYPI_TORCHVISION = Source(
    "https://pypi.org/project/torchvision/",
    "2026-11-22",
    "Requires-Dist of each wheel pins one torch, up to 0.29.1. 0.29.2 asks only for torch>=2.14.0, "
    "so it resolves beside 2.15.0 without naming it; no release names 2.15.",
)
PYPI_TORCHAUDIO = Source(
    "https://pypi.org/project/torchaudio/",
    "2026-11-22",
    "Each release up to 2.10.0 pins its torch; 2.11.0, the last, names none and matches 2.11.0.",
)
TORCH_INDEX = Source(
    "https://pytorch.org/get-started/previous-versions/",
    "2026-11-22",
    "One install command per release and tag. Commands read: 2.6.0, 2.9.0 and 2.9.1 there; for "
    "2.13.0 cpu, cu126 and cu130 in public projects. That the releases between and the aarch64 "
    "cpu build are served likewise was not read; without such a build no lock can be made.",
)
TORCH_RELEASE_MATRIX = Source(
    "https://github.com/pytorch/pytorch/blob/main/RELEASE.md#release-compatibility-matrix",
    "2026-11-22",
    "'PyTorch CUDA Support Matrix' for 2.12 to 2.14 and the cuDNN and NCCL of each release, read "
    "in a public copy of the file whose tables are unchanged. It lists 12.0+PTX for CUDA 13; the "
    "wheels record no PTX, so none is entered.",
)
TORCH_BUILD_SCRIPT = Source(
    "https://github.com/pytorch/pytorch/blob/00c7a380b8369d08e02dd400aa76dc6c0738b589"
    "/.ci/manywheel/build_cuda.sh",
    "2026-11-22",
    "TORCH_CUDA_ARCH_LIST per CUDA version on the main branch around these releases, not at their "
    "tags; the CUDA 12.8 list agrees with the wheels on PyPI.",
)
TORCH_211_MATRIX = Source(
    "https://github.com/pytorch/pytorch/blob/release/2.11/RELEASE.md#pytorch-cuda-support-matrix",
    "2026-11-22",
    "Read in the Korean user group's edition of the release matrix, dated 2026-03-24.",
)
CUDA_COMPATIBILITY = Source(
    "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html",
    "2026-11-22",
    "'Minimum required driver version for CUDA minor version compatibility'. 12.x and 13.x also "
    "stand in the cuDNN support matrix, read on the same day.",
)
CUDA_TOOLKIT_DRIVERS = Source(
    "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/index.html",
    "2026-11-22",
    "'CUDA Toolkit and corresponding driver versions': Linux, first release of each minor, except "
    "13.2, where the figure is 13.2 Update 1's.",
)
DRIVER_LIFECYCLE = Source(
    "https://docs.nvidia.com/datacenter/tesla/drivers/615/"
    "supported-drivers-and-cuda-toolkit-versions.html",
    "2026-11-22",
    "Designation and end of life of R535, R580, R595 and R610.",
)
DRIVER_NOTES = Source(
    "https://docs.nvidia.com/datacenter/tesla/",
    "2026-11-23",
    "Release notes of R550 and R570, among others; no end of life stands beside them.",
)
UNIX_DRIVERS = Source(
    "https://forums.developer.nvidia.com/t/current-graphics-driver-releases/28500",
    "2026-11-23",
    "590.48.01 named as the current release of the new feature branch; no end of life beside.",
)
ARCHITECTURE_MATRIX = Source(
    "https://docs.nvidia.com/datacenter/tesla/drivers/"
    "cuda-toolkit-driver-and-architecture-matrix.html",
    "2026-11-22",
    "Last driver branch per architecture: R580 for Maxwell, Pascal and Volta, whose last CUDA is "
    "12.x; ongoing from Turing on.",
)
KERNEL_MODULES = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html",
    "2026-11-22",
    "Open modules: Turing and newer, default since 560. Proprietary: Maxwell, Pascal and Volta.",
)
OPEN_ONLY = Source(
    "https://developer.nvidia.com/blog/"
    "nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/",
    "2026-11-22",
    "Grace Hopper and Blackwell must use the open modules; read in a public wiki that cites it.",
)
CUDNN_SUPPORT = Source(
    "https://docs.nvidia.com/deeplearning/cudnn/latest/reference/support-matrix.html",
    "2026-11-22",
    "Editions for 9.0.0 (taken for 9.1.0 too), 9.5.1, 9.10.2 and 9.17.0. Releases in between are "
    "judged by the row below them.",
)
CUDA_BINARY_COMPATIBILITY = Source(
    "https://docs.nvidia.com/cuda/archive/11.0_GA/pascal-compatibility-guide/index.html",
    "2026-11-22",
    "Machine code: same major version only; PTX: later devices. That the minor may be the same or "
    "higher was read in LLVM's offload plugin, https://reviews.llvm.org/D138600.",
)
CUDA_GPUS = Source(
    "https://developer.nvidia.com/cuda-gpus",
    "2026-11-22",
    "Compute capability by product; older products at https://developer.nvidia.com/cuda-legacy-gpus",
)
PCI_IDS = Source(
    "https://pci-ids.ucw.cz/v2.2/pci.ids",
    "2026-11-22",
    "Version 2023.04.10, vendor 10de, as Debian packages it.",
)
OPEN_KERNEL_MODULES = Source(
    "https://github.com/NVIDIA/open-gpu-kernel-modules/blob/"
    "df1c9a3de2be4b130f4fc7680f7198193d8ac6ad/src/nvidia/generated/g_nv_name_released.h",
    "2026-11-22",
    "Release 595.45.04: names by device id (also README.md, 'Compatible GPUs') and vGPU profiles.",
)
FIRST_BRANCHES = Source(
    "https://github.com/NVIDIA/open-gpu-kernel-modules/tags",
    "2026-11-23",
    "g_nv_name_released.h of every tag from 515.43.04 to 595.45.04: the first branch in which an "
    "id of the chip is named. What 515, the first, names already is not entered.",
)
NVSWITCH_DRIVER = Source(
    "https://github.com/NVIDIA/open-gpu-kernel-modules/blob/"
    "df1c9a3de2be4b130f4fc7680f7198193d8ac6ad/src/common/nvswitch/kernel/nvswitch.c",
    "2026-11-22",
    "nvswitch_lr10_device_ids, and the endpoints among nvswitch_ls10_device_ids; its bridge "
    "functions are left out. That B200 and B300 have none was read in public launch scripts.",
)
MIG_DEVICE_NAMES = Source(
    "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/mig-device-names.html",
    "2026-11-23",
    "A MIG device's name ends in its memory. 'CUDA Device Enumeration' (a process sees one "
    "instance, and then no whole GPU; later drivers may lift this) was read where it is quoted.",
)
PYPI_TORCH_NPU = Source(
    "https://pypi.org/project/torch-npu/#files",
    "2026-11-22",
    "The wheels' Requires-Dist ask for torch==<the same release>.*; machines and Pythons by file "
    "name. Each pair was resolved for Linux.",
)
ASCEND_CANN_TABLE = Source(
    "https://gitcode.com/Ascend/pytorch/blob/v2.14.0-26.2.0/docs/zh/release_notes/release_notes.md",
    "2026-11-23",
    "TorchNPU 26.2.0: packages with the CANN that they were released for, and the CANN lines that "
    "the release is compatible with, the oldest 8.5. Read in a public copy of the file; its place "
    "in this branch is taken from earlier releases.",
)
PYPI_TORCH_XLA = Source(
    "https://pypi.org/project/torch-xla/2.9.0/",
    "2026-11-22",
    "Requires-Dist names no torch; its extra 'tpu' is libtpu==0.0.21, which has wheels for CPython "
    "3.10 to 3.12 on x86-64 only. The release carries the number of the torch it was built for.",
)
PYPI_TORCH_MACOS = Source(
    "https://pypi.org/project/torch/#files",
    "2026-11-22",
    "Wheels for macosx arm64 by file name: macOS 11 up to torch 2.11, macOS 14 from 2.12 on.",
)
UV_ROCM_TARGETS = Source(
    "https://github.com/astral-sh/uv/blob/main/crates/uv-torch/src/backend.rs",
    "2026-11-22",
    "LINUX_AMD_GPU_DRIVERS: torch.cuda.get_arch_list() of the wheels by ROCm tag; the answers for "
    "2.7.1+rocm6.3 and for rocm7.2 stand in issue 14086 and pull request 18730. Read for a tag, "
    "and taken for every release of that tag: pytorch's .ci/docker/manywheel/build.sh, one list "
    "for all tags, has only grown.",
)
TORCH_XPU_TARGETS = Source(
    "https://github.com/intel/torch-xpu-ops/blob/007ad4d73ed7c83c2ecd867afdf00832f1f761c4"
    "/cmake/BuildFlags.cmake",
    "2026-11-22",
    "AOT_TARGETS for Linux on the main branch. Those entered are also the list of release/2.7, as "
    "a public benchmark script quotes it; ptl-h and ptl-u came later, in a release that was not "
    "read.",
)
XPU_DEVICE_FAMILIES = Source(
    "https://github.com/pytorch/pytorch/issues/138347",
    "2026-11-22",
    "Quotes intel/compute-runtime's platforms.h: acm-g10, dg2-g10 and ats-m150 are one target, and "
    "acm-g11, dg2-g11 and ats-m75 another; all are of the family dg2.",
)
B200_DRIVER = Source(
    "https://github.com/NVIDIA/cloud-native-docs/pull/184",
    "2026-11-22",
    "GPU Operator, platform support: HGX B200 needs driver 570.133.20 or later.",
)
JAX_TPU_IDS = Source(
    "https://github.com/jax-ml/jax/blob/b5d8cd950ae69030d89556f5b03914ba13b0d8e9"
    "/jax/_src/hardware_utils.py",
    "2026-11-22",
    "_TPU_PCI_DEVICE_IDS of vendor 1ae0; 0056, which has no public name, is left out.",
)
TPU_INFO = Source(
    "https://github.com/AI-Hypercomputer/cloud-accelerator-diagnostics/blob/"
    "2cbfaa9d228bf76874ed1a83e2b10f11ff8e4178/tpu_info/tpu_info/device.py",
    "2026-11-22",
    "Subsystem ids 004e and 004f tell v2 from v3; hbm_gib; /dev/vfio/<n> from v5 on, /dev/accel<n> "
    "before.",
)
ASCEND_LOG_SCRIPT = Source(
    "https://github.com/verylucky01/driver/blob/29b54652a55dc20eea95f69b526b95f1784620c9"
    "/scripts/package/custom/driver/common/scripts/npu_log_collect.sh",
    "2026-11-22",
    "Huawei's driver package, in a public copy: CHIP_NUM_310, _310P, _910, _910B, _910_93 and "
    "_910_95 count the devices by id. Class 1200 was read in public lspci output of a 910B.",
)
ASCEND_INSTALL = Source(
    "https://www.hiascend.com/document/detail/en/CANNCommunityEdition/900/softwareinst/instg/"
    "instg_0064.html",
    "2026-11-22",
    "version in cann/<arch>-linux/ascend_toolkit_install.info (CANN 8.5 and later); editions up to "
    "8.3 have it below ascend-toolkit/latest/. Root installs to /usr/local/Ascend, others to "
    "~/Ascend. That the driver's version stands in driver/version.info was read in public guides.",
)
CAMBRICON_DRIVER = Source(
    "https://github.com/jklincn/cambricon-mlu-driver/blob/866011e66f18a7115f068b5f67df2b6256085f3d"
    "/include/cndrv_core.h",
    "2026-11-22",
    "Cambricon's kernel driver in a public copy: MLUID_*, device id and vendor cabc in one word; "
    "those that end in V are virtual functions. Class 1200 and the module's name, cambricon_drv, "
    "stand in a board maker's lspci output for an MLU220.",
)
INTEL_COMPUTE_RUNTIME = Source(
    "https://github.com/intel/compute-runtime/blob/master/shared/source/dll/devices/"
    "devices_base.inl",
    "2026-11-22",
    "Device ids with product names, by chip. Boards without a name of their own are left out. Read "
    "in a public copy of 2025; pvc and bmg are the chips' device targets.",
)
I915_PCI_IDS = Source(
    "https://github.com/torvalds/linux/blob/master/include/drm/intel/pciids.h",
    "2026-11-22",
    "INTEL_DG2_G10_IDS, INTEL_DG2_G11_IDS, INTEL_ATS_M150_IDS and INTEL_ATS_M75_IDS tell G10 from "
    "G11; read in patches to the file.",
)
AMDGPU_PCI_IDS = Source(
    "https://github.com/torvalds/linux/blob/master/drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c",
    "2026-11-22",
    "pciidlist names the chip behind each id up to Aldebaran and marks the integrated ones "
    "(AMD_IS_APU); read in a patch that rewrites the whole list. Newer chips are not in it.",
)
AMD_PCI_IDS = Source(
    "https://github.com/vcrhonek/hwdata/blob/master/pci.ids",
    "2026-11-22",
    "Vendor 1002, read where public tests quote it: MI100 to MI300, Radeon RX 7900 and RX 9000.",
)
AMD_GPU_SPECS = Source(
    "https://rocm.docs.amd.com/en/latest/reference/gpu-specs.html",
    "2026-11-22",
    "LLVM target and VRAM in GiB by product.",
)
AMDGPU_PROCESSORS = Source(
    "https://llvm.org/docs/AMDGPUUsage.html#amdgpu-processors",
    "2026-11-22",
    "Example products of each gfx target.",
)
KFD_TOPOLOGY = Source(
    "https://github.com/torvalds/linux/blob/master/drivers/gpu/drm/amd/amdkfd/kfd_topology.c",
    "2026-11-22",
    "gfx_target_version is major * 10000 + minor * 100 + stepping, location_id the bus in its high "
    "byte and device and function in the low one; values read in public fixtures.",
)
MACOS_SYSCTL = Source(
    "https://themaltesetiger.com/2024/12/24/"
    "identifying-your-macs-processor-apple-silicon-vs-intel-how-to-tell-the-difference",
    "2026-11-22",
    "machdep.cpu.brand_string tells Apple's processors from Intel's. Public tests quote it as "
    "'Apple M2', and hw.memsize in bytes.",
)
DRIVER_GUIDE_UBUNTU = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/ubuntu.html",
    "2026-11-23",
    "Compute-only packages from branch 590 on, read in a public copy of 2026-05-21; those with the "
    "branch in the name, and the rest of the closure, in public installation scripts and package "
    "lists of ubuntu2204 and ubuntu2604 (595.71.05-1ubuntu1).",
)
JAMMY_LIST = Source(
    "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/",
    "2026-11-23",
    "22 packages of 580.65.06-0ubuntu1 by file name and hash in a public project, among them "
    "nvidia-utils-580, nvidia-compute-utils-580 and nvidia-persistenced.",
)
NOBLE_LIST = Source(
    "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/",
    "2026-11-23",
    "All packages of an installed 580.95.05-0ubuntu1, and of 580.105.08 and 580.159.03 in another "
    "public note in which nvidia-smi works: none has nvidia-utils-580 or nvidia-compute-utils-580.",
)
DRIVER_GUIDE_DEBIAN = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/debian.html",
    "2026-11-23",
    "Compute-only packages nvidia-driver-cuda with nvidia-kernel-open-dkms or nvidia-kernel-dkms, "
    "read in ten public installation scripts that follow the page; package names of 595.45.04-1 in "
    "a public listing of an installed machine.",
)
DRIVER_GUIDE_EL = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"
    "red-hat-enterprise-linux.html",
    "2026-11-23",
    "Compute-only packages, streams on 9 and none on 10, read in public scripts that follow the "
    "page; epoch 3 stands in NVIDIA's own spec file and on the page about version locking.",
)
EL_DKMS = Source(
    "https://github.com/stackhpc/ansible-slurm-appliance/pull/703",
    "2026-11-23",
    "kmod-nvidia-open-dkms of NVIDIA's rhel9 repository needs dkms >= 3.1.8, which that repository "
    "does not have and EPEL does.",
)
EPEL = Source(
    "https://docs.fedoraproject.org/en-US/epel/getting-started/",
    "2026-11-23",
    "EPEL is enabled together with CRB (on RHEL: codeready-builder, by subscription-manager); the "
    "commands were read in public guides that follow the page.",
)
AMAZON_NOTES = Source(
    "https://docs.aws.amazon.com/linux/al2023/release-notes/relnotes-2023.9.20251014.html",
    "2026-11-23",
    "NVIDIA's packages for rpm by full name and version, of branches 570 and 580 side by side: "
    "driver, Fabric Manager, NSCQ, NVSDM, IMEX, DCGM. cuDNN 9 and kernel6.12, kernel6.18 in the "
    "notes of 2023.12.20260928.",
)
DRIVER_VERSION_LOCKING = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/version-locking.html",
    "2026-11-23",
)
DRIVER_RECENT_UPDATES = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/recent-updates.html",
    "2026-11-23",
    "Table of package names before and after branch 590 on Ubuntu, read in a public copy.",
)
PYPI_CUDA_TOOLKIT = Source(
    "https://pypi.org/project/cuda-toolkit/#history",
    "2026-11-30",
    "cuda-toolkit 13.0.2, 13.1.1, 13.2.2 and 13.3.1 pin the versions of their pieces; sizes and "
    "SHA-256 as PyPI lists them. 13.0's were unpacked: nvcc, its profile and the runtime compile, "
    "link and run a program from the one folder.",
)
DRIVER_REPOSITORIES = Source(
    "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/",
    "2026-11-30",
    "615.71.09-2ubuntu1 of nvidia-driver-pinning-615, nvidia-open and cuda-drivers, in public "
    "listings of ubuntu2404 and ubuntu2604. Of 620 nothing was found in them.",
)
DRIVER_GUIDE_620 = Source(
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/",
    "2026-11-30",
    "The guide of branch 620 has a section 'Proprietary Kernel Modules Removed'.",
)
DEBIAN_PACKAGES = Source(
    "https://deb.debian.org/debian/dists/",
    "2026-11-23",
    "Packages files of bookworm and trixie, amd64, read with apt-cache: names, versions, which "
    "source package each comes from, and what it depends on.",
)
UBUNTU_PACKAGES = Source(
    "http://archive.ubuntu.com/ubuntu/dists/",
    "2026-11-23",
    "Packages files of jammy, noble and resolute with -security and -updates, amd64: -server "
    "packages of branches 535 to 595, of which resolute's 535, 570 and 590 only lead on to others; "
    "Fabric Manager, NSCQ and IMEX by branch, and neither nvlsm nor libnvsdm; nvidia-cuda-toolkit "
    "11.5.1 (jammy), 12.0.1 (noble), 12.4.1 (resolute).",
)
RESOLUTE_LIST = Source(
    "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2604/x86_64/",
    "2026-11-23",
    "What apt finds of nvidia-driver-pinning-* there, in a public note: 595.58.03, 595.71.05, 610. "
    "That release is younger than branch 590.",
)
UBUNTU_DRACUT = Source(
    "https://linuxiac.com/ubuntu-25-10-switches-to-dracut-as-default-initramfs-tool",
    "2026-11-23",
    "dracut makes the initramfs by default from 25.10 on; initramfs-tools does so before.",
)
CUDA_REPOSITORY_KEYS = Source(
    "https://github.com/NVIDIA/cuda-repo-management#gpg-keys",
    "2026-11-23",
    "Which short key id signs which repository.",
)
CUDA_DEB_KEYS = Source(
    "https://github.com/pardus/pardus-nvidia-installer/blob/"
    "cc51244f1a69049899b19890cd4bddedcdb0e75b/nvidia.pub",
    "2026-11-23",
    "The text of both keys; gpg reads these fingerprints and NVIDIA's user ids out of it.",
)
CUDA_DEB_KEY = Source(
    "https://github.com/NVIDIA/cuda-repo-management/issues/39",
    "2026-11-23",
    "apt's message quotes the fingerprint in full, and that sqv has rejected its SHA-1 binding "
    "signature since 2026-02-01.",
)
CUDA_SIGNATURES = Source(
    "https://github.com/NVIDIA/cuda-repo-management/blob/main/SIGNATURES.md",
    "2026-11-23",
    "NVIDIA's own page shows the fingerprints of 3bf863cc and D42D0685 in full. The text of "
    "D42D0685 itself was not found in a public place that could be read.",
)
FABRIC_PACKAGES = Source(
    "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",
    "2026-11-23",
    "That the version must be the driver's, and which boards need NVLSM. Names for deb in public "
    "installation notes of 570 and 580.95.05, and on packages.ubuntu.com (nvidia-fabricmanager-580 "
    "for the distribution's -server driver).",
)
FABRIC_BRIDGES = Source(
    "https://github.com/NVIDIA/gpu-driver-container/blob/06a208ca/rhel9/nvidia-driver",
    "2026-11-30",
    "NVIDIA's own driver container: the bridge is found by SW_MNG in the vital product data of an "
    "InfiniBand device, nvlsm comes with infiniband-diags, and ib_umad has to be loaded. "
    "https://github.com/awslabs/amazon-eks-ami at 81fec2e8 starts Fabric Manager by the same mark "
    "or an NVSwitch on the bus, and loads ib_umad by modules-load.d. A guest that is given GPUs "
    "without their switches has neither, and Fabric Manager fails there.",
)
INFINIBAND_MODULES = Source(
    "https://github.com/NVIDIA/gpu-operator/issues/2781",
    "2026-11-30",
    "Ubuntu's cloud kernels have InfiniBand's modules in linux-modules-extra; Enterprise Linux has "
    "them in kernel-modules (filter-modules.sh.rhel of 9, def_variants.yaml.rhel of 10).",
)
CONTAINER_INSTALL = Source(
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
    "2026-11-23",
    "The repository's address for deb and rpm and the four packages, read in public scripts that "
    "follow the page; its own .repo file has repo_gpgcheck=1 and gpgcheck=0.",
)
DCGM_PACKAGES = Source(
    "https://docs.nvidia.com/datacenter/dcgm/latest/user-guide/getting-started.html",
    "2026-11-23",
    "One package for each CUDA major, which brings datacenter-gpu-manager-4-core.",
)
CUDNN_PACKAGES = Source(
    "https://docs.nvidia.com/deeplearning/cudnn/installation/latest/linux.html",
    "2026-11-23",
    "Library, headers and linking files are three packages of exactly one version; names for deb "
    "read in public scripts (9.10.2.21-1).",
)
CUDNN_PATHS = Source(
    "https://github.com/NVIDIA/JAX-Toolbox/pull/1411",
    "2026-11-23",
    "What dpkg lists of libcudnn9-cuda-12 and its headers: /usr/include/<triplet>/cudnn_v9.h and "
    "/usr/lib/<triplet>/libcudnn.so.9, without the CUDA major.",
)
PYPI_CUDNN = Source(
    "https://pypi.org/project/nvidia-cudnn-cu12/#files",
    "2026-11-23",
    "Likewise nvidia-cudnn-cu11 and -cu13: names, sizes and SHA-256 as the index's JSON tells "
    "them. Early access builds and the yanked 9.25.0.15 are left out.",
)
CUDA_RESOLUTE_KEY = Source(
    "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2604/x86_64/60DF8A40.pub",
    "2026-11-23",
    "Fingerprint and user id 'Kitmaker (Ubuntu 26.04)', in which two public projects that read the "
    "file agree; its text was not found.",
)
CONTAINER_KEY = Source(
    "https://github.com/NVIDIA/nvidia-docker/blob/9ca6dc5e93850c9ecae4ffb86550d7eda74f90d2/gpgkey",
    "2026-11-23",
    "NVIDIA's own file, published as nvidia.github.io/libnvidia-container/gpgkey; gpg reads this "
    "fingerprint out of it, and public projects that check that address have the same.",
)
REVOKED_KEY = Source(
    "https://developer.nvidia.com/blog/updating-the-cuda-linux-gpg-repository-key/",
    "2026-11-23",
)
ASCEND_GROUP = Source(
    "https://www.hiascend.com/document/detail/en/ascend-deployer/500/ascenddeployer/"
    "deployer_0009.html",
    "2026-11-23",
    "The driver's running user and group is HwHiAiUser, unless another was chosen; that others are "
    "added with usermod was read in public installation guides.",
)
ASCEND_CONTAINER = Source(
    "https://www.hiascend.com/document/detail/en/mindcluster/730/toolbox/toolboxug/"
    "toolboxug_0008.html",
    "2026-11-23",
    "The --device options of a container, and /usr/local/Ascend/driver mounted into it; "
    "mxdlug_appendices_002 of the same release names driver/lib64 as the user-mode libraries.",
)
CANN_ENVIRONMENT = Source(
    "https://www.hiascend.com/document/detail/en/canncommercial/850/opdevg/tbeaicpudevg/"
    "atlasopdev_10_0019.html",
    "2026-11-23",
    "cann/set_env.sh for root and for others; the same page of CANN 8.0 has ascend-toolkit/.",
)
CAMBRICON_CONTAINER = Source(
    "https://opendatalab.github.io/MinerU/zh/usage/acceleration_cards/Cambricon",
    "2026-11-23",
    "A container started with --device for /dev/cambricon_ctl and each /dev/cambricon_dev<n>, and "
    "--privileged. A user's guide: Cambricon's own manuals are for customers.",
)
CAMBRICON_CNMON = Source(
    "https://www.paddlepaddle.org.cn/documentation/zh/hardware_support/mlu/install_cn.html",
    "2026-11-23",
    "cnmon lists the cards and names the driver's version.",
)
INTEL_RENDER_GROUP = Source(
    "https://www.intel.com/content/www/us/en/docs/oneapi-toolkit/installation-guide-linux/latest/"
    "install-intel-gpu-drivers.html",
    "2026-11-23",
    "The group that owns the render nodes is asked of the nodes, and the user added to it.",
)
UBUNTU_LEVEL_ZERO = Source(
    "https://packages.ubuntu.com/noble/libze-intel-gpu1",
    "2026-11-23",
    "Intel's Level Zero driver as Ubuntu and Debian package it.",
)
ACCELERATOR_TABLE = Source(
    "https://github.com/stas00/ml-engineering/blob/007447327a0cb851796ebf896f975566f8d97f38/"
    "compute/accelerator/README.md",
    "2026-11-22",
    "'Accelerator memory size and speed': peak bandwidth of the device's own memory.",
)
AZURE_HEALTH_CHECKS = Source(
    "https://github.com/Azure/azurehpc-health-checks/tree/"
    "0e0a1ac26a64b32ac4dd7632a529638505d3314a/conf",
    "2026-11-23",
    "What takes a node out of Azure's service: check_gpu_bw (nvbandwidth, one GPU at a time: host "
    "link, then pairs) and check_nccl_allreduce (bus bandwidth of all GPUs, 8 or 16 GiB) in "
    "nd96isr_h100_v5, nd96isr_h200_v5, nd96amsr_a100_v4, nd96asr_v4 and nd96isr_mi300x_v5.",
)
NCCL_RING_RATE = Source(
    "https://github.com/NVIDIA/nccl-tests/issues/212",
    "2026-11-23",
    "A maintainer: bus bandwidth of about 370 GB/s over NVLink 4 in a ring, 480 with NVLink SHARP "
    "on 8 GPUs.",
)
