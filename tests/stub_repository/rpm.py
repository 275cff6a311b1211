"""Writes rpm packages and their repository with rpmbuild and createrepo_c, module streams too."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from .signing import Signer
from .stubs import Stub, said

ARCHITECTURES = {"x86_64": "x86_64", "sbsa": "aarch64"}


def write_repository(folder: Path, stubs: Sequence[Stub], arch: str, signer: Signer) -> None:
    """Packages, repodata, the modules' metadata and the signature of repomd.xml.

    Raises subprocess.CalledProcessError with the tool's words.
    """
    with tempfile.TemporaryDirectory() as work:
        build_packages(Path(work), folder, stubs, ARCHITECTURES[arch])
        sign_packages(folder, signer)
        run("createrepo_c", "--quiet", "--no-database", str(folder))
        text = modules_text(stubs, ARCHITECTURES[arch])
        if text:
            modules = Path(work) / "modules.yaml"
            modules.write_text(text, encoding="utf-8")
            run("modifyrepo_c", "--mdtype=modules", str(modules), str(folder / "repodata"))
    repomd = folder / "repodata" / "repomd.xml"
    signer.sign(repomd, repomd.with_name("repomd.xml.asc"))
    signer.export(repomd.with_name("repomd.xml.key"))


def run(*argv: str) -> None:
    """A tool; its output is shown only where it fails."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr)
    done.check_returncode()


def build_packages(work: Path, folder: Path, stubs: Sequence[Stub], arch: str) -> None:
    """One spec file for each stub, all of them in one rpmbuild."""
    specs = []
    for count, stub in enumerate(stubs):
        spec = work / ("%03d-%s.spec" % (count, stub.name))
        spec.write_text(spec_text(stub, arch), encoding="utf-8")
        specs.append(str(spec))
    defines = {
        "_topdir": str(work),
        "_rpmdir": str(folder),
        "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
        "_binary_payload": "w1.gzdio",
    }
    words = [word for name, value in defines.items() for word in ("--define", name + " " + value)]
    # A stub's architecture may be another than the builder's: there is nothing in it to run.
    run("rpmbuild", "-bb", "--quiet", "--nodeps", "--target", arch + "-linux", *words, *specs)


def sign_packages(folder: Path, signer: Signer) -> None:
    """A signature in each package, which dnf looks at with gpgcheck=1."""
    argv = ["rpmsign", "--define", "_gpg_name " + signer.fingerprint]
    argv += ["--define", "_gpg_path %s" % signer.home]
    # Debian's rpm looks for a gpg2 that Debian does not have.
    argv += ["--define", "__gpg %s" % (shutil.which("gpg") or "gpg"), "--addsign"]
    run(*argv, *(str(path) for path in sorted(folder.glob("*.rpm"))))


def spec_text(stub: Stub, arch: str) -> str:
    """The spec file of a stub, its files written by here-documents."""
    epoch, rest = split_epoch(stub.version)
    version, _, release = rest.rpartition("-")
    head: List[Tuple[str, str]] = [("Name", stub.name), ("Version", version), ("Release", release)]
    head += [("Epoch", epoch)] if epoch else []
    head += [("Summary", "Stand-in for tests"), ("License", "MIT"), ("Vendor", "NVIDIA")]
    head += [("BuildArch", "noarch")] if stub.architecture == "noarch" else []
    if stub.stream:
        # A package of several streams names one of them.
        head.append(("ModularityLabel", "nvidia-driver:%s:1:stand" % stub.stream.split()[0]))
    for name, values in (
        ("Requires", stub.depends),
        ("Provides", stub.provides),
        ("Conflicts", stub.conflicts),
        ("Obsoletes", stub.replaces),
    ):
        head += [(name, value) for value in values]
    lines = ["AutoReqProv: no", *("%s: %s" % item for item in head)]
    lines += ["%description", "A stand-in for tests.", "%install"]
    place = "/usr/share/doc/%s-%s/stand-in" % (stub.name, rest)  # its own, beside other versions
    files = [*stub.files, (place, stub.version + "\n")]
    for path, text in files:
        mode = "0755" if "/bin/" in path else "0644"
        lines += [
            "install -D -m %s /dev/stdin \"%%{buildroot}%s\" <<'STAND_IN'" % (mode, path),
            text.replace("%", "%%").rstrip("\n"),
            "STAND_IN",
        ]
    for name, text in stub.scripts:
        lines += ["%" + name, text.replace("%", "%%")]
    owned = ["%dir " + folder for folder in own_folders([path for path, _ in files])]
    return "\n".join([*lines, "%files", *owned, *(path for path, _ in files), ""])


def own_folders(paths: Sequence[str]) -> List[str]:
    """Folders that only such packages have: a toolkit's, and a module's source."""
    tops = ("/usr/local/cuda-", "/usr/src/nvidia-")
    above = {str(folder) for path in paths for folder in Path(path).parents}
    return sorted(folder for folder in above if folder.startswith(tops))


def split_epoch(version: str) -> Tuple[str, str]:
    """('3', '580.95.05-1.el9') of '3:580.95.05-1.el9'."""
    epoch, _, rest = version.rpartition(":")
    return epoch, rest


def modules_text(stubs: Sequence[Stub], arch: str) -> str:
    """The modules' metadata: a document for each stream and one that names the default."""
    streams: Dict[str, List[Stub]] = {}
    for stub in stubs:
        for stream in stub.stream.split() if stub.stream else ():
            streams.setdefault(stream, []).append(stub)
    if not streams:
        return ""
    return "".join(stream_text(name, found, arch) for name, found in streams.items())


def stream_text(stream: str, stubs: Sequence[Stub], arch: str) -> str:
    """A stream's document, with the profile ``default`` that installs its first package."""
    artifacts = []
    for stub in stubs:
        epoch, rest = split_epoch(stub.version)
        nevra = "%s-%s:%s.%s" % (stub.name, epoch or "0", rest, stub.architecture or arch)
        artifacts.append("    - %s" % nevra)
    head = """
        ---
        document: modulemd
        version: 2
        data:
          name: nvidia-driver
          stream: "{stream}"
          version: 1
          context: stand
          arch: {arch}
          summary: Stand-in
          description: Stand-in for tests
          license:
            module: [MIT]
          profiles:
            default:
              rpms: [{first}]
          artifacts:
            rpms:
    """
    first = next((stub.name for stub in stubs if stub.name == "nvidia-open"), "cuda-drivers")
    text = said(head).format(stream=stream, arch=arch, first=first)
    return text + "\n".join(artifacts) + "\n...\n"


def write_repo_file(folder: Path, root: Path, distro: str, arch: str, key: str) -> None:
    """cuda-rhel9.repo, as NVIDIA puts one beside the packages."""
    text = """
        [cuda-{distro}-{arch}]
        name=cuda-{distro}-{arch}
        baseurl=file://{folder}
        enabled=1
        gpgcheck=1
        gpgkey=file://{folder}/{key}
    """
    path = folder / ("cuda-%s.repo" % distro)
    words = {"distro": distro, "arch": arch, "folder": folder, "key": key}
    path.write_text(said(text).format(**words), encoding="utf-8")
