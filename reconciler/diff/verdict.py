"""A declared resource and what is said of it, as a change."""

from __future__ import annotations

from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.resource import Resource


def say(resource: Resource, action: Action, reason: str, fields: tuple[FieldChange, ...] = ()) -> Change:
    """*action* on *resource*, by whom and after what the resource itself says."""
    return Change(resource.id, action, resource.owner, reason, resource.stack, fields, needs=resource.needs)
