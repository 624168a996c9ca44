"""What our engine's field managers own of a Kubernetes object, out of its `metadata.managedFields`. Pure.

The format is that of https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management: `f:` is a field, `k:` a list's
item by its keys, `v:` one by its value, `i:` one by its index, `.` the thing itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from reconciler.model.value import Item, Path

ENGINE = "pulumi-kubernetes-"  # the engine's provider has a manager of its own for each resource, named so


def owned(metadata: Mapping[str, Any]) -> frozenset[Path]:
    """The paths that the engine owns. Objects of one shape share one set: among 60,000 there are few shapes."""
    found: frozenset[Path] = frozenset()
    for entry in metadata.get("managedFields") or ():
        if str(entry.get("manager", "")).startswith(ENGINE) and not entry.get("subresource") and entry.get("fieldsV1"):
            paths = _parsed(json.dumps(entry["fieldsV1"], sort_keys=True))
            found = found | paths if found else paths
    return found


@lru_cache(maxsize=4096)
def _parsed(text: str) -> frozenset[Path]:
    return frozenset(_walk((), json.loads(text)))


def _walk(path: Path, fields: Mapping[str, Any]) -> Iterator[Path]:
    for name, below in fields.items():
        if name == ".":
            yield path
        elif below:
            yield from _walk((*path, _step(name)), below)
        else:
            yield (*path, _step(name))


def _step(name: str) -> str | int | Item:
    """A step of a path. An item that has several keys is named by the first: the others (protocol) have defaults."""
    form, _, text = name.partition(":")
    match form:
        case "k":
            return Item(str(next(iter(json.loads(text).values()))))
        case "v":
            value = json.loads(text)
            return Item(value if isinstance(value, str) else json.dumps(value))
        case "i":
            return int(text)
        case _:
            return text
