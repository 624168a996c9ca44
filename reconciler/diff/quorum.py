"""Fewer members of a service that votes: no majority of those who vote may go at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.diff.context import Scene
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource
from reconciler.model.value import Value


def lost(resource: Resource, fields: tuple[FieldChange, ...], live: Observation, scene: Scene) -> str:
    """Why the number of members must not change so, with the place of its spec and the way that leads there; "" where it may."""
    service = scene.service(resource.stack)
    change = next((one for one in fields if one.path == ("spec", "replicas")), None)
    if service is None or service.stopped or change is None or not resource.id.name.startswith("StatefulSet/"):
        return ""
    after, conduct = change.after, scene.context.conduct(resource.stack)
    if not isinstance(change.before, int) or not isinstance(after, int) or after >= change.before or not _is_same(resource, live):
        return ""
    before = _members(resource, change.before, after, scene)
    if conduct.voters(after) >= _majority(conduct.voters(before)):
        return ""
    why = f"the {conduct.voters(after)} that stay are no majority of {conduct.voters(before)} who vote, and may lack what was acknowledged"
    return f"{service.locate('spec.replicas')}: replicas {before} -> {after}: {why}; {_way(conduct.voters(before), conduct.voters(after))}"


def _is_same(resource: Resource, live: Observation) -> bool:
    """Whether the set runs what it ran: of another type nobody has voted yet."""
    return bool(_containers(resource.fields) & _containers(live.fields))


def _containers(fields: Value) -> frozenset[str]:
    for step in ("spec", "template", "spec", "containers"):
        fields = fields.get(step) if isinstance(fields, Mapping) else None
    return (
        frozenset(str(one.get("name")) for one in fields if isinstance(one, Mapping)) if isinstance(fields, list | tuple) else frozenset()
    )


def _members(resource: Resource, before: int, after: int, scene: Scene) -> int:
    """How many of a set's Pods are members: those that stay, and those with a volume; whoever else scaled it made no members."""
    name, live = resource.id.name.rpartition("/")[2], scene.observed.live.items()
    held = {
        id.member for id, found in live if id.kind == "volume" and id.service == resource.stack and any(not one.retained for one in found)
    }
    return sum(n < after or f"{name}-{n}" in held for n in range(before))


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
