"""Volumes that are gone or broken, and their data with them: what a person may have made anew, if the other members give it back. Pure.

Told by what is left: the PersistentVolume that still names a volume of EBS's which is not there, or is in state `error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.diff.verdict import say
from reconciler.model.address import ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.resources import kubernetes

if TYPE_CHECKING:
    from reconciler.diff.context import Scene

BROKEN = "error"  # the state of a volume whose data EBS has lost; no volume leaves it
_FLAG = "--allow-delete-data has a new one made, which the other members of {} fill"
_BY_HAND = "delete this PersistentVolume, and what claims it, to begin with a new volume"
_ALL_BY_HAND = "delete it, its PersistentVolume and what claims that, to begin with a new volume"


@dataclass(frozen=True, slots=True)
class Loss:
    """A declared *volume* whose data is gone, with the objects that stand for it; *was* is what EBS called it."""

    volume: ResourceId
    persistent: ResourceId
    claim: ResourceId
    stack: str
    was: str
    broken: bool

    @property
    def told(self) -> str:
        if self.broken:
            return f"{self.was} is in state error: EBS has lost it, and its data with it"
        return f"{self.was} is gone, and its data with it: it was deleted outside of the specs"


@dataclass(frozen=True)
class Losses:
    """All of a scene's."""

    scene: Scene

    @cached_property
    def by_id(self) -> Mapping[ResourceId, Loss]:
        """By the ids of volumes, and of the objects that stand for them."""
        found: dict[ResourceId, Loss] = {}
        for resource in self.scene.desired.resources.values():
            if resource.id.name.startswith("PersistentVolume/") and (loss := self._of(resource)):
                found |= dict.fromkeys((loss.volume, loss.persistent, loss.claim), loss)
        return found

    def why_not(self, stack: str) -> str:
        """Why the members of *stack* that have lost their data are not given it back by the others; "" where they are."""
        lost = {one.volume for one in self.by_id.values() if one.stack == stack}
        members = {id.member for id in lost}
        declared = {id for id in self.scene.desired.resources if id.kind == "volume" and id.service == stack and id.member in members}
        if kept := sorted(declared - lost):
            return f"{kept[0]} belongs to it and is still there"
        refills = self.scene.context.refills.get(stack)
        return refills(frozenset(members)) if refills else "nobody knows who gives it back"

    def way(self, id: ResourceId, stack: str) -> str:
        """What a person can do about *id*, which is lost, in words that end a refusal."""
        loss = self.by_id.get(id)
        if loss is None:
            return _BY_HAND
        why = self.why_not(stack)
        return f"{why}; {_ALL_BY_HAND if loss.broken else _BY_HAND}" if why else _FLAG.format(stack)

    def _of(self, persistent: Resource) -> Loss | None:
        handle, claim = _spec(persistent.fields, "csi", "volumeHandle"), _spec(persistent.fields, "claimRef")
        if not isinstance(handle, Ref) or not isinstance(claim, Mapping) or self.scene.observed.why_unread(handle.id):
            return None
        live, disks = self.scene.observed.one(persistent.id), self.scene.found(handle.id)
        broken = len(disks) == 1 and disks[0].attributes.get("state") == BROKEN and not disks[0].retained
        was = disks[0].live_id if broken else _spec(live.fields, "csi", "volumeHandle") if live else None
        if not isinstance(was, str) or (disks and not broken):
            return None
        named = (str(claim.get("namespace", "")), str(claim.get("name", "")))
        id = kubernetes.object_id(persistent.id.environment, persistent.id.service, "PersistentVolumeClaim", *named)
        return Loss(handle.id, persistent.id, id, persistent.stack, was, broken)


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


def _spec(fields: Mapping[str, Value], *steps: str) -> Value:
    value = fields.get("spec")
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
