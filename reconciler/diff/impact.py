"""What a change does to those who run and to what they keep, in words for the end of its headline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.diff import upgrade
from reconciler.diff.context import Conduct, Order
from reconciler.fields import compare
from reconciler.model.address import ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.observation import Observation
from reconciler.model.value import Fields, Path, Ref, Value

_GIVEN_BACK = {"interface": "private address", "address": "elastic address"}


def of_change(id: ResourceId, declared: Fields, live: Observation, fields: tuple[FieldChange, ...], conduct: Conduct) -> str:
    """What it means that *fields* of a live thing become as *declared*."""
    paths = {compare.names(one.path) for one in fields}
    if id.kind == "kubernetes":
        done = (_of_object(id, declared, live, paths, conduct), upgrade.told(fields))
        return "; ".join(filter(None, done))
    told = [words for one in fields if (words := _of_field(id, one))]
    return "; ".join(told)


def of_removal(id: ResourceId, live: Observation) -> str:
    """What it means that a live thing goes."""
    if id.kind == "volume":
        return "data is kept"
    if id.kind in _GIVEN_BACK:
        return f"irreversible: the {_GIVEN_BACK[id.kind]} of {id.member} is given back"
    return _named("stops", reversed(_pods(id, live.fields))) if id.name.startswith("StatefulSet/") else ""


def of_replacement(change: Change, live: Observation) -> str:
    """What it means that a live thing is taken away and made anew."""
    running = _pods(change.id, live.fields) if change.id.name.startswith("StatefulSet/") else ()
    return _named("stops and starts", reversed(running))


def _of_object(id: ResourceId, declared: Fields, live: Observation, paths: Iterable[Path], conduct: Conduct) -> str:
    if id.name.startswith("StatefulSet/"):
        return "; ".join(words for words in _of_set(id, declared, live, list(paths), conduct) if words)
    grows = id.name.startswith("PersistentVolumeClaim/") and any(path[:3] == ("spec", "resources", "requests") for path in paths)
    return "irreversible: a claim cannot shrink" if grows else ""


def _of_set(id: ResourceId, declared: Fields, live: Observation, paths: list[Path], conduct: Conduct) -> Iterable[str]:
    """A set restarts those that run and go on running, and stops those beyond its new size. Who is yet to come is in neither."""
    running, wanted = _pods(id, live.fields), set(_pods(id, declared))
    staying = tuple(name for name in running if name in wanted)
    if any(path[:2] == ("spec", "template") for path in paths):
        yield _restarts(staying, declared, conduct.order)
    leaving = tuple(name for name in reversed(running) if name not in wanted)
    yield _named("stops", leaving) + (", drained first" if leaving and conduct.drained(leaving) else "")


def _restarts(staying: tuple[str, ...], declared: Fields, order: Order) -> str:
    strategy = _at(declared, "spec", "updateStrategy")
    if _at(strategy, "type") == "OnDelete":  # `members` deletes them, one by one
        return _named("restarts", order(staying))
    partition = _at(strategy, "rollingUpdate", "partition")
    ordinals = range(partition if isinstance(partition, int) else 0, 1 << 31)
    return _named("restarts", (name for name in reversed(staying) if int(name.rpartition("-")[2]) in ordinals))


def _pods(id: ResourceId, fields: Fields) -> tuple[str, ...]:
    """The names of a set's Pods, in the order of their ordinals."""
    name, replicas, start = id.name.rpartition("/")[2], _at(fields, "spec", "replicas"), _at(fields, "spec", "ordinals", "start")
    first = start if isinstance(start, int) else 0
    count = replicas if isinstance(replicas, int) else 1 if replicas is None else 0
    return tuple(f"{name}-{n}" for n in range(first, first + count))


def _of_field(id: ResourceId, change: FieldChange) -> str:
    match id.kind, change.path:
        case "volume", ("size",):
            return "irreversible: a volume cannot shrink"
        case "record", ("values",):
            return f"moves {id.name} to {_spelt(change.after)}"
        case "address", ("interface",):
            return f"moves to {_spelt(change.after)}"
    return ""


def _spelt(value: Value) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_spelt(one) for one in value)
    return f"what {value.id} will have" if isinstance(value, Ref) else str(value)


def _at(value: Value, *steps: str) -> Value:
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _named(verb: str, names: Iterable[str]) -> str:
    told = ", ".join(names)
    return f"{verb} {told}" if told else ""
