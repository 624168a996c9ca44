"""Volumes that are gone or broken, and their data with them: what a person may have made anew, if the other members give it back. Pure."""

from __future__ import annotations

from dataclasses import replace

from reconciler.diff.context import Scene
from reconciler.diff.verdict import say
from reconciler.model.change import Change, FieldChange
from reconciler.model.resource import Resource


def rule(resource: Resource, scene: Scene) -> Change | None:
    """What becomes of a lost volume and of what stands for it: made anew where a person lets it, and the others have its data."""
    loss = scene.losses.by_id.get(resource.id)
    live = scene.found(resource.id)
    if loss is None or not (live or resource.id == loss.volume):
        return None
    if not scene.context.delete_data or scene.losses.why_not(loss.stack):
        way = scene.losses.way(loss.volume, loss.stack)
        return say(resource, "refuse", f"{loss.told}; {way}", live) if resource.id == loss.volume and loss.broken else None
    if resource.id == loss.persistent:
        return say(resource, "replace", f"it stands for {loss.was}", live)
    if resource.id == loss.claim:
        change = say(resource, "replace", f"it is bound to what stands for {loss.was}", live)
        return replace(change, impact=f"restarts {loss.volume.member}")
    reason = f"{loss.told}; the other members of {loss.stack} fill a new one"
    if loss.broken:
        return replace(say(resource, "replace", reason, live), impact="irreversible: what is left of its data is deleted")
    fields = tuple(FieldChange((name,), None, value) for name, value in resource.fields.items())
    return say(resource, "create", reason, fields=fields)
