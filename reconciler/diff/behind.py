"""What waits for something on hold: a claim that grows must not do so before its volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.fields import compare
from reconciler.model.address import ResourceId
from reconciler.model.change import Change

_GROWTH = ("spec", "resources", "requests")


def wait(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """*changes*, those on hold too that would grow a claim whose volume is on hold."""
    held = {change.id for change in changes if change.stands and change.id.kind == "volume"}
    if not held:
        return changes
    by_id = {change.id: change for change in changes}
    return tuple(_waiting(change, by_id, held) for change in changes)


def _waiting(change: Change, by_id: Mapping[ResourceId, Change], held: set[ResourceId]) -> Change:
    if change.action != "update" or not any(compare.names(field.path)[:3] == _GROWTH for field in change.fields):
        return change
    volume = next((id for need in sorted(change.needs) if need in by_id for id in sorted(by_id[need].needs) if id in held), None)
    return replace(change, action="hold", reason=f"waits for {volume}", stands=True, impact="") if volume else change
