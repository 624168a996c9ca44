"""What a pass needs of the outside, as one value; `bootstrap` makes it, tests make it out of fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.apply import Unit
from reconciler.components.summary import Standing
from reconciler.kinds import Kind, ServiceType
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.outcome import Outcome
from reconciler.model.plan import ComponentsSummary
from reconciler.ports import Clock, Engine, History, Leases, Progress

Ticking = Callable[[], Mapping[str, Outcome]]


@dataclass(frozen=True)
class World:
    """One environment's outside.

    *observe* reads all that is live. *run* has the engine run units side by side. *members* and *components* take one step and say
    how each of theirs stands. *retain* marks volumes whose spec is gone. *together* runs calls side by side and returns when all have
    ended; *stopping* turns true when a person interrupts.
    """

    kinds: Mapping[str, Kind]
    types: Mapping[str, ServiceType]
    clock: Clock
    observe: Callable[[], Observed]
    summarise: Callable[[Desired], tuple[ComponentsSummary, ...]]
    vanished: Callable[[Iterable[str]], Mapping[str, str]]
    engine: Engine
    run: Callable[[Iterable[Unit], Progress], Mapping[ResourceId, Outcome]]
    members: Callable[[Desired], Mapping[str, Outcome]]
    components: Callable[[Desired], tuple[Standing, ...]]
    retain: Callable[[Iterable[Change], str], None]
    together: Callable[[Iterable[Callable[[], None]]], None]
    stopping: Callable[[], bool]
    leases: Leases
    history: History
