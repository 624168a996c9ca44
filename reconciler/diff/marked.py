"""What a change makes of one of our marks on an object. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.change import FieldChange


def turned(fields: Iterable[FieldChange], mark: str) -> tuple[str, str] | None:
    """From what to what the annotation *mark* goes; None where it stays, or is not known on both sides."""
    change = next((one for one in fields if one.path == ("metadata", "annotations", mark)), None)
    if change is None or not isinstance(change.before, str) or not isinstance(change.after, str):
        return None
    return change.before, change.after
