"""What a pass needs of the outside, as one value; `bootstrap` makes it, tests make it out of fakes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.apply import Gate, Unit
from reconciler.components.summary import Standing
from reconciler.kinds import Kind, ServiceType
from reconciler.members.live import Node
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.outcome import Done, Outcome
from reconciler.model.plan import ComponentsSummary
from reconciler.model.service import Service
from reconciler.model.snapshot import Snapshots
from reconciler.model.stand import Stand
from reconciler.ports import Checkpoints, Clock, History, Leases, Payload, Progress


@dataclass(frozen=True)
class World:
    """One environment's outside. Until something is carried out, only reading is done, with reading credentials.

    *observe* reads all that is live, *standing* how each service stands, *summarise* how components would; *vanished* names the
    commits that took services away. *run* has the engine run units side by side, each once its gate is open. *members* and *components*
    take one step and say how each of theirs stands; *retain* marks volumes whose spec is gone; *clear* removes what dead runs left in
    the engine's record.
    *together* runs calls side by side and ends when all have; *stopping* turns true when a person interrupts.
    *look* reads one Kubernetes object whole, for the little that bulk reads drop; *taken* says which names of objects anybody has taken.
    *drain* takes one step towards the application of a service letting go of members that are to leave.
    *nodes* are the cluster's, None where they could not be read. *snapshots* reads those of volumes; *take* sees to them for services of
    which it is told how they stand, beside what else is done; *land* waits for that, for whoever ends afterwards.
    """

    kinds: Mapping[str, Kind]
    types: Mapping[str, ServiceType]
    clock: Clock
    checkpoints: Checkpoints
    leases: Callable[[], Leases]
    history: History
    observe: Callable[[], Observed]
    standing: Callable[[Desired], Mapping[str, Stand]]
    summarise: Callable[[Desired], tuple[ComponentsSummary, ...]]
    vanished: Callable[[Iterable[str]], Mapping[str, str]]
    run: Callable[[Iterable[Unit], Progress, Gate], Mapping[ResourceId, Outcome]]
    members: Callable[[Desired, Iterable[Change], Progress], Mapping[str, Outcome]]
    components: Callable[[Desired], tuple[Standing, ...]]
    retain: Callable[[Iterable[str], str], None]
    clear: Callable[[], None]
    together: Callable[[Iterable[Callable[[], None]]], None]
    stopping: Callable[[], bool]
    look: Callable[[ResourceId], Payload | None] = lambda _: None
    taken: Callable[[Collection[ResourceId]], frozenset[ResourceId]] = lambda _: frozenset()
    drain: Callable[[Desired, Service, tuple[str, ...]], Outcome] = lambda _desired, _service, _names: Done()
    nodes: Callable[[], Mapping[str, Node] | None] = lambda: None
    snapshots: Callable[[], Snapshots] = Snapshots
    take: Callable[[Desired, Mapping[str, Outcome], Progress], None] = lambda *_: None
    land: Callable[[Desired, Mapping[str, Outcome], Progress], None] = lambda *_: None
