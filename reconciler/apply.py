"""Which stack may run now, given how the others ended. Pure; threads, time-outs and events live in the executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import FOREIGN, Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.outcome import Blocked, Done, Outcome
from reconciler.model.plan import Plan
from reconciler.model.resource import Resource
from reconciler.ports import StackRun


@dataclass(frozen=True, slots=True)
class Unit:
    """One stack's work. It starts when every stack of *after* has ended well; *blocked* says why it never will, "" otherwise."""

    run: StackRun
    after: frozenset[str]
    blocked: str = ""

    @property
    def stack(self) -> str:
        return self.run.stack


def units(plan: Plan, desired: Desired, observed: Observed) -> tuple[Unit, ...]:
    """A unit for every stack that has work for the engine; stacks without work never reach it."""
    by_stack: dict[str, list[Change]] = {}
    for change in plan.changes:
        by_stack.setdefault(change.stack, []).append(change)
    working = {stack for stack, changes in by_stack.items() if any(change.acts and change.owner == "engine" for change in changes)}
    return tuple(_unit(stack, by_stack[stack], working, (plan, desired, observed)) for stack in sorted(working))


def _unit(stack: str, changes: list[Change], working: set[str], known: tuple[Plan, Desired, Observed]) -> Unit:
    plan, desired, observed = known
    mine = tuple(change for change in changes if change.owner == "engine")
    declared = tuple(_declared(stack, desired, plan))
    foreign = {resource.id: tags for resource in declared if (tags := _foreign(resource, observed))}
    run = StackRun(plan.revision, stack, declared, mine, _attributes(observed), foreign)
    return Unit(run, frozenset(_before(stack, desired) & (working - {stack})), _blocked(changes))


def _declared(stack: str, desired: Desired, plan: Plan) -> Iterator[Resource]:
    """What the stack declares to the engine: neither the members' own, nor what others made and serves as it is."""
    foreign = {change.id for change in plan.changes if change.action == "keep" and change.reason == FOREIGN}
    for resource in desired.resources.values():
        if resource.stack == stack and resource.owner == "engine" and resource.id not in foreign:
            yield resource


def _attributes(observed: Observed) -> dict[ResourceId, Mapping[str, str]]:
    """What a Ref to another stack's thing resolves to."""
    return {id: found[0].attributes for id, found in observed.live.items() if len(found) == 1}


def _foreign(resource: Resource, observed: Observed) -> dict[str, str]:
    """The tags that others put on it: the engine sets the whole of a thing's tags, and would take them away."""
    live, declared = observed.one(resource.id), resource.fields.get("tags")
    tags = live.fields.get("tags") if live else None
    if not isinstance(tags, Mapping) or not isinstance(declared, Mapping):
        return {}
    return {name: str(value) for name, value in tags.items() if name not in declared}


def _before(stack: str, desired: Desired) -> set[str]:
    """The stacks that have to be through first: what all share, and what the service says it depends on. A removed one goes last."""
    service = desired.service(stack)
    if stack == SHARED:
        return set()
    if service is None:
        return {SHARED, *(other.name for other in desired.services)}
    return {SHARED, *service.depends_on}


def _blocked(changes: list[Change]) -> str:
    """A stack with anything refused or on hold is left as it is: the engine would act on all of it or on nothing."""
    still = next((change for change in changes if change.action in {"refuse", "hold"}), None)
    return f"{still.id}: {still.reason}" if still else ""


def blocked(unit: Unit, ended: Mapping[str, bool]) -> Outcome | None:
    """Why *unit* will not run: something of it is refused, or a stack before it did not end well. None while it still may."""
    if unit.blocked:
        return Blocked(unit.blocked)
    bad = sorted(stack for stack in unit.after if ended.get(stack) is False)
    return Blocked(f"{bad[0]}, which comes first, did not end well") if bad else None


def ready(unit: Unit, ended: Mapping[str, bool]) -> bool:
    """Whether everything before *unit* has ended well."""
    return all(ended.get(stack) for stack in unit.after)


def well(outcomes: Mapping[ResourceId, Outcome]) -> bool:
    return all(isinstance(outcome, Done) for outcome in outcomes.values())
