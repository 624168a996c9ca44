"""What differing fields amount to: an update, a replacement or a refusal, the worst first."""

from __future__ import annotations

from reconciler import compare
from reconciler.kinds import Effect, Kind
from reconciler.model.change import Action, FieldChange
from reconciler.model.observation import Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Value, spell

_HEADLINE = 2  # names of fields; more are no headline


def judge(resource: Resource, fields: tuple[FieldChange, ...], kind: Kind, observed: Observed) -> tuple[Action, str]:
    """The action that *fields* ask for, and why."""
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
    if resource.id.kind == "kubernetes" or len(names) > _HEADLINE:
        return "declared fields differ"
    return f"{' and '.join(names)} {'differ' if len(names) > 1 or names[0].endswith('s') else 'differs'}"


def show(value: Value) -> str:
    """A value in a message: text without quotes."""
    return value if isinstance(value, str) else "absent" if value is None else str(value)
