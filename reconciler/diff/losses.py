"""Which declared volumes have lost their data, as told by the PersistentVolume that still names one that is gone or broken. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.resources import kubernetes

Refills = Callable[[frozenset[str]], str]  # why members that have lost their data are not given it back by the others; "" where they are
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
    """All there are; *refills* says by service whether its other members make them good."""

    desired: Desired
    observed: Observed
    refills: Mapping[str, Refills]

    @cached_property
    def by_id(self) -> Mapping[ResourceId, Loss]:
        """By the ids of volumes, and of the objects that stand for them."""
        found: dict[ResourceId, Loss] = {}
        for resource in self.desired.resources.values():
            if resource.id.name.startswith("PersistentVolume/") and (loss := self._of(resource)):
                found |= dict.fromkeys((loss.volume, loss.persistent, loss.claim), loss)
        return found

    def why_not(self, stack: str) -> str:
        """Why the members of *stack* that have lost their data are not given it back by the others; "" where they are."""
        lost = {one.volume for one in self.by_id.values() if one.stack == stack}
        members = {id.member for id in lost}
        declared = {id for id in self.desired.resources if id.kind == "volume" and id.service == stack and id.member in members}
        if kept := sorted(declared - lost):
            return f"{kept[0]} belongs to it and is still there"
        refills = self.refills.get(stack)
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
        if not isinstance(handle, Ref) or not isinstance(claim, Mapping) or self.observed.why_unread(handle.id):
            return None
        live, disks = self.observed.one(persistent.id), self.observed.live.get(handle.id, ())
        broken = len(disks) == 1 and disks[0].attributes.get("state") == BROKEN and not disks[0].retained
        was = disks[0].live_id if broken else _spec(live.fields, "csi", "volumeHandle") if live else None
        if not isinstance(was, str) or (disks and not broken):
            return None
        named = (str(claim.get("namespace", "")), str(claim.get("name", "")))
        id = kubernetes.object_id(persistent.id.environment, persistent.id.service, "PersistentVolumeClaim", *named)
        return Loss(handle.id, persistent.id, id, persistent.stack, was, broken)


def _spec(fields: Mapping[str, Value], *steps: str) -> Value:
    value = fields.get("spec")
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
