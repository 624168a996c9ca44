"""Port `Engine` in memory: refreshes, compares what it holds with what is declared, asks its gate, and journals every step, as Pulumi does.

It works out by itself what it would do; of the plan it takes only what the real one is told: what to import, what to let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers.memory import stepping
from providers.memory.cloud import MemoryCloud
from providers.memory.cluster import MemoryCluster
from providers.memory.making import makers
from providers.memory.stepping import GOES, Step
from reconciler import errors
from reconciler.diff import removal
from reconciler.fields import compare
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.observation import Observation, Observed
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.ports import Progress, Recall, Recorded, StackResult, StackRun

Gate = Callable[[Iterable[Change], Iterable[Step]], str]  # why a run may not go on; "" where it may


class MemoryEngine:
    """An engine whose record is `held` (by stack, what it made, with its live id) and `unsure` (steps that nobody knows the end of).

    *ran* are the stacks it was asked to run, in order, *did* the steps it has begun. Every write of its record is an effect of *fate*:
    a step is begun there before it happens, and ended after.
    """

    def __init__(self, cloud: MemoryCloud, cluster: MemoryCluster, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self.held: dict[str, dict[ResourceId, str]] = {}
        self.unsure: set[ResourceId] = set()
        self.records: dict[ResourceId, Recorded] = {}
        self.ran: list[str] = []
        self.did: list[Step] = []
        self.gate: Gate = lambda *_: ""
        self.fate = cloud.fate
        self._cloud = cloud
        self._makers = makers(cloud, cluster)

    def stacks(self, environment: str) -> Mapping[str, frozenset[ResourceId]]:
        ours = {stack: frozenset(id for id in held if id.environment == environment) for stack, held in self.held.items()}
        return {stack: ids for stack, ids in ours.items() if ids}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        return frozenset(id for id in self.unsure if id.environment == environment)

    def recorded(self, environment: str, stack: str, recall: Recall) -> Mapping[ResourceId, Recorded]:
        del recall  # it remembers the fields themselves
        held = (id for id in self.held.get(stack, {}) if id.environment == environment)
        return {id: self.records[id] for id in held if id in self.records}

    def begin(self, id: ResourceId) -> None:
        """Write down what is about to be made beside the engine."""
        with self.fate.effect(f"begin to allocate {id}"):
            self.unsure.add(id)

    def end(self, id: ResourceId) -> None:
        with self.fate.effect(f"end of allocating {id}"):
            self.unsure.discard(id)

    def clear(self) -> None:
        """Drop what a dead run left unfinished; whoever asks has looked for what it made."""
        if self.unsure:
            with self.fate.effect("clear"):
                self.unsure.clear()

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        gone = {id for id in ids if id.environment == environment}
        with self.fate.effect(f"forget {stack}"):
            self.unsure -= gone
            for id in gone & self.held.get(stack, {}).keys():
                del self.held[stack][id]
            if not self.held.get(stack):
                self.held.pop(stack, None)

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        self.ran.append(run.stack)
        for stack, ids in run.inherits.items():
            self.forget(run.revision.environment, stack, ids)
        held = self.held.setdefault(run.stack, {})
        self._refresh(held)
        steps = stepping.steps(run, held)
        refusal = self.gate(run.changes, steps)
        if refusal:
            return StackResult({change.id: Failed(refusal) for change in run.changes if change.acts})
        work = _Work(self, run, {id: dict(known) for id, known in run.attributes.items()}, {})
        for step in steps:
            work.outcomes[step.id] = self._carried_out(work, step, progress)
            if step.op not in GOES and isinstance(work.outcomes[step.id], Done):
                self.records[step.id] = Recorded(work.fields(step.id), work.declared[step.id].protected)
        if not held:
            self.held.pop(run.stack, None)
        outcomes = {change.id: work.outcomes.get(change.id, Done()) for change in run.changes if change.acts}
        return StackResult(outcomes, {resource.id: work.attributes.get(resource.id, {}) for resource in run.resources})

    def _refresh(self, held: dict[ResourceId, str]) -> None:
        """Drop from the record what is live no more."""
        for id, live in tuple(held.items()):
            if self._makers[id.kind].find(id, live) is None:
                del held[id]

    def _carried_out(self, work: _Work, step: Step, progress: Progress) -> Outcome:
        failed = sorted(str(id) for id, outcome in work.outcomes.items() if isinstance(outcome, Failed | Blocked))
        blocking = next((str(need) for need in sorted(work.needs(step)) if str(need) in failed), "")
        if step.op in GOES and failed:
            blocking = failed[0]  # nothing is taken away after a failure
        if blocking:
            return Blocked(blocking)
        try:
            step = self._judged(work, step)
            if step.op == "same":
                work.learn(step.id, step.live)
                return Done()
            progress(str(step.id), "start", step.op)
            self._act(work, step)
        except errors.ProviderError as error:
            progress(str(step.id), "failed", error.message)
            return Failed(error.message, retryable=isinstance(error, errors.TransientError))
        progress(str(step.id), "done", step.op)
        return Done()

    def _judged(self, work: _Work, step: Step) -> Step:
        """*step*, or an update where what is held differs from what is declared: only now is known what others are called."""
        if step.op != "same":
            return step
        return replace(step, op="update") if self._differs(work, step.id, step.live) else step

    def _differs(self, work: _Work, id: ResourceId, live: str) -> bool:
        resource, found = work.declared[id], self._observation(id, live)
        wanted = replace(resource, fields=work.filled(resource.fields))
        return found is not None and bool(compare.differences(wanted, found, self.kinds[id.kind], Observed()))

    def _observation(self, id: ResourceId, live: str) -> Observation | None:
        payload = self._makers[id.kind].find(id, live)
        return self.kinds[id.kind].view(payload, id.environment) if payload is not None else None

    def _act(self, work: _Work, step: Step) -> None:
        """One step between its two entries in the journal; a step that failed is ended too."""
        self.did.append(step)
        held = self.held[work.run.stack]
        with self.fate.effect(f"begin {step}"):
            self.unsure.add(step.id)
        try:
            live = self._done(work, step)
        except errors.ProviderError:
            with self.fate.effect(f"fail {step}"):
                self.unsure.discard(step.id)
            raise
        with self.fate.effect(f"end {step}"):
            self.unsure.discard(step.id)
            if step.op in GOES:
                held.pop(step.id, None)
            else:
                held[step.id] = live
        if step.op not in GOES:
            work.learn(step.id, live)

    def _done(self, work: _Work, step: Step) -> str:
        """What it is called once it is done."""
        maker, live = self._makers[step.id.kind], step.live
        if step.op == "replace" or (step.op == "delete" and removal.of(step.id) == "delete"):
            maker.unmake(step.id, live)
        if step.op in GOES:
            return ""
        if step.op in {"create", "replace"}:
            live = maker.make(step.id, work.fields(step.id))
            self._cloud.wait()
        elif step.op == "import" and self._observation(step.id, live) is None:
            raise errors.ProviderError(f"{step.id}: {live} is not there to be imported")
        elif step.op == "update" or self._differs(work, step.id, live):
            maker.change(step.id, live, work.fields(step.id))
        return live


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

    def needs(self, step: Step) -> frozenset[ResourceId]:
        """What has to be done before *step*."""
        resource = self.declared.get(step.id)
        return resource.needs if resource else frozenset()

    def fields(self, id: ResourceId) -> dict[str, Any]:
        """What the engine sets: the declared fields, and the tags of others among the tags."""
        fields: dict[str, Any] = self.filled(self.declared[id].fields)
        foreign = self.run.foreign.get(id)
        return {**fields, "tags": {**foreign, **fields["tags"]}} if foreign else fields

    def learn(self, id: ResourceId, live: str) -> None:
        found = self.engine._observation(id, live)  # noqa: SLF001 - its own other half
        if found is not None:
            self.attributes[id] = found.attributes

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
