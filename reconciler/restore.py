"""Volumes that are to be made from a snapshot: which, and of what moment; or why that cannot be. Pure but for the one read it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.model import moment
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Restore, Service
from reconciler.model.snapshot import Snapshot, Snapshots, SnapshotSet, Source
from reconciler.resources import copies, moved

FIELD = "snapshot"  # of a volume, only as long as it is not there: nothing compares it afterwards
_LISTS = "`reconcile snapshots` lists them"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Restoring:
    """*desired* with the snapshots that its volumes are made from; what is to be said of each, by volume. *known* is what was read."""

    desired: Desired
    sources: Mapping[ResourceId, Source] = field(default_factory=dict)
    known: Snapshots = field(default_factory=Snapshots)


def restore(desired: Desired, observed: Observed, read: Callable[[], Snapshots], now: float) -> Restoring:
    """*desired* with where the data of volumes comes from that are to be made, at *now*, in seconds since the epoch.

    Snapshots are only *read* where somebody asks for some.
    """
    asking = {one.name: one for one in desired.services if one.restore_from and one.restore_from.service}
    lacking = list(_lacking(asking, desired, observed)) if asking else []
    if not lacking and not any(one.snapshots for one in desired.services):
        return Restoring(desired)
    known = read()
    sources = {resource.id: _source(resource, asking[resource.stack], known, now) for resource in lacking}
    resources = {**desired.resources}
    for id, source in sources.items():
        if source.snapshot:
            resources[id] = replace(resources[id], fields={**resources[id].fields, FIELD: source.snapshot})
    return Restoring(replace(desired, resources=resources), sources, known)


def _lacking(asking: Mapping[str, Service], desired: Desired, observed: Observed) -> Iterator[Resource]:
    for id, resource in desired.resources.items():
        if id.kind == "volume" and resource.stack in asking and id not in observed.live and not observed.why_unread(id):
            yield resource


def _source(resource: Resource, service: Service, known: Snapshots, now: float) -> Source:
    """Always the same for one service and one moment: what is cut off goes on with what it began with."""
    wanted = service.restore_from
    assert wanted is not None and wanted.moment is not None  # noqa: S101, PT018 - only those that ask come here
    if known.unread:
        return Source(unread=f"the snapshots of {wanted.service} could not be read: {known.unread}; nothing is done about it")
    if wanted.moment.timestamp() > now:
        why = f"{wanted.snapshot_time} is yet to come, and until then it would mean other snapshots each time: choose one that has been"
        return Source(refused=f"{service.locate('spec.restoreFrom.snapshotTime')}: {why} ({_LISTS})")
    found = known.newest(str(wanted.service), wanted.moment)
    if pending := next((one for one in known.sets.get(str(wanted.service), ()) if _comes_between(one, found, wanted.moment)), None):
        return Source(
            unread=f"the snapshots of {wanted.service} of {_when(pending)} are not completed yet, and are nearer to what is asked for"
        )
    if found is None:
        return Source(refused=f"{service.locate('spec.restoreFrom.snapshotTime')}: {_no_set(wanted, known)}")
    part = copies.part(resource.id, moved.base(service).name)
    if part not in found.parts:
        told = f"the snapshots of {found.service} of {_when(found)} have none for {resource.id.name} ({_parts(found.parts)})"
        way = "have the members and volumes that it had then; more can come once those are there and restoreFrom is taken out"
        return Source(refused=f"{service.locate('spec.restoreFrom')}: {told}: {way}")
    return _fitting(resource, found.parts[part], found)


def _comes_between(one: SnapshotSet, found: SnapshotSet | None, wanted: datetime) -> bool:
    return one.state == "pending" and one.taken <= wanted and (found is None or one.taken > found.taken)


def _fitting(resource: Resource, snapshot: Snapshot, found: SnapshotSet) -> Source:
    """*snapshot*, where a volume as it is declared can be made from it."""
    size = str(resource.fields["size"])
    if Quantity.parse(size) < Quantity.parse(f"{snapshot.size}Gi"):
        told = f"size {size} is less than the {snapshot.size}Gi of {snapshot.id}, which it is made from"
        return Source(refused=f"{resource.where('size')}: {told}: say {snapshot.size}Gi or more")
    if snapshot.encrypted and not resource.fields.get("encrypted"):
        told = f"{snapshot.id}, which it is made from, is encrypted, and so is whatever is made of it"
        return Source(refused=f"{resource.where('encrypted')}: {told}: say encrypted: true")
    of = snapshot.address.partition(f"/{found.service}/")[2] or snapshot.address
    return Source(snapshot.id, f"from snapshot {snapshot.id} of {of}, taken {_when(found)}")


def _no_set(wanted: Restore, known: Snapshots) -> str:
    complete = known.complete(str(wanted.service))
    if not complete:
        return f"{wanted.service} has no complete snapshot ({_LISTS}): leave restoreFrom out to begin with empty volumes"
    there = ", ".join(_when(one) for one in complete[:_NAMED])
    more = f" and {len(complete) - _NAMED} more" if len(complete) > _NAMED else ""
    none = f"{wanted.service} has no complete snapshot that was taken by {wanted.snapshot_time}"
    return f"{none}: choose a later moment; it has {there}{more} ({_LISTS})"


def _when(found: SnapshotSet) -> str:
    return moment.spell(moment.whole(found.taken))


def _parts(parts: Iterable[str]) -> str:
    names = sorted(part.removeprefix("-") for part in parts)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
