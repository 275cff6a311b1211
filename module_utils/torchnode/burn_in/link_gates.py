"""Rates of memory and links against what a part carries and what its like carries. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Sequence

from ..data.link_rates import link_rate
from ..outcome import Outcome, Result
from .judging import STAGE

#: Behind the median of its like: equal parts on one node differ by about 1 % (docs/benchmarks.md).
STRAGGLER, SLOW = 0.05, 0.10


@dataclass(frozen=True)
class Remark:
    """One thing to say about a rate, and what it means for the outcome."""

    result: Result
    words: str


def by_part(rate: float, part: str, link: str, devices: int = 0) -> Remark:
    """``rate`` in GB/s against the figure for this part, if there is one (data/link_rates.py)."""
    row = link_rate(part, link, devices)
    if row is None:
        of = "%d of %s" % (devices, part) if devices else part
        return Remark(Result.SKIPPED, "no figure known for %s" % (of or "this part"))
    share = rate / row.gb_s
    words = "%.4g GB/s is %.1f %% of the part's %g (warns below %.0f %%, fails below %.0f %%)"
    words = words % (rate, 100 * share, row.gb_s, 100 * row.warn_below, 100 * row.fail_below)
    if share < row.fail_below:
        return Remark(Result.FAIL, words)
    return Remark(Result.WARN if share < row.warn_below else Result.PASS, words)


def by_like(rate: float, others: Sequence[float], like: str) -> Remark:
    """``rate`` against the median of ``others``, which are called ``like`` in words."""
    median = statistics.median(others) if others else 0.0
    if median <= 0:
        return Remark(Result.SKIPPED, "no %s to compare with" % like)
    behind = 1 - rate / median
    words = "%.4g GB/s is %+.1f %% against the median of its %s" % (rate, -100 * behind, like)
    if behind > SLOW:
        return Remark(Result.FAIL, words)
    return Remark(Result.WARN if behind > STRAGGLER else Result.PASS, words)


def at_most_a_warning(remark: Remark, why: str) -> Remark:
    """The same, where ``why`` leaves open whether the device is to blame."""
    if remark.result is not Result.FAIL:
        return remark
    return Remark(Result.WARN, "%s (%s)" % (remark.words, why))


def judged(
    identity: str, observed: str, expected: str, remarks: Sequence[Remark], remedy: str
) -> Outcome:
    """The worst remark's outcome; SKIPPED where all are. ``observed`` says that data was right."""
    said = [remark.words for remark in remarks]
    observed = "; ".join([observed, *dict.fromkeys(said)])
    results = {remark.result for remark in remarks}
    for result in (Result.FAIL, Result.INCOMPLETE, Result.WARN):
        if result in results:
            bad = [remark.words for remark in remarks if remark.result is result]
            begin = "Not measured" if result is Result.INCOMPLETE else "Below what it should be"
            cause = "%s: %s." % (begin, "; ".join(dict.fromkeys(bad)))
            return Outcome(identity, STAGE, result, observed, expected, cause, remedy)
    if Result.PASS in results:
        return Outcome(identity, STAGE, Result.PASS, observed, expected)
    cause = "There is nothing to compare the rate with: it is recorded and not judged."
    return Outcome(identity, STAGE, Result.SKIPPED, observed, expected, cause)
