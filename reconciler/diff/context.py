"""What diff has to know beside the two states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.resource import Resource

Known = Mapping[str, frozenset[ResourceId]]  # what the engine's state holds, by stack
_NOTHING: frozenset[ResourceId] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """The kinds, the engine's own record, and when things were last declared."""

    kinds: Mapping[str, Kind]
    engine: Known | None = None  # None: could not be read, so nothing is called unknown to it
    gone_since: Mapping[ResourceId, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()  # services; empty means all
    stopped: frozenset[str] = frozenset()  # services whose members do not run

    def selects(self, stack: str) -> bool:
        return not self.only or stack in self.only

    def recorded(self, stack: str) -> frozenset[ResourceId]:
        """What the engine's state has of *stack*."""
        return (self.engine or {}).get(stack, _NOTHING)

    def unknown_to_engine(self, resource: Resource) -> bool:
        if resource.owner != "engine" or self.engine is None:
            return False
        return resource.id not in self.recorded(resource.stack)
