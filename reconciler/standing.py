"""Where things stand: three words for each service, what each volume is for, which snapshots there are.

Built from a plan, pure but for the world it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler import loop
from reconciler.members import services as of_service
from reconciler.members.snapshots import recent
from reconciler.model import moment
from reconciler.model.condition import Condition
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.outcome import Done, Waiting, spell
from reconciler.model.plan import ComponentsSummary, Plan
from reconciler.model.snapshot import Snapshot as Copy
from reconciler.model.snapshot import Snapshots
from reconciler.render import shapes
from reconciler.render.shapes import ServiceStanding as Row
from reconciler.render.shapes import SnapshotSet, Volume, VolumeState
from reconciler.world import World


def services(world: World, desired: Desired, only: frozenset[str]) -> Iterator[tuple[Row, float, tuple[Condition, ...]]]:
    """A row a service, its conditions, and since when it counts: the last apply, in seconds since the epoch; 0 where there was none."""
    prepared = loop.prepare(world, desired)
    last = next(iter(world.history.entries(desired.environment.name, 1)), None) or {}
    stands = world.standing(prepared.desired)
    configured = _configured(prepared.plan.components)
    for service in prepared.desired.services:
        if only and service.name not in only:
            continue
        outcome = stands[service.name].outcome if service.name in stands else Waiting("its members are known")
        unsynced = _unsynced(prepared.plan, service.name)
        copied = recent.condition(service, prepared.snapshots, world.clock.now())
        stale = copied.message if copied and copied.status != "True" else ""
        row: Row = {
            "service": service.name,
            "synced": "OutOfSync" if unsynced else "Synced",
            "ready": "Ready" if isinstance(outcome, Done) else "NotReady",
            "configured": configured,
            "reason": unsynced or spell(outcome) or stale or (f"paused ({service.locate('spec.paused')})" if service.paused else ""),
            "revision": str(last.get("commit", ""))[:7],
        }
        found = (*of_service.conditions(service, stands, unsynced), *((copied,) if copied else ()))
        yield row, last.get("time", 0.0), found
    yield from _held(desired, only)


def _held(desired: Desired, only: frozenset[str]) -> Iterator[tuple[Row, float, tuple[Condition, ...]]]:
    """A row for each service whose document is invalid: it is left as it is, and who its members are is not known."""
    for name in sorted(desired.held.keys() - {service.name for service in desired.services}):
        if not only or name in only:
            why = f"on hold: {desired.held[name]}"
            yield {"service": name, "synced": "OutOfSync", "ready": "-", "configured": "-", "reason": why, "revision": ""}, 0.0, ()


def _unsynced(plan: Plan, service: str) -> str:
    changes = [change for change in plan.changes if change.stack == service and change.action != "keep"]
    return f"{len(changes)} to do: {changes[0].id} ({changes[0].reason})" if changes else ""


def _configured(summaries: tuple[ComponentsSummary, ...]) -> str:
    if not summaries:
        return "-"
    total, done = sum(one.total for one in summaries), sum(one.configured for one in summaries)
    return "Configured" if total == done else f"{done}/{total}"


def volumes(observed: Observed, desired: Desired) -> Iterator[Volume]:
    """Every live volume of ours: bound where it is declared, retained where its removal kept it, else orphaned."""
    for id, found in sorted(observed.live.items()):
        if id.kind == "volume":
            for live in found:
                member, _, name = id.name.partition("/")
                yield {
                    "id": live.live_id,
                    "service": id.service,
                    "member": member,
                    "name": name,
                    "size": live.fields.get("size"),
                    "zone": live.attributes.get("zone", ""),
                    "state": _state(live, declared=id in desired.resources or id.service in desired.held),
                }


def snapshots(known: Snapshots) -> Iterator[tuple[SnapshotSet, datetime]]:
    """Every set of snapshots, also of services that are gone, and when it was taken."""
    for service, sets in sorted(known.sets.items()):
        for one in sets:
            told: SnapshotSet = {
                "service": service,
                "slot": one.slot,
                "taken": moment.spell(moment.whole(one.taken)),
                "age": "",
                "state": one.state,
                "of": one.of,
                "volumes": [_snapshot(each) for _, each in sorted(one.parts.items())],
            }
            yield told, one.taken


def _snapshot(one: Copy) -> shapes.Snapshot:
    _, member, name = one.address.rsplit("/", 2)
    return {"id": one.id, "member": member, "name": name, "size": f"{one.size}Gi", "state": one.state}


def _state(live: Observation, *, declared: bool) -> VolumeState:
    if live.retained:
        return "retained"
    return "bound" if declared else "orphaned"
