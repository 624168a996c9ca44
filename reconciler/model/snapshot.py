"""Snapshots of a service's volumes. Those that were taken for one time of its schedule are a set, which counts once all of it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

State: TypeAlias = Literal["complete", "pending", "partial"]
COMPLETED, PENDING = "completed", "pending"  # EBS's own words


@dataclass(frozen=True, slots=True)
class Snapshot:
    """That of one volume.

    *slot* is the time of the schedule that it was taken for, *address* the volume's. *part* says which of its service's volumes that is,
    whatever the service was called when it was taken: `-0/data`. Its set has *of* of them. *size* is in GiB. A *stray* is that of another
    service's volume, which came on the same instance just when all of that instance were taken.
    """

    id: str
    service: str
    slot: str
    address: str
    part: str
    of: int
    began: datetime
    state: str
    size: int
    encrypted: bool = False
    stray: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotSet:
    """The snapshots of a service for one time of its schedule. *surplus* are those of which there is a later one, or which EBS gave up."""

    service: str
    slot: str
    of: int
    parts: Mapping[str, Snapshot]
    surplus: tuple[Snapshot, ...] = ()

    @property
    def state(self) -> State:
        """A set of which anything is missing is partial, and never comes back."""
        if len(self.parts) < self.of:
            return "partial"
        return "complete" if all(one.state == COMPLETED for one in self.parts.values()) else "pending"

    @property
    def began(self) -> datetime:
        return min(one.began for one in self.parts.values() or self.surplus)

    @property
    def taken(self) -> datetime:
        """When the last of it was taken: what was written later is in none of it."""
        return max(one.began for one in self.parts.values() or self.surplus)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(sorted(one.id for one in (*self.parts.values(), *self.surplus)))


@dataclass(frozen=True, slots=True)
class Snapshots:
    """All that an environment has, by service, the latest set last; *unread* says why it is not known, "" where it is."""

    sets: Mapping[str, tuple[SnapshotSet, ...]] = field(default_factory=dict)
    strays: tuple[Snapshot, ...] = ()
    unread: str = ""

    def complete(self, service: str) -> tuple[SnapshotSet, ...]:
        return tuple(one for one in self.sets.get(service, ()) if one.state == "complete")

    def newest(self, service: str, until: datetime | None = None) -> SnapshotSet | None:
        """The newest complete set of *service*, of those that were taken by *until*."""
        return next((one for one in reversed(self.complete(service)) if until is None or one.taken <= until), None)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data of a volume that is to be made comes from: *snapshot*, in words *told*. Or why it can't: *refused*, or *unread*."""

    snapshot: str = ""
    told: str = ""
    refused: str = ""
    unread: str = ""


def gather(found: Iterable[Snapshot]) -> Snapshots:
    """All that was read, set by set."""
    slots: dict[tuple[str, str], list[Snapshot]] = {}
    strays: list[Snapshot] = []
    for one in found:
        if one.stray:
            strays.append(one)
        else:
            slots.setdefault((one.service, one.slot), []).append(one)
    sets: dict[str, list[SnapshotSet]] = {}
    for (service, slot), mine in slots.items():
        sets.setdefault(service, []).append(_set(service, slot, mine))
    ordered = {service: tuple(sorted(mine, key=lambda one: (one.taken, one.slot))) for service, mine in sorted(sets.items())}
    return Snapshots(ordered, tuple(strays))


def _set(service: str, slot: str, found: Iterable[Snapshot]) -> SnapshotSet:
    """Of two that are of one volume the later one counts: an earlier one may be of a set that was given up."""
    parts: dict[str, Snapshot] = {}
    surplus: list[Snapshot] = []
    of = 0
    for one in sorted(found, key=lambda one: (one.began, one.id)):
        of = max(of, one.of)
        if one.state not in {COMPLETED, PENDING}:
            surplus.append(one)
            continue
        if before := parts.get(one.part):
            surplus.append(before)
        parts[one.part] = one
    return SnapshotSet(service, slot, of, parts, tuple(surplus))
