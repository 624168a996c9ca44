"""Desired and observed → changes. Pure: no clock, no I/O, no logging. What is unread is held, what is ambiguous refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler import compare, removal
from reconciler.kinds import Effect, Kind
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import FOREIGN, Action, Change, FieldChange
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Owner, Resource
from reconciler.model.value import Ref, Value, spell

Known = Mapping[str, frozenset[ResourceId]]  # what the engine's state holds, by stack


@dataclass(frozen=True, slots=True)
class Context:
    """What diff has to know beside the two states: the kinds, the engine's own record, and when things were last declared."""

    kinds: Mapping[str, Kind]
    engine: Known | None = None  # None: could not be read, so nothing is called unknown to it
    gone_since: Mapping[ResourceId, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()  # services; empty means all
    stopped: frozenset[str] = frozenset()  # services whose members do not run


def diff(desired: Desired, observed: Observed, context: Context) -> tuple[Change, ...]:
    """Every declared resource as a change (keeps too), and everything live of ours that nothing declares."""
    declared = tuple(
        _declared(resource, observed, context)
        for resource in desired.resources.values()
        if _selected(resource.stack, context) or resource.stack == SHARED  # which every service needs
    )
    gone = tuple(_gone(desired, observed, context))
    return declared + gone + tuple(_left(desired, observed, context))


def _selected(stack: str, context: Context) -> bool:
    return not context.only or stack in context.only


def _declared(resource: Resource, observed: Observed, context: Context) -> Change:
    why = observed.why_unread(resource.id)
    if why:
        return _change(resource, "hold", f"could not be read: {why}; nothing is done about it")
    unread = next(((id, why) for id in sorted(_referred(resource.fields)) if (why := observed.why_unread(id))), None)
    if unread:
        return _change(resource, "hold", f"{unread[0]}, which it refers to, could not be read: {unread[1]}; nothing is done about it")
    found = observed.live.get(resource.id, ())
    if len(found) > 1:
        ids = ", ".join(sorted(live.live_id for live in found))
        return _change(resource, "refuse", f"{len(found)} live things have this address: {ids}; remove the marks of all but one")
    if not found:
        return _created(resource, stopped=resource.stack in context.stopped)
    if found[0].retained:
        reason = (
            f"{resource.origin}: {found[0].live_id} was kept when {found[0].retained} removed its service; it is not taken back by itself"
        )
        return replace(_change(resource, "refuse", reason), live_id=found[0].live_id)
    return _compared(resource, found[0], observed, context)


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


def _created(resource: Resource, *, stopped: bool) -> Change:
    if stopped and resource.owner == "members":
        return _change(resource, "keep", "its member is stopped: there is no Pod to follow")
    fields = tuple(FieldChange((name,), None, value) for name, value in resource.fields.items())
    return _change(resource, "create", "declared, not found", fields)


def _compared(resource: Resource, live: Observation, observed: Observed, context: Context) -> Change:
    if resource.owner == "members" and resource.id in _held(resource.stack, context):
        reason = "it follows its Pod from now on: the engine's goes, the members' comes"
        return replace(_change(resource, "replace", reason), owner="engine", live_id=live.live_id)
    if resource.shared and not live.marked:
        return replace(_change(resource, "keep", FOREIGN), live_id=live.live_id)
    kind = context.kinds[resource.id.kind]
    fields = compare.differences(resource, live, kind, observed)
    action, reason = _judge(resource, fields, kind, observed)
    if action in {"keep", "update"} and _unknown_to_engine(resource, context):
        action, reason = "adopt", "live with our marks, unknown to the engine"
    return replace(_change(resource, action, reason, fields), live_id=live.live_id, impact=_impact(resource, fields))


def _impact(resource: Resource, fields: tuple[FieldChange, ...]) -> str:
    """What a change does to those who run: a set whose Pod template differs restarts its Pods, the last first."""
    spec = resource.fields.get("spec")
    if not resource.id.name.startswith("StatefulSet/") or not isinstance(spec, Mapping):
        return ""
    if not any(compare.names(change.path)[:2] == ("spec", "template") for change in fields):
        return ""
    name, replicas = resource.id.name.rpartition("/")[2], spec.get("replicas")
    pods = [f"{name}-{n}" for n in reversed(range(replicas if isinstance(replicas, int) else 0))]
    return f"restarts {', '.join(pods)}" if pods else ""


def _judge(resource: Resource, fields: tuple[FieldChange, ...], kind: Kind, observed: Observed) -> tuple[Action, str]:
    """What the differing *fields* make of it, the worst first."""
    if not fields:
        return "keep", "as declared"
    effects = [(change, *_effect(resource, change, kind, observed)) for change in fields]
    for change, effect, why in effects:
        if effect == "refuse":
            name = spell(change.path)
            text = f"{name} {show(change.before)} -> {show(change.after)}"
            return "refuse", f"{resource.where(compare.names(change.path)[0])}: {text}: {why}"
    replacing = [spell(change.path) for change, effect, _ in effects if effect == "replace"]
    if replacing:
        return "replace", f"{', '.join(replacing)} cannot be changed in place"
    return "update", _differing(resource, fields)


def _effect(resource: Resource, change: FieldChange, kind: Kind, observed: Observed) -> tuple[Effect, str]:
    policy = kind.policy(resource, compare.names(change.path))
    effect = policy.effect if isinstance(policy.effect, str) else policy.effect(change.before, compare.resolve(change.after, observed))
    return effect, policy.why


def _differing(resource: Resource, fields: tuple[FieldChange, ...]) -> str:
    names = sorted({compare.names(change.path)[0] for change in fields})
    if resource.id.kind == "kubernetes" or len(names) > 2:  # noqa: PLR2004 - more than two names are no headline
        return "declared fields differ"
    return f"{' and '.join(names)} {'differ' if len(names) > 1 or names[0].endswith('s') else 'differs'}"


def _unknown_to_engine(resource: Resource, context: Context) -> bool:
    if resource.owner != "engine" or context.engine is None:
        return False
    return resource.id not in _held(resource.stack, context)


def _held(stack: str, context: Context) -> frozenset[ResourceId]:
    """What the engine's state has of *stack*."""
    return (context.engine or {}).get(stack, frozenset())


def _left(desired: Desired, observed: Observed, context: Context) -> Iterator[Change]:
    """What only the engine's state still has, such as a zone of another name: it would take it away whenever the stack is run next."""
    for stack, ids in sorted((context.engine or {}).items()):
        for id in sorted(ids - desired.resources.keys() - observed.live.keys()):
            if not _selected(stack, context):
                continue
            why = observed.why_unread(id) or next(iter(observed.unread.values()), "")
            if why:
                yield Change(id, "hold", "engine", f"no longer declared, but something could not be read: {why}; nothing is removed", stack)
            else:
                action: Action = "forget" if removal.of(id) == "retain" else "delete"
                yield Change(id, action, "engine", "no longer declared; the engine still holds it", stack)


def _gone(desired: Desired, observed: Observed, context: Context) -> Iterator[Change]:
    """What is live and ours, and declared by nothing. Held as long as anything could not be read: it may be declared by a move."""
    for id, found in sorted(observed.live.items()):
        for live in found:
            if id in desired.resources or not live.marked or _forgotten(id, live, context) or not _selected(live.stack, context):
                continue
            held = next(iter(observed.unread.values()), "")
            yield _hold(id, live, held) if held else _removed(id, live, context)


def _forgotten(id: ResourceId, live: Observation, context: Context) -> bool:
    """Kept on purpose and known to nobody any more. A run that died between the two leaves what is kept, and still to be forgotten."""
    return bool(live.retained) and id not in (context.engine or {}).get(live.stack, frozenset())


def _hold(id: ResourceId, live: Observation, why: str) -> Change:
    reason = f"no longer declared, but something could not be read: {why}; nothing is removed meanwhile"
    return Change(id, "hold", "engine", reason, live.stack, live_id=live.live_id)


def _removed(id: ResourceId, live: Observation, context: Context) -> Change:
    since = context.gone_since.get(id, "")
    reason = f"no longer declared since {since}" if since else "no longer declared"
    known = context.engine is None or id in context.engine.get(live.stack, frozenset())
    owner: Owner = "members" if id.kind == "record" and not known else "engine"
    fields = tuple(FieldChange((name,), value, None) for name, value in live.fields.items())
    if removal.of(id) == "retain":
        what = "data is kept" if id.kind == "volume" else ""
        return Change(id, "forget", owner, f"{reason}; it is kept", live.stack, fields, impact=what, live_id=live.live_id)
    return Change(id, "delete", owner, reason, live.stack, fields, live_id=live.live_id)


def _change(resource: Resource, action: Action, reason: str, fields: tuple[FieldChange, ...] = ()) -> Change:
    return Change(resource.id, action, resource.owner, reason, resource.stack, fields, needs=resource.needs)


def show(value: Value) -> str:
    """A value in a message: text without quotes."""
    return value if isinstance(value, str) else "absent" if value is None else str(value)


__all__ = ["Context", "diff", "show"]
