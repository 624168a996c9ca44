"""Who else writes a field of a Kubernetes object, out of its `metadata.managedFields`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.fields import managed
from reconciler.model.value import Item, Path

_AUTOSCALER = ("kube-controller-manager", "scale")  # nothing else of the controller manager scales from outside


@dataclass(frozen=True, slots=True)
class Writer:
    """One who holds a field: by which operation, through which subresource, since when."""

    manager: str
    operation: str = ""
    subresource: str = ""
    time: str = ""

    @property
    def label(self) -> str:
        """As people know it."""
        if (self.manager, self.subresource) == _AUTOSCALER:
            return f"{self.manager} [HPA]"
        return f"{self.manager} ({self.subresource})" if self.subresource else self.manager


def others(metadata: Mapping[str, Any], path: Path) -> tuple[Writer, ...]:
    """Those beside the engine who hold the field at *path*, the latest first."""
    return tuple(one for one in holders(metadata, path) if not one.manager.startswith(managed.ENGINE))


def holders(metadata: Mapping[str, Any], path: Path) -> tuple[Writer, ...]:
    """All who hold the field at *path*, the latest first."""
    entries = metadata.get("managedFields") or ()
    found = [_writer(one) for one in entries if one.get("fieldsV1") and _holds(one["fieldsV1"], path)]
    return tuple(sorted(found, key=lambda one: one.time, reverse=True))


def _writer(entry: Mapping[str, Any]) -> Writer:
    return Writer(
        str(entry.get("manager", "")), str(entry.get("operation", "")), str(entry.get("subresource") or ""), str(entry.get("time") or "")
    )


def _holds(fields: Mapping[str, Any], path: Path) -> bool:
    """Whether *fields* reach *path*, or end above it: who holds a whole value holds what is in it."""
    for step in path:
        if not fields:
            return True
        fields = next((fields[name] for name in _names(fields, step)), {".": False})
        if fields == {".": False}:
            return False
    return True


def _names(fields: Mapping[str, Any], step: str | int | Item) -> Iterator[str]:
    """The names in *fields* by which *step* may stand there."""
    match step:
        case str():
            yield from (name for name in (f"f:{step}",) if name in fields)
        case int():
            yield from (name for name in (f"i:{step}",) if name in fields)
        case Item(key):
            yield from (name for name in fields if name[:2] in {"k:", "v:"} and _says(name, key))


def _says(name: str, key: str) -> bool:
    value = json.loads(name[2:])
    parts = [str(one) for one in value.values()] if isinstance(value, Mapping) else [str(value)]
    return key in parts or key == "/".join(part for part in parts if part != "TCP")
