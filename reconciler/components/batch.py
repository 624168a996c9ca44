"""Which pending components go into one session; pure. Alike are those that want the same layers of the same configuration and
whose last attempt ended alike: so a session runs nothing twice, and failing components do not drag good ones back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reconciler.components import status
from reconciler.model.componentstate import ComponentState


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What the members of a batch have in common: configuration, the indexes of the layers they need, how their last attempt ended."""

    configuration: str
    layers: tuple[int, ...]
    last: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Components waiting to be sent together, since its first member came, on a clock that never jumps."""

    key: Key
    since: float
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is sent when it is full or *window* seconds old. *weight* bounds what its members take up in a session's input, in bytes."""

    size: int = 25
    window: float = 60.0
    weight: int = 96 * 1024


def key(component: ComponentState) -> Key:
    return Key(component.configuration, status.missing_layers(component), component.last_status)


def sendable(component: ComponentState) -> bool:
    """Enabled, pending, and every layer that it needs is at a known commit."""
    return (
        component.declared
        and component.enabled
        and status.configuration_status(component) == "pending"
        and all(component.layers[index] for index in status.missing_layers(component))
    )


def fill(
    waiting: Iterable[Batch],
    components: Iterable[ComponentState],
    *,
    busy: frozenset[str],
    now: float,
    limits: Limits,
    weigh: Callable[[str], int] = lambda _id: 1,
) -> tuple[Batch, ...]:
    """The waiting batches anew: without members that no longer belong, with those that have come to. None is in two, none is busy."""
    keys = {component.id: key(component) for component in components if component.id not in busy and sendable(component)}
    boxes: dict[Key, list[_Box]] = {}
    placed: set[str] = set()
    for batch in waiting:
        members = [id for id in batch.members if keys.get(id) == batch.key]
        placed.update(members)
        if members:
            boxes.setdefault(batch.key, []).append(_Box(batch.since, members, sum(map(weigh, members))))
    for id in sorted(keys.keys() - placed):
        _room(boxes.setdefault(keys[id], []), weigh(id), now, limits).members.append(id)
    return tuple(Batch(key, box.since, tuple(box.members)) for key, alike in boxes.items() for box in alike)


def due(batches: Iterable[Batch], now: float, limits: Limits) -> Iterator[Batch]:
    """Those to send now. The window begins with the first member and is never begun anew."""
    return (batch for batch in batches if len(batch.members) >= limits.size or now - batch.since >= limits.window)


@dataclass(slots=True)
class _Box:
    since: float
    members: list[str]
    weight: int


def _room(alike: list[_Box], weight: int, now: float, limits: Limits) -> _Box:
    """The first of the boxes that has room for *weight*, or a new one, with that much less of it."""
    box = next((box for box in alike if len(box.members) < limits.size and box.weight + weight <= limits.weight), None)
    if box is None:
        box = _Box(now, [], 0)
        alike.append(box)
    box.weight += weight
    return box
