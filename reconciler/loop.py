"""One pass: plan, then converge. Keeps nothing between calls; the next pass starts from nothing but git and the world."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler import apply, errors, past, pin, restore
from reconciler import plan as planning
from reconciler.apply import Gate
from reconciler.diff import Conduct, Context, diff, strangers
from reconciler.members import zones
from reconciler.members.initial import drain
from reconciler.members.member import declared
from reconciler.members.snapshots import recent
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.outcome import Done, Failed, Outcome, Waiting, goes_on
from reconciler.model.plan import Plan
from reconciler.model.report import Report
from reconciler.model.service import Service
from reconciler.model.snapshot import Snapshots
from reconciler.parents import Parents, holders
from reconciler.ports import Lease, Progress
from reconciler.resources import baseline, moved
from reconciler.settle import observe, settle
from reconciler.world import World

HOLDS_FOR = 60.0  # seconds after its last heartbeat that another host's lease of a pass is respected
TICK = 0.5
ALL_EVERY = 30.0  # seconds between two looks at services of which nothing is expected
CALM = 1.5  # seconds between two steps while nothing is waited for but the engine

_Names = tuple[str, ...]
Said = Callable[[Mapping[str, Outcome]], None]  # told how things stand whenever a word of it changes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what it was made from; *only* are the services that it was narrowed to, empty for all there is.

    *snapshots* were read where some service asks for any.
    """

    plan: Plan
    desired: Desired
    observed: Observed
    only: frozenset[str] = frozenset()
    snapshots: Snapshots = field(default_factory=Snapshots)


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for: how long to wait, or not at all; who hears what happens."""

    timeout: float = 900.0
    wait: bool = True
    progress: Progress = field(default=lambda *_: None)
    said: Said = field(default=lambda _: None)


def lock(world: World) -> Lease:
    """The lease of a pass that carries something out; LockHeld where another pass has it."""
    return world.leases().hold("apply", duration=HOLDS_FOR)


def prepare(
    world: World,
    desired: Desired,
    only: frozenset[str] = frozenset(),
    seen: frozenset[ResourceId] = frozenset(),
    *,
    delete_data: bool = False,
) -> Prepared:
    """The plan of *desired* against what is live; *only* narrows it to some services. What was *seen* a moment ago is looked for twice.

    *delete_data* says that a person lets data be deleted that its spec gave up.
    """
    observed = observe(world, seen)
    desired = pin.pin(desired, observed, world.types)
    observed = moved.follow(desired, observed)
    restoring = restore.restore(baseline.fill(desired, observed), observed, world.snapshots, world.clock.now())
    desired = restoring.desired
    revision = desired.revision
    recorded = world.checkpoints.stacks(revision.environment)
    stopped = frozenset(service.name for service in desired.services if service.stopped)
    conducts = {service.name: _conduct(service, desired, world) for service in desired.services}
    gone = _gone_since(world, desired, observed)
    refills = {one.name: partial(world.types[one.type].refills, moved.base(one), desired.environment) for one in desired.services}
    context = Context(world.kinds, recorded, gone, only, stopped, conducts, restoring.sources, refills, delete_data)
    changes = diff(desired, observed, context)
    if new := strangers.wanted(changes, recorded or {}):
        changes = tuple(strangers.refuse(changes, world.taken(new), desired.resources))
    summaries = world.summarise(desired) if not only else ()
    records = past.recorded(world, desired, changes)
    held = {name: why for name, why in desired.held.items() if not only or name in only}
    plan = replace(planning.make(revision, past.protected(changes, records), observed, summaries), held=held)
    plan = past.kept(world, plan, records, desired, observed)
    asked = (service for service in desired.services if not only or service.name in only)
    told = (*_warnings(world, plan, desired), *recent.warnings(asked, observed, restoring.known, world.clock.now()))
    plan = replace(past.recalled(world, plan, records, desired, observed), warnings=told)
    return Prepared(plan, desired, observed, only, restoring.known)


def _conduct(service: Service, desired: Desired, world: World) -> Conduct:
    type_ = world.types[service.type]

    def drained(names: tuple[str, ...]) -> bool:
        return type_.drain(moved.base(service), desired.environment, names) is not None

    return Conduct(type_.order, drained, lambda members: type_.voters(service, members), type_.upgrades)


def converge(world: World, prepared: Prepared, options: Options) -> Report:
    """Carry *prepared* out: the engine, the members and the components side by side. Its plan has been approved and guarded.

    One that was narrowed to some services waits for those alone, and leaves the components as they are. Services on hold are left alone.
    """
    plan, desired = prepared.plan, prepared.desired
    mine = tuple(one for one in desired.services if one.name not in desired.held and (not prepared.only or one.name in prepared.only))
    waited = replace(desired, services=mine)
    state = _State(world.clock.monotonic() + options.timeout, options)
    world.together(
        (
            lambda: _infrastructure(world, prepared, state),
            lambda: _ticking(world, state, lambda: _tick_members(world, prepared, waited, state)),
            lambda: _ticking(world, state, lambda: {} if prepared.only else _standings(world, desired)),
        )
    )
    if not world.stopping():
        world.land(desired, state.outcomes, options.progress)
    return Report(plan.revision, {**_still(plan), **state.infrastructure, **state.outcomes})


def _mark(world: World, prepared: Prepared, stacks: Collection[str]) -> None:
    """Have the volumes that *stacks* are about to forget say which commit gave them up; not before, for what stays is in use."""
    plan = prepared.plan
    if kept := [one.live_id for one in plan.changes if one.stack in stacks and _is_to_be_marked(one, prepared.observed)]:
        world.retain(kept, plan.revision.short)


def _is_to_be_marked(change: Change, observed: Observed) -> bool:
    """Whether *change* forgets a volume that does not say yet which commit gave it up."""
    if change.action != "forget" or change.id.kind != "volume":
        return False
    return not any(live.retained for live in observed.live.get(change.id, ()) if live.live_id == change.live_id)


@dataclass(slots=True)
class _State:
    """What the three controllers of a pass know of each other: when to stop, and whether the engine is through."""

    deadline: float
    options: Options
    through: bool = False
    broken: frozenset[str] = frozenset()  # stacks that did not end well, and their members: they are not waited for
    infrastructure: dict[str, Outcome] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    shut: dict[str, Outcome] = field(default_factory=dict)  # by stack that the gate was asked for: what it is held back by
    looked: float = float("-inf")  # when members of all services were last looked at


def _infrastructure(world: World, prepared: Prepared, state: _State) -> None:
    try:
        units = apply.units(prepared.plan, prepared.desired, prepared.observed)
        leaving = drain.leaving(prepared.plan.changes, prepared.desired, world.types)
        held = holders(prepared.plan, prepared.desired, prepared.observed, world.types)
        _mark(world, prepared, {unit.stack for unit in units if not unit.blocked} - leaving.keys() - held.keys())
        ended = world.run(units, state.options.progress, _gate(world, prepared, leaving, held, state)) if units else {}
        state.infrastructure.update({str(id): outcome for id, outcome in ended.items()})
        bad = {id for id, outcome in ended.items() if not isinstance(outcome, Done)}
        stacks = {change.stack for change in prepared.plan.changes if change.id in bad}
        state.broken = frozenset(stacks) | {_member(change.id) for change in prepared.plan.changes if change.stack in stacks}
    finally:
        state.through = True


def _gate(world: World, prepared: Prepared, leaving: Mapping[str, _Names], held: Mapping[str, _Names], state: _State) -> Gate:
    """What holds a stack back: those it depends on, until they work; members of it that are to go, until its application has let go.

    And of a service that goes as a whole those that still use it.
    """
    parents = Parents(world, prepared.plan, prepared.desired, held)
    asked = {one.name: one for one in prepared.desired.services if one.depends_on or one.name in leaving}

    def lacking(stack: str) -> Outcome:
        service = asked.get(stack)  # of a thousand services nearly all may begin at once, and are asked after each that has ended
        if service is None and stack not in held:
            return Done()
        outcome = parents.lacking(service) if service else parents.holding(stack)
        if service and isinstance(outcome, Done) and stack in leaving:
            outcome = world.drain(prepared.desired, service, leaving[stack])
        if isinstance(outcome, Done) and stack in {*leaving, *held}:
            _mark(world, prepared, {stack})
        state.shut[stack] = outcome
        return outcome

    return Gate(lacking, lambda: world.clock.monotonic() >= state.deadline)


def _member(id: ResourceId) -> str:
    """The member that *id* belongs to, also by its record's name; "" for none."""
    return id.name.partition(".")[0] if id.kind == "record" else id.member


def _ticking(world: World, state: _State, tick: Callable[[], Mapping[str, Outcome]]) -> None:
    """Step until nothing waits any more, and the engine is through; or until told to stop."""
    seen: Mapping[str, Outcome] = {}
    while True:
        through = state.through  # read before the step, so that the last step sees all that the engine did
        began = world.clock.monotonic()
        seen = _step(tick, seen)
        state.outcomes.update(seen)
        state.options.said(seen)
        late = world.clock.monotonic() >= state.deadline or world.stopping() or not state.options.wait
        waiting = any(goes_on(outcome) for name, outcome in seen.items() if name not in state.broken)
        if through and (late or not waiting):
            return
        took = world.clock.monotonic() - began
        _rest(world, state, max(TICK, took) if waiting or through else max(CALM, 3 * took), through=through)


def _tick_members(world: World, prepared: Prepared, waited: Desired, state: _State) -> Mapping[str, Outcome]:
    """How services stand; of those that the gate holds back, what for.

    What is spared of snapshots is what all services name, however few are waited for.
    """
    progress = state.options.progress
    seen = world.members(_restless(world, prepared.plan, waited, state), prepared.plan.changes, progress)
    world.take(prepared.desired, {**state.outcomes, **seen}, progress)
    return {**seen, **{name: one for name, one in dict(state.shut).items() if not isinstance(one, Done)}}


def _restless(world: World, plan: Plan, desired: Desired, state: _State) -> Desired:
    """*desired* with those services of whose members something is expected; now and then with all, since a Pod may move at any time."""
    now = world.clock.monotonic()
    if now - state.looked >= ALL_EVERY:
        state.looked = now
        return desired
    acting = {change.stack for change in plan.acting}
    return replace(
        desired,
        services=tuple(one for one in desired.services if one.name in acting or not isinstance(state.outcomes.get(one.name), Done)),
    )


def _rest(world: World, state: _State, seconds: float, *, through: bool) -> None:
    """Sleep, but not on once the engine is through: with a thousand members a step must not take what the engine needs."""
    end = world.clock.monotonic() + seconds
    world.clock.sleep(TICK)
    while state.through == through and not world.stopping() and world.clock.monotonic() + TICK <= end:
        world.clock.sleep(TICK)


def _step(tick: Callable[[], Mapping[str, Outcome]], before: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    """One step; a world that is away for a moment changes nothing but the words."""
    try:
        return tick()
    except errors.TransientError as error:
        return {**(before or {"-": Done()}), "-": Waiting(f"it can be reached again: {error.message}")}


def _standings(world: World, desired: Desired) -> Mapping[str, Outcome]:
    return {f"components/{standing.summary.configuration}": standing.outcome for standing in world.components(desired)}


def _still(plan: Plan) -> dict[str, Outcome]:
    still = (change for change in plan.changes if change.action in {"hold", "refuse"})
    return {str(change.id): Failed(f"{'on hold' if change.action == 'hold' else 'refused'}: {change.reason}") for change in still}


def _warnings(world: World, plan: Plan, desired: Desired) -> tuple[str, ...]:
    """What those who start will have to wait for; the nodes are read only where somebody does."""
    still = tuple(f"{one.name} is paused ({one.locate('spec.paused')}): nothing is done about it" for one in desired.services if one.paused)
    names = zones.starting(plan.changes)
    nodes = world.nodes() if names else None
    if nodes is None:
        return still
    services = [one for one in desired.services if one.name in names]
    return (*still, *zones.warnings(declared(services, desired.environment, world.types), nodes))


def _gone_since(world: World, desired: Desired, observed: Observed) -> dict[ResourceId, str]:
    """The commits that took away what is live and declared no more."""
    declared = {SHARED, *(service.name for service in desired.services), *desired.held}  # no document declares what is shared
    gone = {id: live[0].stack for id, live in observed.live.items() if live[0].stack and live[0].stack not in declared and live[0].marked}
    since = world.vanished(sorted(set(gone.values()))) if gone else {}
    return {id: since[stack] for id, stack in gone.items() if stack in since}


__all__ = ["Options", "Prepared", "Said", "converge", "lock", "prepare", "settle"]
