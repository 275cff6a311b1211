"""CUDA toolkits as wheels: the pieces that compile, and what cuDNN calls. Pure data.

The versions are those that the metapackage cuda-toolkit pins for the last patch of each minor
release. All pieces of one release share the folder ``nvidia/cu13``, and need no installer. Of CUDA
12 there is no compiler among the wheels: nvidia-cuda-nvcc-cu12 holds ptxas alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from . import sources

CITED = (sources.PYPI_CUDA_TOOLKIT,)


@dataclass(frozen=True)
class CudaWheel:
    """A file of ``project`` for one toolkit and machine: its size in bytes and its SHA-256."""

    cuda: str
    machine: str
    project: str
    version: str
    size: int
    sha256: str


# fmt: off
WHEELS: Tuple[CudaWheel, ...] = (
    CudaWheel("13.0", "x86_64", "nvidia-cublas", "13.1.0.3", 423133236,
        "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"),
    CudaWheel("13.0", "x86_64", "nvidia-cuda-cccl", "13.0.85", 3120526,
        "e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649"),
    CudaWheel("13.0", "x86_64", "nvidia-cuda-crt", "13.0.88", 134086,
        "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4"),
    CudaWheel("13.0", "x86_64", "nvidia-cuda-nvcc", "13.0.88", 37384532,
        "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03"),
    CudaWheel("13.0", "x86_64", "nvidia-cuda-nvrtc", "13.0.88", 90215200,
        "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
    CudaWheel("13.0", "x86_64", "nvidia-cuda-runtime", "13.0.96", 2243632,
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    CudaWheel("13.0", "x86_64", "nvidia-nvvm", "13.0.88", 61601415,
        "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0"),
    CudaWheel("13.0", "aarch64", "nvidia-cublas", "13.1.0.3", 542851226,
        "c86fc7f7ae36d7528288c5d88098edcb7b02c633d262e7ddbb86b0ad91be5df2"),
    CudaWheel("13.0", "aarch64", "nvidia-cuda-cccl", "13.0.85", 3120528,
        "6f0203e29fed809ee2b7fe9b1344df66ecab990c37d6a2e0e189b26d6c97ed7c"),
    CudaWheel("13.0", "aarch64", "nvidia-cuda-crt", "13.0.88", 134086,
        "ee2ea2a97073e02ee62bb27841f437332be2c248e3eac013df07997ada39c003"),
    CudaWheel("13.0", "aarch64", "nvidia-cuda-nvcc", "13.0.88", 32455430,
        "c7ff28f86a24effdc6c034fa15230c549a273e4771b10a7fec14996f8cf3307f"),
    CudaWheel("13.0", "aarch64", "nvidia-cuda-nvrtc", "13.0.88", 43015449,
        "d27f20a0ca67a4bb34268a5e951033496c5b74870b868bacd046b1b8e0c3267b"),
    CudaWheel("13.0", "aarch64", "nvidia-cuda-runtime", "13.0.96", 2261060,
        "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55"),
    CudaWheel("13.0", "aarch64", "nvidia-nvvm", "13.0.88", 59234185,
        "c4376a291d72d22a315d9d2f69bdae8f8cd83a627f75bad395cee49a0fe65dc1"),
    CudaWheel("13.1", "x86_64", "nvidia-cublas", "13.2.1.1", 401085577,
        "8c13c93cf8be4480b4909905c96d2d31575b4af43fcd3af0e84af94762665e4f"),
    CudaWheel("13.1", "x86_64", "nvidia-cuda-cccl", "13.1.115", 3430952,
        "d4a9e0590cd34290cda27f402a67fbf42e3ed043bdd927c6dd52419c860f2f92"),
    CudaWheel("13.1", "x86_64", "nvidia-cuda-crt", "13.1.115", 132619,
        "53c9b03f804dc7e539dd11914ec3d3fd0849791d8cd6a73f0d4df984bb339916"),
    CudaWheel("13.1", "x86_64", "nvidia-cuda-nvcc", "13.1.115", 42261253,
        "fe5c0604869dfbc837bdce9e1eef8e4f0e0d103c29e3875014ba3538c70efb74"),
    CudaWheel("13.1", "x86_64", "nvidia-cuda-nvrtc", "13.1.115", 46564545,
        "d7cf1284ab82f379884decc8813d9d4a729bc96b1ec020a9cf80303f698d73c4"),
    CudaWheel("13.1", "x86_64", "nvidia-cuda-runtime", "13.1.80", 2297816,
        "dac25b52e69050e5a7a84957e6df470a85b185f8f648a99a1ab1dfce027576cf"),
    CudaWheel("13.1", "x86_64", "nvidia-nvvm", "13.1.115", 63386729,
        "6fdf483d85d9903f9cbf84c41d99221a86e0c0511d05de3d237b4ab69c11627e"),
    CudaWheel("13.1", "aarch64", "nvidia-cublas", "13.2.1.1", 502470979,
        "8b4a4cd8b73772fde9ccaa1f3967eb001ae5fde8b1dc37f7442d072b64d6f5da"),
    CudaWheel("13.1", "aarch64", "nvidia-cuda-cccl", "13.1.115", 3480303,
        "5d5d26df9e56af547a3699048b466d55dbab7557af030161de96abd67834512a"),
    CudaWheel("13.1", "aarch64", "nvidia-cuda-crt", "13.1.115", 132617,
        "eefd71d80d296391b100ab61e44bfd924308e2685d382f33a24d5c59213b43da"),
    CudaWheel("13.1", "aarch64", "nvidia-cuda-nvcc", "13.1.115", 34717342,
        "ae46f71ea6f377e7719c1084ae8ca28d4e88770ee4436478c366c15f1fcfdebe"),
    CudaWheel("13.1", "aarch64", "nvidia-cuda-nvrtc", "13.1.115", 44308134,
        "dfbc5e3bb19db41e4a05280b7b0cb9cbb624699f57dab3798455f43345541f99"),
    CudaWheel("13.1", "aarch64", "nvidia-cuda-runtime", "13.1.80", 2317343,
        "5f1aa8fd779cae1a78aa8fdbaa5e4f245300baff120099d9b5ee84e3f4506a29"),
    CudaWheel("13.1", "aarch64", "nvidia-nvvm", "13.1.115", 61001803,
        "860706eb4b5851ac1d2bacf574b582ec66901acc31051da9b0cf9a2c910a9aa9"),
    CudaWheel("13.2", "x86_64", "nvidia-cublas", "13.4.1.3", 404870805,
        "a5917cb642cfb07f4a0231ee16aec7e2e0357d8cb8b1b78a0c9c68dba3e6afc7"),
    CudaWheel("13.2", "x86_64", "nvidia-cuda-cccl", "13.2.86", 3600135,
        "35da671cf0cecd3539da214a11bb8e7634366c9e950da9c5feecf6c490a65b20"),
    CudaWheel("13.2", "x86_64", "nvidia-cuda-crt", "13.2.86", 133300,
        "e3ab08801bf9b1e6dc979275d25e816bb5000521b648e19c324d5eef0c79f1da"),
    CudaWheel("13.2", "x86_64", "nvidia-cuda-nvcc", "13.2.86", 44042846,
        "7d3f56c8d705bad35bbba69eb0470d90856fd5d4dc48c6a6173aaf1e9f887cf5"),
    CudaWheel("13.2", "x86_64", "nvidia-cuda-nvrtc", "13.2.86", 47018468,
        "8111c5130e967b78222ea2124145f8efe9ce201b752b2579a2513100a53be1c5"),
    CudaWheel("13.2", "x86_64", "nvidia-cuda-runtime", "13.2.86", 2323576,
        "3498247680dfddce31bad102af7e3e26fc795342a3cac64722bb0fa95e7f60f0"),
    CudaWheel("13.2", "x86_64", "nvidia-nvvm", "13.2.86", 64280112,
        "a9244f3209922d655612c11ebb4117ea1f80983cb2b215c9cccded127282cebc"),
    CudaWheel("13.2", "aarch64", "nvidia-cublas", "13.4.1.3", 513048232,
        "4eb1472bf92b741e7cf24da7978dde251b58ddec2092d9f6a04f3623eb4e9a15"),
    CudaWheel("13.2", "aarch64", "nvidia-cuda-cccl", "13.2.86", 3652746,
        "05f2a2123cd7bc13b731d219d27e50281150a7985d5955bffcde0e966cefe0a2"),
    CudaWheel("13.2", "aarch64", "nvidia-cuda-crt", "13.2.86", 133298,
        "3294669c379ef3382804bc077fec22a48753a743c75c83c1ee3c224bb049423f"),
    CudaWheel("13.2", "aarch64", "nvidia-cuda-nvcc", "13.2.86", 38716270,
        "909140a1f942b943982b2eff120e618c94e29d75d9e33f5cd074f0e64eb411e8"),
    CudaWheel("13.2", "aarch64", "nvidia-cuda-nvrtc", "13.2.86", 44755454,
        "1e5d7b411a2eb83f5c71c98d58133a763fc9fa86a4241ee320c5c4782d9ad1fd"),
    CudaWheel("13.2", "aarch64", "nvidia-cuda-runtime", "13.2.86", 2341433,
        "37844957894bfdecf90243568d21a2cb251b66106915b71459a23c8e6ef2da69"),
    CudaWheel("13.2", "aarch64", "nvidia-nvvm", "13.2.86", 61886756,
        "a502dcc2859f17a925adba495c222d44a221b9eb10e7d111a7046dc2cc883b69"),
    CudaWheel("13.3", "x86_64", "nvidia-cublas", "13.6.0.2", 410473152,
        "b82c80c886cea6da6e149a5c3bdba274f12b7e4ec4b00a050b916b0446fb4153"),
    CudaWheel("13.3", "x86_64", "nvidia-cuda-cccl", "13.3.3.4.1", 3454034,
        "cc0adc188d570b09f4d606c7dc05a42aa3d8aa082e0d60f7bbfc5b6435f627c6"),
    CudaWheel("13.3", "x86_64", "nvidia-cuda-crt", "13.3.73", 157352,
        "df14a17ae1c5c3171265411212246654d780f89344ea85344466c6b955247543"),
    CudaWheel("13.3", "x86_64", "nvidia-cuda-nvcc", "13.3.73", 44942138,
        "f483af83166c4fa356a21606076d553b0b4ceaebbd9912e537545080db695bdd"),
    CudaWheel("13.3", "x86_64", "nvidia-cuda-nvrtc", "13.3.33", 51110910,
        "82530788b8c6164a54d3fd9ae8bcca8893d397c4aeb998861982a03bbe41e204"),
    CudaWheel("13.3", "x86_64", "nvidia-cuda-runtime", "13.3.29", 2339786,
        "e04420616e72f563167a7733272992d7e6df6dc5cb54b2f94f9f1520ea9e30c1"),
    CudaWheel("13.3", "x86_64", "nvidia-nvvm", "13.3.73", 69250424,
        "0e28e0858a3475e11ac67d35301cd5bf82666a1c0dc4ec4e80ceaf3a5fd1dea8"),
    CudaWheel("13.3", "aarch64", "nvidia-cublas", "13.6.0.2", 518599300,
        "946f6a252b1cc72d8de912c75975fd6d8ba44f67d4e5044fe764ddb909f4a688"),
    CudaWheel("13.3", "aarch64", "nvidia-cuda-cccl", "13.3.3.4.1", 3454030,
        "067d19b4b3c9d0f2ebec9f29a311b2863db96bf98e058bbc331597d51ce818cf"),
    CudaWheel("13.3", "aarch64", "nvidia-cuda-crt", "13.3.73", 157353,
        "60aacc0b5e1e8b40c62abe4d1ab16440add91b99bd2f17f62dd091586b73d166"),
    CudaWheel("13.3", "aarch64", "nvidia-cuda-nvcc", "13.3.73", 39515578,
        "70f250825355d2c3aa6c7a972a0ec00f020bad66d2679e527eb4336301c904aa"),
    CudaWheel("13.3", "aarch64", "nvidia-cuda-nvrtc", "13.3.33", 49260054,
        "7b05ecda494c6dabc44231a608b060a71008a730d9dfda932cc508e6d29159e0"),
    CudaWheel("13.3", "aarch64", "nvidia-cuda-runtime", "13.3.29", 2356574,
        "73291e19c9dd919c140c91bda2f80b0eca487da5ee30a086ef7bc4918ecb90ea"),
    CudaWheel("13.3", "aarch64", "nvidia-nvvm", "13.3.73", 66984478,
        "e2bcdd5783b5481445f1f0e7170cb836cc0d72999839ba850bbba6dc97b76bb8"),
)
# fmt: on


def of(cuda: str, machine: str) -> Tuple[CudaWheel, ...]:
    """The wheels of a toolkit ('13.0'); () where there are none."""
    return tuple(row for row in WHEELS if (row.cuda, row.machine) == (cuda, machine))


def releases(machine: str) -> Tuple[str, ...]:
    """The toolkits that can be had as wheels, oldest first."""
    return tuple(dict.fromkeys(row.cuda for row in WHEELS if row.machine == machine))
