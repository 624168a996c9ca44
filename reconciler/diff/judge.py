"""What differing fields amount to: an update, a replacement or a refusal, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.diff.context import Scene
from reconciler.fields import compare
from reconciler.kinds import Effect
from reconciler.model.change import Action, FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value, spell

_HEADLINE = 2  # names of fields; more are no headline


def judge(resource: Resource, fields: tuple[FieldChange, ...], scene: Scene) -> tuple[Action, str]:
    """The action that *fields* ask for, and why."""
    if not fields:
        return "keep", "as declared"
    effects = [(change, *_effect(resource, change, scene)) for change in fields]
    refused = [(change, why) for change, effect, why in effects if effect == "refuse"]
    for change, _ in refused:
        if dangling := next(_dangling(change.after, scene), None):
            return _parted(resource, change, dangling, scene)
    for change, why in refused:
        text = f"{spell(change.path)} {show(change.before)} -> {show(change.after)}"
        return "refuse", f"{resource.where(compare.names(change.path)[0])}: {text}: {why}"
    replacing = [spell(change.path) for change, effect, _ in effects if effect == "replace"]
    if replacing:
        return "replace", f"{', '.join(replacing)} cannot be changed in place"
    return "update", _differing(resource, fields)


def busy(resource: Resource, fields: tuple[FieldChange, ...], live: Observation, scene: Scene) -> str:
    """Why *fields* cannot be changed just now; "" where they can. AWS's things are busy only for what spends their budget."""
    if not live.busy:
        return ""
    kind = scene.policed(resource)
    spending = [one for one in fields if resource.id.kind == "kubernetes" or kind.policy(resource, compare.names(one.path)).spends]
    waits = ", ".join(f"{spell(one.path)} {show(one.before)} -> {show(one.after)}" for one in spending if not one.secret)
    return f"{waits or 'it'} has to wait: {live.busy}" if spending else ""


def _effect(resource: Resource, change: FieldChange, scene: Scene) -> tuple[Effect, str]:
    policy = scene.policed(resource).policy(resource, compare.names(change.path))
    after = compare.resolve(change.after, scene.observed)
    return policy.effect if isinstance(policy.effect, str) else policy.effect(change.before, after), policy.why


def _dangling(value: Value, scene: Scene) -> Iterator[Ref]:
    """The Refs of *value* that lead to nothing, or to more than one thing."""
    match value:
        case Ref(id, _):
            if scene.observed.one(id) is None:
                yield value
        case Mapping():
            for item in value.values():
                yield from _dangling(item, scene)
        case list() | tuple():
            for item in value:
                yield from _dangling(item, scene)


def _parted(resource: Resource, change: FieldChange, ref: Ref, scene: Scene) -> tuple[Action, str]:
    """What cannot change, and names something that is gone or there twice: the fault lies with what it names."""
    if found := scene.found(ref.id):
        ids = ", ".join(sorted(live.live_id for live in found))
        return "hold", f"{ref.id}, which it refers to, has {len(found)} live things: {ids}; nothing is done about it"
    name = resource.id.name.split("/")[0]
    was = f" ({spell(change.path)} {change.before})" if isinstance(change.before, str) else ""
    lost = ", and its data with it" if ref.id.kind == "volume" else ""
    way = scene.losses.way(ref.id, resource.stack) if ref.id.kind == "volume" else f"delete this {name}"
    return "refuse", f"{ref.id}{was} is gone{lost}: it was deleted outside of the specs; {way}"


def _differing(resource: Resource, fields: tuple[FieldChange, ...]) -> str:
    names = sorted({compare.names(change.path)[0] for change in fields})
    if resource.id.kind == "kubernetes" or len(names) > _HEADLINE:
        return "declared fields differ"
    return f"{' and '.join(names)} {'differ' if len(names) > 1 or names[0].endswith('s') else 'differs'}"


def show(value: Value) -> str:
    """A value in a message: text without quotes."""
    return value if isinstance(value, str) else "absent" if value is None else str(value)
