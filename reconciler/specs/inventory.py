"""What the services of an environment declare together, and where they are in each other's way. Resources are made when asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.model.later import LaterMapping
from reconciler.model.origin import Fault
from reconciler.resources import declare, shared
from reconciler.specs import holding
from reconciler.specs.draft import Draft, Outline

if TYPE_CHECKING:
    from reconciler.kinds import ServiceType
    from reconciler.model.address import ResourceId
    from reconciler.model.environment import Environment
    from reconciler.model.resource import Resource


@dataclass(slots=True)
class Inventory:
    """Of services that nothing is wrong with, each by itself. *drafts* without an outline get one."""

    drafts: Sequence[Draft]
    environment: Environment
    types: Mapping[str, ServiceType]
    outlined: dict[Draft, Outline] = field(default_factory=dict)  # those that got one here
    _made: dict[Draft, tuple[Resource, ...]] = field(default_factory=dict)
    _common: tuple[Resource, ...] = ()

    def __post_init__(self) -> None:
        for draft in self.drafts:
            if draft.outline is None:
                draft.outline = self.outlined[draft] = self._outline(draft)
        self._common = shared.shared(self.environment, [one.outline for one in self.drafts if one.outline])

    def faults(self, *, whole: bool) -> Iterator[Fault]:
        """Where two declare the same; and, if *whole*, needs that nobody meets. A deletion could run before what leans on it."""
        common = {_object(one.id) for one in self._common}
        owners: dict[str, Draft] = {}
        for draft in self.drafts:
            for name in draft.outline.objects if draft.outline else ():
                other = owners.setdefault(name, draft)
                if other is not draft or name in common:
                    yield self._clash(draft, other, name)
        known = common | owners.keys()
        for draft in self.drafts if whole else ():
            if draft.outline and not known.issuperset(draft.outline.needs):
                yield from (fault for one in self._resources(draft) for fault in _unmet(one, known))

    def resources(self, blamed: holding.Blame) -> Mapping[ResourceId, Resource]:
        """All that is shared, and all of those that nothing is wrong with among the others."""
        sound = [draft for draft in self.drafts if draft.origin not in blamed]
        return LaterMapping(lambda: {one.id: one for one in (*self._common, *self._all(sound))})

    def _all(self, drafts: Iterable[Draft]) -> Iterator[Resource]:
        for draft in drafts:
            yield from self._resources(draft)

    def _resources(self, draft: Draft) -> tuple[Resource, ...]:
        if draft not in self._made:
            self._made[draft] = declare.resources(draft.noun, self.environment, self.types[draft.noun.type])
        return self._made[draft]

    def _outline(self, draft: Draft) -> Outline:
        resources = self._resources(draft)
        own = {one.id for one in resources}
        members = (one.name for one in declare.members(draft.noun, self.environment, self.types[draft.noun.type]))
        needs = sorted({_object(need) for one in resources for need in one.needs if need not in own})
        return Outline(tuple(members), tuple(_object(one) for one in own), tuple(needs), draft.noun.namespace)

    def _clash(self, draft: Draft, other: Draft, name: str) -> Fault:
        id = next(one.id for one in self._resources(draft) if _object(one.id) == name)
        return draft.clash(other, f"{id} is declared by {other.name} too ({other.origin})", "rename one of them")


def _object(id: ResourceId) -> str:
    """What nobody else in the environment may have: of an object of Kubernetes kind, namespace and name, else the address."""
    return id.name if id.kind == "kubernetes" else str(id)


def _unmet(resource: Resource, known: Collection[str]) -> Iterator[Fault]:
    for need in sorted(need for need in resource.needs if _object(need) not in known):
        yield Fault(resource.origin, f"{resource.id} needs {need}, which nothing declares")
