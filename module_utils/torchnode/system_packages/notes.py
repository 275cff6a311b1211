"""Notes under the prefix: packages that a component brought, and files as they were before."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .. import manifest
from ..model import as_data, from_data
from ..node import Node
from ..package_model import PackageWish, SourceWish
from .base import Order

FOLDER = "packages"
_FILES = ".files.json"


@dataclass(frozen=True)
class Note:
    """What one component brought: new packages, packages that were held for it, its pin files,
    and the wish itself, so that it can be taken out without the inventory that asked for it.

    ``wish.packages`` are those of every wish so far: a component may have had several versions.
    ``stream`` is the one of the driver's module that was enabled before.
    """

    wish: PackageWish
    brought: Tuple[str, ...] = ()
    held: Tuple[str, ...] = ()
    files: Tuple[str, ...] = ()
    stream: str = ""


def _path(prefix: str, component: str) -> str:
    return "%s/%s/%s.json" % (prefix, FOLDER, component)


def components(node: Node, prefix: str) -> List[str]:
    """Names of components with a note."""
    names = node.names("%s/%s" % (prefix, FOLDER), "*.json")
    return [name[: -len(".json")] for name in names if not name.endswith(_FILES)]


def read(root: str, prefix: str, component: str) -> Optional[Note]:
    """A component's note; None without one, or with one that cannot be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = Node(root).read(_path(prefix, component)) if prefix else None
        return from_data(Note, json.loads(text)) if text else None
    return None


def add(
    root: str,
    order: Order,
    brought: Sequence[str] = (),
    held: Sequence[str] = (),
    stream: str = "",
) -> None:
    """Note what is brought and held now, beside what is noted, and at first the ``stream`` that
    is enabled. Raises OSError."""
    if not order.prefix:
        return
    known = read(root, order.prefix, order.wish.component) or Note(order.wish, stream=stream)
    named = dict.fromkeys((*known.wish.packages, *order.wish.packages))
    ours = {*known.brought, *brought}
    note = Note(
        replace(order.wish, packages=tuple(named)),
        tuple(sorted(ours)),
        # What an unfinished run has brought was not there before it.
        tuple(sorted({*known.held, *held} - ours)),
        tuple(path for path, _ in order.files),
        known.stream,
    )
    _write(Node(root), order.prefix, _path(order.prefix, order.wish.component), as_data(note))


def wished_beside(root: str, order: Order) -> Dict[str, str]:
    """The packages that other components of this prefix wish for, each with one that does."""
    names = components(Node(root), order.prefix) if order.prefix else []
    found = [(name, read(root, order.prefix, name)) for name in names]
    return {
        package: name
        for name, note in found
        if note is not None and name != order.wish.component
        for package in note.wish.packages
    }


def inherit(root: str, prefix: str, component: str, names: Sequence[str]) -> None:
    """What a component brought that is gone, and that others still need, is this one's now."""
    known = read(root, prefix, component)
    if known is not None:
        heir = replace(known, brought=tuple(sorted({*known.brought, *names})))
        _write(Node(root), prefix, _path(prefix, component), as_data(heir))


def making(root: str, prefix: str, paths: Sequence[str]) -> None:
    """Note files that are about to be made, for ``remove``, and make the folders they lie in."""
    if prefix and paths:
        node = Node(root)
        folders = [prefix, *(os.path.dirname(path) for path in paths)]
        made = [entry for folder in folders for entry in manifest.make_folder(node, folder)]
        manifest.add(node, prefix, [*made, *((path, "file") for path in paths)])


def forget(root: str, order: Order) -> None:
    """The component is gone, and what it brought."""
    if order.prefix:
        with contextlib.suppress(FileNotFoundError):
            os.remove(Node(root).path(_path(order.prefix, order.wish.component)))


def _write(node: Node, prefix: str, path: str, content: object) -> None:
    made = manifest.make_folder(node, os.path.dirname(path))
    manifest.add(node, prefix, [*made, (path, "file")])
    manifest.write_json(node.path(path), content, mode=0o600)


# ---- keys in rpm's database ---------------------------------------------------------------------


def add_key(node: Node, prefix: str, name: str) -> None:
    """Note a key that was not in rpm's database before torchnode."""
    path = "%s/%s/rpm-keys" % (prefix, FOLDER)
    if prefix:
        _write(node, prefix, path, sorted({*keys(node, prefix), name}))


def keys(node: Node, prefix: str) -> List[str]:
    """The keys that are noted; none where the note cannot be read."""
    with contextlib.suppress(ValueError, TypeError):
        return [
            str(name) for name in json.loads(node.read("%s/%s/rpm-keys" % (prefix, FOLDER)) or "")
        ]
    return []


# ---- images that a removal has to write anew ----------------------------------------------------


def owe_images(node: Node, prefix: str) -> None:
    """Note, before packages go, that every initramfs still has their settings."""
    if prefix:
        _write(node, prefix, "%s/%s/initramfs-owed" % (prefix, FOLDER), True)


def images_owed(node: Node, prefix: str) -> bool:
    """Whether a removal was cut off before it had written every image anew."""
    return node.exists("%s/%s/initramfs-owed" % (prefix, FOLDER))


def images_written(node: Node, prefix: str) -> None:
    """Every image is as it should be."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(node.path("%s/%s/initramfs-owed" % (prefix, FOLDER)))


# ---- files of the operator's that were changed --------------------------------------------------


def _files_path(prefix: str, name: str) -> str:
    return "%s/%s/%s%s" % (prefix, FOLDER, name, _FILES)


def keep(node: Node, prefix: str, wish: SourceWish, before: Mapping[str, Optional[str]]) -> None:
    """Keep what files held before the first change; a later one does not replace it."""
    if prefix and before:
        content = dict(before, **dict(kept(node, prefix, wish.name)))
        told = {"files": content, "wish": as_data(wish)}
        _write(node, prefix, _files_path(prefix, wish.name), told)


def widened(node: Node, prefix: str) -> List[SourceWish]:
    """The sources of the system whose components were widened, as they were wished."""
    found = []
    for name in node.names("%s/%s" % (prefix, FOLDER), "*" + _FILES):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            text = node.read("%s/%s/%s" % (prefix, FOLDER, name)) or ""
            found.append(from_data(SourceWish, json.loads(text)["wish"]))
    return found


def kept(node: Node, prefix: str, name: str) -> List[Tuple[str, Optional[str]]]:
    """(path, what it held, None for nothing) as noted; none without a note that can be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        text = node.read(_files_path(prefix, name)) if prefix else None
        return list(json.loads(text)["files"].items()) if text else []
    return []


def drop(node: Node, prefix: str, name: str) -> None:
    """Nothing of it is left to be put back."""
    if prefix:
        with contextlib.suppress(FileNotFoundError):
            os.remove(node.path(_files_path(prefix, name)))
