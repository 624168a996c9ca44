"""JSON Schemas of what commands print as JSON. They stay open: a later release may add fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from reconciler.model.jsonschema import DIALECT, Untitled
from reconciler.render import shapes

OUTPUTS: Mapping[str, Any] = {
    "plan": shapes.Plan,
    "validate": list[shapes.Fault],
    "explain": shapes.Account,
    "status": list[shapes.Service],
    "members": list[shapes.Member],
    "volumes": list[shapes.Volume],
    "snapshots": list[shapes.SnapshotSet],
    "history": list[shapes.Applied],
    "catalog": list[shapes.ServiceType],
    "components-list": list[shapes.Component],
    "components-show": shapes.ComponentDetail,
    "configurations-list": list[shapes.Components],
    "sessions-list": list[shapes.Session],
    "sessions-show": shapes.Session,
}


def schemas() -> dict[str, dict[str, Any]]:
    """By file name: a schema for each command that prints JSON."""
    made = {name: TypeAdapter(shape).json_schema(schema_generator=Untitled, mode="serialization") for name, shape in OUTPUTS.items()}
    return {f"{name}.json": {"$schema": DIALECT, **schema} for name, schema in made.items()}
