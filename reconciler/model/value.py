"""The values that fields have: JSON, and references to what is known only once something else is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from reconciler.model.address import ResourceId

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands for attribute *attribute* of resource *id*; unknown until that is live."""

    id: ResourceId
    attribute: str

    def __str__(self) -> str:
        return "(known after apply)"


Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | Ref | str | int | float | bool | None"
Fields: TypeAlias = Mapping[str, Value]


class Item(NamedTuple):
    """The step of a path that picks a list's item by its key: a container's name, a mount's path."""

    key: str


@lru_cache(maxsize=4096)
def item(*keys: object) -> Item:
    """The step to the item whose keys have these values. The protocol of a port is left out where it is the usual one."""
    first, *others = keys
    return Item("/".join([str(first), *(str(other) for other in others if other not in (None, "", "TCP"))]))


Path: TypeAlias = tuple[str | int | Item, ...]


def spell(path: Path) -> str:
    """A path as people write it: `spec.template.spec.containers[redis].image`."""
    text = ""
    for step in path:
        match step:
            case str():
                text += f".{step}" if text else step
            case int():
                text += f"[{step}]"
            case Item(key):
                text += f"[{key}]"
    return text
