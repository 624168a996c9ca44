"""What becomes of one declared resource: the first of the rules that has something to say of it decides, else its fields do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from reconciler import compare
from reconciler.diff import impact, judge
from reconciler.diff.context import Context
from reconciler.diff.verdict import say
from reconciler.model.address import ResourceId
from reconciler.model.change import FOREIGN, Change, FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value

Rule = Callable[[Resource, Observed, Context], Change | None]


def declared(resource: Resource, observed: Observed, context: Context) -> Change:
    """What would happen to *resource*."""
    for rule in _RULES:
        if change := rule(resource, observed, context):
            return change
    return _compared(resource, observed.live[resource.id][0], observed, context)


def _unread(resource: Resource, observed: Observed, _context: Context) -> Change | None:
    why = observed.why_unread(resource.id)
    return say(resource, "hold", f"could not be read: {why}; nothing is done about it") if why else None


def _refers_to_unread(resource: Resource, observed: Observed, _context: Context) -> Change | None:
    if not observed.unread:
        return None
    for id in sorted(_referred(resource.fields)):
        if why := observed.why_unread(id):
            return say(resource, "hold", f"{id}, which it refers to, could not be read: {why}; nothing is done about it")
    return None


def _ambiguous(resource: Resource, observed: Observed, _context: Context) -> Change | None:
    found = observed.live.get(resource.id, ())
    if len(found) < 2:  # noqa: PLR2004 - one is as it should be
        return None
    ids = ", ".join(sorted(live.live_id for live in found))
    return say(resource, "refuse", f"{len(found)} live things have this address: {ids}; remove the marks of all but one")


def _missing(resource: Resource, observed: Observed, context: Context) -> Change | None:
    if observed.live.get(resource.id):
        return None
    if resource.owner == "members" and resource.stack in context.stopped:
        return say(resource, "keep", "its member is stopped: there is no Pod to follow")
    fields = tuple(FieldChange((name,), None, value) for name, value in resource.fields.items())
    return say(resource, "create", "declared, not found", fields)


def _retained(resource: Resource, observed: Observed, _context: Context) -> Change | None:
    live = observed.live[resource.id][0]
    if not live.retained:
        return None
    reason = f"{resource.origin}: {live.live_id} was kept when {live.retained} removed its service; it is not taken back by itself"
    return replace(say(resource, "refuse", reason), live_id=live.live_id)


def _changes_hands(resource: Resource, observed: Observed, context: Context) -> Change | None:
    """A record that was declared to the engine and follows its Pod from now on."""
    if resource.owner != "members" or resource.id not in context.recorded(resource.stack):
        return None
    reason = "it follows its Pod from now on: the engine's goes, the members' comes"
    return replace(say(resource, "replace", reason), owner="engine", live_id=observed.live[resource.id][0].live_id)


def _of_others(resource: Resource, observed: Observed, _context: Context) -> Change | None:
    """What services share and others made serves as it is."""
    live = observed.live[resource.id][0]
    return replace(say(resource, "keep", FOREIGN), live_id=live.live_id) if resource.shared and not live.marked else None


# In this order: those behind `_missing` may rely on there being exactly one live thing.
_RULES: tuple[Rule, ...] = (_unread, _refers_to_unread, _ambiguous, _missing, _retained, _changes_hands, _of_others)


def _compared(resource: Resource, live: Observation, observed: Observed, context: Context) -> Change:
    kind = context.kinds[resource.id.kind]
    fields = compare.differences(resource, live, kind, observed)
    action, reason = judge.judge(resource, fields, kind, observed)
    if action in {"keep", "update"} and context.unknown_to_engine(resource):
        action, reason = "adopt", "live with our marks, unknown to the engine"
    return replace(say(resource, action, reason, fields), live_id=live.live_id, impact=impact.impact(resource, fields))


def _referred(value: Value) -> Iterator[ResourceId]:
    """The ids that the Refs of *value* name."""
    match value:
        case Ref(id, _):
            yield id
        case Mapping():
            for item in value.values():
                yield from _referred(item)
        case list() | tuple():
            for item in value:
                yield from _referred(item)
