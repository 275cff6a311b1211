"""The order of a transaction, for apt and dnf: look, choose, try, judge, do, look again."""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, Dict, List, Optional, Sequence, Tuple

from ..package_model import Package
from ..package_versions import fits, followed, problems, settled, to_hold, upstream
from . import notes, selection
from .base import Change, Done, Manager, Order, Request
from .failures import (
    DAMAGED,
    PackageError,
    no_version_to_follow,
    not_as_wished,
    unwritable,
    would_move_others,
)
from .pin_files import PinFiles


def apply(manager: Manager, order: Order, root: str = "/", check: bool = False) -> Done:
    """Make the packages as wished, or raise PackageError and leave them as they were."""
    if not check:
        manager.wait(order.wait_seconds)
    left = manager.interrupted(order.wish)
    if left and check:
        return Done(True, left, "repaired, before anything else", "%s; repaired first" % left)
    if left:
        manager.repair()
    done = (_take_out if order.absent else _bring)(manager, order, root, check)
    if not left:
        return done
    return Done(True, left + "\n" + done.before, done.after, done.said, "repaired first: " + left)


# ---- present ------------------------------------------------------------------------------------


def _bring(manager: Manager, order: Order, root: str, check: bool) -> Done:
    installed = manager.installed()
    order = _following(order, installed, check)
    chosen = _selected(manager, order, installed, check)
    files = PinFiles(root, order.files)
    request = Request(
        chosen.install, chosen.remove, order.wish.stream,
        manager.pins(order.wish, order.files, chosen.version),
    )  # fmt: skip
    changes = _tried(manager, order, request, installed)
    loose = _loose(order, installed) if not changes else []
    done = _told(order, installed, changes, files, loose)
    if check or not done.changed:
        return done
    # Before the change, so that a run that is cut off leaves nothing that removal cannot find.
    notes.add(
        root,
        order,
        [change.name for change in changes if not change.before],
        [package.name for package in _loose(order, installed)],
        manager.stream(),
    )
    notes.making(root, order.prefix, files.new())
    _do(manager, order, request, changes, files, installed)
    return done


def _following(order: Order, installed: Dict[str, Package], check: bool) -> Order:
    """The order at the version that it follows; in check mode that may be still to come."""
    there = followed(order.wish, installed.values())
    fits_it = len(there) == 1 and fits(there[0], order.wish.version)
    if order.wish.version_of and not (fits_it or check):
        raise PackageError(no_version_to_follow(order.wish.packages[0], order.wish.version, there))
    return replace(order, wish=settled(order.wish, installed.values()))


def _selected(
    manager: Manager, order: Order, installed: Dict[str, Package], check: bool
) -> selection.Selection:
    """The choice; the sources' indexes are read anew, once, where they do not hold the wish."""
    wish = order.wish
    names = [] if selection.complete(wish, installed) else selection.needed(wish, installed)
    try:
        return selection.select(wish, installed, manager.candidates(names))
    except PackageError:
        if check:
            raise
    manager.refresh()
    try:
        return selection.select(wish, installed, manager.candidates(names))
    except PackageError as error:
        if not wish.version_of:
            raise
        raise error.also(
            "It must have the driver's version: to move both, name one that the sources have of "
            "both in torchnode_driver_version."
        ) from error


def _tried(
    manager: Manager, order: Order, request: Request, installed: Dict[str, Package]
) -> List[Change]:
    if not (request.install or request.remove):
        return []
    changes = manager.simulate(request)
    selection.judge(order.wish, installed, changes)
    own = [change.name for change in changes if selection.mine(change.name, order.wish)]
    others = manager.foreign(changes, own)
    if others:
        raise PackageError(would_move_others(others))
    return changes


def _loose(order: Order, installed: Dict[str, Package]) -> List[Package]:
    """Packages that could be moved and should not."""
    staying = [p for name, p in installed.items() if to_hold(name, order.wish)]
    return [package for package in staying if order.hold and not package.held]


def _do(
    manager: Manager,
    order: Order,
    request: Request,
    changes: Sequence[Change],
    files: PinFiles,
    installed: Dict[str, Package],
) -> None:
    held = [p for name, p in installed.items() if p.held and selection.mine(name, order.wish)]
    try:
        files.write()
        if changes:
            manager.release([package.name for package in held])
            _run(manager, request)
        wrong = problems(order.wish, manager.installed().values(), hold=False)
        if wrong:
            raise PackageError(not_as_wished(wrong))
        if order.hold:
            manager.hold(_loose(order, manager.installed()))
    except PackageError as error:
        raise _undone(manager, order, changes, files, installed, held, error) from error
    except OSError as error:
        told = PackageError(unwritable(error))
        raise _undone(manager, order, changes, files, installed, held, told) from error


def _undone(
    manager: Manager,
    order: Order,
    changes: Sequence[Change],
    files: PinFiles,
    installed: Dict[str, Package],
    held: Sequence[Package],
    error: PackageError,
) -> PackageError:
    """The packages go back whatever becomes of the files: on a full disk those cannot."""
    try:
        files.restore()
        unrestored = ""
    except OSError as problem:
        unrestored = " %s could not be written back (%s); the next run writes it anew." % (
            problem.filename or "A file that goes with them", problem.strerror,
        )  # fmt: skip
    return error.also(_back(manager, order, changes, installed, held) + unrestored)


def _run(manager: Manager, request: Request) -> None:
    """Once more with the indexes read anew, where packages are not what the index says: a mirror
    that was made anew has others of the same versions."""
    try:
        manager.run(request)
    except PackageError as error:
        if error.problem.kind != DAMAGED:
            raise
        manager.refresh()
        manager.run(request)


def _back(
    manager: Manager,
    order: Order,
    changes: Sequence[Change],
    installed: Dict[str, Package],
    held: Sequence[Package],
) -> str:
    """Undo what a failed transaction did; what became of it, in a sentence."""
    try:
        manager.put_back()  # first: the old packages may be of the old stream
        moved = _versions(manager.installed()) != _versions(installed)
        if moved or manager.interrupted(order.wish):
            manager.run(_undo(changes))
        now = _versions(manager.installed())
        manager.hold([package for package in held if package.name in now])
    except PackageError as error:
        return (
            "The packages stand half-way, and could not be put back (%s): nothing more is changed; "
            "the next run repairs them first and takes up from there." % error
        )
    if now == _versions(installed):
        return "The packages are as they were before."
    return "The packages stand half-way; the next run repairs them first and takes up from there."


def _undo(changes: Sequence[Change]) -> Request:
    """The transaction backwards, each package at the very version that it had."""
    back = tuple((change.name, change.before) for change in changes if change.before)
    return Request(back, tuple(change.name for change in changes if not change.before))


def _versions(installed: Dict[str, Package]) -> Dict[str, str]:
    return {name: package.version for name, package in installed.items()}


# ---- absent -------------------------------------------------------------------------------------


def _take_out(manager: Manager, order: Order, root: str, check: bool) -> Done:
    """Remove the family, its pin files and what came only for it."""
    wish, installed = order.wish, manager.installed()
    note = notes.read(root, order.prefix, wish.component)
    others = notes.wished_beside(root, order)
    names = sorted(name for name in installed if _goes(name, order, note, others))
    files = PinFiles(root, [(path, None) for path, _ in order.files])
    # The settings came with the packages, unless those were there before torchnode.
    request = Request(remove=tuple(names), purge=note is not None)
    changes = _tried(manager, order, request, installed) if names else []
    done = _told(order, installed, changes, files, [])
    ours = {*names, *(note.held + note.brought if note else ())}
    held = [package for name, package in installed.items() if package.held and name in ours]
    # A note without packages is what a removal has left that was cut off.
    if check or not (done.changed or held or note):
        return done
    manager.release([package.name for package in held])
    try:
        if names:
            manager.run(request)
    except PackageError as error:
        raise error.also(_back(manager, order, changes, installed, held)) from error
    if wish.stream:
        manager.switch(note.stream if note else "")
    files.write()
    brought = set(note.brought) if note else set()
    unneeded = [name for name in manager.unneeded() if name in brought] if brought else []
    if unneeded:
        manager.run(Request(remove=tuple(unneeded), purge=True))
    for name in sorted(brought & set(others)):
        notes.inherit(root, order.prefix, others[name], [name])
    notes.forget(root, order)
    return Done(True, done.before, done.after, _gone(names, unneeded))


def _goes(name: str, order: Order, note: Optional[notes.Note], others: Collection[str]) -> bool:
    """What was there before torchnode stays, and what ``others`` wish for as well; without notes,
    all of the family is meant."""
    if name in others or not selection.mine(name, order.wish):
        return False
    return name in note.brought if note is not None else not order.prefix


def _gone(names: Sequence[str], unneeded: Sequence[str]) -> str:
    also = ", and %d that nothing else needs" % len(unneeded) if unneeded else ""
    return "%d packages removed%s" % (len(names), also)


# ---- what is said -------------------------------------------------------------------------------


def _told(
    order: Order,
    installed: Dict[str, Package],
    changes: Sequence[Change],
    files: PinFiles,
    loose: Sequence[Package],
) -> Done:
    before = [_line(c.name, c.before) for c in changes] + [_line(p.name, p.version) for p in loose]
    after = [_line(c.name, c.after) for c in changes]
    after += ["%s %s (held)\n" % (p.name, p.version) for p in loose]
    changed = bool(changes or loose or files.differing())
    return Done(
        changed,
        "".join(line for line in before if line) + files.shown(after=False),
        "".join(line for line in after if line) + files.shown(after=True),
        _words(order, installed, changes),
    )  # fmt: skip


def _line(name: str, version: str) -> str:
    return "%s %s\n" % (name, version) if version else ""


def _words(order: Order, installed: Dict[str, Package], changes: Sequence[Change]) -> str:
    now: Dict[str, str] = {name: package.version for name, package in installed.items()}
    now.update({change.name: change.after for change in changes})
    named: List[Tuple[str, str]] = [(name, now.get(name, "")) for name in order.wish.packages]
    if order.absent:
        return "%d packages to remove" % len(changes) if changes else "nothing of it is installed"
    words = ", ".join("%s %s" % (name, upstream(version)) for name, version in named)
    moved = sum(1 for change in changes if change.after)
    return "%s; %d packages brought" % (words, moved) if moved else words
