"""What package managers complain of, as observed, cause and remedy. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Tuple

from ..outcome import Outcome, Result


@dataclass(frozen=True)
class Problem:
    """Why the packages are not as wished. ``kind`` names the rule that knew it."""

    kind: str
    observed: str
    cause: str
    remedy: str
    expected: str = ""

    def outcome(self, identity: str, expected: str) -> Outcome:
        """A failed outcome of the apply stage."""
        return Outcome(
            identity, "apply", Result.FAIL, self.observed, self.expected or expected, self.cause,
            self.remedy,
        )  # fmt: skip


class PackageError(Exception):
    """Raised wherever the packages cannot be as wished; nothing half-done is left behind it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.observed)
        self.problem = problem

    def also(self, sentence: str) -> PackageError:
        """The same, and what became of the node, at the end of the cause."""
        cause = "%s %s" % (self.problem.cause, sentence)
        return PackageError(replace(self.problem, cause=cause.strip()))


# ---- what a program's output says ---------------------------------------------------------------

#: The kind whose observation is two lines: which kernel, and what the compiler said.
MODULE_BUILD = "module_build"
#: The kind that an index which is read anew may mend.
DAMAGED = "damaged"

#: (kind, pattern in the output, cause, remedy); the first that matches is taken, so that what
#: stops everything else (a lock, a full disk) stands before what follows from it.
_RULES: Tuple[Tuple[str, str, str, str], ...] = (
    (
        "lock",
        r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock directory"
        r"|can't create transaction lock|Failed to obtain the transaction lock",
        "Another program holds the package manager's lock.",
        "Wait for it to end, or raise torchnode_package_lock_wait_seconds. Do not remove the lock: "
        "it ends by itself with its program.",
    ),
    (
        "disk_full",
        r"No space left on device|You don't have enough free space|needs \d+\s?\wB.* on the .* "
        r"filesystem|At least \d+\s?\wB more space needed|Disk quota exceeded",
        "A file system is full.",
        "Free space (`df -h / /var /boot`; `apt-get clean` or `dnf clean all`; old kernels), and "
        "run again.",
    ),
    (
        "interrupted",
        r"dpkg was interrupted|you must manually run 'dpkg --configure -a'",
        "An earlier transaction was cut short, and could not be taken up again.",
        "Run `dpkg --configure -a` on the node and read what it says; then run again.",
    ),
    (
        "expired",
        r"Release file for .* is (?:expired|not valid yet)|Release file .* expired since",
        "The repository's signed index is out of date, or this node's clock is wrong.",
        "Compare `date -u` with the right time. If it is right, the mirror has stopped following "
        "its origin: sync it again, or name another in torchnode_nvidia_repository_url (for the "
        "container toolkit torchnode_container_repository_url).",
    ),
    (
        "forbidden",
        r"40[137]\s+(?:Forbidden|Unauthorized|Proxy)|Status code: 40[137]",
        "The repository's server, or the proxy before it, refuses this node.",
        "Ask its owner for access; credentials belong into /etc/apt/auth.conf.d or the node's "
        "environment, not into the inventory.",
    ),
    (
        "not_found",
        r"404\s+Not Found|Status code: 404|does not have a Release file|File not found"
        r"|No such file or directory.*(?:repomd|Release|Packages)"
        r"|(?:repomd|Release|Packages).*(?:No such file or directory|not found)"
        r"|Couldn't open file",
        "The address answers, and this repository is not there.",
        "Compare the address with what the mirror holds: <distro>/<architecture>/ must be below "
        "torchnode_nvidia_repository_url (Arm servers are 'sbsa' there).",
    ),
    (
        "signature",
        r"NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|is not signed|couldn't be verified"
        r"|signatures? (?:was|were) invalid|GPG check FAILED|not correct for this package"
        r"|Signing key on|repomd\.xml GPG signature verification error|Bad GPG signature"
        r"|Signature (?:by|made).*(?:rejected|not accepted)|Sub-process .*(?:gpgv|sqv).* error",
        "The repository is not signed by the key that is trusted for it.",
        "Do not trust it blindly. Find out which key signs this repository (a mirror may be signed "
        "by its owner), compare its full fingerprint with a second source, and set "
        "torchnode_nvidia_key_file and torchnode_nvidia_key_fingerprint.",
    ),
    (
        DAMAGED,
        r"Hash Sum mismatch|File has unexpected size|Mirror sync in progress|checksum doesn't match"
        r"|Downloading successful, but checksum|incorrect checksum",
        "An index or a package is not what was signed: a mirror in the middle of a sync, or a "
        "proxy that changes files.",
        "Run again in a few minutes. If it stays so, sync the mirror anew, or ask without a proxy.",
    ),
    (
        "certificate",
        r"[Cc]ertificate verif|SSL certificate problem|server certificate",
        "The server's certificate is not trusted by this node.",
        "Name the CA that signed it in torchnode_ca_bundle, or check the proxy's own CA.",
    ),
    (
        "unreachable",
        r"Could not resolve|Temporary failure resolving|Could not connect|Connection (?:refused"
        r"|timed out|failed)|Couldn't connect|Network is unreachable|Unable to connect"
        r"|Operation too slow|Timeout was reached|Curl error \((?:5|6|7|28|56)\)"
        r"|Failed to fetch|Failed to download",
        "The repository's server does not answer this node.",
        "Try it from the node with curl. Set torchnode_proxy, or a mirror that the node reaches in "
        "torchnode_nvidia_repository_url (for the container toolkit "
        "torchnode_container_repository_url).",
    ),
    (
        "no_version",
        r"has no installation candidate|Unable to locate package|^E: Version .* was not found"
        r"|No match for argument|Unable to find a match",
        "The sources that this node asks do not hold the package at this version.",
        "Check that the repository belongs to this system and architecture, and ask for a version "
        "that is there.",
    ),
    (
        "stream",
        r"filtered out by modular filtering|Problems in request:|missing groups or modules"
        r"|cannot be enabled because|It is not possible to switch enabled streams",
        "The module streams of this system stand against the packages.",
        "See `dnf module list nvidia-driver`; `dnf module reset nvidia-driver` where nothing else "
        "uses its stream, and run again.",
    ),
    (
        "held",
        r"Held packages were changed|held broken packages|packages? (?:is|are) (?:excluded|locked)"
        r"|filtered out by exclude filtering",
        "Packages are held at other versions, or exclude each other's versions.",
        "See `apt-mark showhold` or `dnf versionlock list`; lift what is not torchnode's own, and "
        "run again.",
    ),
    (
        "missing",
        r"nothing provides|Depends: .* but it is not installable",
        "A package that is needed is in no source of this node.",
        "Enable the source that has it. On Enterprise Linux dkms is in EPEL, and what EPEL needs "
        "in CRB (`dnf install epel-release`, `crb enable`).",
    ),
    (
        "conflict",
        r"have unmet dependencies|Unable to correct problems|Depsolve Error|conflicting requests"
        r"|trying to overwrite|conflicts with file",
        "The packages do not go together with what is installed, or with what the sources hold.",
        "Look for packages of another origin or version among those named, remove them, and run "
        "again.",
    ),
    (
        MODULE_BUILD,
        r"Bad return status for module build on kernel|^[^ ]+:\d+:\d+: (?:fatal )?error: ",
        "A kernel module does not compile for a kernel of this node: the kernel is newer than the "
        "driver knows, or its headers are not whole.",
        "Choose a newer torchnode_driver_version (every branch is in torchnode_nvidia_source: "
        "nvidia), or the other torchnode_driver_flavour where the GPUs allow it (a distribution "
        "may have mended only one of the two), or remove that kernel and what brings its headers.",
    ),
    (
        "script",
        r"subprocess returned error exit status|error processing package|scriptlet failed"
        r"|Error in (?:PRE|POST)\w* scriptlet|installation script",
        "A package's own script failed.",
        "Read its words above and in /var/log/apt/term.log or `dnf history info`, mend that, and "
        "run again.",
    ),
)


def lines_of(text: str) -> List[str]:
    """Lines of a program's output that are not empty, without white space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def explain(program: str, rc: int, output: str) -> Problem:
    """The problem that a failed program's output speaks of, in the words of its own best line."""
    for kind, pattern, cause, remedy in _RULES:
        found = [line for line in lines_of(output) if re.search(pattern, line)]
        if found:
            words = "; ".join(found[:2]) if kind == MODULE_BUILD else _best(found, output)
            return Problem(kind, _cut(words), cause, remedy)
    if rc == 127:
        return Problem(
            "no_program", "%s is not there" % program, "The program is not installed.",
            "Install %s on the node." % program,
        )  # fmt: skip
    return Problem(
        "unknown", _cut(_last_words(output) or "%s ended with status %d" % (program, rc)),
        "%s failed in a way that is not known here." % program,
        "Run the command on the node and read all that it says: %s." % program,
    )  # fmt: skip


def _best(found: Sequence[str], output: str) -> str:
    """The first line that speaks of it, and the error that names the address, if another does."""
    errors = [line[3:] for line in lines_of(output) if line.startswith("E: ")]
    named = next((e for e in errors if "://" in e or " file:" in e), "")
    first = found[0][3:] if found[0].startswith("E: ") else found[0]
    return first if not named or named == first else "%s (%s)" % (first, named)


def _last_words(output: str) -> str:
    said = lines_of(output)
    errors = [line for line in said if re.match(r"(E|Error|error):", line)]
    return (errors or said or [""])[-1]


def _cut(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


# ---- what torchnode itself refuses --------------------------------------------------------------


def locked(pid: Optional[int], name: str, path: str, waited: float) -> Problem:
    """The lock was not free in time."""
    holder = "pid %d (%s)" % (pid, name) if pid else "a program that cannot be seen from here"
    return Problem(
        "lock", "%s is held by %s" % (path, holder),
        "Another program works on this node's packages; it was waited for %d s." % waited,
        "Let it end (on a fresh machine this is cloud-init or unattended-upgrades; after a run "
        "that was killed, what that one began), or raise torchnode_package_lock_wait_seconds. Do "
        "not remove the lock.",
    )  # fmt: skip


def no_such_version(name: str, wished: str, there: Sequence[str]) -> Problem:
    """No configured source has the package at the wished version; ``there`` are those it has."""
    has = ", ".join(there[:8]) + (" and %d older" % (len(there) - 8) if len(there) > 8 else "")
    what = "%s %s" % (name, wished) if wished else name
    return Problem(
        "no_version", "no source has %s; there is %s" % (what, has or "no version of it"),
        "The sources that this node asks do not hold that version."
        if there else "The sources that this node asks do not know the package.",
        "Ask for one that is there." if there else
        "Check that the repository belongs to this system and architecture, and that its mirror "
        "is complete.",
        expected=what,
    )  # fmt: skip


def not_one_version(name: str, wished: str, there: Sequence[str]) -> Problem:
    """A package of the family is not to be had at the version that the others get."""
    problem = no_such_version(name, wished, there)
    return replace(
        problem, cause="The packages of one driver must have one version, and the sources hold "
        "only a part of them at this one.",
    )  # fmt: skip


def no_version_to_follow(name: str, wished: str, there: Sequence[str]) -> Problem:
    """Packages that carry the driver's version, beside no driver of that version."""
    return Problem(
        "no_driver", "%s beside driver %s" % (name, " and ".join(there) or "none"),
        "It runs only beside a driver of exactly its own version.",
        "Have the driver brought first: run site.yml, or the role nvidia_driver before this one.",
        expected="one version of the driver's packages%s" % (wished and ", of " + wished),
    )  # fmt: skip


def would_remove(names: Sequence[str]) -> Problem:
    """The transaction would take out packages that nobody asked to take out."""
    return Problem(
        "removes", "would remove %s" % _some(names),
        "The packages conflict with others that are installed and are not torchnode's to remove.",
        "Remove them yourself if nothing needs them, and run again; or choose the other origin "
        "with torchnode_nvidia_source.",
        expected="a transaction that removes nothing else",
    )  # fmt: skip


def would_move_kernel(names: Sequence[str]) -> Problem:
    """The transaction would install or upgrade a kernel."""
    return Problem(
        "kernel", "would change the kernel: %s" % _some(names),
        "The packages depend on a kernel other than those that are installed.",
        "Upgrade and reboot into that kernel first, at a time that suits you, and run again.",
        expected="a transaction that leaves the kernels alone",
    )  # fmt: skip


def would_move_others(names: Sequence[str]) -> Problem:
    """The transaction would move installed packages that are none of the component's own."""
    return Problem(
        "others", "would also change %s" % _some(names),
        "The packages need other versions of packages that are installed from elsewhere.",
        "Bring these packages up to date by your own means, and run again.",
        expected="a transaction that changes only its own packages",
    )  # fmt: skip


def not_as_wished(problems: Sequence[str]) -> Problem:
    """The transaction went through, and the packages are still not as wished."""
    return Problem(
        "not_as_wished", "; ".join(problems),
        "The transaction ended well, and the packages are not what was asked for.",
        "Another program may have changed them at the same time (unattended-upgrades). Run again.",
    )  # fmt: skip


def unwritable(error: OSError) -> Problem:
    """A file that goes with a transaction cannot be written."""
    return Problem(
        "no_file", str(error), "A file that goes with the packages cannot be written.",
        "Look at its folder: is the file system full, or mounted read-only? Run as root.",
    )  # fmt: skip


def no_versionlock() -> Problem:
    """dnf cannot hold packages here."""
    return Problem(
        "no_versionlock", "dnf has no command versionlock",
        "dnf can hold packages only by its plugin versionlock, which is not installed.",
        "Install python3-dnf-plugin-versionlock (on Enterprise Linux: dnf install "
        "'dnf-command(versionlock)'), and run again.",
        expected="a way to hold the versions",
    )  # fmt: skip


def killed(program: str, seconds: float) -> Problem:
    """A program ran longer than any transaction should."""
    return Problem(
        "too_long", "%s did not end within %d s" % (program, seconds),
        "The program hangs, or waits for an answer that nobody gives.",
        "Look at it on the node (`ps -ef`); run again afterwards: the packages are repaired first.",
    )  # fmt: skip


def _some(names: Sequence[str], most: int = 12) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (" and %d more" % rest if rest > 0 else "")
