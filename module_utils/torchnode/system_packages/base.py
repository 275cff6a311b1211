"""What apt and dnf have in common: the records of a transaction, and the Protocol behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Protocol, Sequence, Tuple

from ..package_model import Package, PackageWish


@dataclass(frozen=True)
class Order:
    """What ``package_set`` is asked for. ``files`` are (path, content) that go with the packages.

    ``prefix`` is where torchnode notes what it brought; '' notes nothing.
    """

    wish: PackageWish
    files: Tuple[Tuple[str, str], ...] = ()
    hold: bool = True
    absent: bool = False
    wait_seconds: float = 600
    prefix: str = ""


@dataclass(frozen=True)
class Request:
    """One transaction: (name, version as the manager spells it, '' for its candidate), and names
    to take out. ``pins`` are (file name, text) that decide versions while it lasts. ``purge``: what
    goes takes its settings along, where the manager keeps them."""

    install: Tuple[Tuple[str, str], ...] = ()
    remove: Tuple[str, ...] = ()
    stream: str = ""
    pins: Tuple[Tuple[str, str], ...] = ()
    purge: bool = False


@dataclass(frozen=True)
class Change:
    """One package of a transaction: ``before`` is '' for a new one, ``after`` for one that goes.

    ``origin`` is what the manager says of where ``after`` comes from.
    """

    name: str
    before: str
    after: str
    origin: str = ""


Installed = Mapping[str, Package]


class Manager(Protocol):
    """apt or dnf. Every method that runs something raises PackageError where it fails."""

    name: str

    def wait(self, seconds: float) -> None:
        """Wait until no other program holds the locks, ``seconds`` at most."""

    def interrupted(self, wish: PackageWish) -> str:
        """What an earlier, cut off transaction has left, in words; '' for nothing."""

    def repair(self) -> None:
        """Mend what ``interrupted`` speaks of."""

    def installed(self) -> Dict[str, Package]:
        """What is installed, by name."""

    def candidates(self, names: Sequence[str]) -> Dict[str, List[str]]:
        """The versions that the sources hold of each name, newest first."""

    def refresh(self) -> None:
        """Read the indexes of all sources anew."""

    def simulate(self, request: Request) -> List[Change]:
        """What the transaction would do; nothing is changed."""

    def run(self, request: Request) -> None:
        """Do it."""

    def put_back(self) -> None:
        """What ``run`` has set beside packages, as it was before: the stream of a module."""

    def stream(self) -> str:
        """The stream of the driver's module that is enabled, '' for none."""

    def switch(self, stream: str) -> None:
        """Enable a stream in place of another; '' enables none."""

    def foreign(self, changes: Sequence[Change], own: Sequence[str]) -> List[str]:
        """Names among ``changes``, none of ``own``, that would get another origin."""

    def unneeded(self) -> List[str]:
        """Packages that were installed for others only, and that nothing needs any more."""

    def hold(self, packages: Sequence[Package]) -> None:
        """Keep these at the versions that they have."""

    def release(self, names: Sequence[str]) -> None:
        """Let these move again; those that are not held are left alone."""

    def pins(
        self, wish: PackageWish, files: Sequence[Tuple[str, str]], version: str
    ) -> Tuple[Tuple[str, str], ...]:
        """What makes the whole family take ``version`` (as the manager spells it)."""


@dataclass(frozen=True)
class Done:
    """What a transaction did or would do; ``before`` and ``after`` are for ``--diff``."""

    changed: bool
    before: str
    after: str
    said: str
    repaired: str = ""
    kept: Tuple[str, ...] = ()
