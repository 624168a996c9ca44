"""What becomes of one declared resource: the first of the rules that has something to say of it decides, else its fields do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from reconciler.diff import former, generation, impact, judge, left, lost, quorum, strangers, upgrade
from reconciler.diff.context import Scene
from reconciler.diff.verdict import say
from reconciler.fields import compare, livefields
from reconciler.model.address import ResourceId
from reconciler.model.change import FOREIGN, Change, FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value

Rule = Callable[[Resource, Scene], Change | None]


def declared(resource: Resource, scene: Scene) -> Change:
    """What would happen to *resource*."""
    for rule in _RULES:
        if change := rule(resource, scene):
            return change
    return _compared(resource, scene)


def _held(resource: Resource, scene: Scene) -> Change | None:
    why = scene.desired.held.get(resource.stack)
    return say(resource, "hold", why, scene.found(resource.id)) if why is not None else None


def _unread(resource: Resource, scene: Scene) -> Change | None:
    why = scene.observed.why_unread(resource.id)
    return say(resource, "hold", f"could not be read: {why}; nothing is done about it") if why else None


def _refers_to_unread(resource: Resource, scene: Scene) -> Change | None:
    if not scene.observed.unread:
        return None
    for id in sorted(_referred(resource.fields)):
        if why := scene.observed.why_unread(id):
            return say(resource, "hold", f"{id}, which it refers to, could not be read: {why}; nothing is done about it")
    return None


def _ambiguous(resource: Resource, scene: Scene) -> Change | None:
    found = scene.found(resource.id)
    if len(found) < 2:  # noqa: PLR2004 - one is as it should be
        return None
    ids = ", ".join(sorted(live.live_id for live in found))
    return say(resource, "refuse", f"{len(found)} live things have this address: {ids}; remove the marks of all but one")


def _missing(resource: Resource, scene: Scene) -> Change | None:
    if scene.found(resource.id):
        return None
    if early := _follows_nobody(resource, scene) or former.nothing_kept(resource, scene) or former.not_restored(resource, scene):
        return early
    fields = tuple(FieldChange((name,), None, value) for name, value in resource.fields.items())
    source = scene.context.sources.get(resource.id)
    return say(resource, "create", source.told if source else "declared, not found", fields=fields)


def _changes_hands(resource: Resource, scene: Scene) -> Change | None:
    """A record that was declared to the engine and follows its Pod from now on."""
    if resource.owner != "members" or resource.id not in scene.context.recorded(resource.stack):
        return None
    reason = "it follows its Pod from now on: the engine's goes, the members' comes"
    return replace(say(resource, "replace", reason, scene.found(resource.id)), owner="engine")


def _follows_nobody(resource: Resource, scene: Scene) -> Change | None:
    """A record of a stopped member: it is written when a Pod comes, and until then stays as it is."""
    if resource.owner != "members" or resource.stack not in scene.context.stopped:
        return None
    return say(resource, "keep", "its member is stopped: there is no Pod to follow", scene.found(resource.id))


def _of_others(resource: Resource, scene: Scene) -> Change | None:
    """What services share and others made serves as it is; an object whose marks are not whole is nobody's to take over.

    What the engine made is ours, whoever took its marks off: itself, where it was cut off before it could put them on.
    """
    live = scene.found(resource.id)
    if live[0].marked or resource.id in scene.context.recorded(resource.stack):
        return None
    if resource.shared:
        return say(resource, "keep", FOREIGN, live)
    if resource.id.kind != "kubernetes" or live[0].busy:
        return None  # a record's marks lie elsewhere
    return say(resource, "refuse", f"{resource.origin}: {strangers.REFUSAL}", live)


# In this order: those behind `_missing` may rely on there being exactly one live thing.
_RULES: tuple[Rule, ...] = (
    _held,
    _unread,
    _refers_to_unread,
    _ambiguous,
    lost.rule,
    _missing,
    former.retained,
    _changes_hands,
    _follows_nobody,
    _of_others,
)


def _compared(resource: Resource, scene: Scene) -> Change:
    live = scene.found(resource.id)
    settled = livefields.ceded(resource, live[0])
    fields = compare.differences(settled, live[0], scene.policed(resource), scene.observed)
    change = replace(_judged(settled, fields, scene), left=left.left(resource, live[0], scene) if resource.ceded else ())
    change = former.taken_over(change, resource, live[0], scene)
    if change.action in {"keep", "update"} and scene.context.unknown_to_engine(resource):
        return replace(change, action="adopt", reason="live with our marks, unknown to the engine")
    return change


def _judged(resource: Resource, fields: tuple[FieldChange, ...], scene: Scene) -> Change:
    live = scene.found(resource.id)
    action, reason = judge.judge(resource, fields, scene)
    if action == "keep" and live[0].busy and resource.id.kind == "kubernetes":
        return say(resource, "hold", live[0].busy, live)  # what is being deleted is not as declared for long
    if action == "update" and (busy := judge.busy(resource, fields, live[0], scene)):
        return replace(say(resource, "hold", busy, live, fields), stands=resource.id.kind != "kubernetes")
    return _telling(say(resource, action, reason, live, fields), resource, live[0], scene)


def _telling(change: Change, resource: Resource, live: Observation, scene: Scene) -> Change:
    """*change* with what it does to those who run."""
    match change.action:
        case "update":
            if why := quorum.lost(resource, change.fields, live, scene) or upgrade.refused(resource, change.fields, live, scene):
                return replace(change, action="refuse", reason=why)
            if why := upgrade.waits(resource, change.fields, live, scene) or generation.waits(change.fields, live):
                return replace(change, action="hold", reason=why)
            conduct = scene.context.conduct(resource.stack)
            return replace(change, impact=impact.of_change(resource.id, resource.fields, live, change.fields, conduct))
        case "replace":
            return replace(change, impact=impact.of_replacement(change, live))
        case _:
            return change


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
