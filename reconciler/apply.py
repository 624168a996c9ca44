"""Which stack may run now, given how the others ended. Pure; threads, time-outs and events live in the executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.diff import budget
from reconciler.fields import livefields
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import FOREIGN, Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.outcome import Blocked, Done, Outcome
from reconciler.model.plan import Plan
from reconciler.model.resource import Resource
from reconciler.ports import StackRun
from reconciler.resources import marks, moved


@dataclass(frozen=True, slots=True)
class Unit:
    """One stack's work. It starts when every stack of *after* has ended well and every one of *behind* has ended, however that was.

    *blocked* says why it never will, "" otherwise.
    """

    run: StackRun
    after: frozenset[str]
    blocked: str = ""
    behind: frozenset[str] = frozenset()

    @property
    def stack(self) -> str:
        return self.run.stack


@dataclass(frozen=True, slots=True)
class Gate:
    """What has to be before a stack may begin that nothing else holds back: *lacking* asks by its name, until it is *late*."""

    lacking: Callable[[str], Outcome] = lambda _stack: Done()
    late: Callable[[], bool] = lambda: False


def units(plan: Plan, desired: Desired, observed: Observed, also: frozenset[str] = frozenset()) -> tuple[Unit, ...]:
    """A unit for every stack that has work for the engine; stacks without work never reach it, unless they are *also* asked for."""
    by_stack: dict[str, list[Change]] = {}
    for change in plan.changes:
        by_stack.setdefault(change.stack, []).append(change)
    working = {stack for stack, changes in by_stack.items() if any(change.acts and change.owner == "engine" for change in changes)}
    working |= also & by_stack.keys()
    scene = _Scene(plan, desired, observed, by_stack, working)
    return tuple(_unit(stack, scene) for stack in sorted(working))


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every unit is made from; *working* are the stacks that reach the engine."""

    plan: Plan
    desired: Desired
    observed: Observed
    by_stack: Mapping[str, list[Change]]
    working: set[str]


def _unit(stack: str, scene: _Scene) -> Unit:
    changes = scene.by_stack[stack]
    mine = tuple(change for change in changes if change.owner == "engine")
    declared = tuple(_declared(stack, scene))
    by_id = {change.id: change for change in mine}
    foreign = {resource.id: tags for resource in declared if (tags := _foreign(resource, by_id.get(resource.id), scene.observed))}
    run = StackRun(scene.plan.revision, stack, declared, mine, _attributes(scene.observed), foreign, moved.former_addresses(declared))
    after, behind = _before(stack, scene)
    others = scene.working - {stack}
    blocked = _blocked(changes) or (_unfollowed(after, scene) if behind else "")
    return Unit(run, frozenset(after & others), blocked, frozenset(behind & others))


def _declared(stack: str, scene: _Scene) -> Iterator[Resource]:
    """What the stack declares to the engine: neither the members' own, nor what others made and serves as it is.

    A field that is on hold, or that others own, is declared as it is live; what must not go yet, as it was declared.
    """
    changes = {change.id: change for change in scene.by_stack[stack]}
    for resource in (*scene.desired.resources.values(), *scene.plan.kept.values()):
        change = changes.get(resource.id)
        foreign = change is not None and change.action == "keep" and change.reason == FOREIGN
        if resource.stack == stack and resource.owner == "engine" and not foreign:
            yield livefields.declared(resource, change, scene.observed)


def _attributes(observed: Observed) -> dict[ResourceId, Mapping[str, str]]:
    """What a Ref to another stack's thing resolves to."""
    return {id: found[0].attributes for id, found in observed.live.items() if len(found) == 1}


def _foreign(resource: Resource, change: Change | None, observed: Observed) -> dict[str, str]:
    """The tags that others put on it: the engine sets the whole of a thing's tags, and would take them away as it does what is ours."""
    live, declared = observed.one(resource.id), resource.fields.get("tags")
    tags = live.fields.get("tags") if live else None
    if live is None or not isinstance(tags, Mapping) or not isinstance(declared, Mapping):
        return {}
    kept = {name: str(value) for name, value in tags.items() if name not in declared and ("tags", name) not in live.owned}
    return kept | _remembered(change, live)


def _remembered(change: Change | None, live: Observation) -> dict[str, str]:
    """What a volume that is about to be modified has to remember for its budget: when it was until now. EBS forgets all but the latest."""
    modified = change is not None and change.acts and any(one.path[:1] != ("tags",) for one in change.fields)
    return {marks.MODIFIED: live.attributes[budget.HISTORY]} if modified and budget.HISTORY in live.attributes else {}


def _before(stack: str, scene: _Scene) -> tuple[set[str], set[str]]:
    """The stacks that have to be through first, well or however.

    Well: what all share, and what the service says it depends on. A removed one goes last, after all others however they end; only what
    is made for the first time has to end well, since it may be what takes its place.
    """
    service = scene.desired.service(stack)
    if stack == SHARED:
        return set(), set()
    if service is None:
        others = {other.name for other in scene.desired.services}
        new = {name for name in others if fresh(scene.by_stack.get(name, []))}
        return {SHARED, *new}, {SHARED, *others}
    return {SHARED, *service.depends_on}, set()


def fresh(changes: list[Change]) -> bool:
    """Whether nothing of a stack is live yet, so that it may be a removed one's successor under another name."""
    return bool(changes) and not any(change.live_id for change in changes)


def _unfollowed(after: set[str], scene: _Scene) -> str:
    """Why a stack must not run since one of *after* never will: it is refused as a whole, and so never reaches the engine."""
    still = ((stack, _blocked(scene.by_stack.get(stack, []))) for stack in sorted(after - scene.working - {SHARED}))
    return next((f"{stack}, which comes first, is left as it is: {why}" for stack, why in still if why), "")


def _blocked(changes: list[Change]) -> str:
    """A stack with anything refused or on hold is left as it is: the engine would act on all of it or on nothing.

    But for a hold that stands: what is live stands in for what is declared.
    """
    still = next((change for change in changes if change.action in {"refuse", "hold"} and not change.stands), None)
    return f"{still.id}: {still.reason}" if still else ""


def blocked(unit: Unit, ended: Mapping[str, bool]) -> Outcome | None:
    """Why *unit* will not run: something of it is refused, or a stack before it did not end well. None while it still may."""
    if unit.blocked:
        return Blocked(unit.blocked)
    bad = sorted(stack for stack in unit.after if ended.get(stack) is False)
    return Blocked(f"{bad[0]}, which comes first, did not end well") if bad else None


def ready(unit: Unit, ended: Mapping[str, bool]) -> bool:
    """Whether everything before *unit* has ended as it must have."""
    return all(ended.get(stack) for stack in unit.after) and all(stack in ended for stack in unit.behind)


def well(outcomes: Mapping[ResourceId, Outcome]) -> bool:
    return all(isinstance(outcome, Done) for outcome in outcomes.values())
