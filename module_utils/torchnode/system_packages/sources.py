"""Repositories of the system's package manager: configured, read once, or left as they were."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from ..data.vendor_keys import REVOKED_KEYS
from ..node import Node
from ..package_model import SourceWish
from . import key_fetch, lock_wait, notes, openpgp, source_text
from .apt import LOCKS
from .archive import Archive, entries, mirror_list
from .base import Done
from .dnf import PID_FILES, RECORD_LOCKS
from .failures import PackageError, Problem, explain
from .pin_files import PinFiles
from .runner import Run

APT_FILES = "/etc/apt/sources.list.d"

Files = List[Tuple[str, Optional[str]]]
Texts = Sequence[Tuple[str, str]]  # (path, content)


@dataclass(frozen=True)
class SourceOrder:
    """What ``package_source`` is asked for; paths are the node's."""

    wish: SourceWish
    key_file: str = ""
    ca_bundle: str = ""
    wait_seconds: float = 600
    prefix: str = ""
    absent: bool = False


class Sources:
    """Configures one source at a time.

    ``run`` is told each command, ``tell`` who is waited for, ``fetch`` the address of a key.
    """

    def __init__(
        self,
        node: Node,
        run: Run,
        tell: Callable[[str], None] = lambda _: None,
        fetch: Callable[[str], bytes] = lambda url: key_fetch.fetch(url, os.environ),
    ) -> None:
        self._node = node
        self._run = run
        self._tell = tell
        self._fetch = fetch

    def apply(self, order: SourceOrder, check: bool = False) -> Done:
        """Write the files and read the index. Raises PackageError; the files are then as before."""
        files = self._wanted(order)
        wanted = PinFiles(self._node.root, files)
        changed = wanted.differing()
        done = Done(
            bool(changed), wanted.shown(False), wanted.shown(True), _words(order, changed)
        )  # fmt: skip
        if check or not (changed or (not order.absent and not self._known(order.wish))):
            return done
        self._wait(order)
        if order.wish.kind == "components":
            notes.keep(self._node, order.prefix, order.wish, wanted.before())
        if order.wish.kind == "rpm" and not order.absent:
            self._note_key(order)
        notes.making(self._node.root, order.prefix, wanted.new())
        wanted.write()
        try:
            if not order.absent:
                self._read(order)
        except PackageError as error:
            wanted.restore()
            raise error.also("The sources of this node are as they were before.") from error
        if order.absent:
            notes.drop(self._node, order.prefix, order.wish.name)
        return done

    def _wait(self, order: SourceOrder) -> None:
        """Until no other program holds the manager's locks: dnf itself would wait for ever."""
        locks, pids = (RECORD_LOCKS, PID_FILES) if order.wish.kind == "rpm" else (LOCKS, ())
        paths = [self._node.path(path) for path in locks]
        files = [self._node.path(path) for path in pids]
        lock_wait.wait(lambda: lock_wait.holder(paths, files), order.wait_seconds, self._tell)

    # ---- which files ----------------------------------------------------------------------------

    def _wanted(self, order: SourceOrder) -> Files:
        if order.wish.kind == "components":
            return self._narrowed(order) if order.absent else self._widened(order)
        own = self._own(order)
        if order.absent:
            return [(path, None) for path, _ in own]
        return [*own, *self._duplicates(order, [path for path, _ in own])]

    def _own(self, order: SourceOrder) -> Files:
        wish, deb = order.wish, order.wish.kind == "deb"
        key = ("/etc/apt/keyrings/%s.asc" if deb else "/etc/pki/rpm-gpg/%s.asc") % wish.name
        text = "" if order.absent else self._key(order, key)
        if not deb:
            return [
                (key, text),
                ("/etc/yum.repos.d/%s.repo" % wish.name,
                 source_text.repo(wish, key, order.ca_bundle)),
            ]  # fmt: skip
        found: Files = [
            (key, text),
            # Before the source: nobody is to upgrade from it without these.
            ("/etc/apt/preferences.d/" + wish.name, source_text.exclusion(wish)),
            ("%s/%s.sources" % (APT_FILES, wish.name), source_text.deb822(wish, key)),
        ]
        setting = source_text.ca_setting(wish.uri, order.ca_bundle)
        return [*found, ("/etc/apt/apt.conf.d/90%s" % wish.name, setting)] if setting else found

    def _key(self, order: SourceOrder, there: str) -> str:
        """The key as text, once it is known to be the one. Raises PackageError.

        It is the operator's or the project's file, else what is ``there`` already, else fetched.
        """
        wish = order.wish
        content = self._node.read_bytes(order.key_file if wish.key or not wish.key_url else there)
        if wish.key_url and (content is None or _not_the_key(wish, content)):
            content = self._fetch(wish.key_url)
        wrong = _not_the_key(wish, content or b"")
        if wrong:
            raise PackageError(_wrong_key(order, wrong))
        return openpgp.armored(content or b"")

    def _note_key(self, order: SourceOrder) -> None:
        """Note the name that the key will have in rpm's database, if it is new there."""
        name = "gpg-pubkey-" + order.wish.fingerprint.replace(" ", "")[-8:].lower()
        if self._run(["rpm", "--query", name]).rc != 0:
            notes.add_key(self._node, order.prefix, name)

    def _duplicates(self, order: SourceOrder, own: Sequence[str]) -> Files:
        """Other entries of the same repository, which stop apt, and the revoked key."""
        uri = order.wish.uri
        if order.wish.kind == "rpm":
            texts = self._texts("/etc/yum.repos.d/*.repo", own)
            return source_text.edited(texts, lambda _, text: source_text.without_section(text, uri))
        return [
            *source_text.edited(
                self._apt_texts(own),
                lambda path, text: source_text.without(text, uri, path.endswith(".sources")),
            ),
            *self._revoked(),
        ]

    def _apt_texts(self, own: Sequence[str]) -> List[Tuple[str, str]]:
        patterns = ("/etc/apt/sources.list", APT_FILES + "/*.list", APT_FILES + "/*.sources")
        return [found for pattern in patterns for found in self._texts(pattern, own)]

    def _texts(self, pattern: str, own: Sequence[str]) -> List[Tuple[str, str]]:
        found = [(path, self._node.read_bytes(path)) for path in self._node.glob(pattern)]
        return [(p, t.decode("utf-8", "surrogateescape")) for p, t in found
                if t is not None and p not in own]  # fmt: skip

    def _revoked(self) -> Files:
        """The keyrings that hold the key which NVIDIA revoked, without it."""
        keyrings = ("/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/*", "/etc/apt/keyrings/*",
                    "/usr/share/keyrings/*")  # fmt: skip
        found: Files = []
        for path in (path for pattern in keyrings for path in self._node.glob(pattern)):
            content = self._node.read_bytes(path) or b""
            with contextlib.suppress(ValueError):  # another format, which apt does not read either
                left = openpgp.without(content, REVOKED_KEYS)
                if left != content:
                    found.append((path, left.decode("utf-8", "surrogateescape") or None))
        return found

    # ---- components -----------------------------------------------------------------------------

    def _widened(self, order: SourceOrder) -> Files:
        texts = self._apt_texts(())
        wider = self._wider(texts, order.wish.components)
        if not self._own_files(texts):
            raise PackageError(_no_archive(order.wish.components))
        return source_text.edited(texts, wider)

    def _wider(self, texts: Texts, names: Sequence[str]) -> Callable[[str, str], str]:
        """What widens the entries of the distribution's own archive, of all in ``texts``."""
        own = self._archive(texts).own
        return lambda path, text: source_text.widened(text, names, _deb822(path), own)

    def _archive(self, texts: Texts) -> Archive:
        all_ = [entry for path, text in texts for entry in entries(text, _deb822(path))]
        lists = {mirror_list(uri) for entry in all_ for uri in entry.uris} - {""}
        listed = {path: self._node.read(path) or "" for path in lists}
        release = self._node.read("/etc/os-release") or ""
        codename = re.search(r'(?m)^VERSION_CODENAME="?([\w-]+)', release)
        return Archive(all_, listed, codename[1] if codename else "")

    def _own_files(self, texts: Texts) -> List[Tuple[str, str]]:
        """The files with an entry of the distribution's own archive."""
        archive = self._archive(texts)
        return [
            (path, text) for path, text in texts
            if any(map(archive.own, entries(text, _deb822(path))))
        ]  # fmt: skip

    def _narrowed(self, order: SourceOrder) -> Files:
        """The texts before, for those files that nobody has changed since."""
        kept = notes.kept(self._node, order.prefix, order.wish.name)
        before = [(path, text) for path, text in kept if text is not None]
        # As a whole they were what the archive was told by; what was not widened is still there.
        others = [(path, text) for path, text in self._apt_texts(()) if path not in dict(before)]
        wider = self._wider([*before, *others], order.wish.components)
        return [(path, text) for path, text in before if self._text(path) == wider(path, text)]

    def _text(self, path: str) -> str:
        content = self._node.read_bytes(path) or b""
        return content.decode("utf-8", "surrogateescape")

    # ---- the index ------------------------------------------------------------------------------

    def _known(self, wish: SourceWish) -> bool:
        """Whether the manager has an index of this source already."""
        if wish.kind == "rpm":
            return bool(self._node.glob("/var/cache/dnf/%s-*" % wish.name))
        if wish.kind == "components":
            return bool(self._node.names("/var/lib/apt/lists", "*_Packages*"))
        bare = re.sub(r"^[a-z]+:/+", "", wish.uri).rstrip("/")
        quoted = bare.replace("_", "%5f").replace("/", "_")
        if wish.uri.startswith("file:"):
            quoted = "_" + quoted
        return bool(self._node.names("/var/lib/apt/lists", quoted + "_*Release"))

    def _read(self, order: SourceOrder) -> None:
        """Read this source's index, and no other's: theirs are none of our business."""
        wish = order.wish
        if wish.kind == "rpm":
            self._must(["dnf", "--assumeyes", "--disablerepo=*", "--enablerepo=" + wish.name,
                        "makecache", "--refresh"])  # fmt: skip
        elif wish.kind == "deb":
            self._update(order, "Dir::Etc::sourcelist=%s/%s.sources" % (APT_FILES, wish.name),
                         "Dir::Etc::sourceparts=-")  # fmt: skip
        else:
            with self._copies(self._own_files(self._apt_texts(()))) as folder:
                self._update(
                    order, "Dir::Etc::sourcelist=/dev/null", "Dir::Etc::sourceparts=" + folder
                )

    def _update(self, order: SourceOrder, *of: str) -> None:
        options = ("APT::Update::Error-Mode=any", "APT::Get::List-Cleanup=0",
                   "DPkg::Lock::Timeout=%d" % order.wait_seconds, *of)  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        self._must(["apt-get", "--quiet", *words, "update"])

    def _must(self, argv: Sequence[str]) -> None:
        done = self._run(argv)
        if done.rc != 0 or re.search(r"(?m)^(Err:|W: Failed|Error: )", done.out):
            raise PackageError(explain(argv[0], done.rc, done.out))

    @contextlib.contextmanager
    def _copies(self, files: Texts) -> Iterator[str]:
        """A folder with copies of these files, which apt takes in place of all."""
        folder = tempfile.mkdtemp(prefix="torchnode-sources.")
        try:
            os.chmod(folder, 0o755)
            for number, (path, text) in enumerate(files):
                name = "%d%s" % (number, os.path.splitext(path)[1])
                with open(os.path.join(folder, name), "w", errors="surrogateescape") as stream:
                    stream.write(text)
                os.chmod(os.path.join(folder, name), 0o644)  # apt reads as a user of its own
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _deb822(path: str) -> bool:
    return path.endswith(".sources")


def _words(order: SourceOrder, changed: Sequence[str]) -> str:
    wish = order.wish
    what = wish.uri or "components " + " ".join(wish.components)
    return "%s (%s)" % (what, ", ".join(changed)) if changed else what


def _not_the_key(wish: SourceWish, content: bytes) -> str:
    """How a file is not the one key that is trusted, '' where it is."""
    try:
        found = openpgp.fingerprints(content)
    except ValueError as error:
        return str(error)
    return "" if found == [wish.fingerprint.replace(" ", "").upper()] else ", ".join(found)


def _wrong_key(order: SourceOrder, found: str) -> Problem:
    return Problem(
        "key", "%s: %s" % (order.wish.key_url or order.key_file, found),
        "The key's full fingerprint is not the one that is trusted for this repository. Nothing "
        "was written.",
        "Compare it with a second source. Name the right file in torchnode_nvidia_key_file and its "
        "full fingerprint in torchnode_nvidia_key_fingerprint.",
        expected="one key, " + order.wish.fingerprint,
    )  # fmt: skip


def _no_archive(names: Sequence[str]) -> Problem:
    return Problem(
        "no_archive", "no entry of the distribution's own archive was found in /etc/apt",
        "The packages are in further components of the archive, and its entries are not "
        "recognised here.",
        "Add %s to the entries of your mirror, and run again." % " ".join(names),
        expected="an entry of the archive to widen by " + " ".join(names),
    )  # fmt: skip
