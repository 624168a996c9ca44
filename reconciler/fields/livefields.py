"""What stands in for declared fields: the live ones, of what is on hold and of what others own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reconciler.fields import fieldpath
from reconciler.fields.fieldpath import ABSENT, Found
from reconciler.model.change import Change, FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource


def declared(resource: Resource, change: Change | None, observed: Observed) -> Resource:
    """*resource* as it goes to the engine."""
    live = observed.one(resource.id)
    settled = ceded(resource, live) if live else resource
    if change is None or not change.stands:
        return settled
    return as_live(settled, change.fields)


def as_live(resource: Resource, changes: Iterable[FieldChange]) -> Resource:
    """*resource* without these *changes*."""
    fields = resource.fields
    for one in changes:
        fields = fieldpath.put(fields, one.path, ABSENT if one.before is None else one.before)
    return replace(resource, fields=fields)


def ceded(resource: Resource, live: Observation) -> Resource:
    """*resource* with what is live in place of each field that it leaves to others. What neither declares nor ever held stays theirs."""
    fields = resource.fields
    for field in resource.ceded:
        ours = fieldpath.reach(fields, field.path)
        if ours is not ABSENT or field.path in live.owned:
            fields = fieldpath.put(fields, field.path, _stand_in(ours, fieldpath.reach(live.fields, field.path)))
    return resource if fields is resource.fields else replace(resource, fields=fields)


def _stand_in(ours: Found, live: Found) -> Any:
    """*live*, but of a mapping only what is declared of it."""
    if not isinstance(ours, Mapping) or not isinstance(live, Mapping):
        return live
    return {name: _stand_in(value, live[name]) for name, value in ours.items() if name in live}
