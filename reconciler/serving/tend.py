"""What goes on between passes: members are placed, components configured, for the last commit that was carried out, whatever git does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.members.member import departing
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome
from reconciler.model.service import Service
from reconciler.ports import Clock, Progress
from reconciler.serving.ground import Ground
from reconciler.serving.post import Step

PAUSE = 1.0  # seconds between two ticks, at least; a tick that takes longer is followed by as long a rest
UNKNOWN = Step(PAUSE, "it is not known yet what to look after")


@dataclass(frozen=True, slots=True)
class Charge:
    """What is looked after; *changes* are those of the plan that take members away, who still have to give up their places."""

    ground: Ground
    desired: Desired
    changes: tuple[Change, ...] = ()


Tick = Callable[[Charge], Mapping[str, Outcome]]


@dataclass(slots=True)
class Tender:
    """One role's; *began* is when the tick began that *outcomes* are of. A charge is never exchanged in the middle of a tick."""

    tick: Tick
    clock: Clock
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    began: float = float("-inf")
    _charge: Charge | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(self, charge: Charge) -> None:
        """From now on look after *charge*; nothing of what was before is in use when this returns."""
        gone = tuple(change for change in charge.changes if change.action in {"delete", "forget"})
        with self._lock:
            self._charge = replace(charge, changes=gone)

    @property
    def ground(self) -> Ground | None:
        return self._charge.ground if self._charge else None

    def step(self) -> Step:
        with self._lock:
            if self._charge is None:
                return UNKNOWN
            began = self.clock.monotonic()
            self.outcomes = self.tick(self._charge)
            self.began = began
            if self._charge.changes and self._all_have_left(self._charge):
                self._charge = replace(self._charge, changes=())
        return Step(max(PAUSE, self.clock.monotonic() - began))

    def _all_have_left(self, charge: Charge) -> bool:
        leaving = departing(charge.changes, charge.desired.environment)
        return all(isinstance(self.outcomes.get(name, Done()), Done) for name in leaving)


@dataclass(frozen=True, slots=True)
class Tenders:
    """Who looks after members and components in this process; None where that is another's role."""

    members: Tender | None = None
    components: Tender | None = None

    def on(self, ground: Ground) -> bool:
        """Whether anybody stands on *ground*."""
        return any(one is not None and one.ground is ground for one in (self.members, self.components))


def members(progress: Progress) -> Tick:
    """Places members and sees to snapshots; *progress* hears of what was done."""

    def tick(charge: Charge) -> Mapping[str, Outcome]:
        world = charge.ground.world
        outcomes = world.members(charge.desired, charge.changes, progress)
        world.take(charge.desired, outcomes, progress)
        return outcomes

    return tick


def components(charge: Charge) -> Mapping[str, Outcome]:
    """Configures components."""
    return {f"components/{one.summary.configuration}": one.outcome for one in charge.ground.world.components(charge.desired)}


def looked_after(before: Desired | None, now: Desired, left: Callable[[str], bool]) -> Desired:
    """*now*, but as *before* for the services that are *left* as they are: not yet approved, or on hold for a fault.

    Their members live on as they were declared, and have to be placed like all others. But what is paused now is so at once.
    """
    former = {one.name: one for one in before.services} if before else {}
    current = {one.name: one for one in now.services}
    names = sorted({*current, *(name for name in former if left(name))})
    return replace(now, services=tuple(_left(former.get(name), current.get(name)) if left(name) else current[name] for name in names))


def _left(former: Service | None, now: Service | None) -> Service:
    kept = former or now
    assert kept is not None  # noqa: S101 - names are of either
    if now is None or now.paused == kept.paused:
        return kept
    return kept.model_copy(update={"paused": now.paused}).placed(now.locate)
