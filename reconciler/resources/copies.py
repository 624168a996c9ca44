"""What says of an EBS snapshot which set it belongs to: its tags, there and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from reconciler.model import address, moment
from reconciler.model.address import ResourceId
from reconciler.model.duration import Duration
from reconciler.model.service import Service
from reconciler.model.snapshot import Snapshot
from reconciler.ports import Payload
from reconciler.resources import marks, moved


def tags(service: Service, slot: str, of: int) -> dict[str, str]:
    """What all snapshots of one set say; beside it each has the tags of its volume."""
    return {marks.SNAPSHOT: f"{service.name}/{slot}", marks.VOLUMES: f"{of} {moved.base(service).name}"}


def part(volume: ResourceId, named: str) -> str:
    """Which of its service's volumes that is, whatever the service is called; its members go by the name *named*."""
    return volume.name.removeprefix(named)


def slot(now: float, every: Duration) -> str:
    """The last time of the schedule by *now*, in seconds since the epoch, from which all schedules are counted."""
    return moment.spell(datetime.fromtimestamp(float(now // every.exact * every.exact), UTC))


def view(payload: Payload) -> Snapshot | None:
    """What DescribeSnapshots says of one; None where it is in no set of ours."""
    told = {tag["Key"]: tag["Value"] for tag in payload.get("Tags") or ()}
    service, _, time = told.get(marks.SNAPSHOT, "").partition("/")
    of, _, named = told.get(marks.VOLUMES, "").partition(" ")
    volume = _address(told)
    if not (service and time and of.isdecimal() and named and volume):
        return None
    return Snapshot(
        id=payload["SnapshotId"],
        service=service,
        slot=time,
        address=str(volume),
        part=part(volume, named),
        of=int(of),
        began=payload["StartTime"],
        state=payload["State"],
        size=payload["VolumeSize"],
        encrypted=bool(payload.get("Encrypted")),
        stray=volume.service != service,
    )


def copied(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """The tags of a volume that its snapshot has, too: EBS copies all but AWS's own where it is asked to, and so do we."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith("aws:")}


def _address(told: Mapping[str, str]) -> ResourceId | None:
    try:
        found = address.parse(told.get(marks.ADDRESS, ""))
    except ValueError:
        return None
    return found if found.kind == "volume" else None
