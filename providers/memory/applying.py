"""Server-side apply as far as the tests need it: lists merge by the kinds' keys, what a manager owned and gives up goes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from providers import manifest

_UNOWNED = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})
_USUAL = {"protocol": "TCP"}


def applied(live: Mapping[str, Any], body: Mapping[str, Any], manager: str) -> dict[str, Any]:
    """*live* after *manager* has applied *body* with force."""
    entries = [entry for entry in live.get("metadata", {}).get("managedFields", ()) if entry.get("manager") != manager]
    before = next((entry for entry in live.get("metadata", {}).get("managedFields", ()) if entry.get("manager") == manager), None)
    kept = _without(live, before["fieldsV1"], fields(body)) if before else live
    merged: dict[str, Any] = _merged(kept, body, body, ())
    entry = {"manager": manager, "operation": "Apply", "apiVersion": body["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": fields(body)}
    merged["metadata"] = {**merged["metadata"], "managedFields": [*entries, entry]}
    return merged


def fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """What applying *body* owns, as `fieldsV1`."""
    return _fields(body, body, ())


def _fields(body: Mapping[str, Any], value: Any, path: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        below = {f"f:{name}": _fields(body, item, (*path, name)) for name, item in value.items() if (*path, name) not in _UNOWNED}
        return {".": {}, **below} if path and below else below
    keys = manifest.list_key(body, path) if _is_list(value) else ""
    if not isinstance(keys, tuple):
        return {}
    return {_spelt(item, keys): {".": {}, **_fields(body, item, path)} for item in value}


def _spelt(item: Any, keys: tuple[str, ...]) -> str:
    """The step to *item* as `fieldsV1` spells it."""
    if not keys:
        return f"v:{json.dumps(item)}"
    return f"k:{json.dumps({key: item.get(key, _USUAL.get(key)) for key in keys})}"


def _merged(live: Any, body: Mapping[str, Any], value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        held = live if isinstance(live, Mapping) else {}
        return {**held, **{name: _merged(held.get(name), body, item, (*path, name)) for name, item in value.items()}}
    keys = manifest.list_key(body, path) if _is_list(value) else ""
    if not isinstance(keys, tuple):
        return value
    known = {_spelt(item, keys): item for item in live} if _is_list(live) else {}
    mine = [_merged(known.get(_spelt(item, keys)), body, item, path) for item in value]
    named = {_spelt(item, keys) for item in value}
    return mine + [item for name, item in known.items() if name not in named]


def _without(live: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """*live* without what *before* owned and *after* does not."""
    if isinstance(live, Mapping):
        gone = {name for name in live if f"f:{name}" in before and f"f:{name}" not in after}
        return {
            name: _without(value, before[f"f:{name}"], after[f"f:{name}"]) if f"f:{name}" in before else value
            for name, value in live.items()
            if name not in gone
        }
    if _is_list(live):
        return [kept for item in live if (kept := _item(item, before, after)) is not None]
    return live


def _item(item: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    owner = next((key for key in before if _names(key, item)), None)
    if owner is None:
        return item
    return _without(item, before[owner], after[owner]) if owner in after else None


def _names(step: str, item: Any) -> bool:
    form, _, text = step.partition(":")
    if form == "v":
        return bool(json.loads(text) == item)
    keys = json.loads(text) if form == "k" and isinstance(item, Mapping) else None
    return keys is not None and all(item.get(name, _USUAL.get(name)) == value for name, value in keys.items())


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
