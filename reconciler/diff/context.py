"""What diff looks at: the two states, what it has to know beside them, and what follows from all of it for many resources at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.diff.losses import Losses, Refills
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.snapshot import Source
from reconciler.model.upgrades import ANY_LATER, Upgrades
from reconciler.resources import moved

Known = Mapping[str, frozenset[ResourceId]]  # what the engine's state holds, by stack
Order = Callable[[tuple[str, ...]], tuple[str, ...]]
_NOTHING: frozenset[ResourceId] = frozenset()


def _last_first(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reversed(names))


@dataclass(frozen=True, slots=True)
class Conduct:
    """What a type says of its members: in which *order* they restart, whether those named are *drained* first, how many of so many vote,
    and how it *upgrades*.
    """

    order: Order = _last_first
    drained: Callable[[tuple[str, ...]], bool] = lambda _names: False
    voters: Callable[[int], int] = lambda _members: 0
    upgrades: Upgrades = ANY_LATER


_PLAIN = Conduct()


@dataclass(frozen=True, slots=True)
class Context:
    """The kinds, the engine's own record, and when things were last declared."""

    kinds: Mapping[str, Kind]
    engine: Known | None = None  # None: could not be read, so nothing is called unknown to it
    gone_since: Mapping[ResourceId, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()  # services; empty means all
    stopped: frozenset[str] = frozenset()  # services whose members do not run
    conducts: Mapping[str, Conduct] = field(default_factory=dict)  # by service
    sources: Mapping[ResourceId, Source] = field(default_factory=dict)  # by volume that is to be made: where its data comes from
    refills: Mapping[str, Refills] = field(default_factory=dict)  # by service
    delete_data: bool = False  # whether a person lets data be deleted that its spec gave up

    def conduct(self, stack: str) -> Conduct:
        return self.conducts.get(stack, _PLAIN)

    def selects(self, stack: str) -> bool:
        return not self.only or stack in self.only

    def recorded(self, stack: str) -> frozenset[ResourceId]:
        """What the engine's state has of *stack*."""
        return (self.engine or {}).get(stack, _NOTHING)

    def unknown_to_engine(self, resource: Resource) -> bool:
        if resource.owner != "engine" or self.engine is None:
            return False
        return resource.id not in self.recorded(resource.stack)


@dataclass(frozen=True)
class Scene:
    """Desired and observed under a context."""

    desired: Desired
    observed: Observed
    context: Context

    def found(self, id: ResourceId) -> tuple[Observation, ...]:
        """Everything live at *id*."""
        return self.observed.live.get(id, ())

    def policed(self, resource: Resource) -> Kind:
        """The kind that says how the fields of *resource* are compared."""
        return self.context.kinds[resource.id.kind]

    @cached_property
    def former(self) -> frozenset[ResourceId]:
        """The addresses that declared things had under their services' former names."""
        return frozenset(one.was for one in self.desired.resources.values() if one.moved_from)

    def service(self, name: str) -> Service | None:
        """The declared service of that name."""
        return self._services.get(name)

    @cached_property
    def _services(self) -> Mapping[str, Service]:
        return {service.name: service for service in self.desired.services}

    @cached_property
    def forgetful(self) -> Mapping[str, tuple[Service, str]]:
        """Services that were moved, as what is live remembers, and say no more from where: by their names, and by the former ones."""
        sources = {(live.stack, source) for found in self.observed.live.values() for live in found if (source := moved.former(live))}
        known = [(service, source) for stack, source in sorted(sources) if (service := self.service(stack)) and not service.moved_from]
        return {name: (service, source) for service, source in known for name in (service.name, source)}

    @cached_property
    def losses(self) -> Losses:
        """The volumes whose data is gone."""
        return Losses(self.desired, self.observed, self.context.refills)

    def has_volumes(self, service: str) -> bool:
        """Whether any volume of *service* is live, in use or kept."""
        return service in self._with_volumes

    @cached_property
    def _with_volumes(self) -> frozenset[str]:
        return frozenset(id.service for id in self.observed.live if id.kind == "volume")

    @cached_property
    def unpruned(self) -> str:
        """Why nothing may be removed now, in words that follow "no longer declared, but"; "" where it may."""
        if self.observed.unread:
            return f"something could not be read: {next(iter(self.observed.unread.values()))}"
        if self.desired.lost:
            return self.desired.lost
        return next((f"{service} is on hold: {why}" for service, why in sorted(self.desired.held.items())), "")
