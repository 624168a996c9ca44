"""What commands print as JSON, held against the schemas in `specs/schema/out/`: every field that is printed is described there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).parents[1] / "specs" / "schema" / "out"


def faults(name: str, told: Any) -> list[str]:
    """What *told*, read from a command's JSON, has that `NAME.json` does not describe, or lacks."""
    schema = _closed(json.loads((FOLDER / f"{name}.json").read_text()))
    found = jsonschema.Draft202012Validator(schema).iter_errors(told)
    return [f"{one.json_path}: {one.message}" for one in found]


def check(words: tuple[str, ...], text: str) -> None:
    """Judge what `reconcile` with *words* has printed, where it was asked for JSON and there is a schema of it."""
    if "json" not in words or "--format" not in words:
        return
    name = next((one for one in ("-".join(words[:2]), words[0]) if (FOLDER / f"{one}.json").exists()), "")
    found = faults(name, json.loads(text)) if name else []
    assert not found, found


def _closed(schema: Any) -> Any:
    """*schema* without room for fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema and "additionalProperties" not in schema else {}
    return {key: _closed(value) for key, value in schema.items()} | shut
