"""A declared resource and what is said of it, as a change."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource


def say(resource: Resource, action: Action, reason: str, live: Sequence[Observation] = (), fields: tuple[FieldChange, ...] = ()) -> Change:
    """*action* on *resource* (on what is *live* of it), by whom and after what the resource itself says."""
    live_id = live[0].live_id if len(live) == 1 else ""
    return Change(resource.id, action, resource.owner, reason, resource.stack, fields, live_id=live_id, needs=resource.needs)
