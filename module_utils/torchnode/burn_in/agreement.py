"""Products of equal devices must be equal: the digests of their products compared. Pure.

A unit that is wrong in the same way every time agrees with itself, and passes each comparison on
its own device; beside another device of the same part it does not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from ..outcome import Outcome, Result
from .judging import STAGE, not_chosen, unfinished
from .records import Burn, DeviceRun

#: The one pattern whose product is the same on every machine: sums of whole numbers, exact in any
#: order. On a CPU other products depend on the vector units that its library finds.
EXACT = "exact integers"

EXPECTED = "the same bits as every other device of this part with this torch makes"


@dataclass(frozen=True)
class Claim:
    """What ``who`` says that a product is: ``key`` is all that the bits depend on."""

    who: str
    key: tuple[Any, ...]
    digest: str


@dataclass(frozen=True)
class Dissent:
    """One product on which ``who`` is not of one mind with the others.

    ``others`` have the digest that most have, ``devices`` take part. ``alone``: the majority is
    against this device. ``itself``: it contradicts its own earlier product.
    """

    key: tuple[Any, ...]
    digest: str
    others: str
    devices: int
    alone: bool
    itself: bool = False


def claims(who: str, backend: str, device: Mapping[str, Any]) -> list[Claim]:
    """What one device's products were.

    ``device`` has 'model', 'units', 'torch', the number of its 'errors', and the compute stage's
    jobs as 'work'. One with errors of its own has no say: it would accuse its sound neighbour. Of
    one whose part or number of units is not known only products that are exact count.
    """
    if device.get("errors"):
        return []
    part = (backend, device.get("model") or "", device.get("units"), device.get("torch"))
    known = bool(device.get("model")) and device.get("units") is not None and backend != "cpu"
    found = []
    for job in device.get("work") or ():
        if job.get("digest") and job.get("products") and (known or job.get("pattern") == EXACT):
            what = (job.get("precision"), job.get("pattern"), tuple(job.get("shape") or ()))
            of = part if known else (backend, "any part", "any number of", device.get("torch"))
            found.append(Claim(who, (*of, *what), job["digest"]))
    return found


def dissents(told: Iterable[Claim]) -> dict[str, list[Dissent]]:
    """For each device that takes part in a comparison the products on which it does not agree."""
    by_key: dict[tuple[Any, ...], dict[str, set[str]]] = {}
    for claim in told:
        by_key.setdefault(claim.key, {}).setdefault(claim.who, set()).add(claim.digest)
    found: dict[str, list[Dissent]] = {}
    for key, said in by_key.items():
        for who, dissent in _of_product(key, said):
            found.setdefault(who, []).extend([dissent] if dissent else [])
    return found


def _of_product(
    key: tuple[Any, ...], said: Mapping[str, set[str]]
) -> Iterable[tuple[str, Optional[Dissent]]]:
    """(device, its dissent or None) for all who made this product; none for one device alone."""
    torn = {who for who, digests in said.items() if len(digests) > 1}
    for who in torn:
        first, second = sorted(said[who])[:2]
        yield who, Dissent(key, second, first, len(said), True, itself=True)
    one = {who: min(digests) for who, digests in said.items() if who not in torn}
    if len(one) < 2:
        return
    (most, votes), *others = Counter(one.values()).most_common(2)
    # Devices do not come upon the same wrong bits by chance: those that most agree on are right.
    decided = not others or votes > others[0][1]
    for who, digest in one.items():
        if digest != most:
            yield who, Dissent(key, digest, most, len(one), decided)
        elif decided:
            yield who, None
        else:
            other = min(d for d in one.values() if d != digest)
            yield who, Dissent(key, digest, other, len(one), False)


def agreement(burn: Burn, run: DeviceRun) -> Outcome:
    """One device against the others of its node."""
    if "compute" not in run.chosen:
        return not_chosen("agreement", run, EXPECTED)
    if not run.jobs():
        return unfinished("agreement", run)
    if run.told:
        return Outcome(
            "burn_in.agreement." + run.name, STAGE, Result.SKIPPED,
            observed="not compared", expected=EXPECTED,
            cause="The device has errors of its own, so its products say nothing of the others.",
        )  # fmt: skip
    told = [claim for other in burn.devices for claim in claims(other.name, *_seen(burn, other))]
    return judged("burn_in.agreement." + run.name, run.name, dissents(told), "of this node")


def _seen(burn: Burn, run: DeviceRun) -> tuple[str, Mapping[str, Any]]:
    part = {"model": run.model, "units": run.ready.get("units"), "torch": run.torch}
    return burn.backend, {**part, "errors": run.told, "work": run.jobs()}


def judged(identity: str, who: str, found: Mapping[str, Sequence[Dissent]], where: str) -> Outcome:
    """What the comparison says of ``who``: an outcome with this identity.

    ``found`` is what :func:`dissents` returned, ``where`` says among which devices.
    """
    if who not in found:
        return Outcome(
            identity, STAGE, Result.SKIPPED,
            observed="no other device to compare the products with",
            expected=EXPECTED,
            cause="No other device %s is the same part and made the same product with the same "
            "torch." % where,
        )  # fmt: skip
    if not found[who]:
        return Outcome(identity, STAGE, Result.PASS, "the same bits as the others", EXPECTED)
    first = found[who][0]
    more = len(found[who]) - 1
    return Outcome(
        identity, STAGE, Result.FAIL,
        observed=_words(first) + (" (and %d more product(s) like it)" % more if more else ""),
        expected=EXPECTED,
        cause=_cause(first, where), remedy=_remedy(first),
    )  # fmt: skip


def _words(dissent: Dissent) -> str:
    precision, pattern, shape = dissent.key[-3:]
    sides = "x".join(str(side) for side in shape)
    what = "product %s %s of %s" % (precision, sides, pattern)
    if dissent.itself:
        return "%s: digest %s, and %s in another round" % (what, dissent.digest, dissent.others)
    if dissent.alone:
        words = "%s: digest %s; most of the %d devices made %s"
        return words % (what, dissent.digest, dissent.devices, dissent.others)
    words = "%s: digest %s; another of the %d devices made %s"
    return words % (what, dissent.digest, dissent.devices, dissent.others)


def _cause(dissent: Dissent, where: str) -> str:
    if dissent.itself:
        return "This device made two different products of the same operands: it computes wrongly."
    if dissent.alone:
        return (
            "This device computes other bits than the equal devices %s, and the same ones each "
            "time: a unit of it is wrong in a way that it cannot see itself." % where
        )
    return (
        "Equal devices %s computed different bits from the same operands. One is wrong; with so "
        "few of them it cannot be told which, so none of them is trusted." % where
    )


def _remedy(dissent: Dissent) -> str:
    if dissent.itself or dissent.alone:
        return (
            "Take the device out of service, and burn in again after a reset. If it makes the same "
            "bits again, have it replaced, with this outcome as evidence."
        )
    return (
        "Burn in again together with a third device of the same part: the one that stands alone "
        "then is to be replaced. Until then use neither."
    )
