"""An API server's OpenAPI documents, cut down to what a diff asks: of each field its type, and how it merges. Pure.

A type is a word: `string`, `integer`, `boolean`, `number`, `quantity`, `int-or-string`, `bytes`, `any`, or the name of a definition.
Before it stand its containers, the outermost first: `{}` a mapping, `[]` a list that is one value, `[*]` a list that merges by its
values, `[name]` one that merges by that field. `=` makes the mapping or definition behind it one value. A `?` in front of all, which
only the Go source can tell, says that a zero is not nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LEAVES = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
}
_UNSEEN = frozenset({"status", "managedFields"})  # nobody declares them

Definitions = Mapping[str, Mapping[str, Any]]


def definitions(documents: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The definitions of all *documents* by name."""
    return {name: found for document in documents for name, found in document["components"]["schemas"].items()}


def compact(found: Definitions, kinds: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What *kinds* are made of: `kinds` by name, and `types` with their fields."""
    roots = {kind: _root(found, version, kind) for version, kind in kinds}
    reached: dict[str, Mapping[str, str]] = {}
    waiting = list(roots.values())
    while waiting:
        name = waiting.pop()
        if _short(name) not in reached:
            properties = {field: schema for field, schema in found[name].get("properties", {}).items() if field not in _UNSEEN}
            reached[_short(name)] = {field: _word(schema, found) for field, schema in sorted(properties.items())}
            waiting += [below for schema in properties.values() for below in _named(schema) if below not in _LEAVES]
    return {"kinds": {kind: _short(name) for kind, name in roots.items()}, "types": reached}


def _root(found: Definitions, version: str, kind: str) -> str:
    group, _, number = version.rpartition("/")
    wanted = {"group": group, "version": number, "kind": kind}
    return next(name for name, schema in found.items() if wanted in schema.get("x-kubernetes-group-version-kind", ()))


def _short(name: str) -> str:
    """`core.v1.Container` of `io.k8s.api.core.v1.Container`."""
    return ".".join(name.split(".")[-3:])


def _word(schema: Mapping[str, Any], found: Definitions) -> str:
    name = _reference(schema)
    if name:
        return _LEAVES.get(name) or f"{_whole({**found[name], **schema})}{_short(name)}"
    match schema.get("type"):
        case "array":
            return f"[{_merging(schema)}]{_word(schema['items'], found)}"
        case "object" if "additionalProperties" in schema:
            return f"{_whole(schema)}{{}}{_word(schema['additionalProperties'], found)}"
        case "string" if schema.get("format") == "byte":
            return "bytes"
        case "string" | "integer" | "boolean" | "number" as word:
            return str(word)
        case _:
            return "any"


def _whole(schema: Mapping[str, Any]) -> str:
    return "=" if schema.get("x-kubernetes-map-type") == "atomic" else ""


def _merging(schema: Mapping[str, Any]) -> str:
    match schema.get("x-kubernetes-list-type"):
        case "map":
            return ",".join(schema["x-kubernetes-list-map-keys"])
        case "set":
            return "*"
        case _:
            return ""


def _reference(schema: Mapping[str, Any]) -> str:
    """The definition that *schema* is; where it says a default beside, OpenAPI wraps the reference."""
    (only,) = schema.get("allOf", [schema])[:1]
    return str(only.get("$ref", "")).rpartition("/")[2]


def _named(schema: Mapping[str, Any]) -> Iterator[str]:
    name = _reference(schema)
    if name:
        yield name
    for below in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(below, Mapping):
            yield from _named(below)
