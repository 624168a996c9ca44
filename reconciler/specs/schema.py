"""JSON Schemas of all documents, for editors: made from the same models that `load` checks with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from reconciler import kinds
from reconciler.kinds import ServiceType
from reconciler.model.document import API_VERSION, Metadata
from reconciler.model.jsonschema import DIALECT, Untitled
from reconciler.specs import notyet
from reconciler.specs.documents import KINDS

Schema = dict[str, Any]


def schemas(types: Mapping[str, ServiceType] | None = None) -> dict[str, Schema]:
    """By file name: a schema for each kind, and `document.json`, which holds for any of them."""
    documents = {f"{kind.lower()}.json": _document(kind) for kind in KINDS}
    _type_options(documents["service.json"], kinds.service_types() if types is None else types)
    return {**documents, "document.json": _any_document()}


def _document(kind: str) -> Schema:
    metadata, spec = _model(Metadata), _model(KINDS[kind][0])
    definitions = {**metadata.pop("$defs", {}), **spec.pop("$defs", {})}
    for path, (_, hint) in notyet.TABLE.get(kind, {}).items():
        _field(spec, definitions, path.split("."))["description"] = f"Not supported in full yet: {hint}."
    parts = {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}, "metadata": metadata, "spec": spec}
    return {"$schema": DIALECT, **_closed(parts), "$defs": definitions}


def _closed(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "required": list(properties), "additionalProperties": False, "properties": dict(properties)}


def _model(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(by_alias=True, schema_generator=Untitled)


def _field(schema: Schema, definitions: Mapping[str, Any], path: list[str]) -> Schema:
    """The field at *path*; one that is a reference is followed only on the way."""
    step, *rest = path
    field: Schema = schema["properties"][step]
    if not rest:
        return field
    reference = next(one["$ref"] for one in (field, *field.get("anyOf", ())) if "$ref" in one)  # a field may also be left empty
    return _field(definitions[reference.rpartition("/")[2]], definitions, rest)


def _type_options(service: Schema, types: Mapping[str, ServiceType]) -> None:
    """Says of each service type which versions and options it has; types of other packages stay open."""
    spec, rules = service["properties"]["spec"], []
    for name, type_ in sorted(types.items()):
        options = _model(type_.options)
        service["$defs"] |= {f"{name}.{key}": one for key, one in _renamed(name, options.pop("$defs", {})).items()}
        versions = {"version": {"enum": list(type_.versions)}} if type_.versions else {}
        then = {"properties": {"options": _renamed(name, options), **versions}}
        rules.append({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then})
    spec["allOf"] = rules
    spec["properties"]["type"]["examples"] = sorted(types)


def _renamed(prefix: str, schema: Any) -> Any:
    """With references into definitions of its own prefixed, so that types' definitions cannot meet."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", f"#/$defs/{prefix}.") if key == "$ref" else _renamed(prefix, value)
            for key, value in schema.items()
        }
    return [_renamed(prefix, one) for one in schema] if isinstance(schema, list) else schema


def _any_document() -> Schema:
    choices = [{"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"{kind.lower()}.json"}} for kind in KINDS]
    kind = {"enum": list(KINDS)}
    return {"$schema": DIALECT, "type": "object", "required": ["kind"], "properties": {"kind": kind}, "allOf": choices}
