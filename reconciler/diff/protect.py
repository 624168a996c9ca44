"""Protection outlives the spec that asked for it: what would do away with anything of a protected service is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from reconciler.diff.removal import KEPT
from reconciler.model.change import Change
from reconciler.model.observation import Observed

LIFT = "to lift that, apply a commit with `protect: false` for its service; the next one may remove it"


def stacks(observed: Observed) -> frozenset[str]:
    """The stacks of which anything live remembers that it is protected. Records carry no tags, so they go by their service."""
    return frozenset(one.stack for found in observed.live.values() for one in found if one.protected)


def refuse(changes: Iterable[Change], protected: Collection[str]) -> tuple[Change, ...]:
    """*changes*, refused where they would delete, forget or replace a live thing of a *protected* stack."""
    return tuple(_refused(one) if one.stack in protected and one.live_id else one for one in changes)


def _refused(change: Change) -> Change:
    match change.action:
        case "delete" | "forget":
            reason = f"{change.reason.removesuffix(KEPT)}, but it is protected; {LIFT}"
        case "replace":
            reason = f"it is protected, and this would replace it: {change.reason}; {LIFT}"
        case _:
            return change
    return replace(change, action="refuse", reason=reason, impact="", fields=())
