"""What our engine's field manager alone owns of a Kubernetes object, out of its `metadata.managedFields`. Pure.

The format is that of https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management: `f:` is a field, `k:` a list's
item by its keys, `v:` one by its value, `i:` one by its index, `.` the thing itself. What others own too stays when we let go of it, and
so does what it lies in; a mapping that nobody else owns anything of goes with all that the server filled into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from reconciler.model.value import Item, Path, item

ENGINE = "pulumi-kubernetes-"  # the engine's provider has a manager of its own for each resource, named so
MANAGER = "pulumi.com/patchFieldManager"  # the annotation that says its whole name
Tree = Mapping[str, Any]


def owned(metadata: Mapping[str, Any]) -> frozenset[Path]:
    """The paths that go when the engine declares them no more. Objects of one shape share one set: among 60,000 there are few shapes."""
    entries = [one for one in metadata.get("managedFields") or () if one.get("fieldsV1") and one.get("subresource") != "status"]
    manager = _manager(entries, metadata.get("annotations") or {})
    ours: list[Tree] = []
    others: list[Tree] = []
    for one in entries:
        (ours if _applied(one) and one.get("manager", "").startswith(manager) else others).append(one["fieldsV1"])
    return _alone(json.dumps(ours), json.dumps(others)) if ours else frozenset()


def _manager(entries: Sequence[Mapping[str, Any]], annotations: Mapping[str, Any]) -> str:
    """The name that the object says, or how all such names begin."""
    told = str(annotations.get(MANAGER, ""))
    return told if any(one.get("manager") == told and _applied(one) for one in entries) else ENGINE


def _applied(entry: Mapping[str, Any]) -> bool:
    """Whether an apply replaces *entry*: what an update by the same name left is another's."""
    return entry.get("operation") == "Apply" and not entry.get("subresource")


@lru_cache(maxsize=4096)
def _alone(ours: str, others: str) -> frozenset[Path]:
    theirs = json.loads(others)
    return frozenset(path for fields in json.loads(ours) for path in _walk((), fields, theirs, frozenset()))


def _walk(path: Path, ours: Tree, others: Sequence[Tree], keys: frozenset[str]) -> Iterator[Path]:
    """Every path below *path* that is ours alone; *keys* are the names by which the item at *path* is found: they go with it only.

    An item goes with all that others put into it, unless they hold the item itself.
    """
    for name, below in ours.items():
        if name == "." or name in keys:
            continue
        step, told_by = _step(name)
        theirs = [other[name] for other in others if name in other and (not isinstance(step, Item) or _held(other[name]))]
        if not theirs:
            yield (*path, step)
        yield from _walk((*path, step), below, theirs, told_by)


def _held(item: Tree) -> bool:
    """Whether an item itself is owned, not only what is in it."""
    return not item or "." in item


def _step(name: str) -> tuple[str | int | Item, frozenset[str]]:
    """A step of a path, and the fields that name an item."""
    form, _, text = name.partition(":")
    match form:
        case "k":
            keys = json.loads(text)
            return item(*keys.values()), frozenset(f"f:{key}" for key in keys)
        case "v":
            return item(json.loads(text)), frozenset()
        case "i":
            return int(text), frozenset()
        case _:
            return text, frozenset()
