"""The one form that the API server gives a value: quantities by amount, zeros that say nothing left out, defaults in. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from providers.manifest import schema
from providers.manifest.defaults import filled
from providers.manifest.schema import Type
from reconciler.model.quantity import Quantity
from reconciler.model.value import Ref, Value

_MILLI = Decimal("0.001")  # finer amounts are rounded up
_NESTED = frozenset({"apiVersion", "kind", "status"})  # what the server writes into each claim template
_NO_METADATA = frozenset({"creationTimestamp"})


def normal(type_: Type, value: Value) -> Value:
    """*value* as it is stored; None where that is the same as not to say it."""
    if value is None or isinstance(value, Ref):
        return value
    found = _normal(type_, value)
    return None if not type_.kept and found in ("", 0, False, {}, []) else found


def _normal(type_: Type, value: Any) -> Any:
    match type_.form:
        case "struct" if isinstance(value, Mapping):
            return _struct(type_.name, value)
        case "mapping" if isinstance(value, Mapping) and type_.below:
            return {name: normal(type_.below, item) for name, item in value.items()}
        case "list" if isinstance(value, Sequence) and not isinstance(value, str) and type_.below:
            return [normal(type_.below, item) for item in value]
        case "leaf":
            return _leaf(type_.name, value)
        case _:
            return value


def _struct(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    known = schema.fields(name)
    left_out = _NO_METADATA if name == "meta.v1.ObjectMeta" else _NESTED if name == "core.v1.PersistentVolumeClaim" else frozenset()
    said = {field: normal(known.get(field, schema.ANY), item) for field, item in value.items() if field not in left_out}
    found = {field: item for field, item in said.items() if item is not None}
    for field, rule in filled(name).items():
        if field not in found:
            item = normal(known[field], rule(found) if callable(rule) else rule)
            if item is not None:
                found[field] = item
    return found


def _leaf(word: str, value: Any) -> Any:
    match word:
        case "quantity":
            return amount(value)
        case "bytes" if isinstance(value, str):
            return _decoded(value)
        case _:
            return value


def amount(value: Any) -> Any:
    """A quantity by its amount: the server writes 0.5 as 500m."""
    try:
        exact = Quantity.parse(str(value)).value
    except ValueError:
        return value
    return str(exact.quantize(_MILLI, ROUND_CEILING).normalize() if exact % _MILLI else exact.normalize())


def _decoded(text: str) -> Any:
    try:
        return base64.b64decode("".join(text.split()), validate=True).hex()
    except (binascii.Error, ValueError):
        return text
