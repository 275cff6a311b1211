"""cuDNN as wheels: the last release of each minor since 9.10, by CUDA major and machine. Pure data.

A wheel holds headers and libraries below ``nvidia/cudnn``, and needs no installer. Of CUDA 11 there
is none after 9.10 and none for aarch64; of CUDA 13 none before 9.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from . import sources

CITED = (sources.PYPI_CUDNN,)


@dataclass(frozen=True)
class CudnnWheel:
    """A file of the project nvidia-cudnn-cu<cuda>: its size in bytes and its SHA-256."""

    version: str
    cuda: int
    machine: str
    size: int
    sha256: str

    @property
    def project(self) -> str:
        """The project's name on an index."""
        return "nvidia-cudnn-cu%d" % self.cuda

    @property
    def filename(self) -> str:
        """The file's name, also in a folder of wheels."""
        return "nvidia_cudnn_cu%d-%s-py3-none-manylinux_2_27_%s.whl" % (
            self.cuda, self.version, self.machine,
        )  # fmt: skip


# fmt: off
WHEELS: Tuple[CudnnWheel, ...] = (
    CudnnWheel("9.10.2.21", 11, "x86_64", 397092812,
        "e69235a0035588490c971432b5413f85791728089ec97db55aed72f90d7890f2"),
    CudnnWheel("9.10.2.21", 12, "x86_64", 706758467,
        "949452be657fa16687d0930933f032835951ef0892b37d2d53824d1a84dc97a8"),
    CudnnWheel("9.10.2.21", 12, "aarch64", 705026878,
        "c9132cc3f8958447b4910a1720036d9eff5928cc3179b0a51fb6d167c6cc87d8"),
    CudnnWheel("9.11.1.4", 12, "x86_64", 571747220,
        "0fc58a6224a8b51e59cade2e2cb0299c93906a61f567cb99191dcc5efb23d5cf"),
    CudnnWheel("9.11.1.4", 12, "aarch64", 570928417,
        "31caabba934a983a054745269491ce10040feba542ef98d6ef876eb6f9e4f756"),
    CudnnWheel("9.12.0.46", 12, "x86_64", 571674872,
        "73471a185656232b383693294431882edb14584ee47f41c0abd81556b92ef2ac"),
    CudnnWheel("9.12.0.46", 12, "aarch64", 570817182,
        "af016cfc6c5a3e210bcd6a01aef96978a4dd834a0fdcd398898be9da652c9132"),
    CudnnWheel("9.13.1.26", 12, "x86_64", 644271018,
        "f13b69ac0d703b5e39ba9b8492848779d94d2b4e1cee5d73f017768f41570ea8"),
    CudnnWheel("9.13.1.26", 12, "aarch64", 643230048,
        "6fcee1ce6f379f183e889dadfb0c0125c30b46ca29b25cc74ee42ddd8572aac7"),
    CudnnWheel("9.14.0.64", 12, "x86_64", 647135842,
        "f7c123b5b35afba2134ea25b8e89a902eb0b46fabad722c3cbe10ac1302afc9b"),
    CudnnWheel("9.14.0.64", 12, "aarch64", 646163288,
        "02a52983f2438a023bf8d491c0f904f2679d5ec9a436aad8222b9b228d2870e1"),
    CudnnWheel("9.15.1.9", 12, "x86_64", 647660669,
        "343d9b4bdba9df2f4acf5e8d8582fd40b66ee65fa5cff7702d58ebdc0c077dfa"),
    CudnnWheel("9.15.1.9", 12, "aarch64", 646656709,
        "2520692ef9d7804f4f02c8f3a127b24d568bb944ab1ccee0ab946a64699acf36"),
    CudnnWheel("9.16.0.29", 12, "x86_64", 647663273,
        "78d05b4434dacc7dd9bc903d5c33a2f28a5f0064d02568ef7b2418f89f6c5922"),
    CudnnWheel("9.16.0.29", 12, "aarch64", 646661958,
        "4b09c43096db582f110c5572d0bcbd98b30d709e860a8f73c6c3846baa83b8d2"),
    CudnnWheel("9.17.1.4", 12, "x86_64", 647835891,
        "b5083ced291edb2baf8eab09951c6bc58b79b2023c4ec885657a63acdf51d0bd"),
    CudnnWheel("9.17.1.4", 12, "aarch64", 646648394,
        "d18d61bdd596fca0dbe459c129f6eb7a24ed2e6de1d7988b0a37ac63184ee05d"),
    CudnnWheel("9.18.1.3", 12, "x86_64", 648588125,
        "733df57fc960e18f8dd27168e0e5495ef80a9d01d34647fb6774acc0cbee86e5"),
    CudnnWheel("9.18.1.3", 12, "aarch64", 647470574,
        "6966836f89c41fb4ad67361b5c5f3bf81eccf2b45d46f3b9eb84e8b7557263a7"),
    CudnnWheel("9.19.0.56", 12, "x86_64", 657906812,
        "ac6ad90a075bb33a94f2b4cf4622eac13dd4dc65cf6dd9c7572a318516a36625"),
    CudnnWheel("9.19.0.56", 12, "aarch64", 656910700,
        "08caaf27fe556aca82a3ee3b5aa49a77e7de0cfcb7ff4e5c29da426387a8267e"),
    CudnnWheel("9.20.0.48", 12, "x86_64", 657910570,
        "7d7479e1321c7a039b33827f0247791ee1be091759032c1f66a287c4a643396a"),
    CudnnWheel("9.20.0.48", 12, "aarch64", 664659972,
        "d9da9c15344323afae571751393552652c52486eab0b886530997bef664e29de"),
    CudnnWheel("9.21.1.3", 12, "x86_64", 704835470,
        "ffd5bf372071423c441f1de01af35abd6b6f3921a8ab80b23db8ba69a12131b0"),
    CudnnWheel("9.21.1.3", 12, "aarch64", 759361824,
        "8f8bf4d0f942bc9c3a501cc990dbc2397e2dfbe4af8d3f2984fab14aa7a606e2"),
    CudnnWheel("9.22.0.52", 12, "x86_64", 718382818,
        "391b9a7ee6386daaca7f8dca41e83c2c99f760c9581a0400755e87b4287b8847"),
    CudnnWheel("9.22.0.52", 12, "aarch64", 774536507,
        "cd9011812498376f866b9826331cc965ac922eb2df8549c9f2989f10255e5001"),
    CudnnWheel("9.23.2.1", 12, "x86_64", 721096736,
        "a5e706320218dc7d661b0e13402f204eeccd07b18d061b4d60668f80e464dd1e"),
    CudnnWheel("9.23.2.1", 12, "aarch64", 778221490,
        "3adf706a93367d400b4e7668fc14834c7551c9122eeb22f8aec6435b18da5b6f"),
    CudnnWheel("9.24.1.1", 12, "x86_64", 799102452,
        "902d89671319449a363a96369cfce93086aff069a5dd51bcbb2b6bbe940aa8ef"),
    CudnnWheel("9.24.1.1", 12, "aarch64", 856519053,
        "5f4148b775e3ae1ed3717d87febf1e2ca70b48b264a7b2c3c59872ddd982fb85"),
    CudnnWheel("9.25.1.1", 12, "x86_64", 751246851,
        "515df94e4060bb58c88588e46fb39a5df310659d2d98733d1697ed667b4895d1"),
    CudnnWheel("9.25.1.1", 12, "aarch64", 809606039,
        "c71f4af9025e05e478cfb07f9c2a4c118346dac236e915f3e63769fbcb031cb3"),
    CudnnWheel("9.26.1.1", 12, "x86_64", 770488152,
        "aec908bfab4bf4c486704df0f36427ab4e4509d86015edf9019982ada5d8acc0"),
    CudnnWheel("9.26.1.1", 12, "aarch64", 776304031,
        "492340bef618f087f4c34756c17b6ba007fe2a93f82151690b3d3176f3ed1bde"),
    CudnnWheel("9.27.0.42", 12, "x86_64", 766178381,
        "0a4aa3a7d2264256506c6857fc41fc0c499982f78d70195b1cfcc9055c1957cd"),
    CudnnWheel("9.27.0.42", 12, "aarch64", 772694764,
        "5bc22243563107ea06aa60f9116ad800063d5f4617cc75bc6670d5db78d9f336"),
    CudnnWheel("9.28.0.42", 12, "x86_64", 716538495,
        "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375"),
    CudnnWheel("9.28.0.42", 12, "aarch64", 723261984,
        "f88db8fc1a0a5f458e19aa7b08fbe3500aeb9e2bb8dea6293ecbce170364ad72"),
    CudnnWheel("9.12.0.46", 13, "x86_64", 313738868,
        "f3befad533e234069eb61ae0d12cb7aa8af0ccf36f28c1d4273cc0005d990de0"),
    CudnnWheel("9.12.0.46", 13, "aarch64", 377656898,
        "62e8441f9693547fe72108b1974fb82fde9a89d6dcb7b7d117ce8969d08e08e3"),
    CudnnWheel("9.13.1.26", 13, "x86_64", 348613041,
        "a0f434a881ce8b35afe3a328634db1da4a3852fc6dfbe89577f3e78400ee10d0"),
    CudnnWheel("9.13.1.26", 13, "aarch64", 412409923,
        "60689ff339611eb7e763a1eaeea81a2263071418bb49bcd080dddbf0ef9898d3"),
    CudnnWheel("9.14.0.64", 13, "x86_64", 350763257,
        "024ce8f7571d322991ecadbe82907df2e89b5f36597d03436413ec6dd7c9fe54"),
    CudnnWheel("9.14.0.64", 13, "aarch64", 415153059,
        "2ca0fb0f8e8c42f9d05ce5ba2bb1a1455b60f2478739363b6d899cc25f897602"),
    CudnnWheel("9.15.1.9", 13, "x86_64", 351298418,
        "ebc9a647918df0d7298d67cfaf41579fd4c78ead9aba246f5ad9414d61b9ec4c"),
    CudnnWheel("9.15.1.9", 13, "aarch64", 415636241,
        "44cd2ec83c3ef62a7357614bd02ce7f3dac35ffcbb04ad20999e730741f0ba17"),
    CudnnWheel("9.16.0.29", 13, "x86_64", 351301951,
        "6349bc8769369a91611c5e2ce5c2e510e61848c245099c31e870d2cdce0ab90d"),
    CudnnWheel("9.16.0.29", 13, "aarch64", 415640486,
        "faafa46e2e7dd844bbcf06b6adec3fa66924987f2fb21bf67f5c6fd697c74a64"),
    CudnnWheel("9.17.1.4", 13, "x86_64", 358265630,
        "6919fbd8c7bc8bdef276ab5c649c85206636aac1dceb77e650895c0fb6fb4f01"),
    CudnnWheel("9.17.1.4", 13, "aarch64", 422393214,
        "17bdc6d7268aeaff2bc0b3703774639d0b33136fc14b302329df7933285d8f98"),
    CudnnWheel("9.18.1.3", 13, "x86_64", 358846259,
        "ece857192c8c5d4e2152c32172ffe41c27c2ec484ef5c39c3f6cf592e512c46d"),
    CudnnWheel("9.18.1.3", 13, "aarch64", 423107100,
        "68386ebe936a1d580ee5c324fe1af0deb89c57877056800002ffb1fae47ace54"),
    CudnnWheel("9.19.1.2", 13, "x86_64", 366067481,
        "7609f4bbcde269c4aa8869e12112a1924fb6e032a00842912caafcb4e15d42d6"),
    CudnnWheel("9.19.1.2", 13, "aarch64", 433782417,
        "d2901fcdc526f661c1973cd302888f129b5b3c9eb5b99f7238947fb5758564c0"),
    CudnnWheel("9.20.0.48", 13, "x86_64", 366173588,
        "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304"),
    CudnnWheel("9.20.0.48", 13, "aarch64", 444574296,
        "e31454ae00094b0c55319d9d15b6fa2fc50a9e1c0f5c8c80fb75258234e731e1"),
    CudnnWheel("9.21.1.3", 13, "x86_64", 506720831,
        "7fa0250b9b0841d4ce41486d777d01160247235ddb8e2ea89e5fcfa4b4c66cd4"),
    CudnnWheel("9.21.1.3", 13, "aarch64", 513428540,
        "a214b59b49a6a5abe23b8a8f6cdb338e366b2a97b8d85891e2397e4a970f8c3e"),
    CudnnWheel("9.22.0.52", 13, "x86_64", 512596221,
        "7b24277af8cd2e4e5be731f5cf910255105d4b92481999771b99dbffee75d03e"),
    CudnnWheel("9.22.0.52", 13, "aarch64", 609342557,
        "876406c9abc74314dea03dedb338ac6329cfb41055d9c7873ce9f77fc1651e5f"),
    CudnnWheel("9.23.2.1", 13, "x86_64", 518553472,
        "0c38408c043d67ea8a3cbe61fe272c3cf5c7f5ec466adfe8ac63e91d4f11cdc7"),
    CudnnWheel("9.23.2.1", 13, "aarch64", 616916016,
        "d826a14b848a719ff744c19891b6bcbe0a62cc01cd1d426d7cfd759c67d8d7b8"),
    CudnnWheel("9.24.1.1", 13, "x86_64", 553126434,
        "06df9d1cc37d7c151f9f218a47dba0fb0223d4725115961ec02c070a081b4c1b"),
    CudnnWheel("9.24.1.1", 13, "aarch64", 650689030,
        "6a7bb7c313764cd139b8fe24c9c9249506e36f5c55d3c79c79c88f6b2e391bbb"),
    CudnnWheel("9.25.1.1", 13, "x86_64", 503870572,
        "195199e8c7f8bca0c366ea675dd2441a406646cf95a98bcda66c999d57dd1f26"),
    CudnnWheel("9.25.1.1", 13, "aarch64", 601067473,
        "6ed974d46b1b5fd123c0d9ff031c857142aa94257c6df41c40f6b5fd11a01d50"),
    CudnnWheel("9.26.1.1", 13, "x86_64", 519150496,
        "c709224270fbfb5c51248422b468dc258461a723a8d5a21f50111614b36b8c53"),
    CudnnWheel("9.26.1.1", 13, "aarch64", 595329517,
        "03baed4e8296f229e94b105b41e130f592d35a167895fbb6354ca3370805558c"),
    CudnnWheel("9.27.0.42", 13, "x86_64", 536771498,
        "9677e76f21862eb5da7ee5ed69d544738b2d8b5c3ce7e5ec125c5592e6cdbdc8"),
    CudnnWheel("9.27.0.42", 13, "aarch64", 614353993,
        "41b3aae756032ed13b1fcac39c79330cfc5434059d0c5251914e0f6ce582c7ea"),
    CudnnWheel("9.28.1.4", 13, "x86_64", 516817937,
        "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec"),
    CudnnWheel("9.28.1.4", 13, "aarch64", 597008823,
        "759b6a4919951ed8ec603dec97b96f6a6396c8269b95b3d345526e2471fb433d"),
)
# fmt: on


def newest(wished: str, cuda: int, machine: str) -> CudnnWheel:
    """The newest wheel of the wished version ('9', '9.10', '9.10.2') for a CUDA major.

    Raises LookupError, which names those that are there, where no row fits.
    """
    rows = [row for row in WHEELS if (row.cuda, row.machine) == (cuda, machine)]
    parts = wished.split(".")
    fitting = [row for row in rows if row.version.split(".")[: len(parts)] == parts]
    if not fitting:
        raise LookupError(", ".join(row.version for row in rows) or "none")
    return fitting[-1]
