"""Fields by their paths: what stands at one, and a tree with something else there. Items of lists go by the key they are known by. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from reconciler.model.value import Fields, Item, Path, Value, item

# By these Kubernetes and people tell the items of a list apart; the first that an item has is its name.
PAIRS = (("containerPort", "protocol"), ("port", "protocol"), ("topologyKey", "whenUnsatisfiable"))
KEYS = ("name", "mountPath", "devicePath", "containerPort", "port", "topologyKey", "ip", "uid", "type", "key")


class _Absent:
    """Where there is nothing, not even null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
Found: TypeAlias = "Value | _Absent"


def plain(found: Found) -> Value:
    """*found* as a change tells it: null where nothing stands."""
    return None if isinstance(found, _Absent) else found


def reach(value: Found, path: Path) -> Found:
    """What stands at *path* of *value*; ABSENT where nothing does."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step, ABSENT) if isinstance(value, Mapping) else ABSENT
        else:
            index = _index(value, step)
            value = value[index] if index is not None and isinstance(value, Sequence) else ABSENT
    return value


def put(fields: Fields, path: Path, value: Found) -> Fields:
    """*fields* with *value* at *path*, or without the path where *value* is ABSENT. A list's item that is not there is left so."""
    found = _put(fields, path, value)
    assert isinstance(found, Mapping)  # noqa: S101 - a path of fields begins with a name
    return found


def _put(tree: Found, path: Path, value: Found) -> Found:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        held = tree if isinstance(tree, Mapping) else {}
        below = _put(held.get(step, ABSENT), rest, value) if step in held or not isinstance(value, _Absent) else ABSENT
        kept = {name: item for name, item in held.items() if name != step}
        return kept if isinstance(below, _Absent) else {**held, step: below}
    index = _index(tree, step)
    if index is None or not isinstance(tree, Sequence):
        return tree
    below = _put(tree[index], rest, value)
    return [*tree[:index], *([] if isinstance(below, _Absent) else [below]), *tree[index + 1 :]]


def _index(value: Found, step: int | Item) -> int | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    if isinstance(step, int):
        return step if step < len(value) else None
    exact = (index for index, one in enumerate(value) if step_to(one, index) == step)
    return next(exact, next((index for index, one in enumerate(value) if _goes_by(one, step.key)), None))


def _goes_by(one: Value, key: str) -> bool:
    return any(str(one.get(name)) == key for name in KEYS) if isinstance(one, Mapping) else str(one) == key


def step_to(one: Value, index: int) -> int | Item:
    """How a path names *one*, the *index*-th of its list."""
    if not isinstance(one, Mapping):
        return index
    name = next((name for name in KEYS if name in one), "")
    second = next((second for first, second in PAIRS if first == name and second in one), "")
    return item(one[name], one[second]) if second else Item(str(one[name])) if name else index
