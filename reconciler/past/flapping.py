"""Fields that are put back again and again: somebody else wants another value, and neither will ever win. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from reconciler import plan
from reconciler.fields import writers
from reconciler.model.address import ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.plan import Conflict
from reconciler.model.value import Value, spell
from reconciler.ports import Deed, Healed, Payload

OFTEN = 3  # times that the same value was put back
WITHIN = 24 * 3600.0  # seconds


def deeds(changes: Iterable[Change]) -> Iterator[Deed]:
    """What an apply that carried *changes* out did, for the history."""
    for change in changes:
        healed = tuple((spell(field.path), digest(field.after)) for field in change.fields if field.drift)
        yield Deed(str(change.id), change.action, healed)


def digest(value: Value) -> str:
    """Tells one declared value from another without holding it."""
    return hashlib.sha256(json.dumps(plan.plain(value), sort_keys=True, default=str).encode()).hexdigest()[:12]


def suspects(changes: Iterable[Change], healed: Iterable[Healed]) -> dict[ResourceId, dict[str, Healed]]:
    """The fields of *changes* that have drifted yet again, by address and path."""
    often = {(one.address, one.path, one.digest): one for one in healed if one.times >= OFTEN}
    found: dict[ResourceId, dict[str, Healed]] = {}
    for change in changes if often else ():
        for field in change.fields:
            known = often.get((str(change.id), spell(field.path), digest(field.after)))
            if known and field.drift:
                found.setdefault(change.id, {})[known.path] = known
    return found


def conflicts(
    changes: Iterable[Change], healed: Mapping[ResourceId, Mapping[str, Healed]], seen: Mapping[ResourceId, Payload]
) -> list[Conflict]:
    """Who fights over which field; *seen* are the payloads of Kubernetes objects, whose metadata names every writer."""
    return [
        _conflict(change, field, healed[change.id][spell(field.path)], seen.get(change.id))
        for change in changes
        for field in change.fields
        if spell(field.path) in healed.get(change.id, {})
    ]


def _conflict(change: Change, field: FieldChange, known: Healed, payload: Payload | None) -> Conflict:
    writer = next(iter(writers.others(payload["metadata"], field.path)), None) if payload else None
    who = writer.label if writer else "somebody outside"
    return Conflict(str(change.id), known.path, who, known.times, f"{datetime.fromtimestamp(known.since, UTC):%Y-%m-%dT%H:%MZ}")


def named(changes: Iterable[Change], found: Iterable[Conflict]) -> tuple[Change, ...]:
    """*changes*, those that fight with somebody saying so in their reason; they are planned all the same."""
    by_address: dict[str, list[Conflict]] = {}
    for one in found:
        by_address.setdefault(one.address, []).append(one)
    return tuple(_named(change, by_address.get(str(change.id), [])) for change in changes)


def _named(change: Change, found: list[Conflict]) -> Change:
    told = "; ".join(f"{one.path} flaps: {one.text}" for one in found)
    return replace(change, reason=f"{change.reason}; {told}") if told else change
