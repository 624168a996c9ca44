"""Whether a service that asks for snapshots has a recent one; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from reconciler.model import moment
from reconciler.model.condition import Condition, Type
from reconciler.model.duration import age
from reconciler.model.observation import Observed
from reconciler.model.service import Service
from reconciler.model.snapshot import Snapshots

MISSED = 2  # times of the schedule after which a snapshot is stale: one may be under way
TYPE: Type = "SnapshotRecent"


def condition(service: Service, known: Snapshots, now: float) -> Condition | None:
    """How old the last complete set of *service* is; None where it asks for none. *now* in seconds since the epoch."""
    if service.snapshots is None:
        return None
    if known.unread:
        return Condition(TYPE, "Unknown", "NotRead", f"its snapshots could not be read: {known.unread}")
    every = service.snapshots.every
    last = known.newest(service.name)
    if last is None:
        return Condition(TYPE, "False", "NoneYet", f"it has no complete snapshot yet, and asks for one every {every}")
    since, late = moment.spell(moment.whole(last.taken)), now - last.taken.timestamp()
    if late > MISSED * every.seconds:
        return Condition(TYPE, "False", "Stale", f"its last complete snapshot is {age(late)} old, and it asks for one every {every}", since)
    return Condition(TYPE, "True", "Taken", since=since)


def warnings(services: Iterable[Service], observed: Observed, known: Snapshots, now: float) -> Iterator[str]:
    """`kv: its last complete snapshot is 3d old, and it asks for one every 1d`. Of a new service nobody is warned."""
    born: dict[str, float] | None = None
    for service in services:
        found = condition(service, known, now)
        if found is None or found.status != "False" or service.snapshots is None:
            continue
        if found.reason == "NoneYet":
            born = _born(observed) if born is None else born
            if now - born.get(service.name, now) <= MISSED * service.snapshots.every.seconds:
                continue
        yield f"{service.name}: {found.message}"


def _born(observed: Observed) -> dict[str, float]:
    """By service: since when it has volumes."""
    found: dict[str, float] = {}
    for id, lives in observed.live.items():
        for live in lives if id.kind == "volume" else ():
            if live.since:
                since = _seconds(live.since)
                found[live.stack] = min(since, found.get(live.stack, since))
    return found


def _seconds(since: str) -> float:
    told = datetime.fromisoformat(since)
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
