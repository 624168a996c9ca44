"""What earlier applies left on record, asked only about what a plan would change: drift, fields that flap, what the engine protects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from reconciler.diff import protect
from reconciler.fields import compare, livefields
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.outcome import Done
from reconciler.model.plan import Plan
from reconciler.model.report import Report
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Value
from reconciler.past import drift, flapping
from reconciler.past.drift import Past
from reconciler.ports import Payload, Recorded
from reconciler.world import World

_ENTRIES = 50  # of the history: how far back an apply that converged is looked for
_Records = Mapping[ResourceId, Recorded]


class Prepared(Protocol):
    """A plan, and what was declared when it was made."""

    @property
    def plan(self) -> Plan: ...

    @property
    def desired(self) -> Desired: ...


def recorded(world: World, desired: Desired, changes: Iterable[Change]) -> _Records:
    """What the engine's state says of the stacks of which anything would change."""

    def recall(id: ResourceId, inputs: Payload) -> Fields:
        return world.kinds[id.kind].recall(inputs)

    found: dict[ResourceId, Recorded] = {}
    for stack in sorted({change.stack for change in changes if change.action != "keep"}):
        found |= world.checkpoints.recorded(desired.environment.name, stack, recall)
    return found


def protected(changes: tuple[Change, ...], records: _Records) -> tuple[Change, ...]:
    """*changes*, refused where they would take away what the engine's state protects, whatever became of the tags."""
    stacks = {change.stack for change in changes if change.id in records and records[change.id].protected}
    return protect.refuse(changes, stacks) if stacks else changes


def kept(world: World, plan: Plan, records: _Records, desired: Desired, observed: Observed) -> Plan:
    """*plan*, in which what nothing declares and must not go yet keeps nothing else of its stack.

    The engine would take it away with the next change of its stack; so it is declared to it as its own record has it, and where that is
    no longer so, as it is: on hold means that nothing is done to it.
    """
    waiting = {
        change.id
        for change in plan.changes
        if change.action == "hold" and change.live_id and change.id not in desired.resources and change.stack not in desired.held
    }
    if observed.unread or not waiting:
        return plan
    changes = tuple(replace(change, stands=True) if change.id in waiting else change for change in plan.changes)
    known = [change for change in changes if change.id in waiting and change.id in records]
    declared = [_as_it_is(change, records[change.id], observed, world.kinds[change.id.kind]) for change in known]
    return replace(plan, changes=changes, kept={one.id: one for one in declared})


def _as_it_is(change: Change, record: Recorded, observed: Observed, kind: Kind) -> Resource:
    resource = Resource(change.id, record.fields, change.stack, protected=record.protected)
    live = observed.one(change.id)
    return livefields.as_live(resource, compare.differences(resource, live, kind, observed)) if live else resource


def recalled(world: World, plan: Plan, records: _Records, desired: Desired, observed: Observed) -> Plan:
    """*plan* with what left the declared state by itself, and who it is that keeps changing it back."""
    past = _past(world, plan, records, desired)
    changes, notes = drift.told(plan.changes, past, desired, observed, world.kinds)
    if not notes:
        return replace(plan, changes=changes)
    since = world.clock.now() - flapping.WITHIN
    suspects = flapping.suspects(changes, world.history.healed(desired.environment.name, since))
    fought = flapping.conflicts(changes, suspects, _seen(world, suspects))
    return replace(plan, changes=flapping.named(changes, fought), drift=notes, conflicts=tuple(fought))


def record(world: World, prepared: Prepared, report: Report, action: str, result: str) -> None:
    """Enter into the history what was carried out of *prepared*."""
    plan = prepared.plan
    done = (change for change in plan.acting if isinstance(report.outcomes.get(str(change.id)), Done))
    world.history.record(plan.revision, action, dict(plan.summary), result, flapping.deeds(done), followed(prepared.desired))


def followed(desired: Desired) -> dict[str, object]:
    """What is declared of the records that follow their Pods, which the engine does not know: the same of all of one environment."""
    one = next((one for one in desired.resources.values() if one.owner == "members"), None)
    return {one.id.kind: _literal(one.fields)} if one else {}


def _past(world: World, plan: Plan, records: _Records, desired: Desired) -> Past:
    """What was declared at the last apply that converged: by the engine's state, by the history, or as it is now where no spec changed."""
    entries = [one for one in world.history.entries(desired.environment.name, _ENTRIES) if one.get("result") == "converged"]
    last = entries[0] if entries else {}
    same = bool(last) and last["tree"] == plan.revision.tree
    known = {id: one.fields for id, one in records.items()}
    theirs: Mapping[str, Fields] = last.get("followed") or {}
    for change in plan.changes:
        resource = desired.resources.get(change.id)
        if change.action == "keep" or resource is None or change.id in known:
            continue
        if same:
            known[change.id] = resource.fields
        elif resource.owner == "members" and change.live_id and change.id.kind in theirs:
            known[change.id] = theirs[change.id.kind]
    return Past(known, str(last.get("commit", "")))


def _literal(fields: Fields) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if isinstance(value, str | int)}


def _seen(world: World, suspects: Iterable[ResourceId]) -> dict[ResourceId, Payload]:
    found = {id: world.look(id) for id in suspects if id.kind == "kubernetes"}
    return {id: payload for id, payload in found.items() if payload is not None}
