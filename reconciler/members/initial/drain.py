"""Draining: those who are to leave are out of their application before their Pods go. Looks and steps as in an initialisation.

Nothing of it is remembered beyond a run: an answer counts only if it was given in this run, and once for one change of the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler import errors
from reconciler.kinds import ServiceType
from reconciler.members import read
from reconciler.members.act import refusal
from reconciler.members.initial import job, jobs
from reconciler.members.initial.decide import Verdict, decide
from reconciler.members.initial.job import Place, Turn
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.initialise import Initialisation
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.ports import Clock, Cluster
from reconciler.resources import declare, moved


def leaving(changes: Iterable[Change], desired: Desired, types: Mapping[str, ServiceType]) -> dict[str, tuple[str, ...]]:
    """By service: who runs now and is to be no member any more, the last first. One that is only stopped stays a member."""
    found: dict[str, tuple[str, ...]] = {}
    for change in changes:
        service = desired.service(change.stack)
        before = next((one.before for one in change.fields if one.path == ("spec", "replicas")), None)
        if service is None or not change.acts or not change.id.name.startswith("StatefulSet/") or not isinstance(before, int):
            continue
        staying = {one.name for one in declare.members(service, desired.environment, types[service.type])}
        running = (f"{change.id.name.rpartition('/')[2]}-{n}" for n in reversed(range(before)))
        if names := tuple(name for name in running if name not in staying):
            found[service.name] = (*found.get(service.name, ()), *names)
    return found


@dataclass(slots=True)
class Drainer:
    """*seen* is by situation the last turn that an earlier question has left: what it said may be true no longer."""

    cluster: Cluster
    clock: Clock
    types: Mapping[str, ServiceType]
    seen: dict[str, int] = field(default_factory=dict)

    def ask(self, desired: Desired, service: Service, names: tuple[str, ...]) -> Outcome:
        """Take the next step towards *names* having left the application of *service*; Done once it says so itself."""
        wanted = self.types[service.type].drain(moved.base(service), desired.environment, names)
        if wanted is None:
            return Done()
        try:
            return self._ask(desired, service, wanted, names)
        except errors.ProviderError as error:
            return refusal(error)

    def _ask(self, desired: Desired, service: Service, wanted: Initialisation, names: tuple[str, ...]) -> Outcome:
        sets = list(read.sets(self.cluster, desired.environment, {service.name}).values())
        if not sets:
            return Done()
        situation = job.situation(service, wanted.look, sets, names)
        every = jobs.turns(self.cluster, desired.environment.name, job.DRAIN).get(service.name, [])
        verdict = self._decide(wanted, situation, every)
        if verdict.start:
            jobs.start(self.cluster, desired, service, verdict.start, Place(job.DRAIN, situation, verdict.number, sets[0]))
        jobs.clear(self.cluster, verdict.outdated)
        if isinstance(verdict.outcome, Waiting):
            return Waiting(f"{', '.join(names)} may go: {verdict.outcome.until}")
        del self.seen[situation]
        return verdict.outcome

    def _decide(self, wanted: Initialisation, situation: str, every: list[Turn]) -> Verdict:
        last = max((turn.number for turn in every if turn.situation == situation), default=-1)
        is_old = last <= self.seen.setdefault(situation, last)
        if last >= 0 and is_old and all(turn.state != "running" for turn in every):
            return Verdict(Waiting("its application says who is still there"), wanted.look, last + 1)
        return decide(wanted, situation, every, self.clock.now())
