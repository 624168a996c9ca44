"""The only wiring: an environment and its machine-local defaults → a World. Adapters are imported where they are first needed."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import apply, errors, local, reading
from reconciler.apply import Gate, Unit
from reconciler.components import summary
from reconciler.loop import Prepared
from reconciler.members import act, read
from reconciler.members import services as of_service
from reconciler.members.flight import Flights
from reconciler.members.live import Live, Node
from reconciler.members.member import by_service, declared, departing
from reconciler.members.snapshots import controller as snapshots
from reconciler.model import moment
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome, first_lacking
from reconciler.model.service import Service
from reconciler.model.stand import Stand
from reconciler.outside import Outside
from reconciler.ports import Payload, Progress, StackView
from reconciler.resources import kubernetes
from reconciler.world import World

if TYPE_CHECKING:  # adapters are heavy, and `--help` or a plan needs few of them
    from providers.checkpoints import Checkpoints
    from reconciler.members.listing import Row


environments, load = reading.environments, reading.load  # who makes a World reads specs as well
_LANDS_WITHIN = 30.0  # seconds for calls that nobody waited for, before a process ends and takes them with it


@contextmanager
def home(environment: str) -> Iterator[Home]:
    """The Home of *environment*, closed at the end."""
    opened = Home(local.read(environment))
    try:
        yield opened
    finally:
        opened.close()


class Home(Outside):
    """One environment on this machine, as commands use it: specs, a World, remembered plans, interruption."""

    _seen = Live()  # of members, at the last tick: who is asked whether it leads need not be known to the moment

    def world(self, repo: str, ref: str | None) -> tuple[World, Desired]:
        """The outside and the specs, ready to plan; writing ports are made when something is carried out."""
        self._desired = desired = reading.load(repo, ref, self.here.folder.name)
        _require_lab(desired, self.here)
        _require_subnets(desired)
        specs = reading.specs(repo, ref)
        return self._world(lambda services: specs.vanished(desired.environment.name, services)), desired

    def remember(self, digest: str, text: str) -> None:
        """Keep the plan file *text* under its digest."""
        folder = self.here.folder / "plans"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{digest}.json").write_text(text)

    def recall(self, digest: str) -> str:
        """The plan file kept under *digest*; "" where this machine has none."""
        path = self.here.folder / "plans" / f"{digest}.json"
        return path.read_text() if digest.isalnum() and path.exists() else ""

    def identity(self) -> dict[str, str]:
        """Which account and which cluster the plan's credentials lead to."""
        from providers import identity  # noqa: PLC0415

        return identity.identity(self.environment, self.cloud, self.cluster)

    def stopping(self) -> bool:
        """Whether an end is wanted: a person interrupts, or another run has, or may have, the lease."""
        return self.stop.is_set() or (self.lease is not None and self.lease.lost)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for an end: nothing new starts, what is in flight finishes, and what gets no answer is not asked again.

        Raises:
            Interrupted: an answer was still missing when it was asked for.
        """
        before = {number: signal.signal(number, lambda *_: self.stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        except errors.TransientError as error:
            if not self.stop.is_set():
                raise
            raise errors.Interrupted(f"interrupted: {error.message}", hint="it is safe to run again") from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def member_rows(self, desired: Desired) -> tuple[Row, ...]:
        """The rows of `reconcile members`, read with the plan's credentials."""
        from reconciler.members import listing  # noqa: PLC0415

        members = declared(desired.services, desired.environment, self.types)
        return listing.rows(members, self._looking().look(members), self.clock.now())

    def _world(self, vanished: Callable[[Iterable[str]], Mapping[str, str]]) -> World:
        from providers import observe, together  # noqa: PLC0415
        from providers.history import SqliteHistory  # noqa: PLC0415

        environment, path = self.environment, Path(self.store.removeprefix("sqlite:///"))
        return World(
            kinds=self.kinds,
            types=self.types,
            clock=self.clock,
            checkpoints=self.checkpoints,
            leases=lambda: self.leases,
            history=SqliteHistory(path, self.clock),
            observe=lambda: observe.observe(environment, self.kinds, self.cloud, self.cluster),
            standing=self._standing,
            summarise=self._summaries,
            vanished=vanished,
            run=self._run,
            members=self._tick_members,
            components=lambda desired: self.components_controller.tick(desired, sweep=True),
            retain=lambda volumes, commit: act.retain(self.members_cloud, volumes, commit),
            clear=self._clear,
            together=together.run,
            stopping=self.stopping,
            look=self._look,
            taken=self._taken,
            drain=self._drain,
            nodes=self._nodes,
            snapshots=lambda: snapshots.read(self.cloud, environment),
            take=self._take,
            land=self._land,
        )

    @cached_property
    def checkpoints(self) -> Checkpoints:
        from providers.checkpoints import Checkpoints  # noqa: PLC0415

        return Checkpoints(self.backend, lambda words: print(f"Note: {words}", file=sys.stderr, flush=True))  # noqa: T201

    def _look(self, id: ResourceId) -> Payload | None:
        """One Kubernetes object as the API server tells it, with who wrote what of it."""
        kind, namespace, name = id.name.split("/")
        return self.cluster.get(kubernetes.KINDS[kind], name, namespace=namespace.removeprefix("-"))

    def _taken(self, ids: Collection[ResourceId]) -> frozenset[ResourceId]:
        from providers import strangers  # noqa: PLC0415 - only for plans that make something

        return strangers.taken(self.cluster, ids)

    def _nodes(self) -> Mapping[str, Node] | None:
        try:
            return read.nodes(self.cluster)
        except errors.ProviderError:
            return None  # what is not known is nothing to warn of

    def _clear(self) -> None:
        """What dead runs left in the engine's record, broken or half done; no engine where they left nothing."""
        from providers import room  # noqa: PLC0415

        room.require(self.checkpoints.root)
        self.checkpoints.mend(self.environment.name)
        if self.checkpoints.left(self.environment.name):
            self.engine.clear(self.environment.name)
        self.checkpoints.intents.clear(self.environment.name)

    def _run(self, units: Iterable[Unit], progress: Progress, gate: Gate) -> Mapping[ResourceId, Outcome]:
        from providers.executor import Executor  # noqa: PLC0415

        at_once = min(self.environment.engine.parallel, 2 * (os.cpu_count() or 1))
        return Executor(self.writing, at_once, _Ending(self.stopping), self.clock.sleep).run(units, progress, gate)

    def _drain(self, desired: Desired, service: Service, names: tuple[str, ...]) -> Outcome:
        return self.drainer.ask(desired, service, names)

    def views(self, prepared: Prepared) -> tuple[StackView, ...]:
        """What the engine would do to the stacks that *prepared* has work for, and to those that it was narrowed to."""
        from providers import executor  # noqa: PLC0415

        units = apply.units(prepared.plan, prepared.desired, prepared.observed, prepared.only)
        return executor.views(self.engine, units, min(self.environment.engine.parallel, 2 * (os.cpu_count() or 1)))

    def _tick_members(self, desired: Desired, changes: Iterable[Change], progress: Progress) -> Mapping[str, Outcome]:
        members = declared(desired.services, desired.environment, self.types)
        going = departing(changes, desired.environment)
        unbound = self.initialiser.bind(desired)
        rotations = self.initialiser.rotations(desired, members, self._seen)
        unready = {name: None for name, outcome in rotations.items() if not isinstance(outcome, Done)}
        leaders = {**self.initialiser.leaders(desired, members, self._seen), **unready}
        standing = self.members_controller.tick(members, going, leaders)
        self._seen = standing.live
        for whom, deed in standing.deeds:
            progress(whom, "done", deed)
        initial = self.initialiser.tick(desired, members, standing.live)
        services = {
            name: first_lacking(unbound.get(name), rotations.get(name), outcome, initial.get(name))
            for name, outcome in standing.services.items()
        }
        return {**services, **{name: standing.members[name] for name in going if name in standing.members}}

    def _take(self, desired: Desired, outcomes: Mapping[str, Outcome], progress: Progress) -> None:
        """Beside the members: nobody waits for a place because EBS is slow. What was done is told by the step after."""
        flights, deeds = self._aside
        if self.taker.is_due(desired, outcomes):
            flights.run({"snapshots": lambda: deeds.extend(self.taker.tick(desired, outcomes))})
        while deeds:
            progress(*deeds.popleft())

    def _land(self, desired: Desired, outcomes: Mapping[str, Outcome], progress: Progress) -> None:
        """What is under way may be the last look before all worked; one that is due by now follows it, and what it did is told."""
        flights, _ = self._aside
        for _look in ("under way", "due", "told"):
            flights.land(_LANDS_WITHIN)
            self._take(desired, outcomes, progress)

    @cached_property
    def _aside(self) -> tuple[Flights, deque[snapshots.Deed]]:
        return Flights(), deque()

    def _standing(self, desired: Desired) -> Mapping[str, Stand]:
        members = declared(desired.services, desired.environment, self.types)
        standing = self._looking().look(members)
        initialiser = self._initialiser(self.cluster)
        (initial, answered), closed = initialiser.look(desired, members, standing.live), initialiser.closed(desired)
        since = {name: of_service.since(standing.conditions[one.name] for one in mine) for name, mine in by_service(members).items()}
        spelt = {name: moment.spell(datetime.fromtimestamp(when, UTC)) for name, when in answered.items()}
        return {
            name: Stand(outcome, initial.get(name), name in closed, since.get(name, ""), spelt.get(name, ""))
            for name, outcome in standing.services.items()
        }

    def _summaries(self, desired: Desired) -> Any:
        known = self.known_records()
        return summary.summarise(desired, known.everything() if known else {}, known.resolved() if known else {})


@dataclass(frozen=True, slots=True)
class _Ending:
    """What asks *is_set* is told of every reason to end."""

    is_set: Callable[[], bool]


def _require_lab(desired: Desired, here: local.Local) -> None:
    """The environment `lab` that names no world of its own means this machine's lab, never an account that happens to be at hand."""
    aws, kubernetes = desired.environment.aws, desired.environment.kubernetes
    named = aws.endpoint or aws.profile or aws.role_arn or kubernetes.kubeconfig or kubernetes.context
    if desired.environment.name == "lab" and not here.spec and not named:
        hint = "`reconcile lab up` in this directory, or name the folder in which a folder `lab` is one: RECONCILE_DIR"
        raise errors.UsageError(f"no lab is up in {here.folder}", hint=hint)


def _require_subnets(desired: Desired) -> None:
    """Interfaces lie in subnets; which, only the environment can say."""
    bare = sorted(str(one.id) for one in desired.resources.values() if one.id.kind == "interface" and not one.fields["subnet"])
    if bare:
        where = desired.environment.origin
        hint = "name a subnet for each zone, or bring the lab up for the environment `lab`"
        raise errors.UsageError(f"{where}: aws.subnets says not where {bare[0]} lies ({len(bare)} interfaces)", hint=hint)
