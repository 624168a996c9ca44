"""Those on whom services depend: a service waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler import apply
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome, Waiting, spell
from reconciler.model.plan import Plan
from reconciler.model.service import Service
from reconciler.model.stand import Stand
from reconciler.world import World

EVERY = 3.0  # seconds between two looks


@dataclass(slots=True)
class Parents:
    """Whether those work on whom services depend. They are waited for where they are changed too, or where who depends on them is new.

    *seen* is how they stood when they were last *looked* at, *waited* by service for whom it waits: a plan does not change.
    """

    world: World
    plan: Plan
    desired: Desired
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

    def _waited(self, service: Service) -> tuple[str, ...]:
        changed = {change.stack for change in self.plan.acting}
        new = apply.fresh([change for change in self.plan.changes if change.stack == service.name])
        return tuple(name for name in service.depends_on if new or name in changed)

    def _seen(self) -> Mapping[str, Stand]:
        now = self.world.clock.monotonic()
        if now - self.looked >= EVERY:
            self.looked = now
            names = {name for service in self.desired.services for name in service.depends_on}
            parents = tuple(service for service in self.desired.services if service.name in names)
            self.seen = self.world.standing(replace(self.desired, services=parents))
        return self.seen
