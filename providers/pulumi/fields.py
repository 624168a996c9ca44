"""The engine's names and values of fields in the words of the plan, so that the two can be held against each other. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler import plan
from reconciler.fields import fieldpath
from reconciler.model.change import FieldChange
from reconciler.model.value import Item

_AWS = {  # the engine's name → ours, where they differ
    "availabilityZone": "zone",
    "kmsKeyId": "kms_key",
    "networkInterface": "interface",
    "records": "values",
    "securityGroups": "security_groups",
    "subnetId": "subnet",
    "tagsAll": "tags",
    "zoneId": "zone",
}
_THEIRS = {ours: theirs for theirs, ours in _AWS.items() if theirs not in {"tagsAll", "zoneId"}}
_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the key by which the engine marks what is secret
UNKNOWN: Any = object()  # what the engine does not say


def named(kind: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The engine's *paths* as the plan spells them, without the items of lists, each once."""
    return tuple(dict.fromkeys(_ours(kind, re.sub(r"\[[^\]]*\]", "", path)) for path in paths))


def _ours(kind: str, path: str) -> str:
    first, dot, rest = path.partition(".")
    return path if kind == "kubernetes" else f"{_AWS.get(first, first)}{dot}{rest}"


def path(change: FieldChange) -> str:
    """The path of *change* without the items of lists."""
    return ".".join(step for step in change.path if isinstance(step, str))


def touches(field: str, others: Iterable[str]) -> bool:
    """Whether *field* lies within one of *others*, or one of them within it."""
    return any(field == one or field.startswith(f"{one}.") or one.startswith(f"{field}.") for one in others)


def moved(kind: str, change: FieldChange, live: Mapping[str, Any]) -> str:
    """What the engine has just read of *change*'s field where it is not what the plan read: `size was 1Gi, is 3Gi`; "" otherwise."""
    found: Any = UNKNOWN if change.secret else _found(kind, change, live)
    if found is UNKNOWN or _plain(found) == _plain(plan.plain(change.before)):
        return ""
    return f"{path(change)} was {plan.shown(change.before)}, is {plan.shown(found)}"


def _found(kind: str, change: FieldChange, live: Mapping[str, Any]) -> Any:
    """The live value at *change*'s path in what the engine keeps of the thing; UNKNOWN where it does not tell."""
    value: Any = live
    for number, step in enumerate(change.path):
        name = _THEIRS.get(step, step) if kind != "kubernetes" and number == 0 and isinstance(step, str) else step
        value = _step(value, name)
        if value is UNKNOWN or _is_secret(value):
            return UNKNOWN
    return f"{value}Gi" if kind == "volume" and path(change) == "size" and isinstance(value, int | float) else value


def _step(value: Any, step: str | int | Item) -> Any:
    match value, step:
        case None, _:
            return None
        case Mapping(), str():
            return value.get(step)
        case [*items], Item(key):
            found = fieldpath.reach(items, (Item(key),))
            return UNKNOWN if found is fieldpath.ABSENT else found
        case _:
            return UNKNOWN


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and _SECRET in value


def _plain(value: Any) -> str:
    """*value* as it is compared: nothing and empty are alike, so are 3 and 3.0, and lists in any order."""
    return json.dumps(_canonical(value), sort_keys=True, default=str)


def _canonical(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _canonical(item) for name, item in value.items()}
        case str():
            return value or None
        case Sequence():
            return sorted((_canonical(item) for item in value), key=_plain) or None
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
