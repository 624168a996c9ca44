"""Another generation of secrets for a living service: held while members are still to restart with the last one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.diff import marked
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation
from reconciler.resources import marks


def waits(fields: Iterable[FieldChange], live: Observation) -> str:
    """Why the next secrets have to wait: members of three generations do not all understand each other; "" where none would be."""
    generations, behind = marked.turned(fields, marks.ROTATION), live.attributes.get("behind")
    if generations is None or not behind:
        return ""
    before, after = generations
    return f"rotation {before} -> {after} has to wait: {behind} members are still to restart with the secrets of {before}"
