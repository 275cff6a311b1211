"""The controller's one decision per node: stack, steps, every outcome before the first change."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

import yaml

from . import burn_in_record, controller, settings, supplied_wheel
from .expectation import expectation
from .locks import Lock
from .model import Facts, Stack, Step
from .outcome import Outcome, Result, Stage, worst
from .plan import plan, preflight
from .policy import Conflict, HostPolicy, Mistake, Policy, read_expect, read_host, unknown_variables
from .records import REUSED_BY_VERIFY, identity
from .stack import resolve

#: Every node with a step is in this group; ``torchnode_needs_<component>`` say which.
CHANGES = "changes"


@dataclass(frozen=True)
class Decision:
    """``stack`` is None where resolving failed; then there are no steps either."""

    stack: Optional[Stack]
    steps: Tuple[Step, ...]
    outcomes: Tuple[Outcome, ...]

    @property
    def failed(self) -> bool:
        """Whether the run must stop for this node before anything is touched."""
        blocking = (Result.FAIL, Result.INCOMPLETE)
        return any(o.result in blocking and o.id != REUSED_BY_VERIFY for o in self.outcomes)

    @property
    def groups(self) -> List[str]:
        """Names for group_by: one for each component that has a step, and one for having any."""
        components = sorted({step.component for step in self.steps})
        return [*components, CHANGES] if components else []

    @property
    def summary(self) -> str:
        """One line: what was decided, or the worst reason why not."""
        if self.failed:
            outcome = worst(self.outcomes)
            return "%s: found %s; expected %s. %s %s" % (
                outcome.id, outcome.observed, outcome.expected, outcome.cause, outcome.remedy,
            ) if outcome else ""  # fmt: skip
        steps = ", ".join("%s %s" % (step.action, step.component) for step in self.steps)
        torch = self.stack.torch if self.stack else None
        name = "torch " + torch.label if torch else "the adopted environment"
        return "%s; %s" % (name, steps or "nothing to change")


def decide(
    facts: Facts,
    wishes: Mapping[str, Any],
    allow_busy: bool,
    variables: Iterable[str],
    known: Iterable[str],
    locks: Sequence[Lock],
    now: float,
    requested: Sequence[str],
    urls: Mapping[str, Any],
    stated: Mapping[str, Any],
) -> Decision:
    """Resolve, expect, plan and preflight one node. A Conflict becomes a failed outcome.

    An earlier burn-in counts only in a run that verifies and does not burn in itself.
    """
    outcomes: List[Outcome] = []
    try:
        _refuse_unknown(variables, known)
        settings.check(stated, urls)
        policy = _policy(wishes)
        expected = expectation(facts, policy)
        outcomes.append(expected)
        if expected.result is Result.FAIL:
            return Decision(None, (), tuple(outcomes))
        stack = _with_packages(resolve(facts, policy, locks), facts, locks)
        settings.check_minima(stated, stack)
    except Conflict as conflict:
        outcomes.append(_conflict_outcome(conflict))
        return Decision(None, (), tuple(outcomes))
    outcomes.append(_resolved_outcome(stack))
    steps = plan(facts, stack, int(stated.get("torchnode_keep_stacks", 2)))
    outcomes += _unapplied(steps, requested)
    outcomes += preflight(facts, stack, steps, allow_busy)
    if Stage.VERIFY.value in requested and Stage.BURN_IN.value not in requested:
        part = (facts.record or {}).get("burn_in")
        outcomes.append(burn_in_record.of_verify(part, identity(facts, stack), now))
    return Decision(stack, steps, tuple(outcomes))


def refused(conflict: Conflict) -> Decision:
    """The decision where nothing could be decided."""
    return Decision(None, (), (_conflict_outcome(conflict),))


@functools.cache
def known_variables(roles: Path) -> Tuple[str, ...]:
    """Every variable that a role's argument_specs declares.

    Read once: workers are forked from the process whose callback has asked already.
    """
    names: List[str] = []
    for file in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]
        names += [name for entry in specs.values() for name in entry.get("options", {})]
    return tuple(names)


def _refuse_unknown(variables: Iterable[str], known: Iterable[str]) -> None:
    unknown = unknown_variables(variables, known)
    if unknown:
        raise Mistake(
            "inventory", "; ".join(unknown), "only variables of docs/variables.md",
            "Correct the name: a misspelt variable would silently do nothing.",
        )  # fmt: skip


def _unapplied(steps: Sequence[Step], requested: Sequence[str]) -> List[Outcome]:
    """What a run that proves and does not apply has to say about a stack that needs a step."""
    proves = {Stage.VERIFY.value, Stage.BURN_IN.value} & set(requested)
    if not proves or Stage.APPLY.value in requested:
        return []
    wrong = [s for s in steps if s.component == "python_stack" and s.action != "install"]
    return [
        Outcome(
            "verify.stack_as_resolved", "verify",
            Result.FAIL if step.action == "mend" else Result.WARN,
            observed=step.before, expected=step.after, cause=step.why,
            remedy="Run site.yml or playbooks/provision.yml, which %ss the stack." % step.action,
        )
        for step in wrong
    ]  # fmt: skip


def _policy(wishes: Mapping[str, Any]) -> Policy:
    own = {field.name for field in dataclasses.fields(HostPolicy)}
    given = {key: value for key, value in wishes.items() if key != "expect" and key not in own}
    # YAML reads 3.12 and 580 as numbers, and people write them so.
    text = {key: "" if value is None else str(value) for key, value in given.items()}
    host = read_host({key: value for key, value in wishes.items() if key in own})
    return Policy(expect=read_expect(wishes.get("expect") or {}), host=host, **text)


def _with_packages(stack: Stack, facts: Facts, locks: Sequence[Lock]) -> Stack:
    if stack.adopted or not stack.lock:
        return stack
    lock = next(lock for lock in locks if lock.name == stack.lock)
    if not controller.is_fresh(lock):
        raise Mistake(
            str(controller.lock_path(lock)), "a lock that was made from other inputs than today's",
            "a fresh one (its header's digest is that of locks/packages.in and the torch build)",
            "Remake it with `make locks` (or `make lock TAG=...`).",
        )  # fmt: skip
    system = facts.system
    packages = controller.lock_packages(
        controller.lock_text(lock), stack.python_version, system.system, system.machine
    )
    supplied = [supplied_wheel.package(stack.supplied)] if stack.supplied else []
    return replace(stack, packages=tuple(sorted([*packages, *supplied])))


def _conflict_outcome(conflict: Conflict) -> Outcome:
    nearest = "Nearest that works: %s. " % conflict.nearest if conflict.nearest else ""
    return Outcome(
        "resolve.stack", "resolve", Result.FAIL,
        observed="%s: %s" % (conflict.argument, conflict.found),
        expected=conflict.expected,
        cause=conflict.cause,
        remedy=nearest + conflict.remedy,
    )  # fmt: skip


def _resolved_outcome(stack: Stack) -> Outcome:
    torch = stack.torch
    plugin = " with " + torch.plugin.replace("==", " ") if torch and torch.plugin else ""
    named = "torch %s%s" % (torch.label, plugin) if torch else "adopted " + stack.python
    return Outcome(
        "resolve.stack", "resolve", Result.PASS,
        observed=named, expected="a stack that fits every row",
        required=False,
    )  # fmt: skip
