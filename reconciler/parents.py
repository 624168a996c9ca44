"""Those on whom services depend: a service waits for them; and who goes, for those that may still use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler import apply
from reconciler.kinds import ServiceType
from reconciler.model.address import SHARED
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.outcome import Done, Outcome, Waiting, spell
from reconciler.model.plan import Plan
from reconciler.model.service import Service
from reconciler.model.stand import Stand
from reconciler.resources import marks
from reconciler.world import World

EVERY = 3.0  # seconds between two looks


@dataclass(slots=True)
class Parents:
    """Whether those work on whom services depend. They are waited for where they are changed too, or where who depends on them is new.

    *holders* are by service that goes those declared ones that may still use it. *seen* is how they stood when they were last *looked*
    at, *waited* by service for whom it waits: a plan does not change.
    """

    world: World
    plan: Plan
    desired: Desired
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looked: float = float("-inf")
    seen: Mapping[str, Stand] = field(default_factory=dict)
    waited: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def lacking(self, service: Service) -> Outcome:
        """What keeps *service* from being made or changed now."""
        if service.name not in self.waited:
            self.waited[service.name] = self._waited(service)
        asked = self.waited[service.name]
        seen = self._seen() if asked else {}
        lacks = ((name, seen[name].outcome) for name in asked if name in seen and not isinstance(seen[name].outcome, Done))
        return next((Waiting(f"{name}, on which it depends, works: {spell(outcome)}") for name, outcome in lacks), Done())

    def holding(self, stack: str) -> Outcome:
        """What keeps *stack*, which nothing declares any more, from going now."""
        seen = self._seen()
        lacks = ((name, seen[name].outcome) for name in self.holders[stack] if name in seen and not isinstance(seen[name].outcome, Done))
        return next((Waiting(f"{name} has let go of it: {spell(outcome)}") for name, outcome in lacks), Done())

    def _waited(self, service: Service) -> tuple[str, ...]:
        changed = {change.stack for change in self.plan.acting}
        new = apply.fresh([change for change in self.plan.changes if change.stack == service.name])
        return tuple(name for name in service.depends_on if new or name in changed)

    def _seen(self) -> Mapping[str, Stand]:
        now = self.world.clock.monotonic()
        if now - self.looked >= EVERY:
            self.looked = now
            names = {name for service in self.desired.services for name in service.depends_on}
            names |= {name for found in self.holders.values() for name in found}
            parents = tuple(service for service in self.desired.services if service.name in names)
            self.seen = self.world.standing(replace(self.desired, services=parents))
        return self.seen


def holders(plan: Plan, desired: Desired, observed: Observed, types: Mapping[str, ServiceType]) -> dict[str, tuple[str, ...]]:
    """By service that *plan* does away with: the declared services whose type may still use one of its type."""
    users = [(one.name, types[one.type].holds) for one in desired.services if one.name not in desired.held and types[one.type].holds]
    declared = {SHARED, *(one.name for one in desired.services), *desired.held}
    going = {change.stack for change in plan.acting} - declared if users else set()
    found = {stack: tuple(name for name, held in users if held & _types(stack, observed)) for stack in going}
    return {stack: names for stack, names in found.items() if names}


def _types(stack: str, observed: Observed) -> frozenset[str]:
    """What *stack* is, as its StatefulSet says; nothing where that is gone already."""
    live = (one for found in observed.live.values() for one in found if one.stack == stack and one.id.name.startswith("StatefulSet/"))
    return frozenset(filter(None, map(_type, live)))


def _type(live: Observation) -> str:
    metadata: Any = live.fields.get("metadata", {})
    return str(metadata.get("annotations", {}).get(f"{marks.FIXED}{marks.TYPE}", ""))
