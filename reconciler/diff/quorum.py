"""Fewer members of a service that votes: no majority of those who vote may go at once. Pure."""

from __future__ import annotations

from reconciler.diff.context import Scene
from reconciler.model.change import FieldChange
from reconciler.model.resource import Resource


def lost(resource: Resource, fields: tuple[FieldChange, ...], scene: Scene) -> str:
    """Why the number of members must not change so, with the place of its spec and the way that leads there; "" where it may."""
    service = scene.service(resource.stack)
    change = next((one for one in fields if one.path == ("spec", "replicas")), None)
    if service is None or service.stopped or change is None or not resource.id.name.startswith("StatefulSet/"):
        return ""
    before, after, voters = change.before, change.after, scene.context.conduct(resource.stack).voters
    if not isinstance(before, int) or not isinstance(after, int) or voters(after) >= _majority(voters(before)):
        return ""
    why = f"the {voters(after)} that stay are no majority of {voters(before)} who vote, and may lack what was acknowledged"
    return f"{service.locate('spec.replicas')}: replicas {before} -> {after}: {why}; {_way(voters(before), voters(after))}"


def _majority(voters: int) -> int:
    return voters // 2 + 1 if voters else 0


def _way(before: int, after: int) -> str:
    """The odd numbers by which one comes from *before* to *after*, each with a majority of the one before it."""
    steps = [before]
    while steps[-1] > after and (least := max(after, _majority(steps[-1]) | 1)) < steps[-1]:
        steps.append(least)
    by = ", then ".join(f"{step}" for step in steps[1:])
    if steps[-1] == after:
        return f"go by {by}, each with an apply of its own"
    begun = f"no number below {steps[-1]} has one: make a new service for fewer"
    return f"go by {by} at most; {begun}" if by else begun
