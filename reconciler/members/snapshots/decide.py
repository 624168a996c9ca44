"""What is due of a service's snapshots, from those that exist: which to take, which to delete. Pure.

Nothing is remembered: a set is named after the time of the schedule that it is for, so whoever looks finds it, whoever took it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from reconciler.kinds import ServiceType
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.outcome import Done, Outcome
from reconciler.model.service import Service
from reconciler.model.service import Snapshots as Schedule
from reconciler.model.snapshot import Snapshots, SnapshotSet
from reconciler.resources import copies, declare, moved, storage

TOGETHER = 60.0  # seconds after its first snapshot for which a set may be completed: later it would be of no one moment


@dataclass(frozen=True, slots=True)
class Asked:
    """What a service asks for: of its *volumes*, by part. *spared* are the moments that some `restoreFrom` names of it.

    *works* says whether it is as declared: the first set is not taken of what is still being made.
    """

    service: Service
    schedule: Schedule
    volumes: Mapping[str, ResourceId]
    works: bool
    spared: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do: *take* the snapshots of these volumes, by part, for the time *slot*; *delete* these, each with why.

    *pending* says that EBS is at work, so that another look is worth while soon.
    """

    slot: str = ""
    take: Mapping[str, ResourceId] = field(default_factory=dict)
    delete: Mapping[str, str] = field(default_factory=dict)
    pending: bool = False


def asked(desired: Desired, types: Mapping[str, ServiceType], outcomes: Mapping[str, Outcome]) -> Iterator[Asked]:
    """What those services of *desired* ask for of which *outcomes* tells how they stand."""
    spared: dict[str, list[datetime]] = {}
    for service in desired.services:
        if (source := service.restore_from) and source.service and source.moment:
            spared.setdefault(source.service, []).append(source.moment)
    for service in desired.services:
        if service.snapshots and service.name in outcomes:
            moments = tuple(spared.get(service.name, ()))
            volumes = _volumes(service, desired.environment, types[service.type])
            yield Asked(service, service.snapshots, volumes, isinstance(outcomes[service.name], Done), moments)


def _volumes(service: Service, environment: Environment, type_: ServiceType) -> dict[str, ResourceId]:
    """Of the service itself: what is looked after may be of an earlier commit than the resources beside it."""
    members = declare.members(service, environment, type_)
    names = (f"{member.name}/{name}" for member in members for name in storage.names(service))
    ids = (ResourceId("volume", environment.name, service.name, name) for name in names)
    return {copies.part(id, moved.base(service).name): id for id in ids}


def decide(asked: Asked, known: Snapshots, now: float, *, prunes: bool) -> Verdict:
    """What is due at *now*, in seconds since the epoch. Where not all is known of what git declares, it *prunes* nothing."""
    name = asked.service.name
    sets = known.sets.get(name, ())
    slot = copies.slot(now, asked.schedule.every)
    begun = next((one for one in sets if one.state == "partial" and one.slot == slot), None)
    pending = any(one.state == "pending" for one in sets)
    if begun and not pending and not _is_as_asked(begun, asked, now):
        return Verdict(delete=dict.fromkeys(begun.ids, f"the set {slot} was begun and cannot be completed: it is taken anew"))
    delete = dict(_gone(asked, sets, known, begun)) if prunes else {}
    if pending:
        return Verdict(delete=delete, pending=True)
    if any(one.slot >= slot for one in sets if one.state == "complete") or not asked.volumes:
        return Verdict(delete=delete)
    if not asked.works and not known.complete(name):
        return Verdict(delete=delete, pending=True)
    have = begun.parts if begun else {}
    return Verdict(slot, {part: id for part, id in asked.volumes.items() if part not in have}, delete, pending=True)


def _is_as_asked(begun: SnapshotSet, asked: Asked, now: float) -> bool:
    """Whether the rest of a set that was begun may still be taken: at once, and of the same volumes."""
    late = datetime.fromtimestamp(now, UTC) - begun.began
    return (
        bool(begun.parts)
        and late.total_seconds() <= TOGETHER
        and begun.of == len(asked.volumes)
        and begun.parts.keys() <= asked.volumes.keys()
    )


def _gone(asked: Asked, sets: tuple[SnapshotSet, ...], known: Snapshots, begun: SnapshotSet | None) -> Iterator[tuple[str, str]]:
    """What nobody needs: complete sets beyond those to keep, what never became a set, and what came into one by chance."""
    name, complete = asked.service.name, known.complete(asked.service.name)
    newest, kept = complete[-1:], {one.slot for one in complete[-asked.schedule.keep :]}
    kept |= {found.slot for moment in asked.spared if (found := known.newest(name, moment))}
    for one in sets:
        if one.state == "complete" and one.slot not in kept:
            yield from ((id, f"the set {one.slot} is beyond the {asked.schedule.keep} that are kept") for id in one.ids)
        elif one.state == "partial" and one is not begun and newest and one.began < newest[0].began:
            yield from ((id, f"the set {one.slot} never was complete") for id in one.ids)
        elif one.state == "complete":
            yield from ((surplus.id, f"the set {one.slot} has a later one of {surplus.address}") for surplus in one.surplus)
    yield from ((one.id, f"it came into a set of {name} and is of {one.address}") for one in known.strays if one.service == name)
