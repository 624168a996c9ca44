"""Which documents a filter means, and what an update makes of one. What is not known here is refused, never ignored."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from lab.standins.mongod.refusal import Refusal

_MISSING = object()


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """As MongoDB compares: values of other types do not match, they are no error."""

    def holds(found: Any, wanted: Any) -> bool:
        try:
            return found is not _MISSING and bool(compare(found, wanted))
        except TypeError:
            return False

    return holds


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda found, wanted: _equals(found, wanted),  # noqa: PLW0108 - defined below
    "$ne": lambda found, wanted: not _equals(found, wanted),
    "$in": lambda found, wanted: any(_equals(found, one) for one in wanted),
    "$exists": lambda found, wanted: (found is not _MISSING) == bool(wanted),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
}


def matches(document: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether *wanted* means *document*; fields may be paths."""
    return all(_matches(_at(document, path), condition, path) for path, condition in wanted.items())


def _matches(found: Any, condition: Any, path: str) -> bool:
    if path.startswith("$"):
        raise Refusal(2, f"this stand-in has no {path}")
    if not (isinstance(condition, Mapping) and any(key.startswith("$") for key in condition)):
        return _equals(found, condition)
    if unknown := sorted(set(condition) - set(_OPERATORS)):
        raise Refusal(2, f"unknown operator: {unknown[0]} (this stand-in has {', '.join(_OPERATORS)})")
    return all(_OPERATORS[name](found, value) for name, value in condition.items())


def _equals(found: Any, wanted: Any) -> bool:
    if found is _MISSING:
        return wanted is None
    return bool(found == wanted) or (isinstance(found, list) and wanted in found)


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(document, Mapping) or part not in document:
            return _MISSING
        document = document[part]
    return document


def updated(document: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """*document* after *update*: a replacement, or `$set`, `$inc`, `$unset` of top-level fields."""
    if not isinstance(update, Mapping):
        raise Refusal(2, "this stand-in has no updates by pipelines")
    if not any(key.startswith("$") for key in update):
        return {**({"_id": document["_id"]} if "_id" in document else {}), **update}
    result = dict(document)
    for name, fields in update.items():
        for path, value in fields.items():
            if "." in path:
                raise Refusal(2, f"this stand-in updates top-level fields, not {path}")
            if name == "$set":
                result[path] = value
            elif name == "$inc":
                result[path] = result.get(path, 0) + value
            elif name == "$unset":
                result.pop(path, None)
            elif name != "$setOnInsert":
                raise Refusal(9, f"Unknown modifier: {name} (this stand-in has $set, $inc, $unset and $setOnInsert)")
    return result


def begun(wanted: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """The document that an upsert makes: what the filter says by equality, and the update."""
    equal = {path: value for path, value in wanted.items() if not path.startswith("$") and not isinstance(value, Mapping)}
    return updated({**equal, **update.get("$setOnInsert", {})}, update)
