"""Another generation of secrets for a living service: held while members are still to restart with the last one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation
from reconciler.resources import marks

_ROTATION = ("metadata", "annotations", marks.ROTATION)


def waits(fields: Iterable[FieldChange], live: Observation) -> str:
    """Why the next secrets have to wait: members of three generations do not all understand each other; "" where none would be."""
    change, behind = next((one for one in fields if one.path == _ROTATION), None), live.attributes.get("behind")
    if change is None or not isinstance(change.before, str) or not behind:
        return ""
    return (
        f"rotation {change.before} -> {change.after} has to wait: {behind} members are still to restart with the secrets of {change.before}"
    )
