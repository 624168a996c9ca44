"""Port `Engine` in memory: carries a stack's changes out on the fakes through the fields that the real engine would be given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from providers.memory.cloud import MemoryCloud
from providers.memory.cluster import MemoryCluster
from providers.memory.making import makers
from reconciler import errors
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.ports import Progress, StackResult, StackRun

GOES = frozenset({"delete", "forget"})


class MemoryEngine:
    """An engine whose state is `held`: by stack, what it made, with its live id. *ran* are the stacks it was asked to run, in order."""

    def __init__(self, cloud: MemoryCloud, cluster: MemoryCluster, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self.held: dict[str, dict[ResourceId, str]] = {}
        self.unsure: set[ResourceId] = set()
        self.ran: list[str] = []
        self._makers = makers(cloud, cluster)

    def stacks(self, environment: str) -> Mapping[str, frozenset[ResourceId]]:
        ours = {stack: frozenset(id for id in held if id.environment == environment) for stack, held in self.held.items()}
        return {stack: ids for stack, ids in ours.items() if ids}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        return frozenset(id for id in self.unsure if id.environment == environment)

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        held, gone = self.held.get(stack, {}), {id for id in ids if id.environment == environment}
        self.unsure -= gone
        for id in gone:
            held.pop(id, None)
        if not held:
            self.held.pop(stack, None)

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        self.ran.append(run.stack)
        work = _Work(self, run, {id: dict(known) for id, known in run.attributes.items()}, {})
        for change in _in_order(run):
            if change.acts:
                work.outcomes[change.id] = self._carried_out(work, change, progress)
            elif change.live_id:
                work.learn(change.id, change.live_id)
        return StackResult(work.outcomes, {resource.id: work.attributes.get(resource.id, {}) for resource in run.resources})

    def _carried_out(self, work: _Work, change: Change, progress: Progress) -> Outcome:
        blocking = next((need for need in change.needs if isinstance(work.outcomes.get(need), Failed | Blocked)), None)
        if blocking:
            return Blocked(str(blocking))
        progress(str(change.id), "start", change.action)
        try:
            self._act(work, change)
        except errors.ProviderError as error:
            progress(str(change.id), "failed", error.message)
            return Failed(error.message, retryable=isinstance(error, errors.TransientError))
        progress(str(change.id), "done", change.action)
        return Done()

    def _act(self, work: _Work, change: Change) -> None:
        maker, held = self._makers[change.id.kind], self.held.setdefault(work.run.stack, {})
        live = change.live_id or held.get(change.id, "")
        if change.action in {"delete", "replace"}:
            maker.unmake(change.id, live)
        if change.action in GOES:
            held.pop(change.id, None)
            return
        fields = work.filled(work.declared[change.id].fields)
        if change.action in {"create", "replace"}:
            live = maker.make(change.id, fields)
        else:
            maker.change(change.id, live, fields)
        for other in self.held.values():
            other.pop(change.id, None)
        held[change.id] = live
        work.learn(change.id, live)


@dataclass(slots=True)
class _Work:
    """One run: what is known of attributes so far, and how each change ended."""

    engine: MemoryEngine
    run: StackRun
    attributes: dict[ResourceId, Mapping[str, str]]
    outcomes: dict[ResourceId, Outcome]

    @property
    def declared(self) -> Mapping[ResourceId, Resource]:
        return {resource.id: resource for resource in self.run.resources}

    def learn(self, id: ResourceId, live: str) -> None:
        payload = self.engine._makers[id.kind].find(id, live)  # noqa: SLF001 - its own other half
        if payload is not None:
            self.attributes[id] = self.engine.kinds[id.kind].view(payload, id.environment).attributes

    def filled(self, value: Value) -> Any:
        """*value* with every Ref replaced by what it stands for.

        Raises:
            ProviderError: what it names is not there.
        """
        match value:
            case Ref(id, attribute):
                known = self.attributes.get(id, {})
                if attribute not in known:
                    raise errors.ProviderError(f"{attribute} of {id} is not known")
                return known[attribute]
            case Mapping():
                return {name: self.filled(item) for name, item in value.items()}
            case list() | tuple():
                return [self.filled(item) for item in value]
            case _:
                return value


def _in_order(run: StackRun) -> Iterator[Change]:
    """Everything after what it needs; what goes comes last, in the opposite order."""
    changes = {change.id: change for change in run.changes}
    graph = {id: {need for need in change.needs if need in changes} for id, change in changes.items()}
    order = list(TopologicalSorter(graph).static_order())
    yield from (changes[id] for id in order if changes[id].action not in GOES)
    yield from (changes[id] for id in reversed(order) if changes[id].action in GOES)
