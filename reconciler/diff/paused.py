"""A service that is paused: what would be done about it is told, and is on hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.diff.context import Scene
from reconciler.model.change import Action, Change

_DEEDS: dict[Action, str] = {"create": "created", "adopt": "imported", "forget": "forgotten", "move": "moved"}


def hold(changes: Iterable[Change], scene: Scene) -> tuple[Change, ...]:
    """*changes*, on hold where they are of a paused service. What its members do by themselves, and where they are placed, goes on."""
    return tuple(_held(one, scene) if one.acts else one for one in changes)


def _held(change: Change, scene: Scene) -> Change:
    service = scene.service(change.stack)
    if service is None or not service.paused:
        return change
    deed = _DEEDS.get(change.action, f"{change.action}d")
    return replace(change, action="hold", reason=f"{service.locate('spec.paused')}: paused; it would be {deed}: {change.reason}", impact="")
